"""The innermost kernel: differing bits of four channels and 32 samples, in registers.

A *tile* is :data:`CHANNELS` channels by :data:`~hwbnn.simulators.fast_basis.LANES` samples. Its
sixteen sums, vectors of eight words, stay in registers while all words of the inputs go by; each
vector of inputs meets four weights, each weight four vectors. What remains for each word is one
XOR, one population count and one addition, as far as the processor has vectors for these.

The vectors are written out for LLVM, which makes of them what the processor has: its own loop
vectoriser would take one loop over the samples for each word and go through memory in between.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwbnn.simulators.fast_basis import LANES

CHANNELS = 4
"""Channels of a tile; weights are padded to whole tiles."""
VECTOR = 8
VECTORS = LANES // VECTOR

_WORD, _VECTOR = ir.IntType(64), ir.VectorType(ir.IntType(64), VECTOR)
_SUMS = [(c, v) for c in range(CHANNELS) for v in range(VECTORS)]


def _function(builder: Any, name: str, arguments: int) -> Any:
    """An operation of LLVM on vectors."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * arguments)
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{VECTOR}i64")


def _spread(builder: Any, word: Any) -> Any:
    """A vector of one word."""
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), word, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), [0] * VECTOR)
    return builder.shuffle_vector(first, first, lanes)


def _vectors(builder: Any, place: Any) -> list[Any]:
    """Where the vectors of a row begin, from the place of its first word."""
    row = builder.bitcast(place, _VECTOR.as_pointer())
    return [builder.gep(row, [_WORD(v)]) for v in range(VECTORS)]


def _counted(context: Any, b: Any, signature: Any, arguments: Any) -> dict[tuple[int, int], Any]:
    """Code of a tile: its sums by channel and vector. Arguments are those of :func:`push_signs`."""
    x, w, start, rows = (
        context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 1, 2, 3)
    )
    s, block, planes = arguments[4:7]
    lanes = cgutils.unpack_tuple(b, x.shape)[1]
    words = cgutils.unpack_tuple(b, w.shape)[1]
    samples = b.gep(x.data, [s])
    weights = b.gep(w.data, [b.mul(b.mul(block, words), _WORD(CHANNELS))])
    starts = b.gep(start.data, [b.mul(block, _WORD(CHANNELS))])
    biases = [_spread(b, b.load(b.gep(starts, [_WORD(c)]))) for c in range(CHANNELS)]
    single = b.icmp_signed("==", planes, _WORD(1))
    none = ir.Constant(_VECTOR, [0] * VECTOR)
    sums = {place: cgutils.alloca_once(b, _VECTOR) for place in _SUMS}
    for c, v in _SUMS:
        b.store(b.select(single, biases[c], none), sums[c, v])
    with cgutils.for_range(b, planes) as plane:
        with b.if_then(b.icmp_signed(">", plane.index, _WORD(0))):
            for place in sums.values():
                b.store(b.add(b.load(place), b.load(place)), place)
        _add_words(b, plane.index, words, rows.data, samples, lanes, weights, sums)
    with b.if_then(b.not_(single)):
        for c, v in _SUMS:
            b.store(b.add(b.load(sums[c, v]), biases[c]), sums[c, v])
    return {place: b.load(found) for place, found in sums.items()}


def _add_words(
    b: Any, plane: Any, words: Any, rows: Any, samples: Any, lanes: Any, weights: Any, sums: Any
) -> None:
    """Code of a loop over the words of one plane."""
    count, first = _function(b, "ctpop", 1), b.mul(plane, words)
    with cgutils.for_range(b, words) as k:
        row = b.load(b.gep(rows, [b.add(first, k.index)]))
        places = _vectors(b, b.gep(samples, [b.mul(row, lanes)]))
        x = [b.load(place, align=8) for place in places]
        column = b.gep(weights, [b.mul(k.index, _WORD(CHANNELS))])
        for c in range(CHANNELS):
            weight = _spread(b, b.load(b.gep(column, [_WORD(c)])))
            for v in range(VECTORS):
                differing = b.call(count, [b.xor(x[v], weight)])
                b.store(b.add(b.load(sums[c, v]), differing), sums[c, v])


@intrinsic  # type: ignore[untyped-decorator]
def push_signs(
    context: Any, x: Any, w: Any, start: Any, rows: Any, s: Any, block: Any, planes: Any, out: Any
) -> Any:
    """Shift the sign bits of the sums of a tile into words from below, channel by channel.

    Args:
        context: numba's.
        x: words ``(rows, lanes)``.
        w: weights ``(blocks, words, CHANNELS)``.
        start: uint64 ``(blocks * CHANNELS,)``, added to the sums.
        rows: int64 ``(planes * words,)``, which row of ``x`` each word is.
        s: the first lane.
        block: which block of channels.
        planes: bit planes; sums count twice from plane to plane.
        out: uint64 ``(LANES,)``.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums = _counted(context, builder, signature, arguments)
        data = context.make_array(signature.args[7])(context, builder, arguments[7]).data
        shift, one = _function(builder, "fshl", 3), ir.Constant(_VECTOR, [1] * VECTOR)
        for v, place in enumerate(_vectors(builder, data)):
            word = builder.load(place, align=8)
            for c in range(CHANNELS):
                word = builder.call(shift, [word, sums[c, v], one])
            builder.store(word, place, align=8)
        return context.get_dummy_value()

    integers = types.intp, types.intp, types.intp
    return types.void(x, w, start, rows, *integers, out), generate


@intrinsic  # type: ignore[untyped-decorator]
def store_sums(
    context: Any, x: Any, w: Any, start: Any, rows: Any, s: Any, block: Any, planes: Any, out: Any
) -> Any:
    """Store the sums of a tile in ``out``, uint64 ``(CHANNELS, LANES)``; rest as above."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums = _counted(context, builder, signature, arguments)
        data = context.make_array(signature.args[7])(context, builder, arguments[7]).data
        for c in range(CHANNELS):
            row = _vectors(builder, builder.gep(data, [_WORD(c * LANES)]))
            for v, place in enumerate(row):
                builder.store(sums[c, v], place, align=8)
        return context.get_dummy_value()

    integers = types.intp, types.intp, types.intp
    return types.void(x, w, start, rows, *integers, out), generate
