"""Kernels that convert values from one form to another, and select elements."""

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
"""Elements that are transposed at once between samples and lanes; their rows stay in L1."""


@intrinsic  # type: ignore[untyped-decorator]
def _test_64_bytes(context: Any, row: Any, start: Any, mask: Any) -> Any:
    """A word whose bit ``i`` is 1 if ``row[start + i] & mask`` is not zero; ``row`` is uint8."""

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
    """Pack the bits of bytes into the bit planes ``first`` to ``last - 1`` of a value.

    Args:
        x: ``(samples, n)``, contiguous.
        planes: all planes of the value; if there is one, each byte other than 0 is a set bit.
        first: the plane of bit 0 of the bytes.
        last: the plane behind the last one that is packed.
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
            if rest and n >= 64:  # test the last 64 bytes, drop those that are packed already
                word = _test_64_bytes(x[sample], n - 64, mask)
                out[t, row + count - 1, s] = word >> np.uint64(64 - rest)
            elif rest:
                word = ZERO
                for i in range(rest):
                    word |= np.uint64((x[sample, i] & mask) != 0) << np.uint64(i)
                out[t, row, s] = word


@jit
def transpose(x: NDArray[Any], out: NDArray[Any]) -> None:
    """Samples ``(samples, n)`` to rows ``(tiles, rows, lanes)``; rows behind the ``n`` are 0."""
    lanes = out.shape[2]
    out[:, x.shape[1] :] = 0
    for strip in range(0, x.shape[1], STRIP):
        for sample in range(len(x)):
            t, s = sample // lanes, sample % lanes
            for i in range(strip, min(strip + STRIP, x.shape[1])):
                out[t, i, s] = x[sample, i]


@jit
def collect(integers: Int32s, out: NDArray[Any]) -> None:
    """Undo :func:`transpose`: rows ``(tiles, rows, lanes)`` to samples ``(samples, n)``."""
    lanes = integers.shape[2]
    for strip in range(0, out.shape[1], STRIP):
        for sample in range(len(out)):
            t, s = sample // lanes, sample % lanes
            for i in range(strip, min(strip + STRIP, out.shape[1])):
                out[sample, i] = integers[t, i, s]


@jit
def collect_bits(words: Words, out: NDArray[np.bool_]) -> None:
    """Words of one plane ``(tiles, words, lanes)`` to bits ``(samples, n)``."""
    lanes = words.shape[2]
    for sample in range(len(out)):
        t, s = sample // lanes, sample % lanes
        for k in range(-(-out.shape[1] // 64)):
            word = words[t, k, s]
            for i in range(min(64, out.shape[1] - 64 * k)):
                out[sample, 64 * k + i] = (word >> np.uint64(i)) & ONE


@jit
def split(integers: Int32s, low: int, planes: int, out: Words) -> None:
    """Subtract ``low`` from integers and split them into words of ``planes`` bit planes."""
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
    """How to select the bits at the positions ``index``, in runs of neighbouring bits.

    Args:
        index: the position of each selected bit, int64 ``(m,)``.

    Returns:
        For each run the source word, the destination word, and by how many bits it is shifted right
        and then left, int64 ``(runs, 4)``; its mask in the destination word, uint64 ``(runs,)``.
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
    """Select bits by the moves and masks of :func:`runs`, in each of ``planes`` planes."""
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
    """Select the rows at the positions ``index``."""
    for t in range(len(out)):
        for i in range(len(index)):
            out[t, i] = integers[t, index[i]]


@jit
def _copy_bits(words: Words, begin: int, count: int, to: int, out: Words) -> None:
    """Copy ``count`` bits from bit ``begin`` of ``words`` to bit ``to`` of ``out``.

    Both arrays are ``(words, lanes)``; the bits of ``out`` must be 0 before.
    """
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
        one: ``(tiles, words, lanes)``, ``positions * first`` bits for each sample.
        other: ``(tiles, words, lanes)``, ``positions * second`` bits for each sample.
        first: channels of ``one``.
        second: channels of ``other``.
        positions: rows times columns of the image.
        out: ``(tiles, words, lanes)``.
    """
    for t in range(len(out)):
        out[t] = ZERO
        for p in range(positions):
            begin = p * (first + second)
            _copy_bits(one[t], p * first, first, begin, out[t])
            _copy_bits(other[t], p * second, second, begin + first, out[t])
