"""The parts of the stages and blocks of convolutional networks; see :mod:`hwbnn.estimate.parts`."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hwbnn.estimate.memories import Bools, ram, rom
from hwbnn.estimate.parts import Parts, add_rows, bits_of, log2_up, parts
from hwbnn.plan.blocks import Ints, PoolMax, PoolSum, Rescale, signed_width
from hwbnn.plan.images import Fork, Join, Window, WindowUnrolled

__all__ = ["parts"]

DSP_BITS = (25, 18)
"""Bits of the factors of a multiplier, in two's complement."""


@parts.register
def _window(stage: Window) -> Parts:
    """A memory of the slots; counters of positions, and pointers and fills that move by steps."""
    geometry, tokens = stage.geometry, stage.source.tokens
    counted = (stage.chunks, *geometry.kernel, *geometry.output, *geometry.size, *geometry.size)
    counters = sum(log2_up(count) for count in counted)
    pointers, fills = 3 * log2_up(stage.slots), 2 * (log2_up(2 * tokens) + 2)
    # Each of them chooses among several steps, and wraps around or is compared.
    moving = 3 * (pointers + fills)
    made = Parts(Counter(counter=counters, exact=moving))
    made.ff = Counter(exact=counters + pointers + fills + 2)
    made.memory(ram(stage.slots, stage.source.bits, registered=True))
    made.lut["gated"] += stage.source.bits if any(geometry.padding) else 0
    return made


@parts.register
def _window_unrolled(stage: WindowUnrolled) -> Parts:
    """A memory of the rows above, registers of the window."""
    geometry, bits = stage.geometry, stage.source.bits
    rows, columns = geometry.kernel
    counters = sum(log2_up(n) for n in (*geometry.size, *geometry.kernel))
    made = Parts(Counter(fifo=1, counter=2 * counters, gated=bits if any(geometry.padding) else 0))
    made.ff = Counter(exact=2 * counters + rows * columns * bits)
    made.memory(ram(2, bits, registered=False))
    if rows > 1:
        wide = geometry.size[1] + geometry.padding[2] + geometry.padding[3]
        made.memory(ram(wide, (rows - 1) * bits, registered=True))
    return made


@parts.register
def _fork(stage: Fork) -> Parts:
    """A FIFO a branch."""
    made = Parts()
    for depth in stage.depths:
        _add_fifo(made, depth, stage.source.bits)
    return made


@parts.register
def _join(stage: Join) -> Parts:
    """Two FIFOs of two, and an adder an element."""
    bits = stage.result.bits
    made = Parts(Counter(total=bits), Counter(exact=bits + 1))
    for stream in (stage.source, stage.other):
        _add_fifo(made, 2, stream.bits)
    return made


def _add_fifo(made: Parts, depth: int, bits: int) -> None:
    counters = 2 * log2_up(depth) + log2_up(depth + 1)
    made.lut.update(fifo=1, counter=counters)
    made.ff["exact"] += counters
    made.memory(ram(depth, bits, registered=False))


@parts.register
def _pool_max(block: PoolMax) -> Parts:
    """An element is compared with the best so far, and one of both chosen."""
    bits, steps = block.result.bits, log2_up(block.steps)
    made = Parts(Counter(larger=bits, choose=bits, product=2 * bits, counter=steps))
    made.ff = Counter(exact=2 * bits + steps)
    add_rows(made, block.smallest[:, None], block)
    return made


@parts.register
def _pool_sum(block: PoolSum) -> Parts:
    """An adder an element."""
    bits, steps = block.result.bits, log2_up(block.steps)
    made = Parts(Counter(total=bits, counter=steps))
    made.ff = Counter(exact=bits + steps)
    return made


@parts.register
def _rescale(block: Rescale) -> Parts:
    """Multipliers where factors are no wires; a sum, a shift of some places, and saturation."""
    lanes, width = block.source.lanes, block.source.width
    tables = [block.multiplier] + ([] if block.negative is None else [block.negative])
    factor = max(_width(table) for table in tables)
    sums = max(width + factor, _width(block.bias)) + 1
    shifts = log2_up(int(block.shift.max() - block.shift.min()) + 1)
    elements = [bits_of(table[:, None], factor) for table in tables]
    if shifts:
        elements.append(bits_of((block.shift - block.shift.min())[:, None], shifts))
    made = Parts(Counter(total=lanes * sums, choose=lanes * sums * shifts))
    made.ff = Counter(exact=lanes * (3 * sums + block.result.width))
    made.lut["larger"] += 2 * lanes * sums
    made.dsp = lanes * -(-(width + 1) // DSP_BITS[0]) * -(-factor // DSP_BITS[1])
    count = len(block.multiplier) // lanes
    if count > 1:
        factors = np.concatenate(elements, axis=1)
        rows: Bools = factors.reshape(count, -1)
        made.memory(rom(rows))
        made.lut["counter"] += log2_up(count)
        made.ff["exact"] += log2_up(count)
    add_rows(made, bits_of(block.bias[:, None], sums), block)
    return made


def _width(values: Ints) -> int:
    return signed_width(int(values.min()), int(values.max()))
