"""Trees of adders and counts of bits, in adders and registers: what rows of weights are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwbnn.estimate.memories import Bools

GROUP = 6
"""Inputs of a group of ``popcount``; group ``g`` of ``n`` has inputs ``g``, ``g + n``, ..."""


@dataclass(frozen=True)
class Tree:
    """A tree of adders, as ``sum_tree`` makes it.

    Attributes:
        adders: bits of all adders.
        registers: bits of all registers.
        numbers: numbers in those registers; each has a lowest bit.
    """

    adders: int
    registers: int
    numbers: int


def tree(leaves: Sequence[tuple[int, int]], levels: int, before: int = 0) -> Tree:
    """The tree over numbers that are at most ``high`` and have ``zeros`` low bits that are zero.

    Args:
        leaves: ``(high, zeros)`` of each number.
        levels: levels of adders between two registers.
        before: levels in front of the leaves.
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
        if (before + level) % levels == 0 or level == depth:
            registers += sum(high.bit_length() - zeros for high, zeros in now)
            numbers += len(now)
    return Tree(adders, registers, numbers)


def count_tree(inputs: int, levels: int) -> Tree:
    """The tree of a ``popcount``, with the registers of its groups where it has them."""
    groups = -(-inputs // GROUP)
    sizes = [len(range(first, inputs, groups)) for first in range(groups)]
    made = tree([(size, 0) for size in sizes], levels, before=1)
    if levels > 1 and len(sizes) > 1:
        return made
    bits = sum(size.bit_length() for size in sizes)
    return Tree(made.adders, made.registers + bits, made.numbers + len(sizes))


def match_tree(inputs: int, levels: int) -> Tree:
    """The tree of a ``matches``, with the registers of its tables where it has them."""
    sizes = [size for size in threes(inputs) for _ in range(2)]
    depth = 1 + (-(-inputs // GROUP) - 1).bit_length()
    before = depth - (len(sizes) - 1).bit_length()
    counted = [(size << i % 2, i % 2) for i, size in enumerate(sizes)]
    made = tree(counted, levels, before)
    registers, numbers = made.registers, made.numbers
    if before % levels == 0:
        registers += sum(size.bit_length() for size in sizes)
        numbers += len(sizes)
    if levels == 1 and before == 2:
        registers += sum(sizes)
        numbers += sum(sizes)
    return Tree(made.adders, registers, numbers)


def match_tables(inputs: int) -> int:
    """Tables in front of the tree of a ``matches``: sums and carries of threes, counts of those."""
    sizes = threes(inputs)
    return 2 * sum(sizes) + 2 * sum(size.bit_length() for size in sizes if size > 1)


def threes(inputs: int) -> list[int]:
    """How many groups of three inputs each pair of counters of a ``matches`` counts."""
    pairs = -(-inputs // 18)
    return [len(range(first, -(-inputs // 3), pairs)) for first in range(pairs)]


def row_tree(inputs: int, width: int, levels: int, *, varying: bool = False) -> Tree:
    """The trees of a ``dot_row``: a count for each bit plane, and the sum of the counts.

    Args:
        inputs: of the row.
        width: bit planes.
        levels: levels of adders between two registers.
        varying: whether weights are signals.
    """
    count = (match_tree if varying and inputs > GROUP else count_tree)(inputs, levels)
    planes = tree([(inputs << b, b) for b in range(width)], levels)
    return Tree(
        width * count.adders + planes.adders,
        width * count.registers + planes.registers,
        width * count.numbers + planes.numbers,
    )


def adder_tree(inputs: int, width: int, levels: int) -> Tree:
    """The tree of a ``dot_row`` that adds its terms."""
    return tree([((1 << width) - 1, 0)] * inputs, levels)


def patterns(weights: Bools) -> int:
    """Different groups of weights, counted over all groups; a group and its complement are one.

    Channels whose weights agree in a group share its count.
    """
    inputs = weights.shape[1]
    groups = -(-inputs // GROUP)
    found = 0
    for first in range(groups):
        group = weights[:, first::groups]
        codes = (group ^ group[:, :1]) @ (1 << np.arange(group.shape[1]))
        found += len(np.unique(codes))
    return found
