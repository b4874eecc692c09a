"""Where two lines meet: the kinks of PReLU, RPReLU and Maxout behind a stream of integers."""

from __future__ import annotations

import numpy as np

from hwbnn.graph.arrays import Floats, Ints
from hwbnn.lowering.streams import Stream
from hwbnn.lowering.tables import evaluate_at

_POINTS = 257
_ROUNDS = 3


def knees(stream: Stream, finer: int) -> Ints:
    """Where the two lines of each channel meet, in parts of an integer.

    Of two lines that meet, the kink is the point farthest from the chord between their ends. It is
    looked for among ever nearer points; then the lines left and right of the last of these meet in
    it, which need not be an integer.

    Args:
        stream: the integers and the steps behind them.
        finer: how many parts an integer has.

    Returns:
        int64 ``(channels,)``, without meaning where a channel is one line.
    """
    ends = stream.low, stream.high
    values = [evaluate_at(stream, end[None]).astype(np.float64)[0] for end in ends]
    low, high = ends
    for _ in range(_ROUNDS):
        low, high = _nearer(stream, low, high, values)
    sides = [evaluate_at(stream, end[None]).astype(np.float64)[0] for end in (low, high)]
    left = _line(ends[0], values[0], low, sides[0])
    right = _line(high, sides[1], ends[1], values[1])
    bends = left[0] != right[0]
    met = (right[1] - left[1]) / np.where(bends, left[0] - right[0], 1.0)
    at = np.where(bends, met, low).clip(low, high)
    return np.asarray(np.rint(at * finer), np.int64)


def _nearer(stream: Stream, low: Ints, high: Ints, values: list[Floats]) -> tuple[Ints, Ints]:
    """The neighbours of the point farthest from the chord, among some between two."""
    x = np.linspace(low, high, _POINTS).astype(np.int64)
    y = evaluate_at(stream, x).astype(np.float64)
    width = np.maximum(stream.high - stream.low, 1)
    chord = values[0] + (values[1] - values[0]) * ((x - stream.low) / width)
    far = np.abs(y - chord).argmax(axis=0)
    columns = np.arange(x.shape[1])
    best = x[far, columns]
    # Points that lie closer than integers repeat: the neighbours are at least one away.
    before = np.minimum(x[np.maximum(far - 1, 0), columns], best - 1)
    behind = np.maximum(x[np.minimum(far + 1, len(x) - 1), columns], best + 1)
    return np.maximum(before, stream.low), np.minimum(behind, stream.high)


def _line(x: Ints, y: Floats, to: Ints, then: Floats) -> tuple[Floats, Floats]:
    """Slope and value at 0 of the line through two points; level where they are one."""
    width = to - x
    slope = np.where(width != 0, (then - y) / np.where(width != 0, width, 1), 0.0)
    return slope, y - slope * x
