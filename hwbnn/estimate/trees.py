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


def row_tree(inputs: int, width: int, levels: int) -> Tree:
    """The trees of a ``dot_row``: a count for each bit plane, and the sum of the counts."""
    count = count_tree(inputs, levels)
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
