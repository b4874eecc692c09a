"""Addition and concatenation of a program's values, as integers in one unit."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm

import numpy as np

from hwbnn.graph import Add, Concat, Dot, Rescale, SumPool
from hwbnn.lowering.from_program.readings import (
    LinearReading,
    ProgramValue,
    ProgramWork,
    read_as,
    rounding_error,
    short,
    summand_ends,
)
from hwbnn.lowering.from_program.real_ops import of_channel
from hwbnn.lowering.value import TracedValue
from hwbnn.program import Addition, Concatenation, Layer

MULTIPLIER_LIMIT = 1 << 24
"""Bound of the multipliers that bring integers to a common unit."""


def addition(
    layer: Addition, work: ProgramWork, one: ProgramValue, other: ProgramValue
) -> ProgramValue:
    """The sum of two values as integers, in a unit that divides the units of both."""
    one, other = work.settled(one), work.settled(other)
    if one.reading is None or other.reading is None:
        raise layer.refuse(
            "adds real numbers (behind BatchNorm, ReLU or a padded layer); put a quantizer on "
            "each of its branches"
        )
    channels = work.program.shapes[layer.name][-1]
    units = [
        [of_channel(s.reading.unit, c) for c in range(channels)]  # type: ignore[union-attr]
        for s in (one, other)
    ]
    common = [_common([a, b]) for a, b in zip(*units, strict=True)]
    names, factors = [], []
    for source, of in zip((one, other), units, strict=True):
        factor = [int(u / g) for u, g in zip(of, common, strict=True)]
        if max(abs(f) for f in factor) >= MULTIPLIER_LIMIT:
            raise layer.refuse(
                "its branches have scales without a common unit; give their quantizers one "
                "scale, or scales that are powers of two"
            )
        factors.append(factor)
        names.append(_multiplied(layer, work, source.value, factor))
    node = Add(work.build.name("add"), *names)
    t = work.build.add(node)
    work.build.remark(layer.name, node, f"sums of integers, {t.low} to {t.high}")
    ends = [np.zeros(channels, np.int64) for _ in range(2)]
    for source, factor in zip((one, other), factors, strict=True):
        both = [end * np.array(factor) for end in summand_ends(source.value)]
        ends[0] += np.minimum(*both)
        ends[1] += np.maximum(*both)
    centres = [
        of_channel(one.reading.centre, c) + of_channel(other.reading.centre, c)
        for c in range(channels)
    ]
    value = TracedValue(node.name, t, ends[0], ends[1], layer.name, is_double=True)
    size = [max(abs(u) for u in pair) for pair in zip(*units, strict=True)]
    error = rounding_error(tuple(size), (ends[0], ends[1]), 2)
    return read_as(value, layer.label, LinearReading(short(common), short(centres)), error)


def concatenation(layer: Concatenation, work: ProgramWork, *sources: ProgramValue) -> ProgramValue:
    """Values concatenated, as integers in one unit if there is a common one."""
    values = [work.settled(source) for source in sources]
    units, centres = [], []
    for source in values:
        if source.reading is None:
            raise layer.refuse(
                "joins real numbers (behind BatchNorm, ReLU or a padded layer); put a quantizer on "
                "each of its branches"
            )
        channels = range(source.value.type.channels)
        units.append([of_channel(source.reading.unit, c) for c in channels])
        centres += [of_channel(source.reading.centre, c) for c in channels]
    every = [u for of in units for u in of]
    common = _common(every)
    factors = [[int(u / common) for u in of] for of in units]
    if max(abs(f) for of in factors for f in of) >= MULTIPLIER_LIMIT or not all(every):
        # Without a common unit only a quantizer can read them, as it has thresholds per channel.
        factors = [[1] * len(of) for of in units]
    else:
        every = [common] * len(every)
    parts = [source.value for source in values]
    if all(part.type.bit for part in parts) and all(set(of) == {1} for of in factors):
        names = [part.name for part in parts]
        ends = [np.concatenate(end) for end in zip(*((p.low, p.high) for p in parts), strict=True)]
    else:
        both = list(zip(parts, factors, strict=True))
        names = [_multiplied(layer, work, part, of) for part, of in both]
        limits = [
            np.sort([end * np.array(of) for end in summand_ends(p)], axis=0) for p, of in both
        ]
        ends = [np.concatenate(end) for end in zip(*limits, strict=True)]
    for name in names[1:]:
        node = Concat(work.build.name("concat"), names[0], name)
        t = work.build.add(node)
        names[0] = node.name
    work.build.remark(layer.name, node, f"{t.channels} channels")
    value = TracedValue(node.name, t, ends[0], ends[1], layer.name, is_double=True)
    return read_as(value, layer.label, LinearReading(short(every), short(centres)))


def _multiplied(layer: Layer, work: ProgramWork, value: TracedValue, factor: list[int]) -> str:
    """The name of the node with a value's integers times ``factor``, channel by channel."""
    name, t = value.name, value.type
    if t.bit:
        one: Dot | SumPool = (
            SumPool(work.build.name("sum"), name, (1, 1), (1, 1))
            if value.is_image
            else Dot(work.build.name("dot"), name, np.eye(t.size, dtype=np.int16))
        )
        name, t = one.name, work.build.add(one)
        work.build.remark(layer.name, one, "bits as -1 and +1")
    if set(factor) == {1}:
        return name
    low, high = t.low, t.high
    ends = [f * end for f in factor for end in (low, high)]
    zeros = np.zeros(len(factor), np.int64)
    node = Rescale(
        work.build.name("rescale"),
        name,
        np.array(factor),
        zeros,
        zeros,
        min(ends),
        max(ends),
    )
    work.build.add(node)
    work.build.remark(layer.name, node, f"times {min(factor)} to {max(factor)}")
    return node.name


def _common(units: list[Fraction]) -> Fraction:
    """The largest rational of which all units are multiples."""
    whole = [u for u in units if u]
    if not whole:
        return Fraction(1)
    below = lcm(*(u.denominator for u in whole))
    return Fraction(gcd(*(int(u * below) for u in whole)), below)
