"""Integer weights as signed powers of two, and the raw sums that hardware computes with them.

Each weight becomes as few digits ``+-2^k`` as it can: its plain binary digits, or its non-adjacent
form where that has fewer (7 is 8 - 1). So a layer of integer weights is a layer of rows of -1, 0
and +1, one row for each neuron and place ``k``. A neuron adds up the sums of its rows, each times
``2^k``.

For a digit of -1, hardware adds the complement of the input, so that no number in it is ever
negative. The *raw sum* of a neuron is

    sum of 2^k * u  over positive digits  +  sum of 2^k * (2^width - 1 - u)  over negative digits

Here ``u`` is the input, plus ``2^(width - 1)`` if inputs are signed. The raw sum exceeds ``sum of
w * u`` by a constant of the neuron; whatever reads it corrects this in its own constants. For
weights of -1 and +1 it is the sum of ``rtl/hwbnn_dot_row.sv``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwbnn.graph.arrays import Bools, Ints, Signs


@dataclass(frozen=True, eq=False)
class Digits:
    """Weights as ``plus - minus``; no power of two is in both for the same weight.

    Attributes:
        plus: int64 ``(neurons, inputs)``, the positive digits of each weight, none negative.
        minus: int64 ``(neurons, inputs)``, the negative ones, likewise.
    """

    plus: Ints
    minus: Ints

    @classmethod
    def of(cls, weights: Ints | Bools) -> Digits:
        """The fewest digits of each weight.

        Args:
            weights: integers ``(neurons, inputs)``; bools stand for -1 and +1.

        >>> digits = Digits.of(np.array([[7, -3, 0]]))
        >>> digits.plus.tolist(), digits.minus.tolist()
        ([[8, 0, 0]], [[1, 3, 0]])
        """
        signed = integers(weights)
        size = np.abs(signed)
        thrice = 3 * size
        above, below = (thrice & ~size) >> 1, (size & ~thrice) >> 1
        fewer = np.bitwise_count(above) + np.bitwise_count(below) < np.bitwise_count(size)
        added, taken = np.where(fewer, above, size), np.where(fewer, below, 0)
        falls = signed < 0
        return cls(np.where(falls, taken, added), np.where(falls, added, taken))

    @property
    def weights(self) -> Ints:
        """The weights themselves."""
        return self.plus - self.minus

    @property
    def highs(self) -> Ints:
        """The largest raw sum of each neuron over inputs of one bit, int64 ``(neurons,)``."""
        total: Ints = (np.maximum(self.weights, 0) + self.minus).sum(axis=1)
        return total

    @property
    def places(self) -> int:
        """One more than the place of the highest digit."""
        return int((self.plus | self.minus).max(initial=0)).bit_length()

    def at(self, place: int) -> Signs:
        """The digits -1, 0 and +1 of a place, int8 ``(neurons, inputs)``."""
        made: Signs = ((self.plus >> place & 1) - (self.minus >> place & 1)).astype(np.int8)
        return made

    def rows(self) -> tuple[Signs, tuple[tuple[int, int], ...]]:
        """All rows of digits that are not all zero, and the neuron and the place of each row.

        Rows come neuron by neuron, the lowest place first.
        """
        stacked = np.stack([self.at(place) for place in range(max(1, self.places))], axis=1)
        neurons, places = np.nonzero(stacked.any(axis=2))
        return stacked[neurons, places], tuple(zip(neurons.tolist(), places.tolist(), strict=True))

    def width(self, high: int) -> int:
        """Bits of the largest raw sum, if inputs are at most ``high``; at least 1."""
        return max(1, (int(self.highs.max()) * high).bit_length())


def negative_sums(weights: Ints | Bools) -> Ints:
    """The sum of the negative digits of each neuron, int64 ``(neurons,)``, 0 or more.

    Args:
        weights: integers ``(neurons, inputs)``; bools stand for -1 and +1.

    >>> negative_sums(np.array([[7, -3, 0]]))
    array([4])
    """
    signed = integers(weights)
    if max(int(signed.max(initial=0)), -int(signed.min(initial=0))) <= 2:
        # Each weight is one digit. Searches ask for large binary layers many times.
        own = np.maximum(-signed, 0)
    else:
        own = Digits.of(signed).minus
    total: Ints = own.sum(axis=1)
    return total


def integers(weights: Ints | Signs | Bools) -> Ints:
    """Weights as int64; bools stand for -1 and +1."""
    if weights.dtype == np.bool_:
        return np.where(weights, 1, -1).astype(np.int64)
    return weights.astype(np.int64)
