"""Blocks that look at elements by themselves, or choose among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwbnn.graph.arrays import Bools, Ints
from hwbnn.plan.block import Block, ByElement, popcount_latency, signed_width, stages, tree_depth
from hwbnn.plan.multiples import Offset, shortfall, terms


@dataclass(frozen=True, eq=False)
class Affine(ByElement):
    """``(x << shift) - constant``: from raw sums to the values of a ``Dot`` (``affine``).

    Attributes:
        shift: 1 for a sum over bits, else 0.
        constants: int64 ``(elements,)``.
    """

    shift: int
    constants: Ints

    @property
    def elements(self) -> int:
        """Those of the constants."""
        return len(self.constants)


@dataclass(frozen=True, eq=False)
class Scaled(ByElement):
    """``scale * x + offset * total + constant``, the total behind the elements of each token.

    Where all tokens have the same constants, multiples are made by shifts and adders
    (``scaled_fixed``), others multiply by what a memory holds (``scaled``).

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
        return self.tokens == 1 and self.places is None

    @property
    def elements(self) -> int:
        """Those of the constants."""
        return len(self.constants)

    @property
    def lanes(self) -> int:
        """Sums of a token: without the total."""
        return self.result.lanes

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
        offset = signed_width(int(self.offset.min()), int(self.offset.max()))
        return scale, offset, self.result.width if self.added.any() else 0

    @property
    def latency(self) -> int:
        """Multiples, then their sum."""
        if not self.fixed:
            return 2
        multiples = stages(tree_depth(max(self.count, self.scale_count)), self.levels)
        return multiples + stages(tree_depth(3 if self.added.any() else 2), self.levels)


@dataclass(frozen=True, eq=False)
class Compare(ByElement):
    """Each element compared with ``k`` constants, a bit for each (``compare``).

    Attributes:
        constants: int64 ``(elements, k)``; the bit is ``x > constant``, from ``low - 1`` to
            ``high``, which say always and never.
        falling: bool ``(elements,)``: the bit is ``x <= constant``.
    """

    constants: Ints
    falling: Bools

    @property
    def elements(self) -> int:
        """Those of the constants."""
        return len(self.constants)


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
class Lookup(ByElement):
    """``table[((x - low) >> shift) / step]`` (``lookup``).

    Attributes:
        low: the element that reads entry 0.
        shift: bits of a difference that are always zero.
        step: odd number that divides all differences.
        table: int64 ``(elements, entries)``.
    """

    low: int
    shift: int
    step: int
    table: Ints

    @property
    def latency(self) -> int:
        """Reading the table, after a product where there is one."""
        return 1 + (self.inverse > 1)

    @property
    def inverse(self) -> int:
        """Times a multiple of the step this is the multiple over the step, modulo as many bits.

        The inverse of an odd number modulo a power of two that is at least the entries.
        """
        return int(pow(self.step, -1, 1 << max(1, (self.table.shape[1] - 1).bit_length())))

    @property
    def elements(self) -> int:
        """Those of the tables."""
        return len(self.table)


@dataclass(frozen=True, eq=False)
class Select(Block):
    """Some elements of each token: wires, no module.

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
    def group(self) -> int:
        """The tokens of a frame."""
        return self.source.tokens
