"""Binary neurons over small windows of integers: additions of 16 bits instead of bit planes.

The taps of a window are divided into quads of four. For each quad, the sums with all sixteen
combinations of signs are computed once for all channels. A channel then adds one of these sums for
each quad, for 32 samples in one instruction. As eight bit planes, a small window would fill less
than half of its words. For larger windows :mod:`.windows` is faster, and the tables here would not
fit into L1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from hwbnn.graph.arrays import Ints, Shorts, Words
from hwbnn.simulators.fast.kernels import FIRST, LANES, ZERO, jit, put_bits
from hwbnn.simulators.fast.windows import Grid

CHANNELS = 16
"""Channels of a block; their sign bits fill a short. Channels are padded to whole blocks."""
QUAD = 4
"""Taps of a quad; taps are padded to whole quads."""
SIGNS = 1 << QUAD
"""Sums in the table of a quad: sum ``i`` adds the taps whose bit in ``i`` is set and subtracts the
others."""
MOST = 64
"""Largest number of taps of a window; its tables (16 KiB) stay in a core's L1."""

LINE = 64
"""Bytes of a cache line, and of a vector; tables begin at a line."""

_WORD, _SHORT = ir.IntType(64), ir.IntType(16)
_VECTOR, _WORDS = ir.VectorType(_SHORT, LANES), ir.VectorType(_WORD, LANES)


@intrinsic  # type: ignore[untyped-decorator]
def _fill(context: Any, x: Any, places: Any, table: Any) -> Any:
    """Fill the table: for each quad of taps, the sums with all combinations of signs.

    Args:
        context: numba's.
        x: int16, flat.
        places: int64 ``(quads * QUAD,)``, the index in ``x`` of each tap's first sample.
        table: int16, ``(quads, SIGNS, LANES)`` flat, filled.
    """

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, b, given)
            for kind, given in zip(signature.args, arguments, strict=True)
        ]
        data, places, table = (array.data for array in arrays)
        (count,) = cgutils.unpack_tuple(b, arrays[1].shape)
        with cgutils.for_range(b, b.sdiv(count, _WORD(QUAD))) as loop:
            first = b.mul(loop.index, _WORD(QUAD))
            taps = [
                _row(b, data, b.load(b.gep(places, [b.add(first, _WORD(i))]))) for i in range(QUAD)
            ]
            sums = [b.neg(b.add(b.add(taps[0], taps[1]), b.add(taps[2], taps[3])))]
            for tap in taps:  # with the next bit set, the tap is added instead of subtracted
                twice = b.add(tap, tap)
                sums += [b.add(partial, twice) for partial in sums]
            begin = b.mul(loop.index, _WORD(SIGNS * LANES))
            for i, partial in enumerate(sums):
                place = b.gep(table, [b.add(begin, _WORD(i * LANES))])
                b.store(partial, b.bitcast(place, _VECTOR.as_pointer()), align=2)
        return context.get_dummy_value()

    return types.void(x, places, table), generate


@intrinsic  # type: ignore[untyped-decorator]
def _put_signs(
    context: Any, table: Any, chosen: Any, start: Any, block: Any, out: Any, s: Any
) -> Any:
    """Set the bits of those channels of a block whose sums are negative; they must be 0 before.

    Args:
        context: numba's.
        table: as filled by :func:`_fill`.
        chosen: int64 ``(blocks, quads, CHANNELS)``, the index in ``table`` of each sum to add.
        start: int16 ``(blocks * CHANNELS,)``, added to the sums.
        block: which block.
        out: words ``(words of the channels, lanes)``.
        s: the first lane.
    """

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        table, chosen, start, out = (
            context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 1, 2, 4)
        )
        quads, lanes = (cgutils.unpack_tuple(b, a.shape)[1] for a in (chosen, out))
        block, s = arguments[3], arguments[5]
        sums = [cgutils.alloca_once(b, _VECTOR) for _ in range(CHANNELS)]
        for c, place in enumerate(sums):
            channel = b.add(b.mul(block, _WORD(CHANNELS)), _WORD(c))
            b.store(_spread(b, b.load(b.gep(start.data, [channel]))), place)
        first = b.mul(b.mul(block, quads), _WORD(CHANNELS))
        with cgutils.for_range(b, quads) as quad:
            own = b.gep(chosen.data, [b.add(first, b.mul(quad.index, _WORD(CHANNELS)))])
            for c, place in enumerate(sums):
                row = _row(b, table.data, b.load(b.gep(own, [_WORD(c)])))
                b.store(b.add(b.load(place), row), place)
        shift = cgutils.get_or_insert_function(
            b.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fshl.v{LANES}i16"
        )
        pushed = ir.Constant(_VECTOR, [0] * LANES)
        for place in reversed(sums):
            pushed = b.call(shift, [pushed, b.load(place), ir.Constant(_VECTOR, [1] * LANES)])
        # A word has the bits of four blocks.
        row = b.add(b.mul(b.lshr(block, _WORD(2)), lanes), s)
        place = b.bitcast(b.gep(out.data, [row]), _WORDS.as_pointer())
        left = b.mul(b.and_(block, _WORD(3)), _WORD(CHANNELS))
        bits = b.shl(b.zext(pushed, _WORDS), _spread(b, left))
        b.store(b.or_(b.load(place, align=8), bits), place, align=8)
        return context.get_dummy_value()

    return types.void(table, chosen, start, types.intp, out, types.intp), generate


def _row(builder: Any, data: Any, place: Any) -> Any:
    """The vector that begins at the index ``place``."""
    row = builder.bitcast(builder.gep(data, [place]), _VECTOR.as_pointer())
    return builder.load(row, align=2)


def _spread(builder: Any, number: Any) -> Any:
    """A vector that holds one number in all lanes."""
    undefined = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    first = builder.insert_element(undefined, number, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, first, lanes)


@jit
def signs(x: Shorts, grid: Grid, chosen: Ints, start: Shorts, kinds: Ints, out: Words) -> None:
    """Binary neurons: the sign bits of a start value plus sums of signed elements.

    Args:
        x: int16 ``(tiles, elements + 1, lanes)``, the last row 0.
        grid: geometry, without groups of channels.
        chosen: int64 ``(blocks, quads, CHANNELS)``: the index, in the tables of a window, of the
            sum with a channel's signs. The signs of padded taps and channels do not matter.
        start: int16 ``(classes, blocks * CHANNELS)``.
        kinds: class of each position, int64 ``(positions,)``.
        out: words ``(tiles, words, lanes)``, one plane.
    """
    lanes, quads = x.shape[2], chosen.shape[1]
    rows, places = np.empty(quads * QUAD, np.int64), np.empty(quads * QUAD, np.int64)
    memory = np.empty(quads * SIGNS * LANES + LINE, np.int16)
    skip = -memory.ctypes.data % LINE // 2
    table = memory[skip : skip + quads * SIGNS * LANES]
    bits = np.empty((-(-grid.outputs // 64), lanes), np.uint64)
    for t in range(len(x)):
        out[t], flat = ZERO, x[t].reshape(-1)
        for p in range(len(kinds)):
            _find(grid, p, x.shape[1] - 1, rows)
            bits[:] = ZERO
            for s in range(0, lanes, LANES):
                for k in range(len(rows)):
                    places[k] = rows[k] * lanes + s
                _fill(flat, places, table)
                for block in range(len(chosen)):
                    _put_signs(table, chosen, start[kinds[p]], block, bits, s)
            put_bits(bits, FIRST, grid.outputs, out[t], p * grid.outputs)


@jit
def _find(grid: Grid, p: int, nothing: int, rows: Ints) -> None:
    """The row of each tap of a window; ``nothing`` for padded taps and those outside the image."""
    y = p // grid.out_columns * grid.down - grid.top
    z = p % grid.out_columns * grid.right - grid.left
    rows[:] = nothing
    k = 0
    for i in range(y, y + grid.rows):
        for j in range(z, z + grid.columns):
            if 0 <= i < grid.height and 0 <= j < grid.width:
                for c in range(grid.channels):
                    rows[k + c] = (i * grid.width + j) * grid.channels + c
            k += grid.channels


@jit
def narrow(x: NDArray[Any], out: Shorts) -> None:
    """Copy integers ``(tiles, rows, lanes)``, which fit 16 bits, to shorts; append a row of 0."""
    for t in range(len(out)):
        for i in range(x.shape[1]):
            for s in range(x.shape[2]):
                out[t, i, s] = x[t, i, s]
        out[t, x.shape[1]] = 0
