"""Integers that tell all about straight lines: where they begin, end and bend.

What is made of products, sums and bounds alone is a few straight lines, up to float32's rounding.
Its distance from other such lines is then the largest at an end or at a bend of one of them; so
these are tried instead of hundreds of millions of integers, with some thousands between.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwbnn.graph.arrays import Float32s, Ints
from hwbnn.lowering.streams import Stream
from hwbnn.lowering.tables import evaluate_at

_POINTS = 1 << 12
"""At even distances, over the whole range of a channel."""
_BENDS = 4
"""Most bends of a channel that are looked for."""
_NEAR = 512
"""Integers on each side of an end, and of 0, where a Rescale bends."""


def telling(stream: Stream, place: int = 0) -> Iterator[tuple[Ints, Float32s]]:
    """Some integers of each channel, and the floats that torch sees there.

    Args:
        stream: a value whose steps are all ``is_monotone``.
        place: which border class.

    Returns:
        In turn integers, int64 ``(rows, channels)``, and floats ``(rows, channels)``: points at
        even distances, all integers around the ends and 0, and closer and closer around the bends.
    """
    low, high = stream.low, stream.high
    near = np.arange(-_NEAR, _NEAR + 1)[:, None]
    ends = [(end + near).clip(low, high) for end in (low, np.zeros_like(low), high)]
    around = np.concatenate(ends)
    yield around, evaluate_at(stream, around, place)
    windows = [(low, high)]
    points, bends = _POINTS, _BENDS
    while windows:
        following = []
        for start, stop in windows:
            x = np.linspace(start, stop, points).astype(np.int64)
            y = evaluate_at(stream, x, place)
            yield x, y
            if int((stop - start).max()) >= points:
                following += _bent(x, y, bends)
        windows, points, bends = following, _POINTS // _BENDS, 1


def _bent(x: Ints, y: Float32s, count: int) -> list[tuple[Ints, Ints]]:
    """The neighbours of the points where the slope changes most, channel by channel."""
    slopes = np.diff(y.astype(np.float64), axis=0) / np.maximum(np.diff(x, axis=0), 1)
    most = np.argsort(-np.abs(np.diff(slopes, axis=0)), axis=0)[:count]
    columns = np.arange(x.shape[1])
    return [(x[row, columns], x[row + 2, columns]) for row in most]
