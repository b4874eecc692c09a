"""Where codes lie along the floats that a max pool compares.

``code(max y) = max code(y)`` where the code rises with ``y``, and ``= min code(y)`` where it falls:
then the codes themselves can be pooled, bits by OR and AND. Whether it does is seen, for each
channel, on every ``y`` that can occur, of all border classes together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph.arrays import Bools


class Span:
    """The ends of the floats that are in (code above a level) and out, for each level and channel.

    Args:
        cut: how many steps stand before the pool.
        levels: the highest code.
        channels: how many there are.
    """

    def __init__(self, cut: int, levels: int, channels: int) -> None:
        self.cut = cut
        shape = (levels, channels)
        self._least = [np.full(shape, np.inf, np.float32) for _ in range(2)]
        self._most = [np.full(shape, -np.inf, np.float32) for _ in range(2)]

    def add(self, y: NDArray[np.float32], codes: NDArray[Any]) -> None:
        """Take in floats and their codes, both ``(rows, channels)``."""
        for level in range(len(self._least[0])):
            reached = codes > level
            for side, found in enumerate((~reached, reached)):
                least, most = self._least[side][level], self._most[side][level]
                np.minimum(least, np.where(found, y, np.inf).min(axis=0), out=least)
                np.maximum(most, np.where(found, y, -np.inf).max(axis=0), out=most)

    @property
    def rising(self) -> Bools:
        """Channels whose codes rise, or never change, bool ``(channels,)``."""
        return np.asarray((self._least[1] > self._most[0]).all(axis=0))

    @property
    def falling(self) -> Bools:
        """Channels whose codes fall, or never change, bool ``(channels,)``."""
        return np.asarray((self._most[1] < self._least[0]).all(axis=0))

    @property
    def is_monotone(self) -> bool:
        """Whether the codes of every channel may be pooled."""
        return bool((self.rising | self.falling).all())
