"""Kernels that pool: the largest or smallest element of each window, or the sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph.arrays import Int32s, Words
from hwbnn.simulators.fast.kernels import FIRST, ONE, ZERO, jit, put_bits
from hwbnn.simulators.fast.windows import Grid

LOWEST = np.int32(-(2**31))


@jit
def _taps(grid: Grid, p: int) -> tuple[int, int, int, int]:
    """The rows and columns of the image inside a window: ``(top, bottom, left, right)``.

    ``bottom`` and ``right`` are those behind the last.
    """
    y = p // grid.out_columns * grid.down - grid.top
    z = p % grid.out_columns * grid.right - grid.left
    rows = max(0, y), min(grid.height, y + grid.rows)
    columns = max(0, z), min(grid.width, z + grid.columns)
    return rows[0], rows[1], columns[0], columns[1]


@jit
def pool_bits(x: Words, grid: Grid, smallest: Words, positions: int, out: Words) -> None:
    """OR of each window, channel by channel; AND for the channels in ``smallest``.

    Args:
        x: words ``(tiles, words, lanes)``, one plane.
        grid: geometry.
        smallest: one bit for each channel, words ``(words of a pixel,)``.
        positions: the number of windows.
        out: words ``(tiles, words, lanes)``.
    """
    seen = np.empty((len(smallest), x.shape[2]), np.uint64)
    extreme = np.empty_like(seen)
    for t in range(len(x)):
        out[t] = ZERO
        for p in range(positions):
            top, bottom, left, right = _taps(grid, p)
            extreme[:] = ZERO
            for i in range(top, bottom):
                for j in range(left, right):
                    seen[:] = ZERO
                    bit = (i * grid.width + j) * grid.channels
                    put_bits(x[t], bit, grid.channels, seen, FIRST)
                    for k in range(len(smallest)):  # AND is the inverted OR of inverted bits
                        for s in range(x.shape[2]):
                            extreme[k, s] |= seen[k, s] ^ smallest[k]
            for k in range(len(smallest)):
                for s in range(x.shape[2]):
                    extreme[k, s] ^= smallest[k]
            put_bits(extreme, FIRST, grid.channels, out[t], p * grid.channels)


@jit
def pool_integers(
    x: Int32s, grid: Grid, smallest: NDArray[np.bool_], positions: int, out: Int32s
) -> None:
    """The largest element of each window, by channel; the smallest where ``smallest`` is True."""
    for t in range(len(x)):
        for p in range(positions):
            top, bottom, left, right = _taps(grid, p)
            for c in range(grid.channels):
                o, turned = p * grid.channels + c, np.int32(-1 if smallest[c] else 0)
                out[t, o] = LOWEST
                for i in range(top, bottom):
                    for j in range(left, right):
                        row = (i * grid.width + j) * grid.channels + c
                        for s in range(x.shape[2]):  # inverted integers have the opposite order
                            out[t, o, s] = max(out[t, o, s], x[t, row, s] ^ turned)
                for s in range(x.shape[2]):
                    out[t, o, s] ^= turned


@jit
def sum_integers(x: Int32s, grid: Grid, positions: int, out: Int32s) -> None:
    """The sum of each window, channel by channel."""
    for t in range(len(x)):
        for p in range(positions):
            top, bottom, left, right = _taps(grid, p)
            for c in range(grid.channels):
                o = p * grid.channels + c
                out[t, o] = 0
                for i in range(top, bottom):
                    for j in range(left, right):
                        row = (i * grid.width + j) * grid.channels + c
                        for s in range(x.shape[2]):
                            out[t, o, s] += x[t, row, s]


@jit
def sum_bits(x: Words, grid: Grid, positions: int, out: Int32s) -> None:
    """The sum of each window of bits, which count as -1 and +1, channel by channel."""
    for t in range(len(x)):
        for p in range(positions):
            top, bottom, left, right = _taps(grid, p)
            for c in range(grid.channels):
                o = p * grid.channels + c
                out[t, o] = -(bottom - top) * (right - left)
                for i in range(top, bottom):
                    for j in range(left, right):
                        bit = (i * grid.width + j) * grid.channels + c
                        k, shift = bit // 64, np.uint64(bit % 64)
                        for s in range(x.shape[2]):
                            out[t, o, s] += 2 * np.int32((x[t, k, s] >> shift) & ONE)
