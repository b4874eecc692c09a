"""Kernels of weighted sums over windows of bits: ``Dot`` and ``Conv2d``.

A value ``x = base + gain * u``, with unsigned ``u`` in bit planes, is multiplied by weights -1 and
+1. Let ``M`` be the sum over the planes of ``2^plane`` times the number of bits in which plane and
weights differ. Then the sum of products is ``constant - gain * M``, where the constant depends on
the weights alone. Pixels outside the image have ``u = 0``; the constant of each border class
corrects this to their true value.

If channels fall on whole words, the words of a window inside the image are read from the rows of
the source; otherwise they are gathered into rows of their own. A ``Dot`` has a single window, which
is the whole value.

The innermost kernel counts the differing bits of a *tile*, :data:`CHANNELS` channels by
:data:`~hwbnn.simulators.fast.kernels.LANES` samples. The sixteen sums of a tile, vectors of eight
words, stay in registers during the loop over the words of the inputs. Each loaded vector of inputs
is used for four weights, each weight for four vectors. Each word then takes one XOR, one popcount
and one addition, as vector instructions if the processor has them.

The kernel is written with explicit vectors for LLVM, which maps them to the processor's own. LLVM's
loop vectoriser would instead loop over the samples for each word, with sums in memory in between.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwbnn.graph.arrays import Int32s, Ints, Words
from hwbnn.simulators.fast.kernels import FIRST, LANES, ZERO, jit, popcount, put_bits

CHANNELS = 4
"""Channels of a tile; weights are padded to whole tiles."""
VECTOR = 8
VECTORS = LANES // VECTOR

_WORD, _VECTOR = ir.IntType(64), ir.VectorType(ir.IntType(64), VECTOR)
_SUMS = [(c, v) for c in range(CHANNELS) for v in range(VECTORS)]


def _function(builder: Any, name: str, arguments: int) -> Any:
    """An LLVM intrinsic on vectors."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * arguments)
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{VECTOR}i64")


def _spread(builder: Any, word: Any) -> Any:
    """A vector that holds one word in all lanes."""
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), word, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), [0] * VECTOR)
    return builder.shuffle_vector(first, first, lanes)


def _vectors(builder: Any, place: Any) -> list[Any]:
    """Pointers to the vectors of a row; ``place`` points to its first word."""
    row = builder.bitcast(place, _VECTOR.as_pointer())
    return [builder.gep(row, [_WORD(v)]) for v in range(VECTORS)]


def _counted(context: Any, b: Any, signature: Any, arguments: Any) -> dict[tuple[int, int], Any]:
    """Code that computes a tile; returns its sums by channel and vector.

    The arguments are those of :func:`push_signs`.
    """
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
    """Shift the sign bits of a tile's sums into the low end of words, channel by channel.

    Args:
        context: numba's.
        x: words ``(rows, lanes)``.
        w: weights ``(blocks, words, CHANNELS)``.
        start: uint64 ``(blocks * CHANNELS,)``, added to the sums.
        rows: int64 ``(planes * words,)``, the row of ``x`` that holds each word.
        s: the first lane.
        block: the number of the block of channels.
        planes: bit planes; the sums so far are doubled before each next plane.
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
    """Store the sums of a tile in ``out``, uint64 ``(CHANNELS, LANES)``.

    The other arguments are those of :func:`push_signs`.
    """

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


class Grid(NamedTuple):
    """The positions of a window on an image.

    Attributes:
        height: rows of the image.
        width: columns of the image.
        channels: channels of the image.
        rows: rows of the window.
        columns: columns of the window.
        down: stride in rows.
        right: stride in columns.
        top: rows of padding above the image.
        left: columns of padding in front of the image.
        out_columns: positions in a row.
        groups: groups of channels.
        outputs: channels of the result.
    """

    height: int
    width: int
    channels: int
    rows: int
    columns: int
    down: int
    right: int
    top: int
    left: int
    out_columns: int
    groups: int
    outputs: int


@jit
def _find(x: Words, planes: int, grid: Grid, y: int, z: int, first: int, rows: Ints) -> bool:
    """Find the rows of ``x`` that hold the window whose first pixel is at ``(y, z)``.

    Args:
        x: words ``(rows, lanes)``.
        planes: bit planes.
        grid: geometry.
        y: row of the image; it may be outside the image.
        z: column of the image; it may be outside the image.
        first: the first channel of the group.
        rows: filled, int64 ``(planes * words,)``.

    Returns:
        False if the window is not inside the image, or its channels are not whole words.
    """
    depth = grid.channels // grid.groups
    inside = y >= 0 and z >= 0 and y + grid.rows <= grid.height and z + grid.columns <= grid.width
    if not inside or depth % 64 != 0:
        return False
    k = 0
    for plane in range(planes):
        for i in range(grid.rows):
            pixel = (y + i) * grid.width + z
            for j in range(grid.columns):
                row = plane * (len(x) // planes) + ((pixel + j) * grid.channels + first) // 64
                for word in range(depth // 64):
                    rows[k] = row + word
                    k += 1
    return True


@jit
def gather(x: Words, planes: int, grid: Grid, y: int, z: int, first: int, out: Words) -> None:
    """Copy the bits of a window to ``out`` without gaps, zeros for pixels outside the image.

    ``out`` is words ``(planes * words, lanes)``; the other arguments are those of :func:`_find`.
    """
    depth, words, all_words = grid.channels // grid.groups, len(out) // planes, len(x) // planes
    run = grid.columns if grid.groups == 1 else 1
    out[:] = ZERO
    for plane in range(planes):
        source = x[plane * all_words : (plane + 1) * all_words]
        window = out[plane * words : (plane + 1) * words]
        for i in range(max(0, -y), min(grid.rows, grid.height - y)):
            # Without groups, neighbouring pixels are one run of bits.
            for j in range(0, grid.columns, run):
                begin, end = max(j, -z), min(j + run, grid.width - z)
                bit = ((y + i) * grid.width + z + begin) * grid.channels + first
                place = (i * grid.columns + begin) * depth
                put_bits(source, bit, (end - begin) * depth, window, place)


@jit
def _window(x: Words, planes: int, grid: Grid, p: int, group: int, own: Words, rows: Ints) -> Words:
    """The array that holds the words of a window, ``x`` or ``own``; ``rows`` says in which rows.

    Args:
        x: words ``(rows, lanes)``.
        planes: bit planes.
        grid: geometry.
        p: the position.
        group: the group of channels.
        own: words ``(planes * words, lanes)``, filled if the rows of ``x`` cannot be used directly.
        rows: filled, int64 ``(planes * words,)``.
    """
    y = p // grid.out_columns * grid.down - grid.top
    z = p % grid.out_columns * grid.right - grid.left
    first = group * (grid.channels // grid.groups)
    everything = grid.rows == grid.height and grid.columns == grid.width and y == 0 and z == 0
    if not everything or grid.groups > 1:
        if _find(x, planes, grid, y, z, first, rows):
            return x
        gather(x, planes, grid, y, z, first, own)
        x = own
    for k in range(len(rows)):
        rows[k] = k
    return x


@jit
def _set_bits(x: Words, planes: int, rows: Ints, out: Ints) -> None:
    """Count the set bits of each lane into ``out``, those of plane ``b`` with weight ``2**b``."""
    words = len(rows) // planes
    out[:] = 0
    for plane in range(planes):
        for s in range(len(out)):
            out[s] <<= 1
        for row in rows[plane * words : (plane + 1) * words]:
            for s in range(len(out)):
                out[s] += np.int64(popcount(x[row, s]))


@jit
def signs(
    x: Words, planes: int, grid: Grid, w: Words, start: Words, kinds: Ints, out: Words
) -> None:
    """Binary neurons: the sign bits of a start value plus the weighted count of differing bits.

    Args:
        x: words ``(tiles, planes * words, lanes)``.
        planes: bit planes of ``x``.
        grid: geometry.
        w: weights ``(groups, blocks, words, CHANNELS)``, in each group the last channel first,
            padded *in front* to whole blocks.
        start: int64 as uint64 ``(classes, groups, blocks * CHANNELS)``, in the order of ``w``.
        kinds: class of each position, int64 ``(positions,)``.
        out: words ``(tiles, words, lanes)``, one plane.
    """
    groups, blocks, words, _ = w.shape
    lanes, own = x.shape[2], grid.outputs // groups
    rows = np.empty(planes * words, np.int64)
    memory = np.empty((planes * words, lanes), np.uint64)
    bits, word = np.empty((-(-own // 64), lanes), np.uint64), np.empty(LANES, np.uint64)
    for t in range(len(x)):
        out[t] = ZERO
        for p in range(len(kinds)):
            for g in range(groups):
                source = _window(x[t], planes, grid, p, g, memory, rows)
                for o in range(len(bits)):
                    first = blocks - min(blocks, 64 * (o + 1) // CHANNELS)
                    last = blocks - 64 * o // CHANNELS
                    for s in range(0, lanes, LANES):
                        word[:] = ZERO
                        for block in range(first, last):
                            push_signs(
                                source, w[g], start[kinds[p], g], rows, s, block, planes, word
                            )
                        bits[o, s : s + LANES] = word
                put_bits(bits, FIRST, own, out[t], p * grid.outputs + g * own)


@jit
def sums(
    x: Words,
    planes: int,
    grid: Grid,
    w: Words,
    constant: Ints,
    factors: Ints,
    kinds: Ints,
    out: Int32s,
) -> None:
    """Weighted sums: a constant plus multiples of the counts of differing bits and of set bits.

    Args:
        x: words ``(tiles, planes * words, lanes)``.
        planes: bit planes of ``x``.
        grid: geometry.
        w: weights ``(groups, blocks, words, CHANNELS)``, in each group the first channel first,
            padded behind to whole blocks.
        constant: int64 ``(classes, outputs)``.
        factors: int64 ``(2, outputs)``: the factors of the weighted count of differing bits, and
            of the weighted count of set bits in the window.
        kinds: class of each position, int64 ``(positions,)``.
        out: integers ``(tiles, positions * outputs, lanes)``.
    """
    groups, blocks, words, _ = w.shape
    lanes, own = x.shape[2], grid.outputs // groups
    rows, scaled = np.empty(planes * words, np.int64), factors[1].any()
    memory = np.empty((planes * words, lanes), np.uint64)
    tile, none = np.empty((CHANNELS, LANES), np.uint64), np.zeros(blocks * CHANNELS, np.uint64)
    total = np.zeros(lanes, np.int64)
    for t in range(len(x)):
        for p in range(len(kinds)):
            for g in range(groups):
                source = _window(x[t], planes, grid, p, g, memory, rows)
                if scaled:
                    _set_bits(source, planes, rows, total)
                for block in range(blocks):
                    for s in range(0, lanes, LANES):
                        store_sums(source, w[g], none, rows, s, block, planes, tile)
                        for j in range(min(CHANNELS, own - block * CHANNELS)):
                            c = g * own + block * CHANNELS + j
                            k, a, b = constant[kinds[p], c], factors[0, c], factors[1, c]
                            for i in range(LANES):
                                value = k + a * np.int64(tile[j, i]) + b * total[s + i]
                                out[t, p * grid.outputs + c, s + i] = value
