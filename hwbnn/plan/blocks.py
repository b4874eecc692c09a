"""Blocks: the parts of a free-running pipeline, one class for each module of ``rtl/``.

A block takes a token in any cycle and gives the result a fixed number of cycles later; it has no
handshake. Each holds the constants exactly as the hardware does, so that what generates and what
estimates need not derive them again. Latencies are those that the modules' headers state; a bench
counts them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwbnn.plan.streams import Stream

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def stages(levels: int, per_register: int) -> int:
    """Registers behind ``levels`` levels of logic, one after every ``per_register`` and the last.

    >>> stages(5, 2), stages(0, 2)
    (3, 0)
    """
    return -(-levels // per_register)


def tree_depth(n: int) -> int:
    """Levels of a tree of two-input nodes over ``n`` leaves."""
    return (n - 1).bit_length()


def popcount_latency(inputs: int, levels: int) -> int:
    """Cycles of ``popcount``: groups of six are one level, a tree of adders follows."""
    return stages(1 + tree_depth(-(-inputs // 6)), levels)


def row_latency(inputs: int, width: int, levels: int) -> int:
    """Cycles of ``dot_row``: the counts of all bit planes, then their sum."""
    return popcount_latency(inputs, levels) + stages(tree_depth(width), levels)


@dataclass(frozen=True, eq=False)
class Block:
    """What all blocks have.

    Attributes:
        name: of its instance and of the signals that it drives, legal in every output language.
        value: the Graph's value that leaves it; None where that is none of them.
        source: what it takes.
        result: what it gives.
    """

    name: str
    value: str | None
    source: Stream
    result: Stream

    @property
    def latency(self) -> int:
        """Cycles from a token to its result."""
        return 1

    @property
    def reduces(self) -> bool:
        """Whether a whole frame becomes one token, at the frame's last token."""
        return False


@dataclass(frozen=True, eq=False)
class DotUnrolled(Block):
    """Raw sums of all channels at once (``dot_unrolled``).

    Attributes:
        node: the ``Dot``.
        weights: bool ``(channels, inputs)``; rows of falling fused thresholds are inverted.
        levels: levels of logic between two registers.
    """

    node: str
    weights: Bools
    levels: int

    @property
    def latency(self) -> int:
        """Cycles of one row."""
        return row_latency(self.source.size, self.source.width, self.levels)


@dataclass(frozen=True, eq=False)
class DotFolded(Block):
    """Raw sums of ``pe`` channels from ``simd`` inputs a cycle (``dot_folded``).

    It stands at the head of its pipeline: it takes a stream with a handshake, keeps it, and lets
    results in by credits. ``latency`` counts from the last step of a pass.

    Attributes:
        node: the ``Dot``.
        weights: as in :class:`DotUnrolled`.
        levels: levels of logic between two registers.
        pe: channels at a time.
        simd: inputs at a time.
    """

    node: str
    weights: Bools
    levels: int
    pe: int
    simd: int

    @property
    def steps(self) -> int:
        """Steps of one pass over the inputs."""
        return self.source.size // self.simd

    @property
    def passes(self) -> int:
        """Passes over a frame, one a group of channels."""
        return self.result.size // self.pe

    @property
    def slots(self) -> int:
        """Tokens kept: two frames, so that one can arrive whole while the other is read.

        With a single pass nothing is read twice and two tokens keep it going.
        """
        return 2 if self.passes == 1 else 2 * self.steps

    @property
    def rows(self) -> int:
        """Rows of the memory of weights, ``pe * simd`` bits each."""
        return self.passes * self.steps

    @property
    def latency(self) -> int:
        """Cycles from the last step of a pass: read, row, and adding to the total."""
        return 2 + row_latency(self.simd, self.source.width, self.levels)


@dataclass(frozen=True, eq=False)
class Affine(Block):
    """``(x << shift) - constant``: from raw sums to the values of a ``Dot`` (``affine``).

    Attributes:
        shift: 1 for a sum over bits, else 0.
        constants: int64 ``(elements,)``.
    """

    shift: int
    constants: Ints


@dataclass(frozen=True, eq=False)
class Compare(Block):
    """Each element compared with ``k`` constants, a bit for each (``compare``).

    Attributes:
        constants: int64 ``(elements, k)``; the bit is ``x > constant``, from ``low - 1`` to
            ``high``, which say always and never.
        falling: bool ``(elements,)``: the bit is ``x <= constant``.
    """

    constants: Ints
    falling: Bools


@dataclass(frozen=True, eq=False)
class Threshold(Compare):
    """The number of those bits (``threshold``).

    Attributes:
        levels: levels of logic between two registers.
    """

    levels: int

    @property
    def latency(self) -> int:
        """Comparing, then counting where there is something to count."""
        count = self.constants.shape[1]
        return 1 + (popcount_latency(count, self.levels) if count > 1 else 0)


@dataclass(frozen=True, eq=False)
class Lookup(Block):
    """``table[(x - low) >> shift]`` (``lookup``).

    Attributes:
        low: the element that reads entry 0.
        shift: bits of a difference that are always zero.
        table: int64 ``(elements, entries)``.
    """

    low: int
    shift: int
    table: Ints


@dataclass(frozen=True, eq=False)
class Select(Block):
    """Some elements of a whole frame: wires, no module.

    Attributes:
        index: int64 ``(elements,)``.
    """

    index: Ints

    @property
    def latency(self) -> int:
        """None: wires."""
        return 0


@dataclass(frozen=True, eq=False)
class ArgMax(Block):
    """Index of the largest element of a frame (``argmax``).

    Attributes:
        levels: levels of comparators between two registers.
    """

    levels: int

    @property
    def latency(self) -> int:
        """Cycles of the tree, and one to keep the best of several tokens."""
        return stages(tree_depth(self.source.lanes), self.levels) + (self.source.tokens > 1)

    @property
    def reduces(self) -> bool:
        """Whether the frame had more than one token to begin with."""
        return self.source.tokens > 1
