"""The amounts of logic and flip-flops in a circuit, counted from its constants.

Each stage and block is split into the parts of its module of ``rtl/``: bits of adders, distinct
weight patterns of popcounts, compared bits, memories, registers. :mod:`hwbnn.estimate.area` has the
LUTs and flip-flops of one of each part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from hwbnn.estimate.primitives import (
    COUNTED,
    Memory,
    adder_tree,
    count_tree,
    fifo,
    match_tables,
    patterns,
    ram,
    rom,
    rom_of,
    row_tree,
    tree,
)
from hwbnn.graph.arrays import Bools, Ints
from hwbnn.netlists.netlist import Lut
from hwbnn.netlists.pipelining import pipelining, registers
from hwbnn.plan import Circuit
from hwbnn.plan.blocks import (
    AffineBlock,
    ArgMaxBlock,
    Block,
    ByElement,
    Compare,
    LookupBlock,
    PoolMax,
    PoolSum,
    RescaleBlock,
    Scaled,
    SelectBlock,
    ThresholdBlock,
    popcount_latency,
    signed_width,
)
from hwbnn.plan.multiples import terms
from hwbnn.plan.products import (
    DotFolded,
    DotNetlist,
    DotUnrolled,
    WeightedFolded,
    WeightedUnrolled,
)
from hwbnn.plan.stages import (
    AddStreams,
    AxisIn,
    AxisOut,
    Fork,
    Narrow,
    Pipeline,
    SlidingWindow,
    Stage,
    Widen,
    WindowUnrolled,
)

DSP_BITS = (25, 18)
"""Bits of the factors of a DSP's multiplier, in two's complement."""
DSP_PART = 17
"""Bits of the parts into which a wider factor is split."""


@dataclass
class Amounts:
    """Amounts of the parts of a circuit.

    Attributes:
        lut: amounts of the parts that take LUTs, by the names of :data:`hwbnn.estimate.area.LUT`.
        ff: amounts of the parts that take flip-flops, by the names of its ``FF``.
        bram18: block RAMs of 18 Kbit.
        bram36: block RAMs of 36 Kbit.
        dsp: DSP multipliers.
    """

    lut: Counter[str] = field(default_factory=Counter)
    ff: Counter[str] = field(default_factory=Counter)
    bram18: int = 0
    bram36: int = 0
    dsp: int = 0

    def memory(self, taken: Memory) -> None:
        """Add a memory."""
        self.lut["memory"] += taken.lut  # type: ignore[assignment]
        self.ff["memory"] += taken.ff
        self.bram18 += taken.bram18
        self.bram36 += taken.bram36

    def add(self, other: Amounts) -> None:
        """Add other amounts."""
        self.lut.update(other.lut)
        self.ff.update(other.ff)
        self.bram18 += other.bram18
        self.bram36 += other.bram36
        self.dsp += other.dsp


def bits_of(values: NDArray[np.int64], width: int) -> Bools:
    """The bits of integers, the lowest first; the last axis becomes ``width`` times as long."""
    bits = (values[..., None] >> np.arange(width) & 1).astype(np.bool_)
    return bits.reshape(*values.shape[:-1], -1)


@singledispatch
def amounts(stage: Stage | Block) -> Amounts:
    """The amounts in a stage or a block."""
    raise TypeError(f"no amounts are known of {type(stage).__name__}")


@amounts.register
def _axis_in(stage: AxisIn) -> Amounts:
    total = Amounts(
        Counter(axis_in=1, axis_in_bits=stage.result.bits, counter=log2_up(stage.source.tokens))
    )
    total.ff = Counter(axis_in=1, exact=log2_up(stage.source.tokens))
    total.memory(ram(2, stage.result.bits, registered=False))
    return total


@amounts.register
def _axis_out(stage: AxisOut) -> Amounts:
    tokens, stream = stage.source.tokens, stage.source
    gated = (stream.lanes - stream.last_lanes) * stream.width if tokens > 1 else 0
    lut = Counter(counter=log2_up(tokens), gated=gated)
    return Amounts(lut, Counter(exact=log2_up(tokens)))


CONTROL_LUT, CONTROL_FF = 337, 297
"""LUTs and flip-flops of the control block, as yosys maps it where a result is one beat."""


def border_options(circuit: Circuit) -> Amounts:
    """Amounts of what a Plan may add at the border: framings, tags, registers for a processor."""
    total = Amounts()
    if circuit.plan.control == "axi4lite":
        bits = log2_up(circuit.stages[-1].source.tokens)
        total.lut += Counter(exact=CONTROL_LUT, counter=bits)
        total.ff["exact"] += CONTROL_FF + bits
    if circuit.plan.tags:
        bits = log2_up(circuit.stages[0].source.tokens) if circuit.plan.framing != "packet" else 0
        bits += log2_up(circuit.stages[-1].source.tokens)
        total.lut["counter"] += bits
        total.ff["exact"] += bits + 1
        depth = 3 + circuit.latency // circuit.interval
        _add_fifo(total, depth, sum(circuit.plan.tags.values()))
    if circuit.plan.framing == "packet":
        return total
    bits = log2_up(circuit.stages[0].source.tokens)
    total.lut["counter"] += bits
    total.ff["exact"] += bits
    if circuit.plan.framing == "batch":  # a FIFO: does each frame inside end its packet?
        _add_fifo(total, 2 + circuit.latency // circuit.interval, 1)
    return total


@amounts.register
def _up(stage: Widen) -> Amounts:
    width, ratio = stage.source.bits, stage.ratio
    count = log2_up(ratio + 1) + log2_up(stage.result.unit_tokens)
    lut = Counter(up=1, up_bits=width, up_parts=ratio, counter=count)
    return Amounts(lut, Counter(up=1, exact=(ratio + 1) * width + count))


@amounts.register
def _down(stage: Narrow) -> Amounts:
    width, ratio = stage.result.bits, stage.ratio
    count = log2_up(ratio + 2) + log2_up(stage.source.unit_tokens)
    lut = Counter(down=1, down_bits=(ratio + 1) * width, counter=count)
    return Amounts(lut, Counter(exact=(ratio + 1) * width + count))


@amounts.register
def _pipeline(stage: Pipeline) -> Amounts:
    total = ends(stage)
    for block in stage.blocks:
        total.add(amounts(block))
    return total


def ends(stage: Pipeline) -> Amounts:
    """The amounts in a pipeline around its blocks: the gate in front and the FIFO behind."""
    total = Amounts(Counter(fifo=1, counter=3 * log2_up(stage.credits + 1)))
    total.ff = Counter(exact=3 * log2_up(stage.credits + 1), valid=stage.latency)
    total.memory(ram(stage.credits, stage.result.bits, registered=False))
    if stage.head is None:
        total.lut["counter"] += log2_up(stage.credits + 1) + log2_up(stage.tokens_per_result)
        total.ff["exact"] += log2_up(stage.credits + 1) + log2_up(stage.tokens_per_result)
    return total


@amounts.register
def _dot_unrolled(block: DotUnrolled) -> Amounts:
    return _fixed_rows(block)


@amounts.register
def _dot_netlist(block: DotNetlist) -> Amounts:
    """The netlist's cells; in the portable form a table with two outputs takes two LUTs."""
    tables = [cell for cell in block.netlist.cells if isinstance(cell, Lut)]
    delays = registers(
        block.netlist, pipelining(block.netlist, block.logic_levels_per_register)
    ).values()
    # Long delays become shift registers.
    lut = len(tables) + sum(late > 2 for late in delays)
    if block.form == "portable":
        lut += sum(cell.second > 0 for cell in tables)
    ff = sum(late for late in delays if late <= 2)
    return Amounts(Counter(exact=lut), Counter(exact=ff))


@amounts.register
def _weighted_unrolled(block: WeightedUnrolled) -> Amounts:
    """The columns of each channel, and the sum of their counts; or a tree of digits."""
    total = Amounts()
    width, per_register = block.source.width, block.logic_levels_per_register
    longest = popcount_latency(max(1, int(block.heights.max())), per_register)
    for digits, heights in zip(block.digits, block.heights.tolist(), strict=True):
        if block.sums == "adder_tree":
            row = tree([(((1 << width) - 1) << d.place, d.place) for d in digits], per_register)
            total.lut["adder_weighted"] += row.adders
            total.ff["exact"] += row.registers
            continue
        columns = {k: count for k, count in enumerate(heights) if count}
        rows = [count_tree(count, per_register) for count in columns.values()]
        rows.append(tree([(count << k, k) for k, count in columns.items()], per_register))
        total.lut["pattern"] += sum(-(-count // COUNTED) for count in heights)
        total.lut["adder"] += sum(row.adders for row in rows)
        total.ff["tree"] += sum(row.registers - row.numbers for row in rows)
        total.ff["tree_low"] += sum(row.numbers for row in rows)
        # The counts of shorter columns are ready earlier and wait in registers.
        total.ff["exact"] += sum(
            (longest - popcount_latency(count, per_register)) * count.bit_length()
            for count in columns.values()
        )
    return total


def _fixed_rows(block: DotUnrolled | DotFolded) -> Amounts:
    """All rows of weights as constants."""
    channels, inputs = block.weights.shape
    if block.sums == "adder_tree":
        row = adder_tree(inputs, block.source.width, block.logic_levels_per_register)
        lut = Counter(adder_terms=channels * row.adders)
    else:
        row = row_tree(inputs, block.source.width, block.logic_levels_per_register)
        groups = (block.weights > 0).reshape(block.groups, -1, inputs)
        shared = block.source.width * sum(patterns(weights) for weights in groups)
        lut = Counter(pattern=shared, adder=channels * row.adders)
    ff = Counter(tree=channels * (row.registers - row.numbers), tree_low=channels * row.numbers)
    return Amounts(lut, ff)


@amounts.register
def _dot_folded(block: DotFolded) -> Amounts:
    pe, width = block.pe + block.total, block.source.width
    total = _folded_steps(block, pe * block.result.width)
    if block.rows == 1 and block.sums != "bit_serial":  # the memory has a single row
        total.add(_fixed_rows(block))
        return total
    at_once = 1 if block.sums == "bit_serial" else width
    if block.sums == "adder_tree":
        row = adder_tree(block.simd, width, block.logic_levels_per_register)
        total.lut["terms_folded"] = pe * (row.adders + block.simd * width)
    else:
        row = row_tree(block.simd, at_once, block.logic_levels_per_register, varying=True)
        if block.simd > COUNTED:
            total.lut["match"] = pe * match_tables(block.simd) * at_once
        else:
            total.lut["product"] = pe * block.simd * at_once
        total.lut["adder_folded"] = pe * row.adders
    total.ff["exact"] += pe * row.registers
    return total


def _folded_steps(block: DotFolded, total: int) -> Amounts:
    """The parts around the rows of a folded product: counters, buffer, weights, accumulators.

    Args:
        block: the product.
        total: bits of all accumulators.
    """
    counted = (block.rows, block.steps, block.passes, block.rounds)
    counters = sum(log2_up(count) for count in counted)
    slots = 3 * log2_up(block.buffer_tokens) + 2 * log2_up(block.buffer_tokens + 1)
    around = Amounts(Counter(folded=1, counter=counters + slots))
    around.ff = Counter(exact=total + counters + slots, valid=3 * block.latency)
    around.memory(ram(block.buffer_tokens, block.simd * block.source.width, registered=True))
    if block.rows > 1 or block.sums == "bit_serial":
        around.lut["total"] = total if block.steps * block.rounds > 1 else 0
        around.lut["plane"] = block.simd * (block.rounds - 1)
        around.ff["exact"] += log2_up(block.rounds)
        around.memory(rom_of(block.rows, block.row_bits, block.first_rows))
        if block.reads == 2:  # the weights behind the memory, and the token that waits for them
            planes = 1 if block.sums == "bit_serial" else block.source.width
            around.ff["exact"] += block.row_bits + block.simd * planes
    return around


@amounts.register
def _weighted_folded(block: WeightedFolded) -> Amounts:
    """Masks and popcounts, gated weights and adder trees, or multipliers and adder trees."""
    pe, simd, per_register = block.pe, block.simd, block.logic_levels_per_register
    total = _folded_steps(block, pe * block.result.width)
    planes = 1 if block.sums == "bit_serial" else block.source.width
    bits = block.weight_width
    if block.ternary and block.sums == "adder_tree":
        trees = [adder_tree(simd, planes, per_register)]
        total.lut["product"] = pe * simd * planes
    elif block.ternary:
        trees = [row_tree(simd, planes, per_register)]
        total.lut["mask"] = pe * simd * planes
        total.lut["pattern"] = pe * planes * -(-simd // COUNTED)
    elif block.dsp:
        trees = [adder_tree(simd, planes + bits, per_register)]
        total.dsp = pe * simd * multipliers(planes + 1, bits)
    elif block.sums == "adder_tree":
        own = tree([((1 << bits) - 1 << b, b) for b in range(planes)], per_register)
        trees = [own] * simd + [adder_tree(simd, planes + bits, per_register)]
        total.lut["mask"] = pe * simd * planes * bits
    else:
        high = simd * ((1 << bits) - 1)
        trees = [adder_tree(simd, bits, per_register)] * planes
        trees.append(tree([(high << b, b) for b in range(planes)], per_register))
        total.lut["mask"] = pe * simd * planes * bits
    total.lut["adder_weighted"] = pe * sum(each.adders for each in trees)
    total.ff["exact"] += pe * sum(each.registers for each in trees)
    return total


def multipliers(one: int, other: int) -> int:
    """DSPs of a product of signed numbers of these widths.

    A factor that is too wide is split into parts of 17 bits, since a part is unsigned.

    >>> [multipliers(*widths) for widths in ((10, 24), (15, 26), (24, 25), (25, 27), (29, 21))]
    [1, 2, 2, 4, 4]
    """
    wide, narrow = max(one, other), min(one, other)
    parts = [
        1 if bits <= most else -(-bits // DSP_PART)
        for bits, most in zip((wide, narrow), DSP_BITS, strict=True)
    ]
    return parts[0] * parts[1]


@amounts.register
def _affine(block: AffineBlock) -> Amounts:
    bits = block.source.lanes * block.result.width
    total = Amounts(Counter(affine=bits), Counter(exact=bits))
    add_rows(total, bits_of(block.constants[:, None], block.result.width), block)
    return total


@amounts.register
def _scaled(block: Scaled) -> Amounts:
    width, lanes = block.result.width, block.result.lanes
    total = Amounts()
    if not block.fixed:
        # A multiplier holds the registers of its operands and of its result.
        scale, offset, constant = block.widths
        total.dsp = lanes * (1 + (scale > 0))
        repeated = np.arange(block.elements) % len(block.scale)
        elements = [bits_of(block.offset[repeated, None], offset)]
        elements += [bits_of(block.added[:, None], constant)] if constant else []
        elements += [bits_of(block.scale[repeated, None], scale)] if scale else []
        add_rows(total, np.concatenate(elements, axis=1), block)
        return total
    adders = sum(max(0, len(terms(odd)) - 1) for odd in block.multiples)
    adders += sum(max(0, len(terms(int(scale))) - 1) for scale in block.scale)
    adders += lanes * (2 if block.added.any() else 1)
    total.lut["scaled"] = adders * width
    delayed = max(block.count, block.scale_count) > 1
    total.ff["exact"] = lanes * (width + (block.source.width if delayed else 0))
    return total


@amounts.register
def _compare(block: Compare) -> Amounts:
    lanes, count = block.source.lanes, block.constants.shape[1]
    fixed = block.tokens == 1 and block.border_classes is None
    bits = lanes * count * block.source.width
    total = Amounts(Counter({"compare_fixed" if fixed else "compare": bits}))
    total.ff["exact"] = lanes * count
    add_rows(total, bits_of(block.constants, block.source.width + 1), block)
    add_rows(total, block.falling[:, None], block)
    if isinstance(block, ThresholdBlock) and count > 1:
        counted = count_tree(count, block.logic_levels_per_register)
        total.lut["product"] += lanes * count
        total.lut["adder_folded"] += lanes * counted.adders
        total.ff["exact"] += lanes * counted.registers
    return total


def add_rows(total: Amounts, elements: Bools, block: ByElement) -> None:
    """Add the ROM of constants, one row for each token of each class; a single row needs none."""
    count = block.classes * block.tokens
    if count > 1 and (elements != elements[:1]).any():
        total.memory(rom(block.in_tokens(elements).reshape(count, -1)))
        total.lut["counter"] += log2_up(count)
        total.ff["exact"] += log2_up(count)
    if block.border_classes is not None:
        places = rom(bits_of(block.border_classes[:, None], log2_up(block.classes)))
        if places.bram18 or places.bram36:
            total.memory(places)
        else:  # nearly all rows are alike: far fewer LUTs than as many random bits
            total.lut["border_class"] += log2_up(block.classes) * log2_up(len(block.border_classes))
            total.ff["exact"] += places.ff
        total.lut["counter"] += log2_up(len(block.border_classes))
        total.ff["exact"] += log2_up(len(block.border_classes))


@amounts.register
def _lookup(block: LookupBlock) -> Amounts:
    stream, width = block.source, block.result.width
    entries = block.table.shape[1]
    tables = block.in_tokens(block.table).reshape(block.tokens, stream.lanes, entries)
    by_lane = tables.transpose(1, 0, 2)
    address = stream.width + (log2_up(block.tokens) if block.tokens > 1 else 0)
    total = Amounts(Counter(index=stream.lanes * address))
    total.dsp = stream.lanes if block.inverse > 1 else 0
    for lane in by_lane.reshape(stream.lanes, -1):
        rows = bits_of(lane[:, None], width)
        total.memory(rom(rows))
    return total


@amounts.register
def _select(block: SelectBlock) -> Amounts:
    return Amounts()


@amounts.register
def _argmax(block: ArgMaxBlock) -> Amounts:
    stream, index = block.source, block.result.width
    key = stream.width + 1
    counts = 0
    now = stream.lanes
    depth = (stream.lanes - 1).bit_length()
    for level in range(1, depth + 1):
        now = -(-now // 2)
        if level % block.logic_levels_per_register == 0 or level == depth:
            counts += now
    pairs = stream.lanes - 1
    total = Amounts(
        Counter(larger=pairs * key, choose=pairs * (key + index)),
        Counter(exact=counts * (key + index)),
    )
    if stream.tokens > 1:
        total.lut.update(larger=key, choose=index, counter=2 * log2_up(stream.tokens) + index)
        total.ff["exact"] += key + 2 * index + 2 * log2_up(stream.tokens)
    return total


@amounts.register
def _window(stage: SlidingWindow) -> Amounts:
    """A memory for the buffered tokens; counters of positions; pointers and fill levels."""
    geometry, tokens = stage.geometry, stage.source.tokens
    counted = (stage.chunks, *geometry.kernel, *geometry.output, *geometry.size, *geometry.size)
    counters = sum(log2_up(count) for count in counted)
    # Where windows go back, fill levels of the next row and the next image are counted too.
    counts = 4 if (stage.origins > stage.kept).any() else 2
    pointers, fills = 3 * log2_up(stage.buffer_tokens), counts * (log2_up(2 * tokens) + 2)
    # Pointers and fill levels choose among several steps, and wrap around or are compared.
    total = Amounts(
        Counter(window=1, window_counter=counters, window_pointer=pointers, window_fill=fills)
    )
    total.ff = Counter(exact=counters + pointers + fills + 2)
    total.memory(ram(stage.buffer_tokens, stage.source.bits, registered=True))
    total.lut["window_pad"] += stage.source.bits if any(geometry.padding) else 0
    return total


@amounts.register
def _window_unrolled(stage: WindowUnrolled) -> Amounts:
    """A memory of the rows above, registers of the window."""
    geometry, bits = stage.geometry, stage.source.bits
    rows, columns = geometry.kernel
    counters = sum(log2_up(n) for n in (*geometry.size, *geometry.kernel))
    total = Amounts(
        Counter(
            stream_fifo=1,
            window_counter=2 * counters,
            window_pad=bits if any(geometry.padding) else 0,
        )
    )
    total.ff = Counter(exact=2 * counters + rows * columns * bits)
    total.memory(ram(2, bits, registered=False))
    if rows > 1:
        wide = geometry.size[1] + geometry.padding[2] + geometry.padding[3]
        total.memory(ram(wide, (rows - 1) * bits, registered=True))
    return total


@amounts.register
def _fork(stage: Fork) -> Amounts:
    """One FIFO for each branch."""
    total = Amounts()
    for depth in stage.depths:
        _add_fifo(total, depth, stage.source.bits)
    return total


@amounts.register
def _join(stage: AddStreams) -> Amounts:
    """Two FIFOs of two words, and one adder for each element."""
    bits = stage.result.bits
    total = Amounts(Counter(add=bits), Counter(exact=bits + 1))
    for stream in (stage.source, stage.other):
        _add_fifo(total, 2, stream.bits)
    return total


def _add_fifo(total: Amounts, depth: int, bits: int) -> None:
    counters = 2 * log2_up(depth) + log2_up(depth + 1)
    total.lut.update(stream_fifo=1, stream_fifo_counter=counters)
    total.ff["exact"] += counters
    memory = fifo(depth, bits)
    if memory.bram18 or memory.bram36:
        # A word that is read in the cycle in which it is written bypasses the block RAM.
        total.lut["stream_fifo_past"] += bits
        total.ff["exact"] += bits
    total.memory(memory)


@amounts.register
def _pool_max(block: PoolMax) -> Amounts:
    """An element is compared with the best so far, and one of both chosen."""
    bits, steps = block.result.bits, log2_up(block.steps)
    total = Amounts(Counter(pool_max=bits, counter=steps))
    total.ff = Counter(exact=2 * bits + steps)
    add_rows(total, block.smallest[:, None], block)
    return total


@amounts.register
def _pool_sum(block: PoolSum) -> Amounts:
    """One adder for each element."""
    bits, steps = block.result.bits, log2_up(block.steps)
    total = Amounts(Counter(pool_sum=bits, counter=steps))
    total.ff = Counter(exact=bits + steps)
    return total


@amounts.register
def _rescale(block: RescaleBlock) -> Amounts:
    """Multipliers, shifters and saturation.

    A multiplier that is a single DSP holds the registers of the product and of the sum.
    """
    lanes, width = block.source.lanes, block.source.width
    tables = [block.multiplier] + ([] if block.negative is None else [block.negative])
    factor = max(_bits_of_all(table) for table in tables)
    sums = max(width + factor, _bits_of_all(block.bias)) + 1
    shifts = log2_up(int(block.shift.max() - block.shift.min()) + 1)
    elements = [bits_of(table[:, None], factor) for table in tables]
    if shifts:
        elements.append(bits_of((block.shift - block.shift.min())[:, None], shifts))
    # One power of two for all channels is wires, and its constants are not kept in a memory.
    multiplier = int(block.multiplier[0])
    wires = len(tables) == 1 and multiplier > 0 and multiplier.bit_count() == 1
    wires = wires and bool((block.multiplier == multiplier).all() and not shifts)
    dsps = 0 if wires else multipliers(width + 1, factor)
    total = Amounts(dsp=lanes * dsps)
    total.lut.update(
        rescale_sum=lanes * (0 if wires else sums),
        rescale_joined=lanes * (sums if dsps > 1 else 0),
        rescale_wires=lanes * (width if wires else 0),
        rescale_clip=lanes * (0 if wires else block.result.width),
        rescale_shift=lanes * shifts * (sums - int(block.shift.min())),
        rescale_slope=lanes * factor * (len(tables) - 1),
    )
    total.ff.update(
        exact=lanes * (block.result.width + 2 * shifts),
        rescale_joined=lanes * (sums if dsps > 1 else 0),
        rescale_wires=lanes * (width if wires else 0),
    )
    count = len(block.multiplier) // lanes
    if count > 1 and not wires:
        factors = np.concatenate(elements, axis=1)
        rows: Bools = factors.reshape(count, -1)
        total.memory(rom(rows))
        total.lut["counter"] += log2_up(count)
        total.ff["exact"] += log2_up(count)
    add_rows(total, bits_of(block.bias[:, None], sums), block)
    return total


def _bits_of_all(values: Ints) -> int:
    return signed_width(int(values.min()), int(values.max()))


def log2_up(n: int) -> int:
    """Bits of a counter through ``n`` states."""
    return (n - 1).bit_length()
