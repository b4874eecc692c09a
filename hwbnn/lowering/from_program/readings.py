"""Readings: which real numbers the integers of a program's Graph stand for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from hwbnn.graph.arrays import Floats, Ints
from hwbnn.lowering import pools
from hwbnn.lowering.from_program.certificate import Certificate
from hwbnn.lowering.from_program.program_check import CodeNode
from hwbnn.lowering.from_program.real_numbers import rational
from hwbnn.lowering.from_program.real_ops import Rationals, floats, linear_op, of_channel
from hwbnn.lowering.value import GraphBuilder, TracedValue
from hwbnn.program import Layer, Program


@dataclass(frozen=True, eq=False)
class LinearReading:
    """The real numbers that integers ``X`` stand for: ``unit * X + centre``; a bit is -1 or +1.

    Attributes:
        unit: one rational per channel, or a single one for all channels.
        centre: likewise.
    """

    unit: Rationals
    centre: Rationals

    @property
    def is_uniform(self) -> bool:
        """Whether all channels stand for the same numbers."""
        return len(set(self.unit)) == 1 and len(set(self.centre)) == 1

    def repeated(self, count: int) -> LinearReading:
        """The reading of all channels ``count`` times in succession."""
        parts = (p if len(p) == 1 else p * count for p in (self.unit, self.centre))
        return LinearReading(*parts)


@dataclass(frozen=True, eq=False)
class ProgramValue:
    """A value of the program, as a node of the Graph and the functions after it.

    Attributes:
        value: the node, and the functions from its integers to the real numbers.
        reading: the same functions as one linear map; None after BatchNorm or ReLU, or where the
            offset depends on the position.
    """

    value: TracedValue
    reading: LinearReading | None


@dataclass
class ProgramWork:
    """A program being lowered: the state that the lowering of every layer reads and extends.

    Attributes:
        program: the network.
        build: the Graph so far.
        codes: by quantizer, the node of the Graph that has its counts.
        certificate: the counts over the thresholds of all quantizers so far.
    """

    program: Program
    build: GraphBuilder = field(default_factory=GraphBuilder)
    codes: dict[str, CodeNode] = field(default_factory=dict)
    certificate: Certificate = field(default_factory=Certificate)

    def settled(self, value: ProgramValue) -> ProgramValue:
        """The value, with its waiting max pool, if any, as a node."""
        if value.value.pool is None:
            return value
        return replace(value, value=pools.settle(self.build, value.value))

    def tell(self, layer: Layer, value: TracedValue, text: str) -> None:
        """Add a remark about a layer that needs no node of its own."""
        node = next(n for n in self.build.nodes if n.name == value.name)
        self.build.remark(layer.name, node, text)


def read_as(
    value: TracedValue, label: str, reading: LinearReading, error: Floats | None = None
) -> ProgramValue:
    """A value whose integers are read by one linear map.

    The reading of a bit is for -1 and +1, but the value's function is for codes 0 and 1.
    """
    gain, offset = reading.unit, reading.centre
    if value.type.bit:
        offset = tuple(c - u for c, u in paired(offset, gain))
        gain = tuple(2 * u for u in gain)
    op = linear_op(label, gain, offset, error)
    return ProgramValue(
        replace(value, ops=(op,)), LinearReading(short(reading.unit), short(reading.centre))
    )


def rationals(numbers: float | tuple[float, ...]) -> Rationals:
    """The rationals of one number for all channels, or of one number per channel."""
    return tuple(rational(n) for n in (numbers if isinstance(numbers, tuple) else (numbers,)))


def short(numbers: Rationals | list[Fraction]) -> Rationals:
    """The numbers of all channels, or a single one if these are equal."""
    return tuple(numbers[:1]) if len(set(numbers)) == 1 else tuple(numbers)


def paired(a: Rationals, b: Rationals) -> list[tuple[Fraction, Fraction]]:
    """For each channel, its number in ``a`` and its number in ``b``."""
    count = max(len(a), len(b))
    return [(of_channel(a, c), of_channel(b, c)) for c in range(count)]


def summand_ends(value: TracedValue) -> tuple[Ints, Ints]:
    """The lowest and highest number of each channel as sums read them: -1 and +1 for bits."""
    if value.type.bit:
        return value.low * 2 - 1, value.high * 2 - 1
    return value.low, value.high


def rounding_error(gain: Rationals, ends: tuple[Ints, Ints], terms: int) -> Floats:
    """The error of float32 sums of so many terms, between ``ends``; float64 ``(channels,)``.

    It is 0 where float32 holds all sums exactly.
    """
    most = np.maximum(np.abs(ends[0]), np.abs(ends[1]))
    error = terms * 2.0**-24 * most * np.abs(floats(gain))
    safe = [
        _is_dyadic(of_channel(gain, c)) and abs(of_channel(gain, c).numerator) * int(m) < 1 << 24
        for c, m in enumerate(most)
    ]
    return np.where(safe, 0.0, error)


def _is_dyadic(x: Fraction) -> bool:
    return x.denominator & (x.denominator - 1) == 0
