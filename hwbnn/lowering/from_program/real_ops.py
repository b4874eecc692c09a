"""The functions of a file's network between a sum and the next quantizer, evaluated in three ways.

:meth:`RealOp.compute` evaluates a function in float64, in the order of the layer's docstring;
:meth:`RealOp.exact` evaluates it exactly, for a single integer; :meth:`RealOp.bound` bounds the
error of an executor in float32. All functions are monotone in each channel, float64's rounding
included, since each of their operations is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from hwbnn.graph.arrays import Floats
from hwbnn.lowering.from_program.real_numbers import RealNumber
from hwbnn.lowering.ops import ChannelwiseOp
from hwbnn.program import Affine, BatchNorm

Bound = tuple[Floats, Floats]
"""The sum of the terms' magnitudes and the error of float32, each float64 ``(rows, channels)``."""
Rationals = tuple[Fraction, ...]
"""One rational per channel, or a single one for all channels."""


@dataclass(frozen=True, eq=False)
class RealOp(ChannelwiseOp):
    """A function of real numbers, monotone in each channel."""

    is_monotone: bool = field(default=True, kw_only=True)
    has_few_lines: bool = field(default=True, kw_only=True)

    def exact(self, channel: int, x: RealNumber) -> RealNumber:
        """The function's result for one number in one channel, without rounding."""
        raise NotImplementedError

    def bound(self, before: Bound) -> Bound:
        """Magnitude and error of the function's result, from those of its argument."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class LinearOp(RealOp):
    """``gain * x + offset``: from the Graph's integers to the network's numbers.

    Attributes:
        gain: of each channel, or one for all.
        offset: likewise.
        error: upper bound of float32's error, float64 ``(channels,)`` or ``(1,)``.
    """

    gain: Rationals
    offset: Rationals
    error: Floats = field(default_factory=lambda: np.zeros(1))

    def compute(self, x: Floats) -> Floats:
        """The function."""
        return x * floats(self.gain) + floats(self.offset)

    def exact(self, channel: int, x: RealNumber) -> RealNumber:
        """The function, exactly."""
        return x.times(of_channel(self.gain, channel)).plus(of_channel(self.offset, channel))

    def bound(self, before: Bound) -> Bound:
        """The magnitude of the terms, and ``error``."""
        size = before[0] * np.abs(floats(self.gain)) + np.abs(floats(self.offset))
        return size, np.broadcast_to(self.error, size.shape)

    def repeated(self, count: int) -> LinearOp:
        """The function for all channels ``count`` times in succession."""
        error = _tiled(self.error, count)  # of each channel, even where all channels are alike
        gain, offset = (p if len(p) == 1 else p * count for p in (self.gain, self.offset))
        return replace(self, gain=gain, offset=offset, error=error)


@dataclass(frozen=True, eq=False)
class AffineOp(RealOp):
    """``x * scale / divisor + offset``, in this order."""

    scale: Floats
    divisor: Floats
    offset: Floats

    def compute(self, x: Floats) -> Floats:
        """The function."""
        return x * self.scale / self.divisor + self.offset

    def exact(self, channel: int, x: RealNumber) -> RealNumber:
        """The function, exactly."""
        scale, divisor, offset = (
            Fraction(float(p[channel % len(p)])) for p in (self.scale, self.divisor, self.offset)
        )
        return x.times(scale / divisor).plus(offset)

    def bound(self, before: Bound) -> Bound:
        """The magnitude of the terms, and the error times the gain."""
        gain = np.abs(self.scale / self.divisor)
        return before[0] * gain + np.abs(self.offset), before[1] * gain

    def repeated(self, count: int) -> AffineOp:
        """The function for all channels ``count`` times in succession."""
        return replace(
            self,
            scale=_tiled(self.scale, count),
            divisor=_tiled(self.divisor, count),
            offset=_tiled(self.offset, count),
        )


@dataclass(frozen=True, eq=False)
class NormOp(RealOp):
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta``, in this order."""

    mean: Floats
    variance: Floats
    epsilon: float
    gamma: Floats
    beta: Floats

    @property
    def _root(self) -> Floats:
        return np.asarray(np.sqrt(self.variance + self.epsilon))

    def compute(self, x: Floats) -> Floats:
        """The function."""
        return (x - self.mean) / self._root * self.gamma + self.beta

    def exact(self, channel: int, x: RealNumber) -> RealNumber:
        """The function, exactly; the square root is kept as a root."""
        mean, variance, gamma, beta = (
            Fraction(float(p[channel % len(p)]))
            for p in (self.mean, self.variance, self.gamma, self.beta)
        )
        under = variance + Fraction(self.epsilon)
        return x.plus(-mean).over_root(under).times(gamma).plus(beta)

    def bound(self, before: Bound) -> Bound:
        """The magnitude of the terms, and the error times the gain."""
        gain = np.abs(self.gamma) / self._root
        return (before[0] + np.abs(self.mean)) * gain + np.abs(self.beta), before[1] * gain

    def repeated(self, count: int) -> NormOp:
        """The function for all channels ``count`` times in succession."""
        return replace(
            self,
            mean=_tiled(self.mean, count),
            variance=_tiled(self.variance, count),
            gamma=_tiled(self.gamma, count),
            beta=_tiled(self.beta, count),
        )


@dataclass(frozen=True, eq=False)
class ClipOp(RealOp):
    """``min(max(x, low), high)``."""

    low: float
    high: float

    def compute(self, x: Floats) -> Floats:
        """The function."""
        return np.clip(x, self.low, self.high)

    def exact(self, channel: int, x: RealNumber) -> RealNumber:
        """The function, exactly."""
        if np.isfinite(self.low) and x.plus(-Fraction(self.low)).sign < 0:
            return RealNumber.of(Fraction(self.low))
        if np.isfinite(self.high) and x.plus(-Fraction(self.high)).sign > 0:
            return RealNumber.of(Fraction(self.high))
        return x

    def bound(self, before: Bound) -> Bound:
        """Magnitude and error of the argument."""
        return before

    def repeated(self, count: int) -> ClipOp:
        """The same: all channels are treated alike."""
        return self


@dataclass(frozen=True)
class RationalLine:
    """``min(max(gain * x + offset, low), high)`` with rational numbers, of one channel.

    Attributes:
        gain: any rational.
        offset: likewise.
        low: the least result; None if there is none.
        high: the largest result; None if there is none.
    """

    gain: Fraction
    offset: Fraction
    low: Fraction | None = None
    high: Fraction | None = None

    def at(self, integer: int) -> Fraction:
        """The result for an integer."""
        y = self.gain * integer + self.offset
        if self.low is not None and y < self.low:
            return self.low
        return self.high if self.high is not None and y > self.high else y


def rational_line(ops: Sequence[RealOp], channel: int) -> RationalLine | None:
    """The functions of a channel one after the other as one line; None behind a BatchNorm.

    >>> half = linear_op("", (Fraction(1, 2),), (Fraction(1),))
    >>> rational_line([half, ClipOp("", 0.0, 6.0)], 0).at(-9)
    Fraction(0, 1)
    """
    gain, offset = Fraction(1), Fraction(0)
    ends: list[Fraction | None] = [None, None]
    for op in ops:
        if isinstance(op, ClipOp):
            low, high = (Fraction(e) if np.isfinite(e) else None for e in (op.low, op.high))
            held = [_held(e, low, high) for e in ends]
            ends = [low if held[0] is None else held[0], high if held[1] is None else held[1]]
            continue
        if isinstance(op, LinearOp):
            times, plus = of_channel(op.gain, channel), of_channel(op.offset, channel)
        elif isinstance(op, AffineOp):
            scale, divisor, plus = (
                Fraction(float(p[channel % len(p)])) for p in (op.scale, op.divisor, op.offset)
            )
            times = scale / divisor
        else:
            return None
        gain, offset = gain * times, offset * times + plus
        ends = [None if e is None else e * times + plus for e in ends]
        if times < 0:
            ends.reverse()
        elif not times:
            ends = [plus, plus]
    return RationalLine(gain, offset, *ends)


def _held(x: Fraction | None, low: Fraction | None, high: Fraction | None) -> Fraction | None:
    if x is not None and low is not None and x < low:
        return low
    return high if x is not None and high is not None and x > high else x


def affine_op(layer: Affine) -> AffineOp:
    """The function of an :class:`~hwbnn.program.Affine`."""
    parts = layer.scale, layer.divisor, layer.offset
    same = all(len(p) == 1 for p in parts)
    return AffineOp(layer.label, *parts, is_elementwise=same)


def norm_op(layer: BatchNorm) -> NormOp:
    """The function of a :class:`~hwbnn.program.BatchNorm`."""
    numbers = layer.mean, layer.variance, layer.epsilon, layer.gamma, layer.beta
    same = all(len(p) == 1 for p in (layer.mean, layer.variance, layer.gamma, layer.beta))
    return NormOp(layer.label, *numbers, is_elementwise=same)


def linear_op(
    label: str, gain: Sequence[Fraction], offset: Sequence[Fraction], error: Floats | None = None
) -> LinearOp:
    """``gain * x + offset``; numbers that are equal in all channels are stored once."""
    parts = [tuple(p[:1]) if len(set(p)) == 1 else tuple(p) for p in (gain, offset)]
    wrong = np.zeros(1) if error is None else error
    same = len(parts[0]) == len(parts[1]) == 1
    return LinearOp(label, parts[0], parts[1], wrong, is_elementwise=same)


def floats(rationals: Rationals) -> Floats:
    """Rationals rounded to float64, ``(channels,)`` or ``(1,)``."""
    return np.array([float(r) for r in rationals])


def of_channel(rationals: Rationals, channel: int) -> Fraction:
    """The number of a channel."""
    return rationals[0] if len(rationals) == 1 else rationals[channel]


def _tiled(numbers: Floats, count: int) -> Floats:
    """The numbers of all channels ``count`` times; a single number stays one."""
    return numbers if len(numbers) == 1 else np.tile(numbers, count)
