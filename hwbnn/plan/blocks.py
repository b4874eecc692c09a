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

from hwbnn.circuits import Form, Netlist
from hwbnn.plan.multiples import Offset, shortfall, terms
from hwbnn.plan.plan import Sums
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


def row_latency(inputs: int, width: int, levels: int, sums: Sums) -> int:
    """Cycles of ``dot_row``: the counts of the bit planes, then their sum; or a tree of adders."""
    if sums == "adders":
        return stages(tree_depth(inputs), levels)
    planes = 1 if sums == "serial" else width
    return popcount_latency(inputs, levels) + stages(tree_depth(planes), levels)


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
        weights: bool ``(channels, inputs)``; rows of falling fused thresholds are inverted. A row
            of all +1 behind them gives the total, where that is wanted.
        levels: levels of logic between two registers.
        sums: how inputs of several bits are summed.
    """

    node: str
    weights: Bools
    levels: int
    sums: Sums

    @property
    def latency(self) -> int:
        """Cycles of one row."""
        return row_latency(self.source.size, self.source.width, self.levels, self.sums)


@dataclass(frozen=True, eq=False)
class DotNetlist(Block):
    """Raw sums of all channels at once, or whether they reach thresholds, as one netlist.

    Attributes:
        node: the ``Dot``.
        weights: as in :class:`DotUnrolled`.
        wanted: int64 ``(channels,)``: the least raw sums that give a 1; None where the raw sums
            themselves are given.
        netlist: what computes that.
        form: what it is written in.
        levels: levels of logic between two registers.
        cycles: its latency.
    """

    node: str
    weights: Bools
    wanted: Ints | None
    netlist: Netlist
    form: Form
    levels: int
    cycles: int

    @property
    def latency(self) -> int:
        """Cycles of the netlist's deepest output."""
        return self.cycles


@dataclass(frozen=True, eq=False)
class DotFolded(Block):
    """Raw sums of ``pe`` channels from ``simd`` inputs a cycle (``dot_folded``).

    It stands at the head of its pipeline: it takes a stream with a handshake, keeps it, and lets
    results in by credits. ``latency`` counts from the last step of a pass.

    Attributes:
        node: the ``Dot``.
        weights: bool ``(channels, inputs)``; rows of falling fused thresholds are inverted.
        levels: levels of logic between two registers.
        sums: how inputs of several bits are summed.
        pe: channels at a time.
        simd: inputs at a time.
        total: whether each token has the total behind its sums.
    """

    node: str
    weights: Bools
    levels: int
    sums: Sums
    pe: int
    simd: int
    total: bool

    @property
    def steps(self) -> int:
        """Steps of one round over the inputs."""
        return self.source.size // self.simd

    @property
    def rounds(self) -> int:
        """Rounds of one pass over the inputs: one, or one a bit plane."""
        return self.source.width if self.sums == "serial" else 1

    @property
    def passes(self) -> int:
        """Passes over a frame, one a group of channels."""
        return len(self.weights) // self.pe

    @property
    def cycles(self) -> int:
        """Cycles of a frame."""
        return self.passes * self.rounds * self.steps

    @property
    def slots(self) -> int:
        """Tokens kept: two frames, so that one can arrive whole while the other is read.

        With a single round nothing is read twice and two tokens keep it going.
        """
        return 2 if self.passes * self.rounds == 1 else 2 * self.steps

    @property
    def rows(self) -> int:
        """Rows of the memory of weights, ``pe * simd`` bits each."""
        return self.passes * self.steps

    @property
    def latency(self) -> int:
        """Cycles from the last step of a pass: read, row, and adding to the total."""
        return 2 + row_latency(self.simd, self.source.width, self.levels, self.sums)


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
class Scaled(Block):
    """``scale * x + offset * total + constant``, the total behind the elements of each token.

    A frame of one token has multiples by shifts and adders (``scaled_fixed``), others multiply by
    what a memory holds (``scaled``).

    Attributes:
        scale: int64 ``(elements,)``, none negative.
        offset: int64 ``(elements,)``.
        constants: int64 ``(elements,)``.
        levels: levels of logic between two registers.
    """

    scale: Ints
    offset: Ints
    constants: Ints
    levels: int

    @property
    def fixed(self) -> bool:
        """Whether scales and offsets are wires."""
        return self.result.tokens == 1

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """The offset of each element by shifts and adders."""
        return tuple(Offset.of(int(value)) for value in self.offset)

    @property
    def multiples(self) -> tuple[int, ...]:
        """The different odd multiples of the total."""
        return tuple(sorted({offset.odd for offset in self.offsets}))

    @property
    def count(self) -> int:
        """Most terms of a multiple of the total."""
        return max(1, *(len(terms(odd)) for odd in self.multiples))

    @property
    def scale_count(self) -> int:
        """Most terms of a scale."""
        return max(1, *(len(terms(int(scale))) for scale in set(self.scale.tolist())))

    @property
    def missing(self) -> Ints:
        """What shifts and adders leave out of each element; ``added`` makes good for it."""
        if not self.fixed:
            return 0 * self.constants
        pairs = zip(self.scale, self.offsets, strict=True)
        return np.array([shortfall(int(s)) + o.shortfall for s, o in pairs], np.int64)

    @property
    def added(self) -> Ints:
        """The constants that are added."""
        return self.constants + self.missing

    @property
    def shift(self) -> int | None:
        """Where all scales are one power of two, its exponent."""
        first = int(self.scale[0])
        if (self.scale == first).all() and first.bit_count() == 1:
            return first.bit_length() - 1
        return None

    @property
    def widths(self) -> tuple[int, int, int]:
        """Bits of a scale, an offset and a constant in the memory; 0 for what is not kept there."""
        scale = 0 if self.shift is not None else max(1, int(self.scale.max()).bit_length())
        low, high = int(self.offset.min()), int(self.offset.max())
        offset = max((~min(low, 0)).bit_length(), max(high, 0).bit_length()) + 1
        return scale, offset, self.result.width if self.added.any() else 0

    @property
    def latency(self) -> int:
        """Multiples, then their sum."""
        if not self.fixed:
            return 2
        multiples = stages(tree_depth(max(self.count, self.scale_count)), self.levels)
        return multiples + stages(tree_depth(3 if self.added.any() else 2), self.levels)


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
