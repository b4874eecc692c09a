"""Which carry chains compress a heap of bits best.

A heap is known by its heights, the bits in each column. A chain starts at a column and takes bits
column by column, in parts of three kinds, each with the carry from below:

- ``full``: six bits of a column become one of it and one of the next, in two LUTs (the carry-chain
  counters of Preusser, "Generic and universal parallel matrix summation with a flexible compression
  goal for Xilinx FPGAs", FPL 2017); four bits of a column leave room for one of the next.
- ``pair``: two bits of a column become one, in one LUT: a plain adder.
- ``triple``: three bits of a column become one and a *link*, in one LUT: a ternary adder. Its
  second operand is the link from below, or else one more bit of the column.

A LUT takes at most two bits off a heap. The best chain for a given price of a LUT in bits is found
by going through all of them, column by column; a heap is compressed by taking the best chain again
and again while the price falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

Heights = tuple[int, ...]

PRICES = (1.95, 1.8, 1.6, 1.45, 1.3, 1.15, 0.99, 0.8, 0.66, 0.45)
"""Bits that a LUT must take off the heap, while the best chains are taken."""
SHORTER = ((1.95, 1.45, 0.99, 0.66), (1.6, 1.3, 0.99, 0.66), (1.45, 0.99, 0.45))
"""Other such series, which are better for some heaps."""
BIT = 0.55
"""LUTs that a bit left in a heap costs each of those who add it up."""
GAIN = 1e-6


@dataclass(frozen=True)
class Part:
    """Some positions of a chain.

    Attributes:
        kind: ``full``, ``pair`` or ``triple``.
        bits: taken from the first column.
        extra: taken besides: by ``full`` from the next column, by ``triple`` from its own, as the
            operand that has to be a plain signal.
        linked: whether a link from below is an operand.
    """

    kind: str
    bits: int
    extra: int = 0
    linked: bool = False

    @property
    def positions(self) -> int:
        """Places of the carry chain, and LUTs."""
        return 2 if self.kind == "full" else 1


@dataclass(frozen=True)
class Plan:
    """A chain: the column it starts at, whether a bit is its carry in, its parts.

    Attributes:
        start: column of the first position.
        cin: whether a bit of the first column is the carry in.
        parts: in order.
        carry: whether its carry out can ever be 1.
    """

    start: int
    cin: bool
    parts: tuple[Part, ...]
    carry: bool

    @property
    def luts(self) -> int:
        """What it takes."""
        return sum(part.positions for part in self.parts)

    @property
    def linked(self) -> bool:
        """Whether the last part leaves a link."""
        return self.parts[-1].kind == "triple"

    def after(self, heights: Heights) -> Heights:
        """The heights when it has been taken."""
        columns = [*heights, 0, 0, 0]
        at = self.start
        columns[at] -= self.cin
        for part in self.parts:
            columns[at] += 1 - part.bits
            if part.kind == "full":
                columns[at + 1] += 1 - part.extra
            else:
                columns[at] -= part.extra
            at += part.positions
        columns[at] += self.carry + self.linked
        while columns and not columns[-1]:
            columns.pop()
        return tuple(columns)


@lru_cache(maxsize=1 << 18)
def best_chain(heights: Heights, price: float) -> tuple[float, Plan | None]:
    """The chain that takes most bits off, less ``price`` for each LUT, and that difference."""
    best: tuple[float, Plan | None] = (0.0, None)
    for start, height in enumerate(heights):
        if height < 2:
            continue
        for cin in (False, True):
            value, parts, carry = _parts(heights[start:], height - cin, 0, cin, True, price)
            if parts and value + cin > best[0] + GAIN:
                best = (value + cin, Plan(start, cin, parts, carry))
    return best


@lru_cache(maxsize=1 << 18)
def _parts(
    heights: Heights, height: int, link: int, carry: bool, first: bool, price: float
) -> tuple[float, tuple[Part, ...], bool]:
    """The best rest of a chain: bits taken off less the price, its parts, whether it carries.

    Args:
        heights: columns from the present position on.
        height: bits of the present column that may still be taken.
        link: whether a link comes from below.
        carry: whether the carry from below can be 1.
        first: whether the carry from below is the carry in.
        price: of a LUT.
    """
    stop = -10.0 if first else -float(carry) - link
    best: tuple[float, tuple[Part, ...], bool] = (stop, (), carry)
    for part, gain, carries in _choices(heights, height, link, carry, first):
        rest = heights[part.positions :]
        link_out = int(part.kind == "triple")
        value, parts, out = _parts(rest, rest[0] if rest else 0, link_out, carries, False, price)
        value += gain - price * part.positions
        if value > best[0] + GAIN:
            best = (value, (part, *parts), out)
    return best


def _choices(
    heights: Heights, height: int, link: int, carry: bool, first: bool
) -> list[tuple[Part, int, bool]]:
    """Parts that can come next, the bits that each takes off, and whether it carries."""
    made: list[tuple[Part, int, bool]] = []
    most = min(height, 2 - link)
    if most + link:
        made.append((Part("pair", most, 0, bool(link)), most - 1, most + link + carry >= 2))
    # A first triple has no place for a carry in: its second operand uses the same input.
    if height >= 2 and not (first and carry):
        bits = min(height, 3)
        extra = int(not link and height > 3)
        part = Part("triple", bits, extra, bool(link))
        made.append(
            (part, bits + extra - 1, 1 + link + extra + carry >= 2 and bool(link + extra + carry))
        )
    if not link and height >= 3:
        bits = min(height, 6)
        made.append((Part("full", bits), bits - 2, bits + carry >= 4))
        if len(heights) > 1 and heights[1]:
            bits = min(height, 4)
            made.append((Part("full", bits, 1), bits - 1, bits + 2 + carry >= 4))
    return made


@dataclass(frozen=True)
class Compression:
    """Chains in order, and what they leave.

    Attributes:
        chains: in order.
        luts: of all of them.
        left: the heights in the end.
    """

    chains: tuple[Plan, ...]
    luts: int
    left: Heights


def descend(heights: Heights, prices: Sequence[float]) -> list[Compression]:
    """Take the best chains while prices fall; all states on the way, the first untouched."""
    chains: tuple[Plan, ...] = ()
    luts = 0
    states = [Compression((), 0, heights)]
    for price in prices:
        while True:
            _, plan = best_chain(heights, price)
            if plan is None:
                break
            heights = plan.after(heights)
            chains, luts = (*chains, plan), luts + plan.luts
            states.append(Compression(chains, luts, heights))
    return states


@lru_cache(maxsize=1 << 16)
def compress(heights: Heights, uses: int) -> Compression:
    """How a heap is best left to as many others as add it up."""
    series = [PRICES, *SHORTER]
    states = [state for prices in series for state in descend(heights, prices)]
    return min(states, key=lambda s: (s.luts + BIT * uses * sum(s.left), len(s.chains)))


@lru_cache(maxsize=1 << 12)
def to_number(heights: Heights) -> Compression:
    """How a heap becomes a number: one bit a column at most."""
    made = [
        _rippled(state)
        for prices in (PRICES, *SHORTER)
        for state in descend(heights, prices)
        if max(state.left, default=0) <= 2
    ]
    return min(made, key=lambda s: (s.luts, len(s.chains)))


def _rippled(state: Compression) -> Compression:
    """Two rows added by one chain."""
    heights = state.left
    start = next((i for i, height in enumerate(heights) if height > 1), None)
    if start is None:
        return state
    parts: list[Part] = []
    carry = False
    for height in heights[start:]:
        parts.append(Part("pair", height))
        carry = height + carry >= 2
    plan = Plan(start, False, tuple(parts), carry)
    return Compression((*state.chains, plan), state.luts + plan.luts, plan.after(heights))
