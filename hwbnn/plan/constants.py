"""Constants of the hardware: a node's thresholds, tables and weights as the blocks hold them.

Products are formed as *raw sums* that are never negative (see ``rtl/dot_row.sv``): over all inputs,
``u`` where the weight is +1 and ``2^width - 1 - u`` where it is -1, with ``u = x`` for bits and
unsigned inputs and ``u = x + 2^(width-1)`` for signed ones. The value of the ``Dot`` is
``(raw << shift) - constant``, the constant one of the channel, so thresholds can be compared with
the raw sum itself.

Where a ``Dot`` has scale and offset, the sum of its inputs is formed as one more raw sum, the
*total*, under weights that are all +1; see :class:`Combination`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import Dot, Encode, Lookup, Threshold, ValueType

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class RawSums:
    """How the raw sums of a ``Dot`` relate to its values.

    Attributes:
        weights: bool ``(channels, inputs)``.
        high: the largest raw sum that can be; the smallest is 0.
        shift: as in ``(raw << shift) - constants``.
        constants: int64 ``(channels,)``.
    """

    weights: Bools
    high: int
    shift: int
    constants: Ints

    @property
    def width(self) -> int:
        """Bits of a raw sum."""
        return self.high.bit_length()


def raw_sums(weights: Bools, x: ValueType) -> RawSums:
    """The raw sums of rows of weights over inputs of a type."""
    top = (1 << x.width) - 1
    high = x.size * top
    if x.bit:
        return RawSums(weights, high, 1, np.full(len(weights), x.size, np.int64))
    half = 1 << (x.width - 1) if x.signed else 0
    plus = weights.sum(axis=1, dtype=np.int64)
    constants = plus * half + (x.size - plus) * (top - half)
    return RawSums(weights, high, 0, constants)


@dataclass(frozen=True, eq=False)
class Combination:
    """How the values of a ``Dot`` with scale and offset relate to raw sums.

    ``scale * raw + offset * total + constants``, and that is from ``lows`` to ``highs``.

    Attributes:
        raw: the raw sums; rows of channels that had a negative scale are inverted.
        scale: int64 ``(channels,)``, none negative.
        offset: int64 ``(channels,)``.
        constants: int64 ``(channels,)``.
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
    weights: Bools, scale: Ints, offset: Ints, x: ValueType, *, bare: bool = False
) -> Combination:
    """The values of a ``Dot`` with scale and offset, from raw sums over inputs of a type.

    Args:
        weights: bool ``(channels, inputs)``.
        scale: int64 ``(channels,)``.
        offset: int64 ``(channels,)``.
        x: type of the inputs.
        bare: leave the shift of all raw sums out, and the constants.
    """
    weights = weights ^ (scale < 0)[:, None]
    scale = np.abs(scale)
    raw = raw_sums(weights, x)
    total = raw_sums(np.ones((1, x.size), np.bool_), x)
    shift = 0 if bare else raw.shift
    # Products may wrap around int64; what they come to with the others does not.
    constants = 0 * scale if bare else -(scale * raw.constants + offset * total.constants)
    scale, offset = scale << shift, offset << shift
    plus = weights.sum(axis=1, dtype=np.int64)
    top = (1 << x.width) - 1
    # An input of weight -1 is in the raw sum as its distance from the top.
    base = constants + scale * (x.size - plus) * top
    up, down = plus * (scale + offset) * top, (x.size - plus) * (offset - scale) * top
    lows = base + np.minimum(up, 0) + np.minimum(down, 0)
    return Combination(
        raw, scale, offset, constants, lows, base + np.maximum(up, 0) + np.maximum(down, 0)
    )


def scaled_thresholds(
    threshold: Threshold, scale: Ints, offset: Ints, dot: Dot, x: ValueType
) -> tuple[Combination, Ints]:
    """A ``Dot`` with scale and offset and the ``Threshold`` behind it, as in :func:`fused`.

    Returns:
        The bare combination (``scale * raw + offset * total`` alone) and int64 ``(channels, k)``
        constants that it is compared with.
    """
    sign = np.where(threshold.falling, -1, 1)
    full = combination(dot.weights, sign * scale, sign * offset, x)
    bare = combination(dot.weights, sign * scale, sign * offset, x, bare=True)
    # (z << shift) + c >= t  is  z > (t - 1 - c) >> shift, rounding down.
    wanted = sign[:, None] * threshold.thresholds - 1 - full.constants[:, None]
    return bare, wanted >> full.raw.shift


def fused(dot: Dot, threshold: Threshold, x: ValueType) -> tuple[RawSums, Ints]:
    """A ``Dot`` and the ``Threshold`` behind it as raw sums and what they are compared with.

    The rows of falling channels are inverted, ``-sum >= -t``, so that every comparison is
    ``raw > constant``.

    Returns:
        The raw sums and int64 ``(channels, k)`` constants from -1 (always) to ``high`` (never).
    """
    falling = threshold.falling[:, None]
    raw = raw_sums(dot.weights ^ falling, x)
    wanted = np.where(falling, -threshold.thresholds, threshold.thresholds)
    # (raw << shift) - c >= t  is  raw > (t - 1 + c) >> shift, rounding down.
    constants = (wanted - 1 + raw.constants[:, None]) >> raw.shift
    return raw, np.clip(constants, -1, raw.high)


def compared(threshold: Threshold, x: ValueType) -> Ints:
    """What integers are compared with: ``x > c`` or, in falling channels, ``x <= c``."""
    t = threshold.thresholds
    constants = np.where(threshold.falling[:, None], t, t - 1)
    return np.clip(constants, x.low - 1, x.high)


def encoded(encode: Encode, x: ValueType) -> Ints:
    """What integers are compared with: ``x > c``."""
    return np.clip(encode.thresholds - 1, x.low - 1, x.high)


def table(lookup: Lookup, x: ValueType) -> tuple[int, Ints]:
    """The tables as a memory holds them, addressed by ``(x - low) >> shift``.

    Returns:
        The shift and int64 ``(channels, entries)``; entries that no element reads are 0.
    """
    shift = (x.step & -x.step).bit_length() - 1 if x.count > 1 else 0
    stride = x.step >> shift
    entries = np.zeros((len(lookup.table), (x.count - 1) * stride + 1), np.int64)
    entries[:, ::stride] = lookup.table
    return shift, entries


def per_element(constants: NDArray[T], size: int) -> NDArray[T]:
    """Constants of channels, repeated for every element of a channels-last frame."""
    return constants[np.arange(size) % len(constants)]
