"""The nodes of shortcuts: integers that stand for fixed-point numbers, scaled and added."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph.node import (
    Node,
    expect_channels,
    freeze,
    freeze_places,
    integer,
    shown,
)

SHIFT_LIMIT = 48
"""Most places that a Rescale shifts by."""


@dataclass(frozen=True, eq=False, slots=True)
class Add(Node):
    """Sums of two values of integers, element by element; one channel is added to all channels.

    Attributes:
        source: a value.
        other: another of the same shape; or one of the two has a single channel.
    """

    source: str
    other: str


@dataclass(frozen=True, eq=False, slots=True)
class Rescale(Node):
    """Another fixed-point format, channel by channel: multiply, add, shift, round, saturate.

    ``y = min(max((x * m + bias[c] + half) >> shift[c], low), high)`` with an arithmetic shift and
    ``half = 2^(shift[c] - 1)``, 0 where nothing is shifted: halves are rounded up. ``m`` is
    ``multiplier[c]``, or, where ``x < 0`` and ``negative`` is given, ``negative[c]``: functions of
    two slopes (PReLU).

    Attributes:
        multiplier: int64 array ``(channels,)``.
        bias: int64 array ``(channels,)``, with ``places`` ``(classes, channels)``; below 2^62.
        shift: int64 array ``(channels,)``, 0 to 48.
        low: the smallest result; smaller ones become it.
        high: the largest result; larger ones become it.
        negative: int64 array ``(channels,)``, or None.
        places: int64 array ``(height, width)`` of classes, or None.
    """

    source: str
    multiplier: NDArray[np.int64]
    bias: NDArray[np.int64]
    shift: NDArray[np.int64]
    low: int
    high: int
    negative: NDArray[np.int64] | None = None
    places: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "multiplier", np.int64, 1)
        freeze(self, "bias", np.int64, 1 if self.places is None else 2, limit=1 << 62)
        freeze(self, "shift", np.int64, 1)
        channels = len(self.multiplier)
        if self.bias.shape[-1] != channels:
            raise GraphError(
                f"node '{self.name}': bias: expected {channels} channels as in multiplier, found "
                f"{self.bias.shape[-1]}"
            )
        expect_channels(self, "shift", channels, "multiplier")
        if int(self.shift.min()) < 0 or int(self.shift.max()) > SHIFT_LIMIT:
            raise GraphError(
                f"node '{self.name}': shift: expected 0 to {SHIFT_LIMIT}, found "
                f"{int(self.shift.min())} to {int(self.shift.max())}"
            )
        if integer(self, "low") > integer(self, "high"):
            raise GraphError(f"node '{self.name}': low {self.low} is above high {self.high}")
        if self.negative is not None:
            freeze(self, "negative", np.int64, 1)
            expect_channels(self, "negative", channels, "multiplier")
        if self.places is not None:
            freeze_places(self, len(self.bias))

    @property
    def half(self) -> NDArray[np.int64]:
        """What is added before the shift so that it rounds, int64 ``(channels,)``."""
        return np.where(self.shift > 0, np.int64(1) << np.maximum(self.shift - 1, 0), 0)


@dataclass(frozen=True, eq=False, slots=True)
class ChannelPad(Node):
    """Channels of 0 in front of and behind the channels of a value of integers.

    Attributes:
        before: how many in front.
        after: how many behind; at least one of the two is positive.
    """

    source: str
    before: int
    after: int

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        ends = integer(self, "before"), integer(self, "after")
        if min(ends) < 0 or max(ends) == 0:
            raise GraphError(
                f"node '{self.name}': expected before and after from 0, not both 0, found "
                f"{shown(ends)}"
            )
