"""The layers of a program that wait for a quantizer: affine maps, BatchNorm, ReLU and clips."""

from __future__ import annotations

from fractions import Fraction

from hwbnn.lowering.from_program.readings import (
    LinearReading,
    ProgramValue,
    ProgramWork,
    paired,
    short,
    summand_ends,
)
from hwbnn.lowering.from_program.real_ops import ClipOp, affine_op, norm_op, of_channel
from hwbnn.program import Affine, BatchNorm, Clip


def affine(layer: Affine, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """A constant scale and offset: one more function, with the reading changed accordingly."""
    reading = source.reading
    op = affine_op(layer)
    if not layer.scale.all() and reading is not None:
        reading = None
    if reading is not None:
        scale, divisor, offset = (
            tuple(Fraction(float(v)) for v in p) for p in (op.scale, op.divisor, op.offset)
        )
        gain = tuple(s / d for s, d in paired(scale, divisor))
        unit = [u * g for u, g in paired(reading.unit, gain)]
        moved = [c * g for c, g in paired(reading.centre, gain)]
        centre = [c + o for c, o in paired(tuple(moved), offset)]
        reading = LinearReading(short(unit), short(centre))
    return ProgramValue(source.value.after(op), reading)


def batch_norm(layer: BatchNorm, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """BatchNorm: one more function; it has no reading, as its square root is not rational."""
    return ProgramValue(source.value.after(norm_op(layer)), None)


def clip(layer: Clip, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """A ReLU or a clip: one more function, or none if no number is changed."""
    reading, value = source.reading, source.value
    if reading is not None and value.pool is None:
        low, high = summand_ends(value)
        ends = [
            of_channel(reading.unit, c) * int(end) + of_channel(reading.centre, c)
            for c in range(len(low))
            for end in (low[c], high[c])
        ]
        if min(ends) >= layer.low and max(ends) <= layer.high:
            return source
    op = ClipOp(layer.label, layer.low, layer.high, is_elementwise=True)
    return ProgramValue(value.after(op), None)
