"""Kernels that pack the channels of each pixel into words of 32 bits, for :mod:`.products`.

A value in the form *bytes* has four codes ``u`` of 8 bits in a word, one in the form *pairs* two
integers of 16 bits; the first channel is in the lowest bits. The last word of a pixel is filled up
with 0, and so is a row behind the last pixel, which stands for places outside the image.
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
    """Code of a vector of one word."""
    first = b.insert_element(ir.Constant(EIGHT, ir.Undefined), word, WORD(0))
    return b.shuffle_vector(first, first, ir.Constant(EIGHT, [0] * VECTOR))


def vectors(b: Any, data: Any, row: Any, lanes: Any, s: Any) -> list[Any]:
    """Pointers to the vectors of a row, from a lane on."""
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
        row: the first of the rows.
        count: how many, 1 to 4.
        less: taken off each element.
        s: the first lane.
        out: int32 ``(words, lanes)``.
        k: which of them is filled.
    """
    integers = (types.intp,) * 4
    return types.void(x, *integers, out, types.intp), _packed(BYTES)


@intrinsic  # type: ignore[untyped-decorator]
def _pack_pair(
    context: Any, x: Any, row: Any, count: Any, less: Any, s: Any, out: Any, k: Any
) -> Any:
    """The same into one word of two integers."""
    integers = (types.intp,) * 4
    return types.void(x, *integers, out, types.intp), _packed(PAIRS)


@jit
def pack(x: Int32s, channels: int, base: int, size: int, out: Int32s) -> None:
    """Integers less ``base``, packed.

    Args:
        x: integers ``(tiles, pixels * channels, lanes)``.
        channels: of a pixel.
        base: taken off.
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
    """Bits as numbers 0 and 1, packed; ``x`` words ``(tiles, words, lanes)`` of one plane."""
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
    """The lowest bits of a word, each in the lowest bit of a number of its own."""
    # A product with ones at every so many bits spreads them; a mask picks those that are wanted.
    if size == BYTES:
        return (bits * 0x00204081) & 0x01010101
    return (bits * 0x00008001) & 0x00010001
