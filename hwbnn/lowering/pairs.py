"""The pairs of sums that a layer whose weights have real offsets can reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hwbnn.graph.arrays import Bools, Floats, Ints

PAIR_LIMIT = 1 << 30
"""Most evaluations for one layer: half a minute or so."""
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs ``(D, S)`` that each channel of a layer can reach.

    An input element takes ``low, low + step, ..`` in ``levels + 1`` values, each by itself; a bit
    -1 and +1. ``a`` counts the steps of those with weight +1, ``b`` of those with weight -1; ``S``
    follows from ``q = a + b``, and ``D`` from ``q`` and ``a``.

    Attributes:
        plus: number of weights +1 of each channel, int64 ``(channels,)``.
        size: number of weights of a channel.
        low: least value of an input element.
        step: distance of its values.
        levels: how many steps it can go up.
    """

    plus: Ints
    size: int
    low: int
    step: int
    levels: int

    @property
    def count(self) -> int:
        """Pairs of all channels."""
        up, down = self.plus * self.levels, (self.size - self.plus) * self.levels
        return sum((int(p) + 1) * (int(m) + 1) for p, m in zip(up, down, strict=True))

    @property
    def _width(self) -> int:
        """Most pairs with one ``S``."""
        return int(np.minimum(self.plus, self.size - self.plus).max()) * self.levels + 1

    @property
    def evaluations(self) -> int:
        """Table entries: the pairs, and what fills channels that have fewer for an ``S``."""
        return (self.size * self.levels + 1) * self._width * len(self.plus)

    @property
    def totals(self) -> Ints:
        """Every ``S``, rising, int64 ``(totals,)``."""
        return self.size * self.low + self.step * np.arange(self.size * self.levels + 1)

    def chunks(self) -> Iterator[tuple[slice, Ints, Bools]]:
        """The pairs, some values of ``S`` at a time.

        Yields:
            Which of :attr:`totals`; ``D`` as int64 ``(totals, width, channels)``, rising along the
            second axis, its last repeated to fill; which are not such a repetition.
        """
        up, down = self.plus * self.levels, (self.size - self.plus) * self.levels
        width, count = self._width, self.size * self.levels + 1
        rows = max(1, _CHUNK // (width * len(up)))
        base = self.low * (2 * self.plus - self.size)
        along = np.arange(width)[:, None]
        for start in range(0, count, rows):
            q = np.arange(start, min(count, start + rows))[:, None, None]
            wanted = np.maximum(0, q - down) + along
            a = np.minimum(wanted, np.minimum(up, q))
            yield slice(start, start + len(q)), base + self.step * (2 * a - q), wanted == a


@dataclass(frozen=True, eq=False)
class Pending:
    """A layer whose weights have real offsets, until its activation tells which integers it needs.

    There is one for each border class of a convolution.

    Attributes:
        pairs: what can occur.
        ratio: ``beta / alpha`` of each channel, float64.
        finish: from ``D`` and ``S``, float32 ``(rows, channels)`` and ``(rows, 1)``, to the layer's
            output.
    """

    pairs: Pairs
    ratio: Floats
    finish: Callable[[Tensor, Tensor], Tensor]
