"""What blocks compute, said once more: a model of each for whole frames of elements."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from hwbnn.netlists import evaluate
from hwbnn.plan import blocks, products


@singledispatch
def through(block, x):
    raise AssertionError(f"no model of {type(block).__name__}")


@through.register(products.DotUnrolled)
def _(block, x):
    return rows_through(block, x, np.where(block.weights, 1, -1))


@through.register(products.WeightedUnrolled)
def _(block, x):
    return rows_through(block, x, block.weights)


@through.register(products.DotNetlist)
def _(block, x):
    vectors = x.reshape(-1, block.source.lanes)
    coded = (vectors[:, :, None] >> np.arange(block.source.width) & 1).astype(np.bool_)
    bits = evaluate(block.netlist, coded.reshape(len(vectors), -1))
    if block.wanted is not None:
        found = bits.reshape(len(x), -1, len(block.wanted))
        sums = rows_through(block, x, block.weights).reshape(found.shape)
        if block.scale_offset is not None:
            scale, offset = block.scale_offset
            total = rows_through(block, x, np.ones_like(block.weights[:1]))
            sums = scale * sums + offset * total.reshape(*found.shape[:2], 1)
        assert np.array_equal(found, sums >= block.wanted)
        return bits.reshape(len(x), -1)
    numbers = bits.reshape(len(x), block.result.size, block.result.width)
    return (numbers << np.arange(block.result.width)).sum(axis=-1)


@through.register(products.DotFolded)
def _(block, x):
    sums = rows_through(block, x, block.weights).reshape(len(x), -1, block.channels)
    # Sums of the last pass that belong to no channel: anything, here the largest number.
    rest = np.full((*sums.shape[:2], block.passes * block.pe - block.channels), -1)
    sums = np.concatenate([sums, rest % (1 << block.result.width)], axis=2)
    if block.total:
        total = rows_through(block, x, np.ones_like(block.weights[: block.groups]))
        passes = sums.reshape(len(x), -1, block.passes, block.pe)
        totals = np.broadcast_to(total[:, :, None, None], (*passes.shape[:3], 1))
        sums = np.concatenate([passes, totals], axis=3)
    return sums.reshape(len(x), -1)


@through.register(blocks.Scaled)
def _(block, x):
    lanes = block.result.lanes
    tokens = x.reshape(len(x), -1, lanes + 1)
    sums, total = tokens[:, :, :lanes], tokens[:, :, lanes:]
    sums = elements(block, sums.reshape(len(x), -1))
    total = elements(block, np.repeat(total, lanes, axis=2).reshape(len(x), -1))
    repeats = sums.shape[1] // len(block.scale)
    scale, offset = (np.tile(a, repeats) for a in (block.scale, block.offset))
    assert block.scale.min() >= 0
    return scale * sums + offset * total + spread(block, block.constants)


def elements(block, x):
    """What a block makes of the lanes of its tokens, without those that hold no element."""
    result = block.result
    if x.shape[1] == result.size:
        return x
    units = x.reshape(len(x), -1, result.unit_tokens * result.lanes)
    return units[:, :, : result.unit].reshape(len(x), -1)


def rows_through(block, x, weights):
    """Sums over vectors of inputs, group by group, each with rows of its own."""
    groups, inputs = getattr(block, "groups", 1), weights.shape[1]
    vectors = x.reshape(len(x), -1, groups, inputs)
    rows = weights.reshape(groups, -1, inputs)
    made = [sums(block, vectors[:, :, g], rows[g]) for g in range(groups)]
    return np.stack(made, axis=2).reshape(len(x), -1)


def sums(block, x, weights):
    width = block.source.width
    u = x + (1 << (width - 1) if block.source.signed else 0)
    assert u.min() >= 0
    assert u.max() < 1 << width
    return u @ weights.T + excess(block, weights)


def excess(block, weights):
    """What sums come to if all inputs are 0."""
    top = (1 << block.source.width) - 1
    if isinstance(block, products.WeightedFolded) and not block.ternary:
        lowest = -(1 << (block.weight_width - 1))  # what each product is brought to 0 by
        on_top = -lowest << block.source.width if block.dsp else -lowest * top
        return (block.start << (block.rounds - 1)) + block.steps * block.simd * on_top
    return top * np.array([sum(map(negative_digits, row)) for row in weights.tolist()])


def negative_digits(weight):
    """What the digits of a weight have that are below 0: in the form that has fewest of them."""
    size = abs(weight)
    taken = taken_off(size)
    if (size + taken).bit_count() + taken.bit_count() >= size.bit_count():
        taken = 0
    return taken if weight >= 0 else size + taken


def taken_off(size):
    """The negative digits of the non-adjacent form, by its definition."""
    taken = place = 0
    while size:
        if size & 1:
            digit = 2 - (size & 3)
            taken += (digit < 0) << place
            size -= digit
        size >>= 1
        place += 1
    return taken


@through.register(blocks.AffineBlock)
def _(block, x):
    return (elements(block, x) << block.shift) - spread(block, block.constants)


@through.register(blocks.Compare)
def _(block, x):
    limit = 1 << block.source.width
    assert block.constants.min() >= (-limit if block.source.signed else -1)
    assert block.constants.max() < limit
    return reached(block, x).reshape(len(x), -1)


@through.register(blocks.ThresholdBlock)
def _(block, x):
    return reached(block, elements(block, x)).sum(axis=-1) + block.base


@through.register(blocks.LookupBlock)
def _(block, x):
    entries = block.table.shape[1]
    index = ((x - block.low) >> block.shift) * block.inverse % (1 << (entries - 1).bit_length())
    return spread(block, block.table)[np.arange(x.shape[1]), index]


@through.register(blocks.SelectBlock)
def _(block, x):
    return x.reshape(len(x), -1, block.source.lanes)[:, :, block.index].reshape(len(x), -1)


@through.register(blocks.ArgMaxBlock)
def _(block, x):
    return x.argmax(axis=1)[:, None]


@through.register(blocks.RescaleBlock)
def _(block, x):
    multiplier = spread(block, block.multiplier)
    negative = multiplier if block.negative is None else spread(block, block.negative)
    products = x * np.where(x < 0, negative, multiplier) + spread(block, block.bias)
    return (products >> spread(block, block.shift)).clip(block.low, block.high)


def reached(block, x):
    cuts, falling = spread(block, block.constants), spread(block, block.falling)
    return (x[:, :, None] > cuts) ^ falling[:, None]


def spread(block, constants):
    """Constants for every element of a frame, from those of one position in each class."""
    # An Encode makes several elements of one.
    size = min(block.source.size, block.result.size)
    count = block.elements // block.classes
    if block.border_classes is None or len(constants) != block.elements:
        return constants[np.arange(size) % count]
    position, element = np.divmod(np.arange(size), count)
    return constants[block.border_classes[position] * count + element]
