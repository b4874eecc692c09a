"""The search for the carry chains that compress a heap of bits best.

The search knows a heap by its heights, the numbers of bits in each column. A chain starts at a
column and takes bits column by column, in parts of three kinds, each with the carry from below:

- ``full``: six bits of a column become one bit of the same column and one of the next, in two LUTs
  (the carry-chain counters of Preusser, "Generic and universal parallel matrix summation with a
  flexible compression goal for Xilinx FPGAs", FPL 2017). A part that takes only four bits can also
  take one of the next column.
- ``pair``: two bits of a column become one, in one LUT: a plain adder.
- ``triple``: three bits of a column become one and a *link*, in one LUT: a ternary adder. Its
  second operand is the link from below, or else one more bit of the column: with a carry in, five
  bits become three.

A LUT takes at most two bits off a heap. The best chain for a given price of a LUT in bits is found
by trying all chains, column by column. A heap is compressed by taking the best chain again and
again while the price falls.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

Heights = tuple[int, ...]
Arrivals = tuple[tuple[int, ...], ...]
"""A heap as the levels of logic at which its bits are ready: a sorted tuple for each column."""

PRICES = (1.95, 1.8, 1.6, 1.45, 1.3, 1.15, 0.99, 0.8, 0.66, 0.45)
"""Successive prices: the bits that each LUT of a chain must take off the heap."""
SHORTER = (
    (1.95, 1.45, 0.99, 0.66),
    (1.6, 1.3, 0.99, 0.66),
    (1.45, 0.99, 0.45),
    (1.2, 0.99, 0.66, 0.45),
)
"""Other such series, which are better for some heaps."""
BIT = 0.55
"""The cost in LUTs of a bit left in a heap, for each sum that adds it up."""
LEVEL = 0.3
"""The cost in LUTs of each level of logic."""
GAIN = 1e-6


@dataclass(frozen=True)
class ChainPart:
    """Some positions of a chain.

    Attributes:
        kind: ``full``, ``pair`` or ``triple``.
        bits: bits taken from the first column.
        extra: further bits: ``full`` takes them from the next column, ``triple`` from the first, as
            its second operand, which must be a plain signal.
        linked: whether a link from below is an operand.
    """

    kind: str
    bits: int
    extra: int = 0
    linked: bool = False

    @property
    def positions(self) -> int:
        """Positions of the carry chain, which is also the number of LUTs."""
        return 2 if self.kind == "full" else 1


@dataclass(frozen=True)
class ChainPlan:
    """A chain: the column it starts at, whether a bit is its carry in, its parts.

    Attributes:
        start: column of the first position.
        cin: whether a bit of the first column is the carry in.
        parts: in order.
        carry: whether its carry out can ever be 1.
    """

    start: int
    cin: bool
    parts: tuple[ChainPart, ...]
    carry: bool

    @property
    def luts(self) -> int:
        """LUTs that it takes."""
        return sum(part.positions for part in self.parts)

    @property
    def linked(self) -> bool:
        """Whether the last part leaves a link."""
        return self.parts[-1].kind == "triple"

    def taken(self) -> Iterator[tuple[int, int]]:
        """Columns and how many bits are taken from each; a column may come several times."""
        yield self.start, int(self.cin)
        at = self.start
        for part in self.parts:
            yield at, part.bits
            yield at + (part.kind == "full"), part.extra
            at += part.positions

    def after(self, arrivals: Arrivals) -> Arrivals:
        """The heap after the chain has taken the earliest bits."""
        columns = [list(column) for column in arrivals]
        late = 0
        for at, count in self.taken():
            if count:
                late = max(late, columns[at][count - 1])
                del columns[at][:count]
        # Tables and the chain behind them are one level; tables linked to each other are one more.
        late += 1 + any(part.linked for part in self.parts)
        top = self.start + self.luts
        columns += [[] for _ in range(top + 1 - len(columns))]
        for at in range(self.start, top):
            insort(columns[at], late)
        for _ in range(self.carry + self.linked):
            insort(columns[top], late)
        while columns and not columns[-1]:
            columns.pop()
        return tuple(map(tuple, columns))


@lru_cache(maxsize=1 << 18)
def best_chain(heights: Heights, price: float) -> tuple[float, ChainPlan | None]:
    """The most bits that a chain takes off, less ``price`` for each LUT, and that chain."""
    best: tuple[float, ChainPlan | None] = (0.0, None)
    for start, height in enumerate(heights):
        if height < 2:
            continue
        for cin in (False, True):
            value, parts, carry = _parts(heights[start:], height - cin, 0, cin, True, price)
            if parts and value + cin > best[0] + GAIN:
                best = (value + cin, ChainPlan(start, cin, parts, carry))
    return best


@lru_cache(maxsize=1 << 18)
def _parts(
    heights: Heights, height: int, link: int, carry: bool, first: bool, price: float
) -> tuple[float, tuple[ChainPart, ...], bool]:
    """The best rest of a chain: bits taken off less the price, its parts, can it carry out?

    Args:
        heights: columns from the present position on.
        height: bits of the present column that may still be taken.
        link: whether a link comes from below.
        carry: whether the carry from below can be 1.
        first: whether the carry from below is the carry in.
        price: of a LUT.
    """
    stop = -10.0 if first else -float(carry) - link
    best: tuple[float, tuple[ChainPart, ...], bool] = (stop, (), carry)
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
) -> list[tuple[ChainPart, int, bool]]:
    """Parts that can come next, the bits that each takes off, and whether it can carry out."""
    choices: list[tuple[ChainPart, int, bool]] = []
    most = min(height, 2 - link)
    if most + link:
        choices.append((ChainPart("pair", most, 0, bool(link)), most - 1, most + link + carry >= 2))
    # Before a first triple, a carry in takes a position: the second operand needs its pin.
    if height >= 2:
        bits = min(height, 3)
        extra = int(not link and height > 3)
        part = ChainPart("triple", bits, extra, bool(link))
        choices.append(
            (part, bits + extra - 1, 1 + link + extra + carry >= 2 and bool(link + extra + carry))
        )
    if not link and height >= 3:
        bits = min(height, 6)
        choices.append((ChainPart("full", bits), bits - 2, bits + carry >= 4))
        if len(heights) > 1 and heights[1]:
            bits = min(height, 4)
            choices.append((ChainPart("full", bits, 1), bits - 1, bits + 2 + carry >= 4))
    return choices


@dataclass(frozen=True)
class Compression:
    """Chains in order, and the heap that they leave.

    Attributes:
        chains: in order.
        luts: LUTs of all chains.
        arrivals: the heap that is left.
    """

    chains: tuple[ChainPlan, ...]
    luts: int
    arrivals: Arrivals

    @property
    def left(self) -> Heights:
        """The heights of the heap that is left."""
        return heights_of(self.arrivals)

    @property
    def latest(self) -> int:
        """The level at which all bits are ready."""
        return max((column[-1] for column in self.arrivals if column), default=0)


def heights_of(arrivals: Arrivals) -> Heights:
    """Bits of each column."""
    return tuple(map(len, arrivals))


def there(arrivals: Arrivals, level: int) -> Heights:
    """Bits of each column that are ready at a level."""
    return tuple(bisect_right(column, level) for column in arrivals)


def relative(arrivals: Arrivals) -> Arrivals:
    """Levels counted from the earliest: equal for heaps that differ only by a delay."""
    first = min((column[0] for column in arrivals if column), default=0)
    return tuple(tuple(level - first for level in column) for column in arrivals)


def descend(arrivals: Arrivals, prices: Sequence[float]) -> list[Compression]:
    """Take the best chains while prices fall; return all states, the first without chains.

    At each price, early bits are taken before later bits are considered.
    """
    states = [Compression((), 0, arrivals)]
    for price in prices:
        level = 0
        while True:
            now = states[-1]
            _, plan = best_chain(there(now.arrivals, level), price)
            if plan is not None:
                after = plan.after(now.arrivals)
                states.append(Compression((*now.chains, plan), now.luts + plan.luts, after))
                continue
            later = [x for column in now.arrivals for x in column if x > level]
            if not later:
                break
            level = min(later)
    return states


@lru_cache(maxsize=1 << 16)
def compress(arrivals: Arrivals, uses: int) -> Compression:
    """The cheapest compression of a heap whose result is added up ``uses`` times.

    Args:
        arrivals: the heap, its levels from 0 on.
        uses: how many sums add up the heap that is left.
    """
    states = [state for prices in (PRICES, *SHORTER) for state in descend(arrivals, prices)]
    return min(states, key=lambda s: s.luts + BIT * uses * sum(s.left) + LEVEL * s.latest)


@lru_cache(maxsize=1 << 12)
def to_number(arrivals: Arrivals) -> Compression:
    """The compression of a heap to a number: at most one bit in each column."""
    ways = [
        _rippled(state)
        for prices in (PRICES, *SHORTER)
        for state in descend(arrivals, prices)
        if max(state.left, default=0) <= 2
    ]
    return min(ways, key=lambda s: s.luts + LEVEL * s.latest)


def _rippled(state: Compression) -> Compression:
    """Add the two rows that are left with one chain."""
    heights = state.left
    start = next((i for i, height in enumerate(heights) if height > 1), None)
    if start is None:
        return state
    parts: list[ChainPart] = []
    carry = False
    for height in heights[start:]:
        parts.append(ChainPart("pair", height))
        carry = height + carry >= 2
    plan = ChainPlan(start, False, tuple(parts), carry)
    after = plan.after(state.arrivals)
    return Compression((*state.chains, plan), state.luts + plan.luts, after)
