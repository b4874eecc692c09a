"""Kernels that bring values from one form into another, and pick elements."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from hwbnn.graph.arrays import Int32s, Ints, Words
from hwbnn.simulators.fast.kernels import ONE, ZERO, jit

STRIP = 64
"""Elements that go from lanes to samples at once, or back: rows that stay in L1 meanwhile."""


@intrinsic  # type: ignore[untyped-decorator]
def _test_64_bytes(context: Any, row: Any, start: Any, mask: Any) -> Any:
    """A word whose bit ``i`` says whether ``row[start + i] & mask`` is not zero; uint8 row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, start, mask = arguments
        data = context.make_array(signature.args[0])(context, builder, row).data
        vector = ir.VectorType(ir.IntType(8), 64)
        place = builder.bitcast(builder.gep(data, [start]), vector.as_pointer())
        load = builder.load(place, align=1)
        masks = builder.insert_element(ir.Constant(vector, ir.Undefined), mask, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64)
        masks = builder.shuffle_vector(masks, masks, lanes)
        zeros = ir.Constant(vector, [0] * 64)
        hits = builder.icmp_unsigned("!=", builder.and_(load, masks), zeros)
        return builder.bitcast(hits, ir.IntType(64))

    return types.uint64(row, types.intp, types.uint8), generate


@jit
def pack_bytes(x: NDArray[np.uint8], planes: int, first: int, last: int, out: Words) -> None:
    """Bits ``first`` to ``last - 1`` of each byte into planes of a value of ``planes`` planes.

    Args:
        x: ``(samples, n)``, contiguous.
        planes: planes of the value; if it is one, any byte but 0 is a set bit.
        first: plane that bit 0 of the bytes belongs to.
        last: plane behind the last that the bytes reach.
        out: words ``(tiles, planes * words, lanes)``.
    """
    n, lanes = x.shape[1], out.shape[2]
    count = out.shape[1] // planes
    for sample in range(len(x)):
        t, s = sample // lanes, sample % lanes
        for plane in range(first, last):
            mask = np.uint8(255) if planes == 1 else np.uint8(1 << (plane - first))
            row = (planes - 1 - plane) * count
            for k in range(n // 64):
                out[t, row + k, s] = _test_64_bytes(x[sample], 64 * k, mask)
            rest = n % 64
            if rest and n >= 64:  # the last 64 bytes, less those that are packed already
                word = _test_64_bytes(x[sample], n - 64, mask)
                out[t, row + count - 1, s] = word >> np.uint64(64 - rest)
            elif rest:
                word = ZERO
                for i in range(rest):
                    word |= np.uint64((x[sample, i] & mask) != 0) << np.uint64(i)
                out[t, row, s] = word


@jit
def transpose(x: NDArray[Any], out: NDArray[Any]) -> None:
    """Rows of samples ``(samples, n)`` into lanes ``(tiles, rows, lanes)``; 0 behind ``n`` rows."""
    lanes = out.shape[2]
    out[:, x.shape[1] :] = 0
    for strip in range(0, x.shape[1], STRIP):
        for sample in range(len(x)):
            t, s = sample // lanes, sample % lanes
            for i in range(strip, min(strip + STRIP, x.shape[1])):
                out[t, i, s] = x[sample, i]


@jit
def collect(integers: Int32s, out: NDArray[Any]) -> None:
    """Undo :func:`transpose`: lanes into rows of samples ``(samples, n)``."""
    lanes = integers.shape[2]
    for strip in range(0, out.shape[1], STRIP):
        for sample in range(len(out)):
            t, s = sample // lanes, sample % lanes
            for i in range(strip, min(strip + STRIP, out.shape[1])):
                out[sample, i] = integers[t, i, s]


@jit
def collect_bits(words: Words, out: NDArray[np.bool_]) -> None:
    """Words of one plane into rows of bits ``(samples, n)``."""
    lanes = words.shape[2]
    for sample in range(len(out)):
        t, s = sample // lanes, sample % lanes
        for k in range(-(-out.shape[1] // 64)):
            word = words[t, k, s]
            for i in range(min(64, out.shape[1] - 64 * k)):
                out[sample, 64 * k + i] = (word >> np.uint64(i)) & ONE


@jit
def split(integers: Int32s, low: int, planes: int, out: Words) -> None:
    """Integers less ``low`` into bit planes."""
    count = out.shape[1] // planes
    for t in range(len(out)):
        out[t] = ZERO
        for plane in range(planes):
            row = (planes - 1 - plane) * count
            for i in range(integers.shape[1]):
                for s in range(integers.shape[2]):
                    bit = ((integers[t, i, s] - low) >> plane) & 1
                    out[t, row + i // 64, s] |= np.uint64(bit) << np.uint64(i % 64)


def runs(index: Ints) -> tuple[Ints, Words]:
    """Moves of the bits at the positions ``index`` into words: neighbours that stay so at once.

    Args:
        index: the position of each bit that goes on, int64 ``(m,)``.

    Returns:
        For each run the word that it comes from and goes to, and by how much it is shifted right
        and then left, int64 ``(runs, 4)``; and where it stands in the word that it goes to, uint64.
    """
    to = np.arange(len(index))
    starts = np.ones(len(index), np.bool_)
    starts[1:] = (np.diff(index) != 1) | (index[1:] % 64 == 0) | (to[1:] % 64 == 0)
    first = np.flatnonzero(starts)
    length = np.diff(np.append(first, len(index)))
    shift = index[first] % 64 - to[first] % 64
    moves = (index[first] // 64, to[first] // 64, np.maximum(shift, 0), np.maximum(-shift, 0))
    ones = ((1 << int(n)) - 1 << int(at) % 64 for n, at in zip(length, to[first], strict=True))
    return np.stack(moves, axis=1), np.array(list(ones), np.uint64)


@jit
def select_words(words: Words, moves: Ints, masks: Words, planes: int, out: Words) -> None:
    """The bits of :func:`runs`, in each of ``planes`` planes."""
    count, out_words = words.shape[1] // planes, out.shape[1] // planes
    for t in range(len(out)):
        out[t] = ZERO
        for plane in range(planes):
            for i in range(len(moves)):
                k, to = plane * count + moves[i, 0], plane * out_words + moves[i, 1]
                right, left = np.uint64(moves[i, 2]), np.uint64(moves[i, 3])
                for s in range(out.shape[2]):
                    out[t, to, s] |= (words[t, k, s] >> right) << left & masks[i]


@jit
def select(integers: Int32s, index: Ints, out: Int32s) -> None:
    """The rows at the positions ``index``."""
    for t in range(len(out)):
        for i in range(len(index)):
            out[t, i] = integers[t, index[i]]


@jit
def _copy_bits(words: Words, begin: int, count: int, to: int, out: Words) -> None:
    """Set a run of bits, which are 0, to bits of another array ``(words, lanes)``."""
    done = 0
    while done < count:
        source, place = begin + done, to + done
        run = min(count - done, 64 - source % 64, 64 - place % 64)
        mask = ~ZERO >> np.uint64(64 - run)
        down, up = np.uint64(source % 64), np.uint64(place % 64)
        for s in range(out.shape[1]):
            out[place // 64, s] |= ((words[source // 64, s] >> down) & mask) << up
        done += run


@jit
def concat_bits(
    one: Words, other: Words, first: int, second: int, positions: int, out: Words
) -> None:
    """At each position ``first`` bits of one value, then ``second`` of the other.

    Args:
        one: ``(tiles, words, lanes)``, of ``positions * first`` bits a sample.
        other: likewise, of ``positions * second``.
        first: channels of the one.
        second: channels of the other.
        positions: rows times columns.
        out: ``(tiles, words, lanes)``.
    """
    for t in range(len(out)):
        out[t] = ZERO
        for p in range(positions):
            begin = p * (first + second)
            _copy_bits(one[t], p * first, first, begin, out[t])
            _copy_bits(other[t], p * second, second, begin + first, out[t])
