"""Kernels that pack the channels of each pixel into words of 32 bits, for :mod:`.products`.

A word of a value in the form *bytes* holds four codes ``u`` of 8 bits; a word in the form *pairs*
holds two integers of 16 bits. The first channel is in the lowest bits. The last word of a pixel is
filled up with 0. A row of 0 behind the last pixel is read for pixels outside the image.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwbnn.graph.arrays import Int32s, Words
from hwbnn.simulators.fast.kernels import LANES, jit

BYTES, PAIRS = 4, 2
"""Numbers in a word of each form."""
VECTOR = 8
VECTORS = LANES // VECTOR

PLACE, WORD = ir.IntType(64), ir.IntType(32)
EIGHT = ir.VectorType(WORD, VECTOR)


def spread(b: Any, word: Any) -> Any:
    """Code for a vector that holds one word in all lanes."""
    first = b.insert_element(ir.Constant(EIGHT, ir.Undefined), word, WORD(0))
    return b.shuffle_vector(first, first, ir.Constant(EIGHT, [0] * VECTOR))


def vectors(b: Any, data: Any, row: Any, lanes: Any, s: Any) -> list[Any]:
    """Pointers to the vectors of a row, beginning with lane ``s``."""
    first = b.gep(data, [b.add(b.mul(row, lanes), s)])
    row = b.bitcast(first, EIGHT.as_pointer())
    return [b.gep(row, [PLACE(v)]) for v in range(VECTORS)]


def _packed(size: int) -> Any:
    """The generator of code that packs a word."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        x, out = (context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 5))
        row, count, less, s = arguments[1:5]
        k = arguments[6]
        lanes = cgutils.unpack_tuple(b, x.shape)[1]
        below, mask = spread(b, b.trunc(less, WORD)), ir.Constant(WORD, (1 << 32 // size) - 1)
        words = [ir.Constant(EIGHT, [0] * VECTOR)] * VECTORS
        for i in range(size):
            is_there = b.icmp_signed("<", PLACE(i), count)
            source = b.add(row, b.select(is_there, PLACE(i), PLACE(0)))
            kept = spread(b, b.select(is_there, mask, WORD(0)))
            left = ir.Constant(EIGHT, [32 // size * i] * VECTOR)
            for v, place in enumerate(vectors(b, x.data, source, lanes, s)):
                number = b.and_(b.sub(b.load(place, align=4), below), kept)
                words[v] = b.or_(words[v], b.shl(number, left))
        for place, word in zip(vectors(b, out.data, k, lanes, s), words, strict=True):
            b.store(word, place, align=4)
        return context.get_dummy_value()

    return generate


@intrinsic  # type: ignore[untyped-decorator]
def _pack_bytes(
    context: Any, x: Any, row: Any, count: Any, less: Any, s: Any, out: Any, k: Any
) -> Any:
    """Pack some rows into one word of bytes.

    Args:
        context: numba's.
        x: int32 ``(rows, lanes)``.
        row: the first of the rows to pack.
        count: how many rows, 1 to 4.
        less: subtracted from each element.
        s: the first lane.
        out: int32 ``(words, lanes)``.
        k: the word of ``out`` that is filled.
    """
    integers = (types.intp,) * 4
    return types.void(x, *integers, out, types.intp), _packed(BYTES)


@intrinsic  # type: ignore[untyped-decorator]
def _pack_pair(
    context: Any, x: Any, row: Any, count: Any, less: Any, s: Any, out: Any, k: Any
) -> Any:
    """As :func:`_pack_bytes`, for one word of two integers; ``count`` is 1 or 2."""
    integers = (types.intp,) * 4
    return types.void(x, *integers, out, types.intp), _packed(PAIRS)


@jit
def pack(x: Int32s, channels: int, base: int, size: int, out: Int32s) -> None:
    """Subtract ``base`` from integers and pack them.

    Args:
        x: integers ``(tiles, pixels * channels, lanes)``.
        channels: channels of a pixel.
        base: subtracted from each integer.
        size: numbers in a word.
        out: int32 ``(tiles, pixels * words + 1, lanes)``.
    """
    each = -(-channels // size)
    for t in range(len(x)):
        for k in range(out.shape[1] - 1):
            c = k % each * size
            row, count = k // each * channels + c, min(size, channels - c)
            for s in range(0, x.shape[2], LANES):
                if size == BYTES:
                    _pack_bytes(x[t], row, count, base, s, out[t], k)
                else:
                    _pack_pair(x[t], row, count, base, s, out[t], k)
        out[t, -1] = 0


@jit
def unpack(x: Words, channels: int, size: int, out: Int32s) -> None:
    """Pack bits as the numbers 0 and 1; ``x`` is words ``(tiles, words, lanes)`` of one plane."""
    each = -(-channels // size)
    for t in range(len(x)):
        for k in range(out.shape[1] - 1):
            c = k % each * size
            bit, count = k // each * channels + c, min(size, channels - c)
            row, right, over = bit // 64, bit % 64, bit % 64 + count > 64
            mask = (1 << count) - 1
            for s in range(x.shape[2]):
                value = x[t, row, s] >> right
                if over:
                    value |= x[t, row + 1, s] << (64 - right)
                out[t, k, s] = _spread_bits(value & mask, size)
        out[t, -1] = 0


@jit
def _spread_bits(bits: int, size: int) -> int:
    """Spread the lowest ``size`` bits: each becomes the lowest bit of a number of a packed word."""
    # The product has shifted copies of the bits; the mask keeps one bit of each copy.
    if size == BYTES:
        return (bits * 0x00204081) & 0x01010101
    return (bits * 0x00008001) & 0x00010001
