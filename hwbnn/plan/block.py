"""What all blocks of free-running pipelines have, and how deep their logic is in registers.

A block takes a token in any cycle and gives the result a fixed number of cycles later; it has no
handshake. Each holds the constants exactly as the hardware does, so that what generates and what
estimates need not derive them again. Latencies are those that the modules' headers state; a bench
counts them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hwbnn.graph.arrays import Ints
from hwbnn.plan.plan import Sums
from hwbnn.plan.streams import Stream


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


def signed_width(low: int, high: int) -> int:
    """Bits that hold numbers of a range in two's complement.

    >>> signed_width(-8, 7), signed_width(0, 8)
    (4, 5)
    """
    return max((~min(low, 0)).bit_length(), max(high, 0).bit_length()) + 1


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
    def group(self) -> int:
        """Tokens that become one, at the last of them."""
        return 1


@dataclass(frozen=True, eq=False)
class ByElement(Block):
    """A block with constants for each element of a frame, or for each channel of an image.

    Constants come class by class where there are ``places``, in each class element by element, in
    every token those of its lanes; after :attr:`tokens` tokens they repeat.

    Attributes:
        places: int64 ``(positions,)``, the class of each position of an image; None where the
            constants are the same everywhere.
    """

    places: Ints | None = field(default=None, kw_only=True)

    @property
    def elements(self) -> int:
        """Elements that there are constants for, over all classes."""
        raise NotImplementedError

    @property
    def lanes(self) -> int:
        """Elements of a token."""
        return self.source.lanes

    @property
    def classes(self) -> int:
        """Classes of positions."""
        return 1 if self.places is None else int(self.places.max()) + 1

    @property
    def tokens(self) -> int:
        """Tokens of a position, or of what repeats."""
        return -(-self.elements // (self.classes * self.lanes))
