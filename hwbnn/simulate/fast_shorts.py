"""Binary neurons over small windows of integers: additions of 16 bits instead of bit planes.

The sum of signed elements is twice the sum of those that one sign stands at, less the sum of all,
or the reverse. For each channel the rarer sign is taken, so that at most half of the window's rows
are added, 32 samples in an instruction. Of eight planes, a small window fills less than half of the
words; larger ones are quicker by :mod:`.fast_windows`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from hwbnn.simulate.fast_basis import FIRST, LANES, ZERO, Longs, Words, jit, put_bits
from hwbnn.simulate.fast_windows import Grid

Shorts = NDArray[np.int16]
CHANNELS = 16
"""Channels whose signs fill a short."""
TOGETHER = 4
"""Rows that are added at once; lists of taps are padded to a multiple."""

_WORD, _SHORT = ir.IntType(64), ir.IntType(16)
_VECTOR = ir.VectorType(_SHORT, LANES)


@intrinsic  # type: ignore[untyped-decorator]
def _push_signs(
    context: Any,
    x: Any,
    places: Any,
    taps: Any,
    turned: Any,
    start: Any,
    total: Any,
    first: Any,
    last: Any,
    out: Any,
) -> Any:
    """The signs of the channels ``first`` to ``last - 1``, the first lowest.

    Args:
        context: numba's.
        x: int16, flat.
        places: int64, where in ``x`` the samples of each tap are; behind the last, where zeros are.
        taps: int64 ``(channels, longest)``, those that are added.
        turned: int16 ``(channels,)``, -1 where the sum is subtracted, else 0.
        start: int16 ``(channels,)``, added to the result.
        total: int16 ``(LANES,)``, the sum of all taps.
        first: the first channel.
        last: the channel behind the last.
        out: int16 ``(LANES,)``.
    """

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        arrays = [
            context.make_array(signature.args[i])(context, b, arguments[i])
            for i in (0, 1, 2, 3, 4, 5, 8)
        ]
        x, places, taps, turned, start, total, out = (array.data for array in arrays)
        longest = cgutils.unpack_tuple(b, arrays[2].shape)[1]
        first, last = arguments[6:8]
        pushed = cgutils.alloca_once(b, _VECTOR)
        b.store(ir.Constant(_VECTOR, [0] * LANES), pushed)
        whole = b.load(b.bitcast(total, _VECTOR.as_pointer()), align=2)
        with cgutils.for_range(b, b.sub(last, first)) as step:
            channel = b.sub(b.sub(last, step.index), _WORD(1))
            own = b.gep(taps, [b.mul(channel, longest)])
            added = _added(b, x, longest, lambda i: b.gep(places, [b.load(b.gep(own, [i]))]))
            sums = b.sub(b.add(added, added), whole)
            sums = b.xor(sums, _spread(b, b.load(b.gep(turned, [channel]))))
            sums = b.add(sums, _spread(b, b.load(b.gep(start, [channel]))))
            kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
            shift = cgutils.get_or_insert_function(b.module, kind, f"llvm.fshl.v{LANES}i16")
            one = ir.Constant(_VECTOR, [1] * LANES)
            b.store(b.call(shift, [b.load(pushed), sums, one]), pushed)
        b.store(b.load(pushed), b.bitcast(out, _VECTOR.as_pointer()), align=2)
        return context.get_dummy_value()

    ends = types.intp, types.intp
    return types.void(x, places, taps, turned, start, total, *ends, out), generate


@intrinsic  # type: ignore[untyped-decorator]
def _add_all(context: Any, x: Any, places: Any, out: Any) -> Any:
    """The sum of all taps; arguments as above."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, b, given)
            for kind, given in zip(signature.args, arguments, strict=True)
        ]
        data, places, out = (array.data for array in arrays)
        (count,) = cgutils.unpack_tuple(b, arrays[1].shape)
        added = _added(b, data, count, lambda i: b.gep(places, [i]))
        b.store(added, b.bitcast(out, _VECTOR.as_pointer()), align=2)
        return context.get_dummy_value()

    return types.void(x, places, out), generate


def _added(b: Any, x: Any, count: Any, place: Callable[[Any], Any]) -> Any:
    """Code of a sum of rows; ``place`` says where the place of each is to be read."""
    sums = cgutils.alloca_once(b, _VECTOR)
    b.store(ir.Constant(_VECTOR, [0] * LANES), sums)
    with cgutils.for_range(b, b.sdiv(count, _WORD(TOGETHER))) as loop:
        first, rows = b.mul(loop.index, _WORD(TOGETHER)), []
        for i in range(TOGETHER):
            row = b.gep(x, [b.load(place(b.add(first, _WORD(i))))])
            rows.append(b.load(b.bitcast(row, _VECTOR.as_pointer()), align=2))
        pairs = [b.add(*rows[i : i + 2]) for i in range(0, TOGETHER, 2)]
        b.store(b.add(b.load(sums), b.add(*pairs)), sums)
    return b.load(sums)


def _spread(builder: Any, short: Any) -> Any:
    """A vector of one short."""
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), short, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, first, lanes)


@jit
def signs(
    x: Shorts,
    grid: Grid,
    taps: Longs,
    turned: Shorts,
    start: Shorts,
    kinds: Longs,
    out: Words,
) -> None:
    """Binary neurons: the sign bits of sums of signed elements, turned or not, plus a start.

    Args:
        x: int16 ``(tiles, elements + 1, lanes)``, the last row 0.
        grid: geometry, without groups.
        taps: int64 ``(outputs, longest)``: the taps of the rarer sign, padded with the one behind
            the last to a multiple of :data:`TOGETHER`.
        turned: int16 ``(outputs,)``: -1 where the result is minus the sum less 1, else 0.
        start: int16 ``(classes, outputs)``.
        kinds: class of each position, int64 ``(positions,)``.
        out: words ``(tiles, words, lanes)``, one plane.
    """
    lanes, size = x.shape[2], grid.rows * grid.columns * grid.channels
    padded = size + TOGETHER - size % TOGETHER
    rows, places = np.empty(padded, np.int64), np.empty(padded, np.int64)
    made = np.empty((-(-grid.outputs // 64), lanes), np.uint64)
    total, bits = np.empty(LANES, np.int16), np.empty(LANES, np.int16)
    for t in range(len(x)):
        out[t], flat = ZERO, x[t].reshape(-1)
        for p in range(len(kinds)):
            _find(grid, p, x.shape[1] - 1, rows)
            made[:] = ZERO
            for s in range(0, lanes, LANES):
                for k in range(padded):
                    places[k] = rows[k] * lanes + s
                _add_all(flat, places, total)
                for c in range(0, grid.outputs, CHANNELS):
                    last = min(c + CHANNELS, grid.outputs)
                    _push_signs(flat, places, taps, turned, start[kinds[p]], total, c, last, bits)
                    shift = np.uint64(c % 64)
                    for i in range(LANES):
                        made[c // 64, s + i] |= np.uint64(np.uint16(bits[i])) << shift
            put_bits(made, FIRST, grid.outputs, out[t], p * grid.outputs)


@jit
def _find(grid: Grid, p: int, nothing: int, rows: Longs) -> None:
    """The row of each tap of a window, and ``nothing`` for taps outside the image and the last."""
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
    """Integers of a few bits ``(tiles, rows, lanes)`` as shorts, and a row of 0 behind them."""
    for t in range(len(out)):
        for i in range(x.shape[1]):
            for s in range(x.shape[2]):
                out[t, i, s] = x[t, i, s]
        out[t, x.shape[1]] = 0
