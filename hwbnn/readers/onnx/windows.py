"""Windows over images in ONNX: kernel, stride and padding; pools."""

from __future__ import annotations

from math import ceil

from hwbnn.errors import CannotLower, InputError
from hwbnn.program import AveragePooling, Flattening, Layer, MaxPooling, shown_name
from hwbnn.readers.onnx.protobuf import OnnxNode
from hwbnn.readers.onnx.translation import CHANNELS_LAST, OnnxTranslation, OnnxValue


def max_pool(work: OnnxTranslation, node: OnnxNode) -> None:
    """``MaxPool``."""
    value = image(work, node)
    if len([o for o in node.outputs if o]) > 1:
        raise CannotLower(f"{node.label}: expected one result, found indices too")
    kernel, stride, padding = window(work, node, value, ())
    layer = MaxPooling(work.name(node), node.op, value.name, kernel, stride, padding)
    work.append(node, layer, value)


def average_pool(work: OnnxTranslation, node: OnnxNode) -> None:
    """``AveragePool``."""
    value = image(work, node)
    kernel, stride, padding = window(work, node, value, ())
    if any(padding) and not node.attributes.get("count_include_pad"):
        raise CannotLower(
            f"{node.label}: divides by what lies inside the image; use no padding, or "
            "count_include_pad"
        )
    layer = AveragePooling(work.name(node), node.op, value.name, kernel, stride, padding)
    work.append(node, layer, value)


def global_pool(work: OnnxTranslation, node: OnnxNode) -> None:
    """``GlobalAveragePool`` and ``GlobalMaxPool``."""
    value = image(work, node)
    height, width, _ = work.shapes[value.name]
    size = (height, width)
    layer: Layer = AveragePooling(work.name(node), node.op, value.name, size, size)
    if node.op == "GlobalMaxPool":
        layer = MaxPooling(work.name(node), node.op, value.name, size, size)
    work.append(node, layer, value)


def reduce_mean(work: OnnxTranslation, node: OnnxNode) -> None:
    """``ReduceMean`` over rows and columns: a global average."""
    value = image(work, node)
    second = work.constant(node, 1, "axes").array.ravel() if len(node.inputs) > 1 else ()
    axes = [int(a) % len(value.axes) for a in second] or [
        a % len(value.axes) for a in node.attributes.get("axes", ())
    ]
    if sorted(axes) != [i for i, a in enumerate(value.axes) if a in "hw"]:
        raise CannotLower(f"{node.label}: expected the mean of rows and columns")
    height, width, _ = work.shapes[value.name]
    size = (height, width)
    layer = AveragePooling(work.name(node), node.op, value.name, size, size)
    made = work.append(node, layer, value)
    if not node.attributes.get("keepdims", 1):
        flat = Flattening(work.name(node, " flat"), node.op, made.name)
        work.append(node, flat, made, "nf")


def image(work: OnnxTranslation, node: OnnxNode) -> OnnxValue:
    """The argument, refused unless it is an image with the operation's order of axes."""
    value = work.value(node)
    wanted = "nhwc" if node.domain == CHANNELS_LAST else "nchw"
    if value.axes not in (wanted, "ncw" if wanted == "nchw" else wanted):
        raise CannotLower(
            f"{node.label}: expected an image with axes {wanted}, found shape "
            f"{work.shape(value)} with axes {value.axes}"
        )
    return value


def window(
    work: OnnxTranslation, node: OnnxNode, value: OnnxValue, kernel: tuple[int, ...]
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """Kernel, stride and padding (top, bottom, left, right) of a convolution or pool."""
    given = node.attributes
    sizes = [int(n) for n in given.get("kernel_shape") or kernel]
    strides = [int(n) for n in given.get("strides") or (1, 1)]
    pads = [int(n) for n in given.get("pads") or (0, 0, 0, 0)]
    dilations = [int(n) for n in given.get("dilations") or (1, 1)]
    if value.axes == "ncw":  # one row
        sizes, strides, dilations = ([1, *n][-2:] for n in (sizes, strides, dilations))
        pads = [0, pads[0], 0, pads[1]] if len(pads) == 2 else pads
    if (len(sizes), len(strides), len(pads), len(dilations)) != (2, 2, 4, 2):
        raise CannotLower(f"{node.label}: expected a window of rows and columns")
    if dilations != [1, 1]:
        raise CannotLower(f"{node.label}: dilation {dilations}: expected none")
    if min(*sizes, *strides) < 1 or min(pads) < 0 or max(*sizes, *strides, *pads) >= 1 << 15:
        raise InputError(f"{node.label}: expected sizes from 1 and padding from 0")
    height, width, _ = work.shapes[value.name]
    auto = str(given.get("auto_pad") or "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        sides = []
        for size, k, s in zip((height, width), sizes, strides, strict=True):
            total = max((ceil(size / s) - 1) * s + k - size, 0)
            small = total // 2
            sides.append((small, total - small) if auto == "SAME_UPPER" else (total - small, small))
        pads = [sides[0][0], sides[1][0], sides[0][1], sides[1][1]]
    elif auto == "VALID":
        pads = [0, 0, 0, 0]
    elif auto != "NOTSET":
        raise InputError(f"{node.label}: auto_pad: found {shown_name(auto)}")
    if given.get("ceil_mode") and any(
        (size + before + after - k) % s
        for size, before, after, k, s in zip(
            (height, width), pads[:2], pads[2:], sizes, strides, strict=True
        )
    ):
        raise CannotLower(f"{node.label}: windows reach out of the image; use ceil_mode 0")
    return (
        (sizes[0], sizes[1]),
        (strides[0], strides[1]),
        (pads[0], pads[2], pads[1], pads[3]),
    )
