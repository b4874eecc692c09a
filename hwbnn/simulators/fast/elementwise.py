"""Kernels that compute integers from integers, element by element or over a flat value."""

from __future__ import annotations

import numpy as np

from hwbnn.graph.arrays import Int32s, Ints
from hwbnn.simulators.fast.kernels import jit


@jit
def encode(integers: Int32s, cuts: Ints, out: Int32s) -> None:
    """Compare each row with its own thresholds ``cuts``; each gives a row of 0 and 1."""
    for t in range(len(out)):
        for i in range(len(cuts)):
            for j in range(cuts.shape[1]):
                for s in range(out.shape[2]):
                    out[t, i * cuts.shape[1] + j, s] = integers[t, i, s] >= cuts[i, j]


@jit
def lookup(integers: Int32s, table: Ints, low: int, step: int, out: Int32s) -> None:
    """Look up entry ``(x - low) // step`` in the table of each element's channel."""
    for t in range(len(out)):
        for i in range(out.shape[1]):
            c = i % len(table)
            for s in range(out.shape[2]):
                out[t, i, s] = table[c, (integers[t, i, s] - low) // step]


@jit
def argmax(integers: Int32s, out: Int32s) -> None:
    """The number of the first row that holds the largest integer, for each lane."""
    for t in range(len(out)):
        best = integers[t, 0].copy()
        out[t, 0] = 0
        for i in range(1, integers.shape[1]):
            for s in range(out.shape[2]):
                better = integers[t, i, s] > best[s]
                best[s] = integers[t, i, s] if better else best[s]
                out[t, 0, s] = i if better else out[t, 0, s]


@jit
def add(a: Int32s, b: Int32s, channels: int, out: Int32s) -> None:
    """Add rows; ``b`` has as many rows as ``a``, or one row for each ``channels`` rows of ``a``."""
    for t in range(len(out)):
        for i in range(out.shape[1]):
            j = i if b.shape[1] == a.shape[1] else i // channels
            for s in range(out.shape[2]):
                out[t, i, s] = a[t, i, s] + b[t, j, s]


@jit
def rescale(
    integers: Int32s,
    slopes: Ints,
    bias: Ints,
    shift: Ints,
    low: int,
    high: int,
    kinds: Ints,
    out: Int32s,
) -> None:
    """``(x * slope + bias) >> shift``, clipped to ``low .. high``.

    Args:
        integers: ``(tiles, positions * channels, lanes)``.
        slopes: ``(2, channels)``, for ``x >= 0`` and for ``x < 0``.
        bias: ``(classes, channels)``, including the half that makes the shift round.
        shift: ``(channels,)``.
        low: the smallest result.
        high: the largest result.
        kinds: class of each position, int64 ``(positions,)``.
        out: ``(tiles, positions * channels, lanes)``.
    """
    channels = len(shift)
    for t in range(len(out)):
        for i in range(out.shape[1]):
            c = i % channels
            b, places = bias[kinds[i // channels], c], shift[c]
            above, below = slopes[0, c], slopes[1, c]
            for s in range(out.shape[2]):
                x = np.int64(integers[t, i, s])
                y = (x * (below if x < 0 else above) + b) >> places
                out[t, i, s] = min(max(y, low), high)


@jit
def pad_channels(integers: Int32s, channels: int, before: int, after: int, out: Int32s) -> None:
    """Add ``before`` rows of 0 in front of the channels of each position and ``after`` behind."""
    each = before + channels + after
    for t in range(len(out)):
        for i in range(out.shape[1]):
            c = i % each - before
            if 0 <= c < channels:
                out[t, i] = integers[t, i // each * channels + c]
            else:
                out[t, i] = 0


@jit
def concat_channels(one: Int32s, other: Int32s, first: int, second: int, out: Int32s) -> None:
    """At each position the ``first`` rows of one value, then the ``second`` of the other."""
    each = first + second
    for t in range(len(out)):
        for i in range(out.shape[1]):
            c, position = i % each, i // each
            if c < first:
                out[t, i] = one[t, position * first + c]
            else:
                out[t, i] = other[t, position * second + c - first]
