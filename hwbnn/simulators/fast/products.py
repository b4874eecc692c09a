"""Kernels of weighted sums with integer weights: products of 8 or 16 bits, added up in 32.

With ``x = base + gain * u`` a sum is a constant plus ``gain`` times the products of ``u`` with the
weights. The window of each position is packed into *words* of 32 bits a sample: four codes ``u`` of
8 bits, or two integers of 16. A word of weights holds as many. What an instruction makes of two
words is the sum of their products:

- *bytes*: ``u`` is unsigned and a weight signed, and two neighbouring products must not pass 16
  bits. As many of them are added up in 16 bits as their range allows, then in 32.
- *shorts*: both are signed; two products are added up in 32 bits at once.

The sums of a *tile*, :data:`CHANNELS` channels by :data:`~hwbnn.simulators.fast.kernels.LANES`
samples in vectors of eight, stay in registers while the words go by, as in :mod:`.windows`. Where
the processor has no such instructions, LLVM gets plain multiplications, which give the same sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwbnn.graph.arrays import Array, Int32s, Ints, Words
from hwbnn.simulators.fast.kernels import LANES, jit
from hwbnn.simulators.fast.windows import Grid, gather

CHANNELS = 2
"""Channels of a tile; weights are padded to whole tiles."""
VECTOR = 8
VECTORS = LANES // VECTOR
STRIP = 96
"""Words of a window that meet all weights before the next do: 12 KiB of a core's L1."""
WORTH = 4
"""Words that 16 bits must hold so that adding up in 16 bits first is quicker."""
BYTES, SHORTS = 4, 2
"""Numbers in a word of each kind."""

_PLACE, _WORD, _SHORT, _BYTE = (ir.IntType(n) for n in (64, 32, 16, 8))
_VECTOR = ir.VectorType(_WORD, VECTOR)
_SUMS = [(c, v) for c in range(CHANNELS) for v in range(VECTORS)]


def _spread(b: Any, word: Any) -> Any:
    """A vector of one word."""
    first = b.insert_element(ir.Constant(_VECTOR, ir.Undefined), word, _WORD(0))
    return b.shuffle_vector(first, first, ir.Constant(_VECTOR, [0] * VECTOR))


def _cut(b: Any, words: Any, first: int, bits: int, signed: bool) -> Any:
    """Some bits of each word, as numbers of 32 bits."""
    above = ir.Constant(_VECTOR, [32 - bits - first] * VECTOR)
    unused = ir.Constant(_VECTOR, [32 - bits] * VECTOR)
    return (b.ashr if signed else b.lshr)(b.shl(words, above), unused)


def _written_out(b: Any, x: Any, w: Any, size: int) -> Any:
    """The sums of products of words that hold ``size`` numbers each, without own instructions."""
    bits = 32 // size
    products = [
        b.mul(_cut(b, x, bits * i, bits, size == SHORTS), _cut(b, w, bits * i, bits, True))
        for i in range(size)
    ]
    total = products[0]
    for product in products[1:]:
        total = b.add(total, product)
    return total


def _instruction(b: Any, name: str, part: Any, result: Any, x: Any, w: Any) -> Any:
    """One of the processor's instructions on vectors of parts of words."""
    given, made = (ir.VectorType(t, VECTOR * 32 // t.width) for t in (part, result))
    kind = ir.FunctionType(made, [given, given])
    function = cgutils.get_or_insert_function(b.module, kind, f"llvm.x86.avx2.{name}")
    return b.call(function, [b.bitcast(x, given), b.bitcast(w, given)])


def _has_instructions(context: Any) -> bool:
    _, _, features = context.codegen().magic_tuple()
    return "+avx2" in features


def _sum_place(b: Any, total: Any, block: Any, c: int, v: int) -> Any:
    """Where a vector of a tile's sums is kept."""
    first = b.mul(block, _PLACE(CHANNELS * LANES))
    place = b.gep(total, [b.add(first, _PLACE(c * LANES + v * VECTOR))])
    return b.bitcast(place, _VECTOR.as_pointer())


def _tile(
    context: Any, b: Any, signature: Any, arguments: Any, total: Any, size: int
) -> dict[Any, Any]:
    """Code of a tile: its sums by channel and vector. Arguments are those of :func:`tile_bytes`."""
    x, w = (context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 1))
    begin, stop, block, chunk = arguments[3:7]
    samples, rows = x.data, context.make_array(signature.args[2])(context, b, arguments[2]).data
    count = cgutils.unpack_tuple(b, w.shape)[1]
    weights = b.gep(w.data, [b.mul(b.mul(block, count), _PLACE(CHANNELS))])
    own = _has_instructions(context)
    sums = {place: cgutils.alloca_once(b, _VECTOR) for place in _SUMS}
    for (c, v), place in sums.items():
        b.store(b.load(_sum_place(b, total, block, c, v), align=4), place)

    def each(k: Any, add: Any) -> None:
        """Add the products of one word to all sums."""
        first = b.mul(b.load(b.gep(rows, [k])), _PLACE(LANES))
        row = b.bitcast(b.gep(samples, [first]), _VECTOR.as_pointer())
        vectors = [b.load(b.gep(row, [_PLACE(v)]), align=4) for v in range(VECTORS)]
        column = b.gep(weights, [b.mul(k, _PLACE(CHANNELS))])
        for c in range(CHANNELS):
            weight = _spread(b, b.load(b.gep(column, [_PLACE(c)])))
            for v in range(VECTORS):
                add((c, v), vectors[v], weight)

    def directly(place: Any, x: Any, w: Any) -> None:
        if not own:
            found = _written_out(b, x, w, size)
        elif size == SHORTS:
            found = _instruction(b, "pmadd.wd", _SHORT, _WORD, x, w)
        else:
            pairs = _instruction(b, "pmadd.ub.sw", _BYTE, _SHORT, x, w)
            found = _instruction(b, "pmadd.wd", _SHORT, _WORD, pairs, ones)
        b.store(b.add(b.load(sums[place]), found), sums[place])

    shorts = ir.VectorType(_SHORT, 2 * VECTOR)
    ones = ir.Constant(shorts, [1] * 2 * VECTOR)
    if not own or size == SHORTS:
        with cgutils.for_range(b, stop, start=begin) as loop:
            each(loop.index, directly)
        return {place: b.load(found) for place, found in sums.items()}
    few = b.icmp_signed("<", chunk, _PLACE(WORTH))
    with b.if_then(few), cgutils.for_range(b, stop, start=begin) as loop:
        each(loop.index, directly)
    with b.if_then(b.not_(few)):
        _add_narrowly(b, (begin, stop, chunk), each, sums)
    return {place: b.load(found) for place, found in sums.items()}


def _add_narrowly(b: Any, words: tuple[Any, Any, Any], each: Any, sums: dict[Any, Any]) -> None:
    """Code that adds the products of bytes up in 16 bits, ``chunk`` words at a time."""
    begin, stop, chunk = words
    shorts = ir.VectorType(_SHORT, 2 * VECTOR)
    ones = ir.Constant(shorts, [1] * 2 * VECTOR)
    narrow = {place: cgutils.alloca_once(b, shorts) for place in _SUMS}

    def narrowly(place: Any, x: Any, w: Any) -> None:
        found = _instruction(b, "pmadd.ub.sw", _BYTE, _SHORT, x, w)
        b.store(b.add(b.load(narrow[place]), found), narrow[place])

    with cgutils.for_range_slice(b, begin, stop, chunk, inc=True) as (first, _):
        for place in narrow.values():
            b.store(ir.Constant(shorts, [0] * 2 * VECTOR), place)
        end = b.add(first, chunk)
        end = b.select(b.icmp_signed("<", end, stop), end, stop)
        with cgutils.for_range(b, end, start=first) as loop:
            each(loop.index, narrowly)
        for place, found in narrow.items():
            wide = _instruction(b, "pmadd.wd", _SHORT, _WORD, b.load(found), ones)
            b.store(b.add(b.load(sums[place]), wide), sums[place])


def _added(size: int) -> Any:
    """The generator of code that adds to a tile's sums."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        total = context.make_array(signature.args[7])(context, b, arguments[7]).data
        for (c, v), found in _tile(context, b, signature, arguments, total, size).items():
            b.store(found, _sum_place(b, total, arguments[5], c, v), align=4)
        return context.get_dummy_value()

    return generate


_INTEGERS = (types.intp,) * 4


@intrinsic  # type: ignore[untyped-decorator]
def tile_bytes(
    context: Any,
    x: Any,
    w: Any,
    rows: Any,
    begin: Any,
    stop: Any,
    block: Any,
    chunk: Any,
    total: Any,
) -> Any:
    """Add the products of a tile to its sums, of some words of bytes.

    Args:
        context: numba's.
        x: int32 ``(rows, LANES)``.
        w: weights, int32 ``(blocks, words, CHANNELS)``.
        rows: which row of ``x`` each word is, int64 ``(words,)``.
        begin: the first word.
        stop: the word behind the last.
        block: which block of channels.
        chunk: words whose products 16 bits hold.
        total: the sums, int32 ``(blocks * CHANNELS, LANES)``.
    """
    return types.void(x, w, rows, *_INTEGERS, total), _added(BYTES)


@intrinsic  # type: ignore[untyped-decorator]
def tile_shorts(
    context: Any,
    x: Any,
    w: Any,
    rows: Any,
    begin: Any,
    stop: Any,
    block: Any,
    chunk: Any,
    total: Any,
) -> Any:
    """The same of words of shorts; ``chunk`` is not looked at."""
    return types.void(x, w, rows, *_INTEGERS, total), _added(SHORTS)


def _vectors(b: Any, data: Any, row: Any, lanes: Any, s: Any) -> list[Any]:
    """Pointers to the vectors of a row, from a lane on."""
    first = b.gep(data, [b.add(b.mul(row, lanes), s)])
    vectors = b.bitcast(first, _VECTOR.as_pointer())
    return [b.gep(vectors, [_PLACE(v)]) for v in range(VECTORS)]


def _packed(size: int) -> Any:
    """The generator of code that packs a word."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        x, taps, out = (
            context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 1, 5)
        )
        k, s, less = arguments[2:5]
        lanes = cgutils.unpack_tuple(b, x.shape)[1]
        below = _spread(b, b.trunc(less, _WORD))
        mask = ir.Constant(_VECTOR, [(1 << 32 // size) - 1] * VECTOR)
        words = [ir.Constant(_VECTOR, [0] * VECTOR)] * VECTORS
        for i in range(size):
            row = b.load(b.gep(taps.data, [b.add(b.mul(k, _PLACE(size)), _PLACE(i))]))
            left = ir.Constant(_VECTOR, [32 // size * i] * VECTOR)
            for v, place in enumerate(_vectors(b, x.data, row, lanes, s)):
                number = b.and_(b.sub(b.load(place, align=4), below), mask)
                words[v] = b.or_(words[v], b.shl(number, left))
        places = _vectors(b, out.data, k, _PLACE(LANES), _PLACE(0))
        for place, word in zip(places, words, strict=True):
            b.store(word, place, align=4)
        return context.get_dummy_value()

    return generate


@intrinsic  # type: ignore[untyped-decorator]
def _pack_bytes(context: Any, x: Any, taps: Any, k: Any, s: Any, less: Any, out: Any) -> Any:
    """One word of :func:`_pack` all of whose taps see an element, of bytes."""
    return types.void(x, taps, types.intp, types.intp, types.intp, out), _packed(BYTES)


@intrinsic  # type: ignore[untyped-decorator]
def _pack_shorts(context: Any, x: Any, taps: Any, k: Any, s: Any, less: Any, out: Any) -> Any:
    """The same of shorts."""
    return types.void(x, taps, types.intp, types.intp, types.intp, out), _packed(SHORTS)


@intrinsic  # type: ignore[untyped-decorator]
def _put_channel(
    context: Any, total: Any, c: Any, constant: Any, twice: Any, s: Any, out: Any
) -> Any:
    """One channel of :func:`_put`."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        total, out = (
            context.make_array(signature.args[i])(context, b, arguments[i]) for i in (0, 5)
        )
        c, constant, twice, s = arguments[1:5]
        lanes = cgutils.unpack_tuple(b, out.shape)[1]
        added, left = (_spread(b, b.trunc(a, _WORD)) for a in (constant, twice))
        sources = _vectors(b, total.data, c, _PLACE(LANES), _PLACE(0))
        for source, place in zip(sources, _vectors(b, out.data, c, lanes, s), strict=True):
            b.store(b.add(b.shl(b.load(source, align=4), left), added), place, align=4)
        return context.get_dummy_value()

    return types.void(total, *_INTEGERS, out), generate


@jit
def _taps(grid: Grid, p: int, first: int, out: Ints) -> None:
    """The elements under the taps of a window, and -1 for taps outside and behind the last.

    Args:
        grid: geometry.
        p: the position.
        first: channel that the group begins with.
        out: int64 ``(taps,)``.
    """
    y = p // grid.out_columns * grid.down - grid.top
    z = p % grid.out_columns * grid.right - grid.left
    depth = grid.channels // grid.groups
    out[:] = -1
    for i in range(max(0, -y), min(grid.rows, grid.height - y)):
        for j in range(max(0, -z), min(grid.columns, grid.width - z)):
            element = ((y + i) * grid.width + z + j) * grid.channels + first
            place = (i * grid.columns + j) * depth
            for c in range(depth):
                out[place + c] = element + c


@jit
def _pack(x: Int32s, s: int, base: int, taps: Ints, size: int, out: Int32s) -> None:
    """Elements less ``base`` as words of ``size``; 0 for taps that see none.

    Args:
        x: integers ``(rows, lanes)``.
        s: the first lane.
        base: taken off.
        taps: the element of each number, or -1, int64 ``(words * size,)``.
        size: numbers in a word.
        out: int32 ``(words, LANES)``.
    """
    less, mask = np.int32(base), np.int32((1 << 32 // size) - 1)
    for k in range(len(taps) // size):
        every = True
        for i in range(k * size, (k + 1) * size):
            every &= taps[i] >= 0
        if every and size == BYTES:
            _pack_bytes(x, taps, k, s, base, out)
        elif every:
            _pack_shorts(x, taps, k, s, base, out)
        else:
            out[k] = 0
            for i in range(size):
                tap, left = taps[k * size + i], np.int32(32 // size * i)
                if tap >= 0:
                    for n in range(LANES):
                        out[k, n] |= ((x[tap, s + n] - less) & mask) << left


@jit
def _unpack(x: Words, s: int, size: int, out: Int32s) -> None:
    """Bits as words of ``size`` numbers 0 and 1.

    Args:
        x: words of 64 bits ``(rows, lanes)``.
        s: the first lane.
        size: numbers in a word.
        out: int32 ``(words, LANES)``.
    """
    each = 64 // size
    # A product with ones at every so many bits spreads the bits of a word; a mask picks them.
    spread = np.uint32(0x00204081 if size == BYTES else 0x00008001)
    mask = np.uint32(0x01010101 if size == BYTES else 0x00010001)
    for k in range(len(out)):
        right = np.uint64(k % each * size)
        for n in range(LANES):
            found = np.uint32(x[k // each, s + n] >> right) & np.uint32((1 << size) - 1)
            out[k, n] = np.int32(np.uint32(found * spread) & mask)


@jit
def _rows_of(grid: Grid, p: int, first: int, size: int, nothing: int, rows: Ints) -> None:
    """The words of a window in a whole value whose pixels fill words.

    Args:
        grid: geometry.
        p: the position.
        first: channel that the group begins with.
        size: numbers in a word.
        nothing: the word for places outside.
        rows: filled, int64 ``(words,)``.
    """
    y = p // grid.out_columns * grid.down - grid.top
    z = p % grid.out_columns * grid.right - grid.left
    depth = grid.channels // grid.groups // size
    k = 0
    for i in range(y, y + grid.rows):
        for j in range(z, z + grid.columns):
            inside = 0 <= i < grid.height and 0 <= j < grid.width
            row = ((i * grid.width + j) * grid.channels + first) // size
            for c in range(depth):
                rows[k] = row + c if inside else nothing
                k += 1


@jit
def _sums_of(words: Int32s, rows: Ints, w: Int32s, size: int, chunk: int, total: Int32s) -> None:
    """The sums of products of one window, some words at a time, which stay in a core's L1.

    Args:
        words: int32 ``(rows, LANES)``.
        rows: which of them the words of the window are, int64 ``(words,)``.
        w: weights, int32 ``(blocks, words, CHANNELS)``.
        size: numbers in a word.
        chunk: words whose products 16 bits hold.
        total: filled, int32 ``(blocks * CHANNELS, LANES)``.
    """
    total[:] = 0
    for begin in range(0, len(rows), STRIP):
        stop = min(begin + STRIP, len(rows))
        for block in range(len(w)):
            if size == BYTES:
                tile_bytes(words, w, rows, begin, stop, block, chunk, total)
            else:
                tile_shorts(words, w, rows, begin, stop, block, chunk, total)


@jit
def _put(total: Int32s, s: int, constant: Ints, gain: int, out: Int32s) -> None:
    """A constant of each channel and ``gain`` times its sums, ``out`` ``(channels, lanes)``."""
    for c in range(len(out)):  # the gain is 1 or 2
        _put_channel(total, c, constant[c], gain - 1, s, out)


@jit
def sums_of_integers(
    x: Int32s,
    base: int,
    grid: Grid,
    w: Array,
    size: int,
    chunk: int,
    constant: Ints,
    kinds: Ints,
    out: Int32s,
) -> None:
    """Weighted sums of integers.

    Args:
        x: integers ``(tiles, rows, lanes)``.
        base: what is taken off them so that ``size`` fit into a word.
        grid: geometry.
        w: weights, int32 ``(groups, blocks, words, CHANNELS)``, padded with 0.
        size: numbers in a word.
        chunk: words whose products 16 bits hold.
        constant: int64 ``(classes, outputs)``.
        kinds: class of each position, int64 ``(positions,)``.
        out: integers ``(tiles, positions * outputs, lanes)``.
    """
    groups, blocks, count, _ = w.shape
    own, depth = grid.outputs // groups, grid.channels // groups
    # Where pixels fill words the whole value is packed once, else each window.
    once = depth % size == 0
    elements = x.shape[1] if once else 0
    whole, taps = np.arange(elements), np.empty(count * size, np.int64)
    words = np.zeros((max(count, elements // size + 1), LANES), np.int32)
    total, rows = np.empty((blocks * CHANNELS, LANES), np.int32), np.arange(count)
    for t in range(len(x)):
        for s in range(0, x.shape[2], LANES):
            _pack(x[t], s, base, whole, size, words)
            for p in range(len(kinds)):
                for g in range(groups):
                    if once:
                        _rows_of(grid, p, g * depth, size, elements // size, rows)
                    else:
                        _taps(grid, p, g * depth, taps)
                        _pack(x[t], s, base, taps, size, words)
                    c = g * own
                    o, added = p * grid.outputs + c, constant[kinds[p], c : c + own]
                    _sums_of(words, rows, w[g], size, chunk, total)
                    _put(total, s, added, 1, out[t, o : o + own])


@jit
def sums_of_bits(
    x: Words,
    grid: Grid,
    w: Array,
    size: int,
    chunk: int,
    constant: Ints,
    kinds: Ints,
    out: Int32s,
) -> None:
    """Weighted sums of bits; arguments as above, ``x`` words ``(tiles, words, lanes)``."""
    groups, blocks, count, _ = w.shape
    own, depth = grid.outputs // groups, grid.channels // groups
    once = depth % size == 0
    elements = grid.height * grid.width * grid.channels if once else 0
    words = np.zeros((max(count, elements // size + 1), LANES), np.int32)
    total, rows = np.empty((blocks * CHANNELS, LANES), np.int32), np.arange(count)
    window = np.empty((-(-count * size // 64), x.shape[2]), np.uint64)
    for t in range(len(x)):
        for s in range(0, x.shape[2], LANES):
            _unpack(x[t], s, size, words[: elements // size])
            for p in range(len(kinds)):
                y = p // grid.out_columns * grid.down - grid.top
                z = p % grid.out_columns * grid.right - grid.left
                for g in range(groups):
                    if once:
                        _rows_of(grid, p, g * depth, size, elements // size, rows)
                    else:
                        gather(x[t], 1, grid, y, z, g * depth, window)
                        _unpack(window, s, size, words[:count])
                    c = g * own
                    o, added = p * grid.outputs + c, constant[kinds[p], c : c + own]
                    _sums_of(words, rows, w[g], size, chunk, total)
                    _put(total, s, added, 2, out[t, o : o + own])
