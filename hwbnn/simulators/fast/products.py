"""Kernels of weighted sums with integer weights: products of 8 or 16 bits, added up in 32.

A value ``x = base + gain * u`` and the weights are packed (:mod:`.packed`). A sum is a constant
plus ``gain`` times the sum of the products of ``u`` with the weights. One or two instructions
compute the sum of the products of two words:

- *bytes*: ``u`` is unsigned and a weight signed, and the sum of two neighbouring products must fit
  16 bits. As many sums are added up in 16 bits as their range allows, then in 32.
- *pairs*: both are signed; two products are added up in 32 bits directly.

The sums of a *tile*, :data:`CHANNELS` channels by :data:`~hwbnn.simulators.fast.kernels.LANES`
samples in vectors of eight, stay in registers during the loop over the words, as in
:mod:`.windows`. If the processor has no such instructions, the code has plain multiplications,
which give the same sums.

The sums of a window are then stored (:func:`sums`), or a ``Threshold`` turns them into integers
(:func:`levels`) or bits (:func:`bits`) while they are in a core's L1.
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
from hwbnn.simulators.fast.packed import (
    BYTES,
    EIGHT,
    PAIRS,
    PLACE,
    VECTOR,
    VECTORS,
    WORD,
    spread,
    vectors,
)
from hwbnn.simulators.fast.thresholds import push_bits, put_level
from hwbnn.simulators.fast.windows import Grid

CHANNELS = 2
"""Channels of a tile; weights are padded to whole tiles."""
STRIP = 96
"""Words of a window that are multiplied by all weights before the next: 12 KiB of a core's L1."""
WORTH = 4
"""Least number of words for which adding up in 16 bits first is faster."""

_SHORT, _BYTE = ir.IntType(16), ir.IntType(8)
_SHORTS = ir.VectorType(_SHORT, 2 * VECTOR)
_SUMS = [(c, v) for c in range(CHANNELS) for v in range(VECTORS)]
_ONE = types.intp

# ---- Tiles ----


def _has_instructions(context: Any) -> bool:
    _, _, features = context.codegen().magic_tuple()
    return "+avx2" in features


def _instruction(b: Any, name: str, part: Any, result: Any, x: Any, w: Any) -> Any:
    """One of the processor's instructions; its vectors have elements of types part and result."""
    given, whole = (ir.VectorType(t, VECTOR * 32 // t.width) for t in (part, result))
    kind = ir.FunctionType(whole, [given, given])
    function = cgutils.get_or_insert_function(b.module, kind, f"llvm.x86.avx2.{name}")
    return b.call(function, [b.bitcast(x, given), b.bitcast(w, given)])


def _products(b: Any, own: bool, size: int, x: Any, w: Any) -> Any:
    """The sums of the products of two vectors of words, in 32 bits."""
    if not own:
        return _written_out(b, size, x, w)
    if size == PAIRS:
        return _instruction(b, "pmadd.wd", _SHORT, WORD, x, w)
    return _widened(b, _instruction(b, "pmadd.ub.sw", _BYTE, _SHORT, x, w))


def _widened(b: Any, sums: Any) -> Any:
    """Sums of 16 bits, each two neighbours added up in 32 bits."""
    return _instruction(b, "pmadd.wd", _SHORT, WORD, sums, ir.Constant(_SHORTS, [1] * 2 * VECTOR))


def _written_out(b: Any, size: int, x: Any, w: Any) -> Any:
    """The sums of products, computed by plain shifts and multiplications."""
    bits, total = 32 // size, ir.Constant(EIGHT, [0] * VECTOR)
    for i in range(size):
        above = ir.Constant(EIGHT, [32 - bits - bits * i] * VECTOR)
        unused = ir.Constant(EIGHT, [32 - bits] * VECTOR)
        right = b.ashr if size == PAIRS else b.lshr
        number, weight = right(b.shl(x, above), unused), b.ashr(b.shl(w, above), unused)
        total = b.add(total, b.mul(number, weight))
    return total


def _added(size: int) -> Any:
    """The generator of code that adds the products of a tile to its sums."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        x, w, rows, total = (
            context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 1, 2, 8)
        )
        s, begin, stop, block, batch = arguments[3:8]
        lanes, count = (cgutils.unpack_tuple(b, a.shape)[1] for a in (x, w))
        weights = b.gep(w.data, [b.mul(b.mul(block, count), PLACE(CHANNELS))])
        own = _has_instructions(context)
        first = b.mul(block, PLACE(CHANNELS))
        kept = {
            (c, v): place
            for c in range(CHANNELS)
            for v, place in enumerate(
                vectors(b, total.data, b.add(first, PLACE(c)), PLACE(LANES), PLACE(0))
            )
        }
        sums = {place: cgutils.alloca_once(b, EIGHT) for place in _SUMS}
        for place in _SUMS:
            b.store(b.load(kept[place], align=4), sums[place])

        def each(k: Any, add: Any) -> None:
            """Add the products of one word to all sums."""
            row = vectors(b, x.data, b.load(b.gep(rows.data, [k])), lanes, s)
            numbers = [b.load(place, align=4) for place in row]
            column = b.gep(weights, [b.mul(k, PLACE(CHANNELS))])
            for c in range(CHANNELS):
                weight = spread(b, b.load(b.gep(column, [PLACE(c)])))
                for v in range(VECTORS):
                    add((c, v), numbers[v], weight)

        def add(place: Any, x: Any, w: Any) -> None:
            found = _products(b, own, size, x, w)
            b.store(b.add(b.load(sums[place]), found), sums[place])

        if own and size == BYTES:
            several = b.icmp_signed(">=", batch, PLACE(WORTH))
            with b.if_else(several) as (narrowly, directly):
                with narrowly:
                    _add_narrowly(b, (begin, stop, batch), each, sums)
                with directly, cgutils.for_range(b, stop, start=begin) as loop:
                    each(loop.index, add)
        else:
            with cgutils.for_range(b, stop, start=begin) as loop:
                each(loop.index, add)
        for place in _SUMS:
            b.store(b.load(sums[place]), kept[place], align=4)
        return context.get_dummy_value()

    return generate


def _add_narrowly(b: Any, words: tuple[Any, Any, Any], each: Any, sums: dict[Any, Any]) -> None:
    """Code that adds up products of bytes in 16 bits, ``batch`` words at a time."""
    begin, stop, batch = words
    narrow = {place: cgutils.alloca_once(b, _SHORTS) for place in _SUMS}

    def add(place: Any, x: Any, w: Any) -> None:
        found = _instruction(b, "pmadd.ub.sw", _BYTE, _SHORT, x, w)
        b.store(b.add(b.load(narrow[place]), found), narrow[place])

    with cgutils.for_range_slice(b, begin, stop, batch, inc=True) as (first, _):
        for place in narrow.values():
            b.store(ir.Constant(_SHORTS, [0] * 2 * VECTOR), place)
        end = b.add(first, batch)
        end = b.select(b.icmp_signed("<", end, stop), end, stop)
        with cgutils.for_range(b, end, start=first) as loop:
            each(loop.index, add)
        for place, found in narrow.items():
            b.store(b.add(b.load(sums[place]), _widened(b, b.load(found))), sums[place])


@intrinsic  # type: ignore[untyped-decorator]
def _add_bytes(
    context: Any, x: Any, w: Any, rows: Any, s: Any, begin: Any, stop: Any, block: Any, batch: Any,
    total: Any,
) -> Any:  # fmt: skip
    """Add to the sums of a tile the products of words ``begin`` to ``stop - 1``, in bytes.

    Args:
        context: numba's.
        x: int32 ``(rows, lanes)``.
        w: weights, int32 ``(blocks, words, CHANNELS)``.
        rows: the row of ``x`` that holds each word, int64 ``(words,)``.
        s: the first lane.
        begin: the first word.
        stop: the word behind the last.
        block: the number of the block of channels.
        batch: the most words whose products 16 bits can add up.
        total: the sums, int32 ``(blocks * CHANNELS, LANES)``.
    """
    return types.void(x, w, rows, _ONE, _ONE, _ONE, _ONE, _ONE, total), _added(BYTES)


@intrinsic  # type: ignore[untyped-decorator]
def _add_pairs(
    context: Any, x: Any, w: Any, rows: Any, s: Any, begin: Any, stop: Any, block: Any, batch: Any,
    total: Any,
) -> Any:  # fmt: skip
    """As :func:`_add_bytes`, for words of pairs; ``batch`` is not used."""
    return types.void(x, w, rows, _ONE, _ONE, _ONE, _ONE, _ONE, total), _added(PAIRS)


@jit
def _find(grid: Grid, size: int, p: int, group: int, nothing: int, rows: Ints) -> None:
    """Find the row of each word of a window.

    Args:
        grid: geometry.
        size: numbers in a word.
        p: the position.
        group: the group of channels.
        nothing: the row of 0 for pixels outside the image.
        rows: filled, int64 ``(words,)``.
    """
    y = p // grid.out_columns * grid.down - grid.top
    z = p % grid.out_columns * grid.right - grid.left
    each = -(-grid.channels // size)
    first = grid.channels // grid.groups * group // size
    count, k = len(rows) // (grid.rows * grid.columns), 0
    for i in range(y, y + grid.rows):
        for j in range(z, z + grid.columns):
            inside = 0 <= i < grid.height and 0 <= j < grid.width
            row = (i * grid.width + j) * each + first
            for c in range(count):
                rows[k] = row + c if inside else nothing
                k += 1


@jit
def _window(x: Int32s, s: int, rows: Ints, w: Int32s, size: int, batch: int, total: Int32s) -> None:
    """The sums of products of one window, in strips of words that stay in a core's L1.

    Args:
        x: int32 ``(rows, lanes)``.
        s: the first lane.
        rows: the row of ``x`` that holds each word of the window, int64 ``(words,)``.
        w: weights, int32 ``(blocks, words, CHANNELS)``.
        size: numbers in a word.
        batch: the most words whose products 16 bits can add up.
        total: filled, int32 ``(blocks * CHANNELS, LANES)``.
    """
    total[:] = 0
    for begin in range(0, len(rows), STRIP):
        stop = min(begin + STRIP, len(rows))
        for block in range(len(w)):
            if size == BYTES:
                _add_bytes(x, w, rows, s, begin, stop, block, batch, total)
            else:
                _add_pairs(x, w, rows, s, begin, stop, block, batch, total)


# ---- Storing the sums, or their thresholds ----


@intrinsic  # type: ignore[untyped-decorator]
def _put_sum(context: Any, total: Any, c: Any, constant: Any, twice: Any, s: Any, out: Any) -> Any:
    """Store the sums of one channel, doubled if ``twice``, plus a constant.

    Args:
        context: numba's.
        total: int32 ``(channels, LANES)``.
        c: the channel.
        constant: the constant.
        twice: 1 to double the sums, else 0.
        s: the first lane.
        out: int32 ``(channels, lanes)``.
    """

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        total, out = (
            context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 5)
        )
        c, constant, twice, s = arguments[1:5]
        lanes = cgutils.unpack_tuple(b, out.shape)[1]
        added, left = (spread(b, b.trunc(a, WORD)) for a in (constant, twice))
        sources = vectors(b, total.data, c, PLACE(LANES), PLACE(0))
        for source, place in zip(sources, vectors(b, out.data, c, lanes, s), strict=True):
            b.store(b.add(b.shl(b.load(source, align=4), left), added), place, align=4)
        return context.get_dummy_value()

    return types.void(total, _ONE, _ONE, _ONE, _ONE, out), generate


@jit
def sums(
    x: Int32s,
    grid: Grid,
    w: Array,
    size: int,
    batch: int,
    gain: int,
    constant: Ints,
    kinds: Ints,
    out: Int32s,
) -> None:
    """Weighted sums.

    Args:
        x: packed, int32 ``(tiles, pixels * words + 1, lanes)``.
        grid: geometry.
        w: weights, int32 ``(groups, blocks, words of a window, CHANNELS)``, padded with 0.
        size: numbers in a word.
        batch: the most words whose products 16 bits can add up.
        gain: 1 or 2, the factor of the sums of products.
        constant: int64 ``(classes, outputs)``.
        kinds: class of each position, int64 ``(positions,)``.
        out: integers ``(tiles, positions * outputs, lanes)``.
    """
    groups, blocks, count, _ = w.shape
    own, nothing = grid.outputs // groups, x.shape[1] - 1
    rows, total = np.empty(count, np.int64), np.empty((blocks * CHANNELS, LANES), np.int32)
    for t in range(len(x)):
        for p in range(len(kinds)):
            for g in range(groups):
                _find(grid, size, p, g, nothing, rows)
                added, o = constant[kinds[p], g * own :], p * grid.outputs + g * own
                for s in range(0, x.shape[2], LANES):
                    _window(x[t], s, rows, w[g], size, batch, total)
                    for c in range(own):
                        _put_sum(total, c, added[c], gain - 1, s, out[t, o:])


@jit
def levels(
    x: Int32s,
    grid: Grid,
    w: Array,
    size: int,
    batch: int,
    cuts: Int32s,
    base: int,
    kinds: Ints,
    out: Int32s,
) -> None:
    """``base`` plus the number of thresholds that sums of products reach.

    Args:
        x: as for :func:`sums`; so are ``grid``, ``w``, ``size``, ``batch``, ``kinds`` and ``out``.
        grid: geometry.
        w: weights.
        size: numbers in a word.
        batch: the most words whose products 16 bits can add up.
        cuts: int32 ``(classes, outputs, k)``; a sum reaches a threshold if it is above the cut.
        base: added to the number.
        kinds: class of each position.
        out: integers ``(tiles, positions * outputs, lanes)``.
    """
    groups, blocks, count, _ = w.shape
    own, nothing = grid.outputs // groups, x.shape[1] - 1
    rows, total = np.empty(count, np.int64), np.empty((blocks * CHANNELS, LANES), np.int32)
    for t in range(len(x)):
        for p in range(len(kinds)):
            for g in range(groups):
                _find(grid, size, p, g, nothing, rows)
                o = p * grid.outputs + g * own
                for s in range(0, x.shape[2], LANES):
                    _window(x[t], s, rows, w[g], size, batch, total)
                    for c in range(own):
                        put_level(
                            total, c, FIRST, cuts[kinds[p]], g * own + c, base, 1, out[t], o + c, s
                        )


@jit
def bits(
    x: Int32s,
    grid: Grid,
    w: Array,
    size: int,
    batch: int,
    cuts: Int32s,
    kinds: Ints,
    out: Words,
) -> None:
    """Whether sums of products are above their cuts.

    Args:
        x: as for :func:`sums`; so are ``grid``, ``w``, ``size``, ``batch`` and ``kinds``.
        grid: geometry.
        w: weights.
        size: numbers in a word.
        batch: the most words whose products 16 bits can add up.
        cuts: int32 ``(classes, groups, blocks * CHANNELS)``.
        kinds: class of each position.
        out: words ``(tiles, words, lanes)``, one plane.
    """
    groups, blocks, count, _ = w.shape
    own, nothing = grid.outputs // groups, x.shape[1] - 1
    rows, total = np.empty(count, np.int64), np.empty((blocks * CHANNELS, LANES), np.int32)
    words, half = np.empty((-(-own // 64), x.shape[2]), np.uint64), np.empty(LANES, np.uint32)
    for t in range(len(x)):
        out[t] = ZERO
        for p in range(len(kinds)):
            for g in range(groups):
                _find(grid, size, p, g, nothing, rows)
                words[:] = ZERO
                for s in range(0, x.shape[2], LANES):
                    _window(x[t], s, rows, w[g], size, batch, total)
                    for c in range(0, own, 32):
                        push_bits(
                            total, FIRST, FIRST, c, min(own, c + 32) - 1, cuts[kinds[p], g], half
                        )
                        for n in range(LANES):
                            words[c // 64, s + n] |= np.uint64(half[n]) << np.uint64(c % 64)
                put_bits(words, FIRST, own, out[t], p * grid.outputs + g * own)


@intrinsic  # type: ignore[untyped-decorator]
def _multiply_add(context: Any, x: Any, row: Any, w: Any, tap: Any, s: Any, out: Any) -> Any:
    """Add a tap's products to the sums of all channels; each channel has its own weight.

    Args:
        context: numba's.
        x: integers ``(rows, lanes)``.
        row: the row of the first channel.
        w: int32 ``(taps, channels)``.
        tap: the number of the tap.
        s: the first lane.
        out: integers ``(channels, lanes)``.
    """

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        x, w, out = (
            context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 2, 5)
        )
        row, tap, s = arguments[1], arguments[3], arguments[4]
        lanes, channels = (cgutils.unpack_tuple(b, a.shape)[1] for a in (x, w))
        weights = b.gep(w.data, [b.mul(tap, channels)])
        with cgutils.for_range(b, channels) as loop:
            weight = spread(b, b.load(b.gep(weights, [loop.index])))
            sources = vectors(b, x.data, b.add(row, loop.index), lanes, s)
            places = vectors(b, out.data, loop.index, lanes, s)
            for source, place in zip(sources, places, strict=True):
                product = b.mul(b.load(source, align=4), weight)
                b.store(b.add(b.load(place, align=4), product), place, align=4)
        return context.get_dummy_value()

    return types.void(x, _ONE, w, _ONE, _ONE, out), generate


@jit
def depthwise(x: Int32s, grid: Grid, w: Int32s, positions: int, out: Int32s) -> None:
    """Weighted sums of integers, each channel by itself.

    Args:
        x: integers ``(tiles, pixels * channels, lanes)``.
        grid: geometry; groups are single channels.
        w: int32 ``(taps, channels)``.
        positions: the number of windows.
        out: integers ``(tiles, positions * channels, lanes)``.
    """
    for t in range(len(x)):
        out[t] = 0
        for p in range(positions):
            y = p // grid.out_columns * grid.down - grid.top
            z = p % grid.out_columns * grid.right - grid.left
            own = out[t, p * grid.channels : (p + 1) * grid.channels]
            for i in range(max(0, y), min(grid.height, y + grid.rows)):
                for j in range(max(0, z), min(grid.width, z + grid.columns)):
                    tap = (i - y) * grid.columns + j - z
                    row = (i * grid.width + j) * grid.channels
                    for s in range(0, x.shape[2], LANES):
                        _multiply_add(x[t], row, w, tap, s, own)
