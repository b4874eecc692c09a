"""Constants of the hardware: a node's thresholds, tables and weights as the blocks hold them.

Hardware computes *raw sums*, which are never negative: ``sum of weight * u`` over all inputs plus
an *excess*, a constant of the channel. Here ``u = x`` for bits and unsigned inputs, and ``u = x +
2^(width-1)`` for signed inputs. The excess depends on the hardware: it is :func:`by_digits` where
weights act as wires, signs or masks (``rtl/hwbnn_dot_row.sv``), and :class:`ByProducts` where
weights of several bits come from a memory. The value of the ``Dot`` is ``(raw << shift) -
constant``, with a constant for each channel, so thresholds can be compared with the raw sum itself.

Where a ``Dot`` has scale and offset, the sum of its inputs is computed as one more raw sum, the
*total*, with all weights +1; see :class:`Combination`.

A ``Conv2d`` is a ``Dot`` over each window. Where taps outside the image must count nothing,
hardware feeds the code 0, which a bit layer reads as -1. The constants correct this error. It
depends on the border class, so there are constants for each class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import Encode, Threshold, ValueType
from hwbnn.graph.arrays import Bools, Ints
from hwbnn.graph.window import joined_classes
from hwbnn.netlists.digits import negative_sums

T = TypeVar("T", bound=np.generic)


Excess = Callable[[Ints, ValueType], Ints]
"""A function of weights ``(channels, inputs)`` and type of inputs that gives the excess.

The excess is int64 ``(channels,)``: how much each raw sum exceeds ``sum of weight * u``.
"""


def by_digits(weights: Ints, x: ValueType) -> Ints:
    """The excess where negative digits add complements of inputs (:mod:`hwbnn.netlists.digits`).

    Args:
        weights: int64 ``(channels, inputs)``.
        x: type of the inputs.
    """
    return negative_sums(weights) * ((1 << x.width) - 1)


@dataclass(frozen=True)
class ByProducts:
    """The excess where weights of several bits come from a memory: one for all channels.

    It is the least excess with which no raw sum is negative. For bit-serial sums it is rounded up
    to the next excess for which ``rtl/hwbnn_weighted_folded.sv`` has a start value.

    Attributes:
        added: what hardware adds to the products of a pass, whatever weights and inputs are.
        doublings: how often a pass doubles its start value.
    """

    added: int
    doublings: int = 0

    def __call__(self, weights: Ints, x: ValueType) -> Ints:
        """The excess of rows of weights, int64 ``(channels,)``."""
        least = int(-np.minimum(weights, 0).sum(axis=1).min()) * ((1 << x.width) - 1)
        return np.full(len(weights), least + (self.added - least) % (1 << self.doublings))

    def start(self, excess: int) -> int:
        """The start value of a pass that gives this excess."""
        return (excess - self.added) >> self.doublings


@dataclass(frozen=True, eq=False)
class RawSums:
    """How the raw sums of a ``Dot`` relate to its values.

    Attributes:
        weights: int64 ``(channels, inputs)``.
        high: the largest possible raw sum; no raw sum is below 0.
        shift: as in ``(raw << shift) - constants``.
        constants: int64 ``(classes, channels)``; one class where there is no border.
        excess: int64 ``(channels,)``.
    """

    weights: Ints
    high: int
    shift: int
    constants: Ints
    excess: Ints

    @property
    def width(self) -> int:
        """Bits of a raw sum."""
        return max(1, self.high.bit_length())


def raw_sums(
    weights: Ints, x: ValueType, outside: Bools | None = None, excess: Excess = by_digits
) -> RawSums:
    """The raw sums of rows of weights over inputs of a type.

    Args:
        weights: int64 ``(channels, inputs)``.
        x: type of the inputs; its size is theirs.
        outside: bool ``(classes, inputs)``: inputs outside the image, which have the code 0 and
            must count nothing; only for bits. None if there are none.
        excess: how much they exceed the sum of products.
    """
    over = excess(weights, x)
    high = int((np.maximum(weights, 0).sum(axis=1) * ((1 << x.width) - 1) + over).max())
    if x.bit:
        classes = np.zeros((1, x.size), np.bool_) if outside is None else outside
        # An input outside the image is read as -1, which wrongly subtracts its weight.
        inside = weights.sum(axis=1) - classes.astype(np.int64) @ weights.T
        return RawSums(weights, high, 1, inside + 2 * over, over)
    half = 1 << (x.width - 1) if x.signed else 0
    return RawSums(weights, high, 0, (weights.sum(axis=1) * half + over)[None], over)


@dataclass(frozen=True, eq=False)
class Combination:
    """How the values of a ``Dot`` with scale and offset relate to raw sums.

    A value is ``scale * raw + offset * total + constants``; without the constants it is from
    ``lows`` to ``highs``.

    Attributes:
        raw: the raw sums; rows of channels that had a negative scale are negated.
        scale: int64 ``(channels,)``, none negative.
        offset: int64 ``(channels,)``.
        constants: int64 ``(classes, channels)``.
        lows: int64 ``(channels,)``.
        highs: int64 ``(channels,)``.
    """

    raw: RawSums
    scale: Ints
    offset: Ints
    constants: Ints
    lows: Ints
    highs: Ints


def combination(
    weights: Ints, scale: Ints, offset: Ints, x: ValueType, outside: Bools | None = None
) -> Combination:
    """The values of a ``Dot`` with scale and offset, from raw sums over inputs of a type.

    Args:
        weights: int64 ``(channels, inputs)``, of -1 and +1.
        scale: int64 ``(channels,)``.
        offset: int64 ``(channels,)``.
        x: type of the inputs.
        outside: as in :func:`raw_sums`.
    """
    weights = weights * np.where(scale < 0, -1, 1)[:, None]
    scale = np.abs(scale)
    raw = raw_sums(weights, x, outside)
    total = raw_sums(np.ones((1, x.size), np.int64), x, outside)
    # Single products may wrap around in int64, but the final values fit.
    constants = -(scale * raw.constants + offset * total.constants)
    bare = _combined(raw, scale << raw.shift, offset << raw.shift, x)
    return replace(bare, constants=constants)


def _combined(raw: RawSums, scale: Ints, offset: Ints, x: ValueType) -> Combination:
    """Raw sums and their total combined, without constants."""
    plus = (raw.weights > 0).sum(axis=1, dtype=np.int64)
    top = (1 << x.width) - 1
    # An input ``u`` of weight -1 adds ``top - u`` to the raw sum.
    base = scale * (x.size - plus) * top
    up, down = plus * (scale + offset) * top, (x.size - plus) * (offset - scale) * top
    lows = base + np.minimum(up, 0) + np.minimum(down, 0)
    highs = base + np.maximum(up, 0) + np.maximum(down, 0)
    return Combination(raw, scale, offset, np.zeros_like(raw.constants), lows, highs)


def scaled_thresholds(
    cuts: ThresholdConstants,
    scale: Ints,
    offset: Ints,
    weights: Ints,
    x: ValueType,
    outside: Bools | None,
) -> tuple[Combination, Ints]:
    """The sums of a ``Dot`` with scale and offset, and the constants of its ``Threshold``.

    Returns:
        The bare combination (``scale * raw + offset * total`` alone) and int64 ``(classes,
        channels, k)`` constants that it is compared with.
    """
    sign = np.where(cuts.falling, -1, 1)
    full = combination(weights, sign * scale, sign * offset, x, outside)
    raw = full.raw
    bare = _combined(raw, np.abs(scale), sign * offset, x)
    # (z << shift) + c >= t  is  z > (t - 1 - c) >> shift, rounding down.
    wanted = sign[:, None] * cuts.thresholds - 1 - full.constants[cuts.border][:, :, None]
    return bare, wanted >> raw.shift


@dataclass(frozen=True, eq=False)
class ThresholdConstants:
    """The thresholds of a ``Threshold``, for each pair of its border class and its source's.

    Attributes:
        thresholds: int64 ``(classes, channels, k)``.
        falling: bool ``(channels,)``.
        border: int64 ``(classes,)``: the border class of the source.
        border_classes: int64 ``(positions,)``, the class of each position; None if there is only
            one class.
    """

    thresholds: Ints
    falling: Bools
    border: Ints
    border_classes: Ints | None

    @classmethod
    def of(cls, node: Threshold, border: Ints | None = None) -> ThresholdConstants:
        """The thresholds of a node.

        Args:
            node: the node.
            border: int64 ``(positions,)``, the border class of its source at each position; None if
                the source has no border classes.
        """
        own = None if node.border_classes is None else node.border_classes.ravel()
        tables = node.thresholds if node.border_classes is not None else node.thresholds[None]
        border_classes, (mine, theirs) = joined_classes(own, border)
        return cls(tables[mine], node.falling, theirs, border_classes)


def fused(
    weights: Ints,
    cuts: ThresholdConstants,
    x: ValueType,
    outside: Bools | None = None,
    excess: Excess = by_digits,
) -> tuple[RawSums, Ints]:
    """A ``Dot`` and the ``Threshold`` behind it, as raw sums and the constants compared with them.

    The rows of falling channels are negated, ``-sum >= -t``, so that every comparison is ``raw >
    constant``.

    Returns:
        The raw sums and int64 ``(classes, channels, k)`` constants from -1 (always) to ``high``
        (never).
    """
    falling = cuts.falling[:, None]
    raw = raw_sums(np.where(falling, -weights, weights), x, outside, excess)
    wanted = np.where(falling, -cuts.thresholds, cuts.thresholds)
    # (raw << shift) - c >= t  is  raw > (t - 1 + c) >> shift, rounding down.
    constants = (wanted - 1 + raw.constants[cuts.border][:, :, None]) >> raw.shift
    return raw, np.clip(constants, -1, raw.high)


def compared(cuts: ThresholdConstants, x: ValueType) -> Ints:
    """Constants ``c`` of the comparisons ``x > c`` or, in falling channels, ``x <= c``."""
    t = cuts.thresholds
    constants = np.where(cuts.falling[:, None], t, t - 1)
    return np.clip(constants, x.low - 1, x.high)


def encoded(encode: Encode, x: ValueType) -> Ints:
    """Constants ``c`` of the comparisons ``x > c``, int64 like the thresholds."""
    return np.clip(encode.thresholds - 1, x.low - 1, x.high)


def spacing(x: ValueType) -> tuple[int, int]:
    """The greatest common divisor ``odd << shift`` of all differences, as ``(shift, odd)``.

    >>> spacing(ValueType((3,), -5, 19, 12))
    (2, 3)
    """
    shift = (x.step & -x.step).bit_length() - 1 if x.count > 1 else 0
    return shift, x.step >> shift if x.count > 1 else 1


def per_element(constants: NDArray[T], elements: int) -> NDArray[T]:
    """Constants of channels as blocks hold them: class by class, for every element of a position.

    Args:
        constants: ``(classes, channels, ...)``.
        elements: number of elements after which constants repeat. If it exceeds the channels, the
            channels repeat within it, as in a channels-last frame.

    Returns:
        ``(classes * elements, ...)``.
    """
    repeated = constants[:, np.arange(elements) % constants.shape[1]]
    return repeated.reshape(-1, *constants.shape[2:])
