"""Kernels of the fast simulator that are no dot products; layout in :mod:`.fast_jit`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.simulate.fast_jit import LANES, Integers, Words, jit, test_64_bytes

_ZERO, _ONE = np.uint64(0), np.uint64(1)


@jit
def pack_bytes(x: NDArray[np.uint8], planes: int, first: int, last: int, out: Words) -> None:
    """Bits ``first`` to ``last - 1`` of each byte into planes of a value of ``planes`` planes.

    Args:
        x: ``(samples, n)``, contiguous.
        planes: planes of the value; if it is one, any byte but 0 is a set bit.
        first: plane that bit 0 of the bytes belongs to.
        last: plane behind the last that the bytes reach.
        out: words ``(tiles, planes * words, LANES)``.
    """
    n = x.shape[1]
    count = out.shape[1] // planes
    for sample in range(len(x)):
        t, s = sample // LANES, sample % LANES
        for plane in range(first, last):
            mask = np.uint8(255) if planes == 1 else np.uint8(1 << (plane - first))
            row = (planes - 1 - plane) * count
            for k in range(n // 64):
                out[t, row + k, s] = test_64_bytes(x[sample], 64 * k, mask)
            rest = n % 64
            if rest and n >= 64:  # the last 64 bytes, less those that are packed already
                word = test_64_bytes(x[sample], n - 64, mask)
                out[t, row + count - 1, s] = word >> np.uint64(64 - rest)
            elif rest:
                word = _ZERO
                for i in range(rest):
                    word |= np.uint64((x[sample, i] & mask) != 0) << np.uint64(i)
                out[t, row, s] = word


@jit
def transpose(x: NDArray[Any], out: NDArray[Any]) -> None:
    """Rows of samples ``(samples, n)`` into lanes ``(tiles, rows, LANES)``, ``rows >= n``."""
    for sample in range(len(x)):
        t, s = sample // LANES, sample % LANES
        for i in range(x.shape[1]):
            out[t, i, s] = x[sample, i]


@jit
def collect(integers: Integers, out: NDArray[Any]) -> None:
    """Undo :func:`transpose`: lanes into rows of samples ``(samples, n)``."""
    for sample in range(len(out)):
        t, s = sample // LANES, sample % LANES
        for i in range(out.shape[1]):
            out[sample, i] = integers[t, i, s]


@jit
def collect_bits(words: Words, out: NDArray[np.bool_]) -> None:
    """Words of one plane into rows of bits ``(samples, n)``."""
    for sample in range(len(out)):
        t, s = sample // LANES, sample % LANES
        for i in range(out.shape[1]):
            out[sample, i] = (words[t, i // 64, s] >> np.uint64(i % 64)) & _ONE


@jit
def split(integers: Integers, low: int, planes: int, n: int, out: Words) -> None:
    """Integers less ``low`` into bit planes: the words of the first ``n`` rows."""
    count = out.shape[1] // planes
    for t in range(len(out)):
        out[t] = 0
        for plane in range(planes):
            row = (planes - 1 - plane) * count
            for i in range(n):
                for s in range(LANES):
                    bit = ((integers[t, i, s] - low) >> plane) & 1
                    out[t, row + i // 64, s] |= np.uint64(bit) << np.uint64(i % 64)


@jit
def select_bits(words: Words, index: Integers, out: Words) -> None:
    """The bits at the positions ``index`` of a value of one plane."""
    for t in range(len(out)):
        out[t] = 0
        for i in range(len(index)):
            k, shift = index[i] // 64, np.uint64(index[i] % 64)
            for s in range(LANES):
                bit = (words[t, k, s] >> shift) & _ONE
                out[t, i // 64, s] |= bit << np.uint64(i % 64)


@jit
def select(integers: Integers, index: Integers, out: Integers) -> None:
    """The rows at the positions ``index``."""
    for t in range(len(out)):
        for i in range(len(index)):
            out[t, i] = integers[t, index[i]]


@jit
def threshold(
    integers: Integers, cuts: Integers, falling: NDArray[np.bool_], n: int, out: Integers
) -> None:
    """How many cuts of its channel ``i % channels`` each of the first ``n`` rows reaches."""
    for t in range(len(out)):
        for i in range(n):
            c = i % len(cuts)
            out[t, i] = 0
            for j in range(cuts.shape[1]):
                cut = cuts[c, j]
                if falling[c]:
                    for s in range(LANES):
                        out[t, i, s] += integers[t, i, s] <= cut
                else:
                    for s in range(LANES):
                        out[t, i, s] += integers[t, i, s] >= cut


@jit
def encode(integers: Integers, cuts: Integers, out: Integers) -> None:
    """Each row compared with cuts of its own, into one row a cut."""
    for t in range(len(out)):
        for i in range(len(cuts)):
            for j in range(cuts.shape[1]):
                for s in range(LANES):
                    out[t, i * cuts.shape[1] + j, s] = integers[t, i, s] >= cuts[i, j]


@jit
def lookup(integers: Integers, table: Integers, low: int, step: int, n: int, out: Integers) -> None:
    """Entries ``(x - low) // step`` of the table of channel ``i % channels``, for ``n`` rows."""
    for t in range(len(out)):
        for i in range(n):
            c = i % len(table)
            for s in range(LANES):
                out[t, i, s] = table[c, (integers[t, i, s] - low) // step]


@jit
def argmax(integers: Integers, n: int, out: Integers) -> None:
    """The first row of the ``n`` that holds the largest integer."""
    best = np.empty(LANES, np.int64)
    for t in range(len(out)):
        best[:] = integers[t, 0]
        out[t, 0] = 0
        for i in range(1, n):
            for s in range(LANES):
                better = integers[t, i, s] > best[s]
                best[s] = integers[t, i, s] if better else best[s]
                out[t, 0, s] = i if better else out[t, 0, s]
