"""A heap compared with a number, by a carry chain of which only the carry out is used.

``sum >= t`` is the carry of ``sum + (2^B - t)`` out of ``B`` columns. A position of the chain need
not be one column: a *window* of ``w`` columns, with up to five bits in one LUT, passes a carry on
if its sum is ``2^w - 1`` and generates a carry if its sum is ``2^w`` or more, provided that its sum
cannot exceed ``2^(w+1) - 2``. Where the constant leaves no room for that, a column of up to three
bits, including the constant's, takes a LUT of its own and a link, as in a ternary adder. The
complemented heap, compared with the complemented threshold, has another constant; the cheaper of
both is taken. A comparison of few windows uses no carry cells: each window is a table that reads
the carry of the one before. The heap is compressed first as long as that saves LUTs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hwbnn.netlists.bit_heap import ODD, BitHeap, compressed
from hwbnn.netlists.chains import (
    LEVEL,
    PRICES,
    SHORTER,
    Arrivals,
    Compression,
    Heights,
    descend,
)
from hwbnn.netlists.netlist import FALSE, TRUE, Atom, Function, NetlistBuilder

NEVER = 1 << 20
"""More LUTs than any comparison takes."""
CELL = 1.0
"""LUTs that a carry cell of four positions is worth."""
WIDEST = 12
"""The most columns of a table. Its function is first a mask of ``2^(columns + 1)`` bits, and with a
large scale a heap has many columns without a bit."""


@dataclass(frozen=True)
class CarryWindow:
    """A position of the chain.

    Attributes:
        columns: how many columns it spans.
        link: whether it gives a link to the next window; in carry cells only if it is one column.
    """

    columns: int
    link: bool = False


@dataclass(frozen=True)
class ThresholdChain:
    """A chain of windows.

    Attributes:
        luts: LUTs that it takes.
        windows: in order.
        cin: the constant carry into the first.
        complemented: whether the bits and the answer are complemented.
        constant: what is added to the bits.
        tables: whether each window is one table, which reads the link of the one before, without
            carry cells.
    """

    luts: int
    windows: tuple[CarryWindow, ...]
    cin: int
    complemented: bool
    constant: int
    tables: bool = False

    @property
    def cost(self) -> float:
        """LUTs, plus carry cells and levels converted to LUTs."""
        if self.tables:
            return self.luts + LEVEL * (len(self.windows) - 1)
        return self.luts + CELL * (len(self.windows) + 1) / 4


@lru_cache(maxsize=1 << 16)
def cheapest(heights: Heights, wanted: int) -> ThresholdChain | None:
    """The cheapest comparison ``sum >= wanted``, with ``wanted`` from 1 to the largest sum."""
    high = sum(height << i for i, height in enumerate(heights))
    chains: list[ThresholdChain] = []
    for complemented in (False, True):
        # sum >= t  is  not (complement >= high - t + 1)
        t = high - wanted + 1 if complemented else wanted
        columns = len(heights)
        while (1 << columns) < t or high >= (1 << columns) + t:
            columns += 1
        padded = heights + (0,) * (columns - len(heights))
        for cin in (0, 1):
            constant = (1 << columns) - t - cin
            if constant >= 0:
                luts, windows = _cover(padded, constant, 0, True, cin)
                if luts < NEVER:
                    chains.append(ThresholdChain(luts, windows, cin, complemented, constant))
        constant = (1 << columns) - t
        luts, windows = _tables(padded, constant, 0)
        if luts < NEVER:
            chains.append(ThresholdChain(luts, windows, 0, complemented, constant, tables=True))
    return min(chains, key=lambda c: c.cost) if chains else None


@lru_cache(maxsize=1 << 18)
def _tables(heights: Heights, constant: int, link: int) -> tuple[int, tuple[CarryWindow, ...]]:
    """The fewest tables in a chain for these columns, and their windows."""
    best: tuple[int, tuple[CarryWindow, ...]] = (NEVER, ())
    bits, high = link, link
    for columns in range(1, min(len(heights), WIDEST) + 1):
        bits += heights[columns - 1]
        high += heights[columns - 1] << (columns - 1)
        digit = constant & ((1 << columns) - 1)
        if bits > 6:
            break
        # The carry must be able to be 1, and never 2; a window that never carries wastes a table.
        if not 1 << columns <= high + digit < 2 << columns:
            continue
        if columns == len(heights):
            return 1, (CarryWindow(columns),)
        luts, windows = _tables(heights[columns:], constant >> columns, 1)
        if luts + 1 < best[0]:
            best = (luts + 1, (CarryWindow(columns, link=True), *windows))
    return best


@lru_cache(maxsize=1 << 18)
def _cover(
    heights: Heights, constant: int, link: int, first: bool, cin: int
) -> tuple[int, tuple[CarryWindow, ...]]:
    """The fewest LUTs for these columns, and the windows."""
    if not heights:
        return (NEVER if link else 0), ()
    best: tuple[int, tuple[CarryWindow, ...]] = (NEVER, ())
    bits, high = link, link
    for columns in range(1, min(len(heights), 6) + 1):
        bits += heights[columns - 1]
        high += heights[columns - 1] << (columns - 1)
        digit = constant & ((1 << columns) - 1)
        if bits > 5:
            break
        if high + digit > (2 << columns) - 2:
            continue
        luts, windows = _cover(heights[columns:], constant >> columns, 0, False, 0)
        luts += bits > 0
        if luts < best[0]:
            best = (luts, (CarryWindow(columns), *windows))
    if 2 <= heights[0] + (constant & 1) <= 3 and not (first and cin):
        luts, windows = _cover(heights[1:], constant >> 1, 1, False, 0)
        if luts + 1 < best[0]:
            best = (luts + 1, (CarryWindow(1, link=True), *windows))
    return best


@lru_cache(maxsize=1 << 16)
def planned(arrivals: Arrivals, wanted: int) -> Compression:
    """The compression of a heap after which the comparison with ``wanted`` is cheapest.

    The sum of what a compression leaves is that of the heap, so ``wanted`` stays the same.
    """
    best: tuple[float, Compression] | None = None
    for prices in (PRICES, *SHORTER):
        for state in descend(arrivals, prices):
            comparison = cheapest(state.left, wanted)
            if comparison is None:
                continue
            luts = state.luts + comparison.cost + LEVEL * state.latest
            if best is None or luts < best[0]:
                best = (luts, state)
    if best is None:
        raise AssertionError(f"no comparison of {arrivals} with {wanted}")
    return best[1]


def reaches(builder: NetlistBuilder, heap: BitHeap, threshold: int) -> int:
    """The literal of ``heap >= threshold``, a plain signal or a constant."""
    wanted = threshold - heap.constant
    if wanted <= 0:
        return TRUE
    if wanted > heap.high:
        return FALSE
    # Complemented chains change the constant during compression: look at the largest sum again.
    left = compressed(builder, heap, planned(heap.arrivals(builder), wanted))
    left.cancelled()
    wanted = threshold - left.constant
    if wanted <= 0 or wanted > left.high:
        return TRUE if wanted <= 0 else FALSE
    if cheapest(left.heights, wanted) is None:
        left = compressed(builder, left, planned(left.arrivals(builder), wanted))
    return _built(builder, left, threshold)


def _built(builder: NetlistBuilder, heap: BitHeap, threshold: int) -> int:
    """Build the cheapest comparison of a heap, without more compression; return its literal."""
    comparison = cheapest(heap.heights, threshold - heap.constant)
    if comparison is None:
        raise AssertionError(f"no comparison of {heap.heights}")
    flip = int(comparison.complemented)
    columns = [[literal ^ flip for literal in column] for column in heap.columns]
    columns += [[]] * 64
    s: list[int] = []
    d: list[int] = []
    atoms: list[Atom] = []
    at, link = 0, FALSE
    for window in comparison.windows:
        digit = comparison.constant >> at & ((1 << window.columns) - 1)
        terms = [(literal, 1 << i) for i in range(window.columns) for literal in columns[at + i]]
        if comparison.tables:
            atom, link = _table(builder, terms, digit, link, flip, window, s, d)
        elif window.link:
            atom, link = _linked(builder, terms, digit, link, flip, s, d)
        else:
            atom = _window(builder, terms, digit, link, flip, window.columns, s, d)
            link = FALSE
        atoms.append(atom)
        at += window.columns
    cin = comparison.cin ^ flip
    _, carry = builder.chain(cin, s, d, atoms, sums=False, negated=bool(flip))
    return carry


def _above(columns: int, flip: int) -> int:
    """A mask of the sums that carry out of these columns; if flipped, of those that do not."""
    full = 1 << columns
    return ((1 << full) - 1) << (0 if flip else full)


def _window(
    builder: NetlistBuilder, terms: list[tuple[int, int]], digit: int, link: int, flip: int,
    columns: int, s: list[int], d: list[int],
) -> Atom:  # fmt: skip
    """Up to five bits: a carry passes if their sum is all ones, and is generated above that."""
    if link:
        # Where carries are complements, so are links.
        terms = [*terms, (link ^ flip, 1)]
    full = 1 << columns
    weights = tuple(weight for _, weight in terms)
    passes, makes = (
        builder.lut(
            [literal for literal, _ in terms],
            Function(weights, 1 << (full - 1), digit),
            Function(weights, _above(columns, flip), digit),
        )
        if terms
        else (int(digit == full - 1), int(digit >= full) ^ flip)
    )
    s.append(passes)
    d.append(makes)
    return Atom(columns, tuple(terms), digit)


def _linked(
    builder: NetlistBuilder, terms: list[tuple[int, int]], digit: int, link: int, flip: int,
    s: list[int], d: list[int],
) -> tuple[Atom, int]:  # fmt: skip
    """A column of up to three bits, with the constant's; the upper half of its sum is the link."""
    below = [link] if link else []
    count = len(terms)
    literals = [literal for literal, _ in terms]
    inside = 0b1100
    if flip:
        inside = 0b0011
    passes, leaves = builder.lut(
        [*literals, *(b ^ flip for b in below)],
        Function((1,) * (count + len(below)), ODD, digit),
        Function((1,) * count + (0,) * len(below), inside, digit),
    )
    s.append(passes)
    d.append(link if link else flip)
    added = tuple((literal, 1) for literal in [*literals, *(b ^ flip for b in below)])
    return Atom(1, added, digit, link=leaves >> 1), leaves


def _table(
    builder: NetlistBuilder, terms: list[tuple[int, int]], digit: int, link: int, flip: int,
    window: CarryWindow, s: list[int], d: list[int],
) -> tuple[Atom, int]:  # fmt: skip
    """Up to six bits, with the carry from below; their carry is the link, or the answer."""
    bits = [*terms, (link, 1)]
    weights = tuple(weight for _, weight in bits)
    function = Function(weights, _above(window.columns, flip), digit)
    output = builder.lut([literal for literal, _ in bits], function)[0]
    # Opposite bits may make the output a constant, which is then the carry itself.
    linked = window.link and output > TRUE
    s.append(FALSE)
    d.append(flip if linked else output)
    added = tuple(bits if link > TRUE else terms)
    return Atom(window.columns, added, digit, link=output >> 1 if linked else 0), output ^ flip
