"""Pooling and flattening of a program's values, as nodes on their integers."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from hwbnn.graph import Flatten, SumPool, Window
from hwbnn.lowering import pools
from hwbnn.lowering.from_program.readings import (
    LinearReading,
    ProgramValue,
    ProgramWork,
    paired,
    rounding_error,
)
from hwbnn.lowering.from_program.real_ops import ClipOp, LinearOp, linear_op
from hwbnn.lowering.value import TracedValue
from hwbnn.program import AveragePooling, Layer, MaxPooling


def max_pooling(layer: MaxPooling, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """The maximum of each window; after sums it waits for the next quantizer."""
    source = work.settled(source)
    shape = work.program.shapes[layer.name]
    window = pools.PoolWindow(layer.name, layer.label, layer.kernel, layer.stride)
    moved = pools.bordered_max_pool(work.build, window, layer.padding, source.value, shape)
    return replace(source, value=moved)


def average_pooling(layer: AveragePooling, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """The mean of each window, as the sum of its integers; affine functions move after the sum."""
    source = work.settled(source)
    value = source.value
    first = value.ops[0] if value.ops else None
    if (
        value.border is not None
        or not isinstance(first, LinearOp)
        or any(isinstance(op, ClipOp) for op in value.ops)
    ):
        raise layer.refuse(
            "averages real numbers behind a ReLU or a padded layer; put a quantizer in front of it"
        )
    padded = any(layer.padding)
    reading = source.reading
    if padded and (reading is None or len(value.ops) > 1 or any(reading.centre)):
        raise layer.refuse("pads with zeros, for which its argument has no integer; use no padding")
    node = SumPool(work.build.name("sum"), value.name, layer.kernel, layer.stride, layer.padding)
    t = work.build.add(node)
    size = (value.type.shape[0], value.type.shape[1])
    window = Window(size, layer.kernel, layer.stride, layer.padding)
    ends = pools.sum_ends(value, window)
    count = prod(layer.kernel)
    work.build.remark(layer.name, node, f"sums of {count}; the divisor goes into what follows")
    gain, offset = first.gain, first.offset
    if value.type.bit:  # from codes 0 and 1 to -1 and +1
        offset = tuple(o + g / 2 for o, g in paired(offset, gain))
        gain = tuple(g / 2 for g in gain)
    gain = tuple(g / count for g in gain)
    error = first.error + rounding_error(gain, ends, value.type.count * count)
    op = linear_op(layer.label, gain, offset, error)
    read = None
    if reading is not None:
        read = LinearReading(tuple(u / count for u in reading.unit), reading.centre)
    moved = TracedValue(node.name, t, *ends, layer.name, (op, *value.ops[1:]), is_double=True)
    return ProgramValue(moved, read)


def flattening(layer: Layer, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """All elements in one axis, in the order of rows, columns, channels."""
    source = work.settled(source)
    value = source.value
    if not value.is_image:
        return source
    if value.border is not None:
        raise layer.refuse(
            f"flattens the sums of layer '{value.layer}', which differ at the border of the "
            "image; put the quantizer in front of the flatten"
        )
    node = Flatten(work.build.name("flatten"), value.name)
    t = work.build.add(node)
    height, width, _ = value.type.shape
    count = height * width
    work.build.remark(layer.name, node, "rows, columns, channels")
    low, high = np.tile(value.low, count), np.tile(value.high, count)
    ops = tuple(op.repeated(count) for op in value.ops)
    moved = replace(value, name=node.name, type=t, low=low, high=high, ops=ops)
    return ProgramValue(moved, None if source.reading is None else source.reading.repeated(count))
