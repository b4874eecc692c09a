"""Kernels that compare integers with thresholds of their channel, eight samples at once.

Thresholds are given as *cuts*: an integer passes a cut if it is greater. ``x >= t`` passes the cut
``t - 1``. In falling channels ``x <= t`` is the negation of passing the cut ``t``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwbnn.graph.arrays import Array, Int32s, Ints, Words
from hwbnn.simulators.fast.kernels import FIRST, LANES, ZERO, jit, put_bits
from hwbnn.simulators.fast.packed import EIGHT, PLACE, VECTOR, VECTORS, WORD, spread, vectors

_ONE = types.intp


@intrinsic  # type: ignore[untyped-decorator]
def put_level(
    context: Any, x: Any, row: Any, s: Any, cuts: Any, c: Any, start: Any, sign: Any, out: Any,
    o: Any, to: Any,
) -> Any:  # fmt: skip
    """Store ``start + sign * n``, where ``n`` is the number of cuts that an element passes.

    Args:
        context: numba's.
        x: int32 ``(rows, lanes)``.
        row: the row of ``x`` that is read.
        s: its first lane.
        cuts: int32 ``(channels, k)``.
        c: the channel whose cuts are used.
        start: the result if no cut is passed.
        sign: 1 or -1.
        out: int32 ``(rows, lanes)``.
        o: the row of ``out`` that is filled.
        to: its first lane.
    """

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        x, cuts, out = (
            context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 3, 7)
        )
        row, s, c, start, sign, o, to = (arguments[i] for i in (1, 2, 4, 5, 6, 8, 9))
        width, levels, lanes = (cgutils.unpack_tuple(b, a.shape)[1] for a in (x, cuts, out))
        values = [b.load(place, align=4) for place in vectors(b, x.data, row, width, s)]
        counts = [cgutils.alloca_once(b, EIGHT) for _ in values]
        for place in counts:
            b.store(ir.Constant(EIGHT, [0] * VECTOR), place)
        first = b.gep(cuts.data, [b.mul(c, levels)])
        with cgutils.for_range(b, levels) as loop:
            cut = spread(b, b.load(b.gep(first, [loop.index])))
            for value, place in zip(values, counts, strict=True):
                passed = b.sext(b.icmp_signed(">", value, cut), EIGHT)
                b.store(b.sub(b.load(place), passed), place)
        begin, factor = (spread(b, b.trunc(a, WORD)) for a in (start, sign))
        for count, place in zip(counts, vectors(b, out.data, o, lanes, to), strict=True):
            b.store(b.add(begin, b.mul(b.load(count), factor)), place, align=4)
        return context.get_dummy_value()

    return types.void(x, _ONE, _ONE, cuts, _ONE, _ONE, _ONE, out, _ONE, _ONE), generate


@intrinsic  # type: ignore[untyped-decorator]
def push_bits(
    context: Any, x: Any, row: Any, s: Any, first: Any, last: Any, cuts: Any, out: Any
) -> Any:
    """Whether the elements of up to 32 rows pass their cuts, as bits of 32-bit words.

    Args:
        context: numba's.
        x: int32 ``(rows, lanes)``.
        row: the row of channel 0.
        s: the first lane.
        first: the channel of the lowest bit.
        last: the channel of the highest bit.
        cuts: int32 ``(channels,)``.
        out: uint32 ``(LANES,)``.
    """

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        x, cuts, out = (
            context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 5, 6)
        )
        row, s, first, last = arguments[1:5]
        width = cgutils.unpack_tuple(b, x.shape)[1]
        words = [cgutils.alloca_once(b, EIGHT) for _ in range(VECTORS)]
        for place in words:
            b.store(ir.Constant(EIGHT, [0] * VECTOR), place)
        with cgutils.for_range(b, b.add(b.sub(last, first), PLACE(1))) as loop:
            c = b.sub(last, loop.index)
            cut = spread(b, b.load(b.gep(cuts.data, [c])))
            sources = vectors(b, x.data, b.add(row, c), width, s)
            for source, place in zip(sources, words, strict=True):
                fires = b.icmp_signed(">", b.load(source, align=4), cut)
                word = b.load(place)
                b.store(b.sub(b.add(word, word), b.sext(fires, EIGHT)), place)
        places = vectors(b, out.data, PLACE(0), PLACE(0), PLACE(0))
        for word, place in zip(words, places, strict=True):
            b.store(b.load(word), place, align=4)
        return context.get_dummy_value()

    return types.void(x, _ONE, _ONE, _ONE, _ONE, cuts, out), generate


@jit
def levels(x: Int32s, cuts: Array, falling: Array, kinds: Ints, base: int, out: Int32s) -> None:
    """``base`` plus the number of thresholds of its channel that each element reaches.

    Args:
        x: integers ``(tiles, positions * channels, lanes)``.
        cuts: int32 ``(classes, channels, k)``.
        falling: bool ``(channels,)``.
        kinds: class of each position, int64 ``(positions,)``.
        base: added to the number.
        out: integers ``(tiles, positions * channels, lanes)``.
    """
    channels, most = len(falling), base + cuts.shape[2]
    for t in range(len(out)):
        for i in range(out.shape[1]):
            c = i % channels
            own, sign = cuts[kinds[i // channels]], -1 if falling[c] else 1
            start = most if falling[c] else base
            for s in range(0, x.shape[2], LANES):
                put_level(x[t], i, s, own, c, start, sign, out[t], i, s)


@jit
def bits(x: Int32s, cuts: Array, falling: Array, kinds: Ints, out: Words) -> None:
    """Whether each element reaches the threshold of its channel.

    Args:
        x: integers ``(tiles, positions * channels, lanes)``.
        cuts: int32 ``(classes, channels)``.
        falling: the falling channels, one bit each, 32 in a word.
        kinds: class of each position, int64 ``(positions,)``.
        out: words ``(tiles, words, lanes)``, one plane.
    """
    channels = cuts.shape[1]
    made = np.empty((-(-channels // 64), x.shape[2]), np.uint64)
    half = np.empty(LANES, np.uint32)
    for t in range(len(x)):
        out[t] = ZERO
        for p in range(len(kinds)):
            made[:] = ZERO
            for c in range(0, channels, 32):
                turned = falling[c // 32]
                for s in range(0, x.shape[2], LANES):
                    last = min(channels, c + 32) - 1
                    push_bits(x[t], p * channels, s, c, last, cuts[kinds[p]], half)
                    for n in range(LANES):
                        made[c // 64, s + n] |= np.uint64(half[n] ^ turned) << np.uint64(c % 64)
            put_bits(made, FIRST, channels, out[t], p * channels)
