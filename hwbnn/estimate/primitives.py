"""Parts of popcounts, adder trees and memories on Xilinx 7-series; area.py has LUTs of each.

The rules for memories are those of yosys 0.70's ``memory_libmap`` with its library for ``xc7``:
each form of a memory has a cost, and the cheapest form is taken. A block RAM of 18 Kbit costs 129
and one of 36 Kbit 257, a cell of four LUTs that hold 6 x 32 or 3 x 64 bits costs 8, a bit of a ROM
in logic 1/64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hwbnn.graph.arrays import Bools

_HALF, _FULL, _CELL = 129, 257, 8
_SHAPES = {
    _HALF: ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384)),
    _FULL: ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384), (1, 32768)),
}
"""Width and depth of block RAMs, by cost."""
_CELLS = ((6, 32), (3, 64))
"""Width and depth of a cell of four LUTs with one write and one read port."""
_WORD = 64
"""Rows of a ROM that are compared at a time, in a machine word for each column."""
_REGISTER_BITS = 8
"""A RAM of fewer bits becomes registers."""


@dataclass(frozen=True)
class Memory:
    """The resources of a memory.

    Attributes:
        lut: LUTs of all kinds.
        ff: flip-flops.
        bram18: block RAMs of 18 Kbit.
        bram36: block RAMs of 36 Kbit.
    """

    lut: float = 0
    ff: int = 0
    bram18: int = 0
    bram36: int = 0


def rom(rows: Bools) -> Memory:
    """A ROM with a register behind it.

    Args:
        rows: contents, bool ``(depth, width)``.
    """
    depth, width = rows.shape
    return rom_of(depth, width, lambda count: rows[:count])


def rom_of(depth: int, width: int, first_rows: Callable[[int], Bools]) -> Memory:
    """A ROM whose contents are made only as far as they matter.

    Args:
        depth: words.
        width: bits of a word.
        first_rows: gives so many first words, bool ``(count, width)``.
    """
    cost, block = _block(depth, width)
    if cost < depth * width / 64:
        return block
    distinct = columns(depth, first_rows)
    # A LUT holds 64 entries of a bit; MUXF7 and MUXF8 join two and four, LUTs select among more.
    whole, rest = divmod(depth, 256)
    luts = 4 * whole + (_joined(rest) if depth > 2 else 0)
    selecting = luts / 3 if luts > 4 else 0
    return Memory(lut=distinct * (luts + selecting), ff=distinct)


def _joined(depth: int) -> int:
    """LUTs for one bit of a ROM of at most 256 rows: one, or two or four joined by multiplexers.

    One more row costs nothing: the set or reset of the register behind gives it.

    >>> [_joined(depth) for depth in (0, 1, 64, 65, 66, 128, 129, 130, 192, 256)]
    [0, 1, 1, 1, 2, 2, 2, 4, 4, 4]
    """
    if depth == 0:
        return 0
    luts = -(-(depth - 1) // 64) if depth > 1 else 1
    return 1 << (luts - 1).bit_length()


def columns(depth: int, first_rows: Callable[[int], Bools]) -> int:
    """Distinct columns of a ROM that are not constant; equal columns share their logic.

    Columns that differ in the first words differ, so that the others are mostly not looked at.

    Args:
        depth: words of the ROM.
        first_rows: gives so many first words, bool ``(count, width)``.

    >>> rows = np.array([[0, 1, 0, 1], [1, 1, 1, 0]], np.bool_)
    >>> columns(2, lambda count: rows[:count])
    2
    """
    first = first_rows(min(depth, _WORD))
    bits = np.concatenate([first, np.ones((len(first), 1), np.bool_)], axis=1)
    # Packing along the last axis of a copy, and sorting, are several times faster than packing
    # along the first axis and np.unique.
    packed = np.packbits(np.ascontiguousarray(bits.T), axis=1)
    keys = np.zeros((len(packed), _WORD // 8), np.uint8)
    keys[:, : packed.shape[1]] = packed
    codes = keys.view(np.uint64)[:, 0]
    ones, codes = codes[-1], np.sort(codes[:-1])
    distinct = int((codes[1:] != codes[:-1]).sum()) + min(1, len(codes))
    constant = int((codes[:1] == 0).sum()) + int((codes == ones).any())
    if len(first) == depth:
        return distinct - constant
    if distinct == len(codes) and not constant:
        return distinct
    rows = first_rows(depth)
    varying = rows[:, (rows != rows[:1]).any(axis=0)]
    return len({column.tobytes() for column in np.packbits(varying, axis=0).T.copy()})


def ram(depth: int, width: int, *, registered: bool) -> Memory:
    """A RAM with one write and one read port.

    Args:
        depth: words.
        width: bits of a word.
        registered: whether the read port has a register; without one it cannot be a block RAM.
    """
    behind = width if registered else 0
    if depth == 1 or depth * width < _REGISTER_BITS:
        # Words in registers, and LUTs to select the one that is read and the one that is written.
        return Memory(lut=width * (depth - 1), ff=depth * width + behind)
    cells, deep = _cells(depth, width)
    cost, block = _block(depth, width)
    if registered and cost < _CELL * cells:
        return block
    selecting = width * (-(-depth // deep) - 1) / 2
    return Memory(lut=4 * cells + selecting, ff=behind)


def fifo(depth: int, width: int) -> Memory:
    """The RAM of a FIFO, whose read address is a register: a block RAM if that costs less.

    Synthesis moves the register of the address into the block RAM.
    """
    cells, deep = _cells(depth, width)
    cost, block = _block(depth, width)
    selecting = width * (-(-depth // deep) - 1)
    if depth > 1 and cost < _CELL * cells + selecting:
        return block
    return ram(depth, width, registered=False)


def _cells(depth: int, width: int) -> tuple[int, int]:
    """The fewest cells of LUTs that hold a memory, and the depth of a cell."""
    return min(
        ((-(-width // w) * -(-depth // d), d) for w, d in _CELLS),
        key=lambda each: (each[0], -each[1]),
    )


def _block(depth: int, width: int) -> tuple[int, Memory]:
    """The cost of the cheapest block RAMs that hold a memory, and their resources."""
    cost, kind, count, deep = min(
        (
            cost * -(-width // w) * -(-depth // d),
            cost,
            -(-width // w) * -(-depth // d),
            -(-depth // d),
        )
        for cost, shapes in _SHAPES.items()
        for w, d in shapes
    )
    # LUTs select among block RAMs that are not deep enough.
    lut = width * (deep - 1) / 2
    return cost, Memory(lut, bram18=count) if kind == _HALF else Memory(lut, bram36=count)


COUNTED = 6
"""Inputs of a counter of ``popcount``: counter ``c`` of ``n`` has inputs ``c``, ``c + n``, ..."""


@dataclass(frozen=True)
class Tree:
    """A tree of adders, as in ``sum_tree``.

    Attributes:
        adders: bits of all adders.
        registers: bits of all registers.
        numbers: how many numbers those registers hold; each has one lowest bit.
    """

    adders: int
    registers: int
    numbers: int


def tree(leaves: Sequence[tuple[int, int]], per_register: int, before: int = 0) -> Tree:
    """The adder tree over numbers, each at most ``high``, whose ``zeros`` lowest bits are 0.

    Args:
        leaves: ``(high, zeros)`` of each number.
        per_register: levels of adders between two registers.
        before: levels of logic in front of the leaves.
    """
    adders = registers = numbers = 0
    depth = (len(leaves) - 1).bit_length()
    now = list(leaves)
    for level in range(1, depth + 1):
        sums = []
        for left, right in zip(now[::2], now[1::2], strict=False):
            high, zeros = left[0] + right[0], min(left[1], right[1])
            adders += high.bit_length() - max(left[1], right[1])
            sums.append((high, zeros))
        now = sums + now[len(now) - len(now) % 2 :]
        if (before + level) % per_register == 0 or level == depth:
            registers += sum(high.bit_length() - zeros for high, zeros in now)
            numbers += len(now)
    return Tree(adders, registers, numbers)


def count_tree(inputs: int, per_register: int) -> Tree:
    """The tree of a ``popcount``, with the registers of its counters if it has any."""
    counters = -(-inputs // COUNTED)
    sizes = [len(range(first, inputs, counters)) for first in range(counters)]
    adders = tree([(size, 0) for size in sizes], per_register, before=1)
    if per_register > 1 and len(sizes) > 1:
        return adders
    bits = sum(size.bit_length() for size in sizes)
    return Tree(adders.adders, adders.registers + bits, adders.numbers + len(sizes))


def match_tree(inputs: int, per_register: int) -> Tree:
    """The tree of a ``matches``, with the registers of its tables if it has any."""
    sizes = [size for size in threes(inputs) for _ in range(2)]
    depth = 1 + (-(-inputs // COUNTED) - 1).bit_length()
    before = depth - (len(sizes) - 1).bit_length()
    counted = [(size << i % 2, i % 2) for i, size in enumerate(sizes)]
    adders = tree(counted, per_register, before)
    registers, numbers = adders.registers, adders.numbers
    if before % per_register == 0:
        registers += sum(size.bit_length() for size in sizes)
        numbers += len(sizes)
    if per_register == 1 and before == 2:
        registers += sum(sizes)
        numbers += sum(sizes)
    return Tree(adders.adders, registers, numbers)


def match_tables(inputs: int) -> int:
    """Tables before the tree of a ``matches``: sums and carries of threes, and their popcounts."""
    sizes = threes(inputs)
    return 2 * sum(sizes) + 2 * sum(size.bit_length() for size in sizes if size > 1)


def threes(inputs: int) -> list[int]:
    """How many threes of inputs each pair of counters in a ``matches`` takes."""
    pairs = -(-inputs // 18)
    return [len(range(first, -(-inputs // 3), pairs)) for first in range(pairs)]


def row_tree(inputs: int, width: int, per_register: int, *, varying: bool = False) -> Tree:
    """The trees of a ``dot_row``: a popcount for each bit plane, and the sum of these counts.

    Args:
        inputs: inputs of the row.
        width: bit planes.
        per_register: levels of adders between two registers.
        varying: whether weights are signals.
    """
    count = (match_tree if varying and inputs > COUNTED else count_tree)(inputs, per_register)
    planes = tree([(inputs << b, b) for b in range(width)], per_register)
    return Tree(
        width * count.adders + planes.adders,
        width * count.registers + planes.registers,
        width * count.numbers + planes.numbers,
    )


def adder_tree(inputs: int, width: int, per_register: int) -> Tree:
    """The tree of a ``dot_row`` that adds its terms."""
    return tree([((1 << width) - 1, 0)] * inputs, per_register)


def patterns(weights: Bools) -> int:
    """Distinct weight patterns, summed over counters; a pattern and its complement count once.

    Channels whose weights agree in the inputs of a counter share its count.
    """
    inputs = weights.shape[1]
    counters = -(-inputs // COUNTED)
    total = 0
    for first in range(counters):
        own = weights[:, first::counters]
        codes = (own ^ own[:, :1]) @ (1 << np.arange(own.shape[1]))
        total += len(np.unique(codes))
    return total
