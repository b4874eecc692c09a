"""Windows over images in ONNX: kernel, stride and padding; pools, pads, Im2Col."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.program import Affine, AveragePooling, Flattening, Layer, MaxPooling, shown_name
from hwbnn.program.quantizers import truncation
from hwbnn.readers.onnx.folding import single
from hwbnn.readers.onnx.onnx_translation import CHANNELS_LAST, Margin, OnnxTranslation, OnnxValue
from hwbnn.readers.onnx.protobuf import OnnxNode


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
    value = image(work, node, margin=True)
    kernel, stride, padding = window(work, node, value, ())
    if any(padding) and not node.attributes.get("count_include_pad"):
        raise CannotLower(
            f"{node.label}: divides by what lies inside the image; use no padding, or "
            "count_include_pad"
        )
    padding, outside = around(node, value, padding)
    if outside:
        raise CannotLower(f"{node.label}: averages a Pad of {outside:g}; pad with 0")
    layer = AveragePooling(work.name(node), node.op, value.name, kernel, stride, padding)
    work.append(node, layer, replace(value, margin=None))


def quant_avg_pool(work: OnnxTranslation, node: OnnxNode) -> None:
    """FINN's ``QuantAvgPool2d``: sums of windows, shifted right from their width to ``obits``."""
    value, given = work.value(node), node.attributes
    wanted = "nhwc" if given.get("data_layout", "NCHW") == "NHWC" else "nchw"
    if value.axes != wanted:
        raise CannotLower(f"{node.label}: expected axes {wanted}, found {value.axes}")
    numbers = [int(given.get(name, 0)) for name in ("kernel", "stride", "ibits", "obits")]
    size, step, before, after = numbers
    if not all(1 <= n < 1 << 15 for n in (size, step)) or not all(
        1 <= n <= 16 for n in (before, after)
    ):
        raise InputError(
            f"{node.label}: expected kernel and stride from 1, ibits and obits from 1 to 16, found "
            f"{numbers}"
        )
    shift = max((((1 << before) - 1) * size * size).bit_length() - after, 0)
    window_size = (size, size), (step, step)
    pool = AveragePooling(work.name(node, " mean"), node.op, value.name, *window_size)
    total = work.append(node, pool, value)
    scale = np.array([float(size * size)])
    sums = Affine(work.name(node, " sum"), node.op, total.name, scale=scale)
    work.append(node, sums, value)
    layer = truncation(
        *(work.name(node), node.op, sums.name),
        low=-(1 << after),
        high=(1 << after) - 1,
        step=1.0,
        divisor=float(1 << shift),
        rule="floor",
        scale=1.0,
        offset=0.0,
        is_bounded=False,
    )
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


def pad(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Pad`` of rows and columns with a constant: padding of the layer that reads it."""
    value = work.value(node)
    mode = str(node.attributes.get("mode") or "constant")
    listed = list(node.attributes.get("pads") or ())
    if len(node.inputs) > 1 and node.inputs[1]:
        listed = work.constant(node, 1, "pads").array.ravel().tolist()
    given = node.attributes.get("value", 0.0)
    if not isinstance(given, float):
        raise InputError(f"{node.label}: value: expected a number, found another type")
    outside = given
    if len(node.inputs) > 2 and node.inputs[2]:
        outside = single(node, "value", work.constant(node, 2, "value").array)
    if len(node.inputs) > 3 and node.inputs[3]:
        raise CannotLower(f"{node.label}: pads axes of its own; export it with all axes")
    if len(listed) != 2 * len(value.axes) or not all(float(n).is_integer() for n in listed):
        raise InputError(
            f"{node.label}: pads: expected {2 * len(value.axes)} integers, found {len(listed)}"
        )
    count = len(value.axes)
    sides = {a: (int(listed[i]), int(listed[count + i])) for i, a in enumerate(value.axes)}
    rows, columns = sides.pop("h", (0, 0)), sides.pop("w", (0, 0))
    if not all(0 <= n < 1 << 15 for n in (*rows, *columns)) or any(map(any, sides.values())):
        raise CannotLower(
            f"{node.label}: expected zeros or more around rows and columns alone, found {listed}"
        )
    if mode != "constant":
        raise CannotLower(f"{node.label}: mode {shown_name(mode)!r}: expected 'constant'")
    work.values[node.outputs[0]] = value
    if any((*rows, *columns)):
        margin = Margin((*rows, *columns), outside)
        work.values[node.outputs[0]] = replace(value, margin=margin)


def im2col(work: OnnxTranslation, node: OnnxNode) -> None:
    """FINN's ``Im2Col``: cuts out the windows of the convolution whose ``MatMul`` reads it."""
    value = work.value(node)
    given = node.attributes
    if value.axes != "nhwc":
        raise CannotLower(f"{node.label}: expected channels last, found axes {value.axes}")
    if [int(n) for n in given.get("dilations") or (1, 1)] != [1, 1]:
        raise CannotLower(f"{node.label}: dilations: expected none")
    numbers = {
        name: [int(n) for n in given.get(name) or default]
        for name, default in (("kernel_size", ()), ("stride", ()), ("pad_amount", (0, 0, 0, 0)))
    }
    kernel, stride, pads = numbers.values()
    if (len(kernel), len(stride), len(pads)) != (2, 2, 4):
        raise InputError(f"{node.label}: expected kernel_size, stride and pad_amount of an image")
    top, left, bottom, right = pads
    margin = Margin(
        (top, bottom, left, right),
        float(given.get("pad_value", 0)),
        (kernel[0], kernel[1]),
        (stride[0], stride[1]),
    )
    work.values[node.outputs[0]] = replace(value, margin=margin)


PaddingSides = tuple[int, int, int, int]


def around(node: OnnxNode, value: OnnxValue, padding: PaddingSides) -> tuple[PaddingSides, float]:
    """The padding of a layer and of the ``Pad`` in front of it, and the number that stands there.

    Raises:
        CannotLower: if both add different numbers.
    """
    margin = value.margin
    if margin is None:
        return padding, 0.0
    if margin.kernel is not None:
        raise CannotLower(f"{node.label}: reads an Im2Col; only a MatMul may")
    own = any(padding) or str(node.attributes.get("auto_pad") or "").startswith("SAME")
    if own and margin.outside:
        raise CannotLower(
            f"{node.label}: pads with 0 what a Pad padded with {margin.outside:g}; use one padding"
        )
    if own and not any(padding):
        raise CannotLower(f"{node.label}: auto_pad behind a Pad; export its pads")
    top, bottom, left, right = (a + b for a, b in zip(padding, margin.padding, strict=True))
    return (top, bottom, left, right), margin.outside


def image(work: OnnxTranslation, node: OnnxNode, *, margin: bool = False) -> OnnxValue:
    """The argument, refused unless it is an image with the operation's order of axes."""
    value = work.value(node, margin=margin)
    last = node.domain == CHANNELS_LAST or node.op.endswith("NHWC")
    wanted = "nhwc" if last else "nchw"
    if value.axes not in (wanted, "ncw" if wanted == "nchw" else wanted):
        raise CannotLower(
            f"{node.label}: expected an image with axes {wanted}, found shape "
            f"{work.shape(value)} with axes {value.axes}"
        )
    return value


def window(
    work: OnnxTranslation,
    node: OnnxNode,
    value: OnnxValue,
    kernel: tuple[int, ...],
    *,
    is_dilated: bool = False,
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """Kernel, stride and padding (top, bottom, left, right) of a convolution or pool.

    Args:
        work: the network so far.
        node: the convolution or pool.
        value: the image that it reads.
        kernel: rows and columns where the node does not say them.
        is_dilated: whether ``kernel`` has the dilation in it already.
    """
    given = node.attributes
    sizes = [int(n) for n in kernel or given.get("kernel_shape") or ()]
    strides = [int(n) for n in given.get("strides") or (1, 1)]
    pads = [int(n) for n in given.get("pads") or (0, 0, 0, 0)]
    dilations = [int(n) for n in given.get("dilations") or (1, 1)]
    if value.axes == "ncw":  # one row
        sizes, strides, dilations = ([1, *n][-2:] for n in (sizes, strides, dilations))
        pads = [0, pads[0], 0, pads[1]] if len(pads) == 2 else pads
    if (len(sizes), len(strides), len(pads), len(dilations)) != (2, 2, 4, 2):
        raise CannotLower(f"{node.label}: expected a window of rows and columns")
    if dilations != [1, 1] and not is_dilated:
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
