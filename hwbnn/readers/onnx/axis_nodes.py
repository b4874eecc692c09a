"""Operations of ONNX that move axes: transposes, reshapes, flattens.

A transpose permutes the letters of a value's axes. A flatten of ``nchw`` records the position of
each element in the program's order, and the weights behind it are permuted to that order.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.program import Flattening
from hwbnn.readers.onnx.folding import new_shape
from hwbnn.readers.onnx.onnx_translation import OnnxTranslation, OnnxValue
from hwbnn.readers.onnx.protobuf import OnnxNode


def transpose(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Transpose``: permutes the axes; makes no layer."""
    value = work.value(node)
    axes = [int(a) for a in node.attributes.get("perm") or range(len(value.axes))[::-1]]
    if sorted(axes) != list(range(len(value.axes))) or axes[0] != 0:
        raise CannotLower(f"{node.label}: moves the batch: {axes[:8]}")
    made = "".join(value.axes[a] for a in axes)
    work.values[node.outputs[0]] = replace(value, axes=made)


def reshape(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Reshape``, ``Flatten``, ``Squeeze``, ``Unsqueeze``: a flatten, or axes of size 1."""
    value = work.value(node)
    shape = work.shape(value)
    second = work.constant(node, 1, "shape").array if len(node.inputs) > 1 else None
    wanted = new_shape(node, shape, second)
    if wanted == shape:
        work.values[node.outputs[0]] = value
        return
    letters = [(a, n) for a, n in zip(value.axes, shape, strict=True) if a != "n" and n > 1]
    sizes = [n for n in wanted[1:] if n > 1]
    if wanted[:1] == (1,) and sizes == [n for _, n in letters] and len(wanted) > 1:
        work.values[node.outputs[0]] = replace(value, axes=_relettered(work, value, wanted))
        if len(wanted) == 2 and len(work.shapes[value.name]) == 3:
            _flattened(work, node, value)
        return
    if wanted != (1, prod(shape)):
        raise CannotLower(
            f"{node.label}: brings shape {shape} to {wanted}; expected a flatten to "
            f"{(1, prod(shape))}"
        )
    _flattened(work, node, value)


def _relettered(work: OnnxTranslation, value: OnnxValue, wanted: tuple[int, ...]) -> str:
    """The axes after a reshape that only adds or removes axes of size 1."""
    shape = work.shape(value)
    names = [(a, n) for a, n in zip(value.axes, shape, strict=True) if a not in "n1"]
    made = "n"
    for i, size in enumerate(wanted[1:]):
        # Letters of size 1 go where they fit; the last axes take what is left.
        while names and names[0][1] == 1 and size != 1:
            names.pop(0)
        rest = len(wanted) - 1 - i
        take = names and names[0][1] == size and (size > 1 or len(names) >= rest)
        made += names.pop(0)[0] if take else "1"
    return made


def _flattened(work: OnnxTranslation, node: OnnxNode, value: OnnxValue) -> None:
    """A flatten; the value keeps the file's order of elements."""
    shape = work.shapes[value.name]
    if len(shape) == 1:
        work.values[node.outputs[0]] = replace(value, axes="nf")
        return
    letters = [a for a in value.axes if a in "hwc"]
    missing = [a for a in "hwc" if a not in letters]
    axes = ["hwc".index(a) for a in (*letters, *missing)]
    order = np.arange(prod(shape)).reshape(shape).transpose(axes).ravel()
    made = work.append(node, Flattening(work.name(node), node.op, value.name), value, "nf")
    if not (order == np.arange(len(order))).all():
        work.values[node.outputs[0]] = replace(made, order=order)
