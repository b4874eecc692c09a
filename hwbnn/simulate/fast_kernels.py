"""The kernels of the fast simulator, compiled by numba.

Samples lie side by side: an array is ``(tiles, rows, LANES)``, a row holds one 64-bit word of
:data:`LANES` samples, and every inner loop runs over a row, so that the compiler makes vector
instructions of it without shuffles. A value has one of two forms:

- *words* (uint64): its bits packed along the elements, 64 a word, element 0 lowest, unused high
  bits zero; a value of several bit planes has the rows of its highest plane first;
- *integers* (int64): one row an element.

Lanes without a sample hold another valid value. Kernels release the interpreter's lock.

Dot products: a value ``x = base + gain * u`` with unsigned ``u`` of some bit planes meets weights
-1 and +1. With ``M`` the sum over the planes of ``2^plane`` times the number of bits in which plane
and weights differ, the product is ``constant - gain * M``; weights alone make the constant.

All kernels stand in one file: numba keeps machine code on disk, and makes it anew when the file of
the kernel changes, but not when another one does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

LANES = 480
"""Samples in a row: many, for what it costs to begin a loop, while the nine rows that the innermost
loop works on stay in a core's L1. A power of two would put all rows on the same lines of L1; 32
divides it, for whole vectors in loops that the compiler unrolls."""
GROUP = 4
"""Channels that a dot product takes at once; rows of weights are padded to a multiple."""

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]
Four = tuple[Any, Any, Any, Any]
F = TypeVar("F", bound=Callable[..., Any])

_ZERO, _ONE, _TOP = np.uint64(0), np.uint64(1), np.uint64(63)


def _jit(function: F) -> F:
    """Compile on first use; machine code is kept on disk where a folder for it can be written."""
    options = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    try:
        return cast(F, njit(cache=True, **options)(function))
    except RuntimeError:  # no folder beside the source or in the user's home can be written
        return cast(F, njit(**options)(function))


@intrinsic  # type: ignore[untyped-decorator]
def _popcount(context: Any, x: Any) -> Any:
    """How many bits of a uint64 are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


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


@_jit
def _four(array: Words, t: int, row: int, s: int) -> Four:
    """Four neighbouring words of one sample."""
    return array[t, row, s], array[t, row + 1, s], array[t, row + 2, s], array[t, row + 3, s]


@_jit
def _weights(w: Words, c: int, k: int) -> Four:
    """Four words of one channel. Read before a loop, they stay in registers."""
    return w[c, k], w[c, k + 1], w[c, k + 2], w[c, k + 3]


@_jit
def _differ(x: Four, w: Four) -> Any:
    """How many bits of four words differ."""
    return (
        _popcount(x[0] ^ w[0])
        + _popcount(x[1] ^ w[1])
        + _popcount(x[2] ^ w[2])
        + _popcount(x[3] ^ w[3])
    )


@_jit
def _push_signs(word: Any, sums: Four) -> Any:
    """Shift the sign bits of four sums into a word from below."""
    word = (word << _ONE) | (sums[0] >> _TOP)
    word = (word << _ONE) | (sums[1] >> _TOP)
    word = (word << _ONE) | (sums[2] >> _TOP)
    return (word << _ONE) | (sums[3] >> _TOP)


@_jit
def _begin(
    x: Words, t: int, row: int, w: Words, c: int, last: int, start: Four, sums: Words
) -> None:
    """Sums of a group from their start, with the first word if it is left over by fours."""
    if last % 4 == 0:
        for s in range(LANES):
            sums[0, s], sums[1, s], sums[2, s], sums[3, s] = start
        return
    wa, wb, wc, wd = w[c, 0], w[c + 1, 0], w[c + 2, 0], w[c + 3, 0]
    for s in range(LANES):
        word = x[t, row, s]
        sums[0, s] = start[0] + _popcount(word ^ wa)
        sums[1, s] = start[1] + _popcount(word ^ wb)
        sums[2, s] = start[2] + _popcount(word ^ wc)
        sums[3, s] = start[3] + _popcount(word ^ wd)


@_jit
def _double(sums: Words, bias: Four) -> None:
    """Between two bit planes: the sums so far count twice, the bias once."""
    for s in range(LANES):
        sums[0, s] = (sums[0, s] << _ONE) + bias[0]
        sums[1, s] = (sums[1, s] << _ONE) + bias[1]
        sums[2, s] = (sums[2, s] << _ONE) + bias[2]
        sums[3, s] = (sums[3, s] << _ONE) + bias[3]


@_jit
def _add_words(
    x: Words, t: int, row: int, w: Words, c: int, first: int, last: int, sums: Words
) -> None:
    """Add the differing bits of the words ``first`` to ``last - 1`` to the sums of a group.

    As many as can be go in fours, which saves three of four loads and stores of a sum; ``first`` is
    0, or 1 behind :func:`_begin`.
    """
    for k in range(first, last % 4):
        wa, wb, wc, wd = w[c, k], w[c + 1, k], w[c + 2, k], w[c + 3, k]
        for s in range(LANES):
            word = x[t, row + k, s]
            sums[0, s] += _popcount(word ^ wa)
            sums[1, s] += _popcount(word ^ wb)
            sums[2, s] += _popcount(word ^ wc)
            sums[3, s] += _popcount(word ^ wd)
    for k in range(last % 4, last, 4):
        va, vb = _weights(w, c, k), _weights(w, c + 1, k)
        vc, vd = _weights(w, c + 2, k), _weights(w, c + 3, k)
        for s in range(LANES):
            words = _four(x, t, row + k, s)
            sums[0, s] += _differ(words, va)
            sums[1, s] += _differ(words, vb)
            sums[2, s] += _differ(words, vc)
            sums[3, s] += _differ(words, vd)


@_jit
def dot_signs(x: Words, planes: int, w: Words, bias: Words, out: Words) -> None:
    """Binary neurons: the sign bits of weighted counts of differing bits, plus a bias.

    Args:
        x: words ``(tiles, planes * words, LANES)``.
        planes: bit planes of ``x``.
        w: weights ``(channels, words)``, the last channel first, padded *in front* to a multiple
            of :data:`GROUP`; at least one word.
        bias: int64 as uint64 ``(channels,)``, in the order of ``w``.
        out: words ``(tiles, words of the channels, LANES)``, one plane.
    """
    channels, words = w.shape
    sums = np.empty((GROUP, LANES), np.uint64)
    none = (_ZERO, _ZERO, _ZERO, _ZERO)
    k = words - 4
    row = (planes - 1) * words + k
    for t in range(len(x)):
        out[t] = 0
        for c in range(0, channels, GROUP):
            o = (channels - 1 - c) // 64
            b = bias[c], bias[c + 1], bias[c + 2], bias[c + 3]
            begin = planes == 1 and k == 0
            end = k if planes == 1 and k >= 0 else words
            if not begin:
                _begin(x, t, 0, w, c, end, b if planes == 1 else none, sums)
                _add_words(x, t, 0, w, c, 1, end, sums)
            for plane in range(1, planes):
                last = plane == planes - 1
                _double(sums, b if last else none)
                _add_words(x, t, plane * words, w, c, 0, k if last and k >= 0 else words, sums)
            if k < 0:
                for s in range(LANES):
                    n = sums[0, s], sums[1, s], sums[2, s], sums[3, s]
                    out[t, o, s] = _push_signs(out[t, o, s], n)
                continue
            # The last four words of a group: its sums go from registers into sign bits.
            va, vb = _weights(w, c, k), _weights(w, c + 1, k)
            vc, vd = _weights(w, c + 2, k), _weights(w, c + 3, k)
            for s in range(LANES):
                four = _four(x, t, row, s)
                n = (
                    (b[0] if begin else sums[0, s]) + _differ(four, va),
                    (b[1] if begin else sums[1, s]) + _differ(four, vb),
                    (b[2] if begin else sums[2, s]) + _differ(four, vc),
                    (b[3] if begin else sums[3, s]) + _differ(four, vd),
                )
                out[t, o, s] = _push_signs(out[t, o, s], n)


@_jit
def dot_sums(x: Words, planes: int, w: Words, constant: Integers, gain: int, out: Integers) -> None:
    """Sums of signed elements: ``constant - gain * (weighted count of differing bits)``.

    Args:
        x: words ``(tiles, planes * words, LANES)``.
        planes: bit planes of ``x``.
        w: weights ``(channels, words)``, the first channel first, padded behind to a multiple of
            :data:`GROUP`.
        constant: ``(channels,)``, padded likewise.
        gain: what the lowest plane of ``x`` counts.
        out: integers ``(tiles, channels, LANES)``.
    """
    channels, words = w.shape
    sums = np.empty((GROUP, LANES), np.uint64)
    none = (_ZERO, _ZERO, _ZERO, _ZERO)
    for t in range(len(x)):
        for c in range(0, channels, GROUP):
            _begin(x, t, 0, w, c, words, none, sums)
            _add_words(x, t, 0, w, c, 1, words, sums)
            for plane in range(1, planes):
                _double(sums, none)
                _add_words(x, t, plane * words, w, c, 0, words, sums)
            for j in range(GROUP):
                for s in range(LANES):
                    out[t, c + j, s] = constant[c + j] - gain * np.int64(sums[j, s])


@_jit
def combine(
    x: Words,
    planes: int,
    none_set: int,
    gain: int,
    scale: Integers,
    offset: Integers,
    out: Integers,
) -> None:
    """Each channel's sum times its scale, plus its offset times the sum of the inputs, in place.

    The sum of the inputs is ``none_set + gain * (weighted count of set bits)``, once a sample.

    Args:
        x: words ``(tiles, planes * words, LANES)``.
        planes: bit planes of ``x``.
        none_set: what the inputs sum to where no bit is set.
        gain: what the lowest plane of ``x`` counts.
        scale: ``(channels,)``, padded as ``out`` is.
        offset: likewise.
        out: integers ``(tiles, channels, LANES)``, sums of signed elements.
    """
    words = x.shape[1] // planes
    total = np.empty(LANES, np.int64)
    for t in range(len(x)):
        total[:] = 0
        for plane in range(planes):
            for s in range(LANES):
                total[s] <<= 1
            for k in range(words):
                for s in range(LANES):
                    total[s] += np.int64(_popcount(x[t, plane * words + k, s]))
        for s in range(LANES):
            total[s] = none_set + gain * total[s]
        for c in range(len(scale)):
            for s in range(LANES):
                out[t, c, s] = scale[c] * out[t, c, s] + offset[c] * total[s]


@_jit
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
                out[t, row + k, s] = _test_64_bytes(x[sample], 64 * k, mask)
            rest = n % 64
            if rest and n >= 64:  # the last 64 bytes, less those that are packed already
                word = _test_64_bytes(x[sample], n - 64, mask)
                out[t, row + count - 1, s] = word >> np.uint64(64 - rest)
            elif rest:
                word = _ZERO
                for i in range(rest):
                    word |= np.uint64((x[sample, i] & mask) != 0) << np.uint64(i)
                out[t, row, s] = word


@_jit
def transpose(x: NDArray[Any], out: NDArray[Any]) -> None:
    """Rows of samples ``(samples, n)`` into lanes ``(tiles, rows, LANES)``, ``rows >= n``."""
    for sample in range(len(x)):
        t, s = sample // LANES, sample % LANES
        for i in range(x.shape[1]):
            out[t, i, s] = x[sample, i]


@_jit
def collect(integers: Integers, out: NDArray[Any]) -> None:
    """Undo :func:`transpose`: lanes into rows of samples ``(samples, n)``."""
    for sample in range(len(out)):
        t, s = sample // LANES, sample % LANES
        for i in range(out.shape[1]):
            out[sample, i] = integers[t, i, s]


@_jit
def collect_bits(words: Words, out: NDArray[np.bool_]) -> None:
    """Words of one plane into rows of bits ``(samples, n)``."""
    for sample in range(len(out)):
        t, s = sample // LANES, sample % LANES
        for i in range(out.shape[1]):
            out[sample, i] = (words[t, i // 64, s] >> np.uint64(i % 64)) & _ONE


@_jit
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


@_jit
def select_bits(words: Words, index: Integers, out: Words) -> None:
    """The bits at the positions ``index`` of a value of one plane."""
    for t in range(len(out)):
        out[t] = 0
        for i in range(len(index)):
            k, shift = index[i] // 64, np.uint64(index[i] % 64)
            for s in range(LANES):
                bit = (words[t, k, s] >> shift) & _ONE
                out[t, i // 64, s] |= bit << np.uint64(i % 64)


@_jit
def select(integers: Integers, index: Integers, out: Integers) -> None:
    """The rows at the positions ``index``."""
    for t in range(len(out)):
        for i in range(len(index)):
            out[t, i] = integers[t, index[i]]


@_jit
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


@_jit
def encode(integers: Integers, cuts: Integers, out: Integers) -> None:
    """Each row compared with cuts of its own, into one row a cut."""
    for t in range(len(out)):
        for i in range(len(cuts)):
            for j in range(cuts.shape[1]):
                for s in range(LANES):
                    out[t, i * cuts.shape[1] + j, s] = integers[t, i, s] >= cuts[i, j]


@_jit
def lookup(integers: Integers, table: Integers, low: int, step: int, n: int, out: Integers) -> None:
    """Entries ``(x - low) // step`` of the table of channel ``i % channels``, for ``n`` rows."""
    for t in range(len(out)):
        for i in range(n):
            c = i % len(table)
            for s in range(LANES):
                out[t, i, s] = table[c, (integers[t, i, s] - low) // step]


@_jit
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
