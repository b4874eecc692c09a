"""Heaps of weighted bits, and the carry chains that compress them in a netlist.

A heap represents an integer: the sum of its bits, each bit of column ``i`` times ``2^i``, plus a
constant. Only its bits take hardware; the constant is kept apart until the value is compared or
given out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hwbnn.netlists.chains import Arrivals, ChainPart, ChainPlan, Compression, Heights, relative
from hwbnn.netlists.netlist import FALSE, TRUE, Atom, Function, NetlistBuilder

ODD = sum(1 << i for i in range(1, 64, 2))
"""Mask of all odd sums: as the mask of a Function, it gives the lowest bit of a sum."""


@dataclass
class BitHeap:
    """Bits by column, and a constant.

    Attributes:
        columns: literals of weight ``2^i`` at index ``i``.
        constant: any integer.
    """

    columns: list[list[int]] = field(default_factory=list)
    constant: int = 0

    @property
    def heights(self) -> Heights:
        """Bits of each column."""
        return tuple(len(column) for column in self.columns)

    @property
    def high(self) -> int:
        """The sum of all bits when each is 1, without the constant."""
        return sum(len(column) << i for i, column in enumerate(self.columns))

    def arrivals(self, builder: NetlistBuilder) -> Arrivals:
        """The levels of logic at which its bits are ready, counted from the earliest."""
        depth = builder.depth
        arrivals = (sorted(depth[literal >> 1] for literal in column) for column in self.columns)
        return relative(tuple(map(tuple, arrivals)))

    def add(self, literal: int, column: int) -> None:
        """Add a literal to a column; a constant literal is added to :attr:`constant`."""
        if literal in (FALSE, TRUE):
            self.constant += literal << column
            return
        while len(self.columns) <= column:
            self.columns.append([])
        self.columns[column].append(literal)

    def add_all(self, other: BitHeap, sign: int, shift: int = 0) -> None:
        """Add another heap's value times ``2^shift``, or with ``sign`` -1 subtract it."""
        self.constant += sign * other.constant << shift
        for i, column in enumerate(other.columns, start=shift):
            for literal in column:
                # -x == (1 - x) - 1
                self.add(literal ^ (sign < 0), i)
                self.constant -= (sign < 0) << i

    def cancelled(self) -> None:
        """Merge equal bits of a column and cancel opposite ones: neither need to be counted."""
        for i in range(2 * len(self.columns) + 2):
            if i >= len(self.columns):
                break
            held: dict[int, list[int]] = {}
            for literal in self.columns[i]:
                held.setdefault(literal >> 1, []).append(literal)
            column: list[int] = []
            for literals in held.values():
                while len(literals) > 1:
                    one, two = literals.pop(), literals.pop()
                    if one == two:
                        self.add(one, i + 1)
                    else:
                        self.constant += 1 << i
                column += literals
            self.columns[i] = column
        while self.columns and not self.columns[-1]:
            self.columns.pop()


def compressed(builder: NetlistBuilder, heap: BitHeap, compression: Compression) -> BitHeap:
    """Put the chains of a compression into the netlist; return the heap that is left."""
    columns = [list(column) for column in heap.columns]
    left = BitHeap(columns, heap.constant)
    for plan in compression.chains:
        _take(builder, left, plan)
    return left


@dataclass
class _Taken:
    """Literals that a part of a chain takes.

    Attributes:
        part: the part.
        table: literals of its first column.
        plain: how many of them enter no table, as carry in or second operand, and must be plain.
        extra: the second operand, or literals of the next column.
    """

    part: ChainPart
    table: list[int]
    plain: int
    extra: list[int]

    @property
    def wanted(self) -> int:
        """The number of plain signals that are needed."""
        return self.plain + (self.part.kind == "full" and self.part.bits == 6)


def _take(builder: NetlistBuilder, heap: BitHeap, plan: ChainPlan) -> None:
    """Put one chain into the netlist; its bits leave the heap, its results join it."""
    taken = _picked(builder, heap, plan)
    # All inputs of a chain may be complemented if its outputs are complemented too. This is done if
    # fewer literals that must be plain are inverted then.
    flipped = _lacking(taken, 1) < _lacking(taken, 0)
    cin = _parted(taken, plan, flipped)
    first = _plain(builder, cin[0]) if cin else FALSE
    s, d, atoms, link = _positions(builder, taken)
    total = sum(count << (at - plan.start) for at, count in plan.taken())
    sums, last = builder.chain(first, s, d, atoms, carry=plan.carry)
    outputs = [(literal, i) for i, literal in enumerate(sums)]
    if plan.carry:
        outputs.append((last, len(s)))
    if plan.linked:
        outputs.append((link, len(s)))
    if flipped:
        # sum(~in) == sum(out), so sum(in) == sum(~out) + total(in) - total(out)
        outputs = [(literal ^ 1, i) for literal, i in outputs]
        over = total - sum(1 << i for _, i in outputs)
        heap.constant += over << plan.start
    for literal, i in outputs:
        heap.add(literal, plan.start + i)


def _picked(builder: NetlistBuilder, heap: BitHeap, plan: ChainPlan) -> list[_Taken]:
    """Take the bits of a chain from the heap, the earliest first."""
    at = plan.start
    taken: list[_Taken] = []
    ready = builder.depth
    for part in plan.parts:
        plain = int(plan.cin and not taken) + (part.extra if part.kind == "triple" else 0)
        own = _earliest(heap, at, part.bits + plain, ready)
        extra = _earliest(heap, at + 1, part.extra, ready) if part.kind == "full" else []
        taken.append(_Taken(part, own, plain, extra))
        at += part.positions
    return taken


def _lacking(taken: Sequence[_Taken], kind: int) -> int:
    """How many literals of a kind, 0 for plain and 1 for inverted, are missing."""
    there = (sum(literal & 1 == kind for literal in t.table) for t in taken)
    return sum(max(0, t.wanted - count) for t, count in zip(taken, there, strict=True))


def _parted(taken: Sequence[_Taken], plan: ChainPlan, flipped: bool) -> list[int]:
    """Complement literals if ``flipped``, and separate those of no table; return the carry in."""
    for t in taken:
        # Plain ones last: these are separated, and one is left last for a table.
        t.table = sorted((literal ^ flipped for literal in t.table), key=lambda x: -(x & 1))
        t.extra = [literal ^ flipped for literal in t.extra]
    cin = [taken[0].table.pop()] if plan.cin else []
    for t in taken:
        if t.part.kind == "triple" and t.part.extra:
            t.extra = [t.table.pop()]
    return cin


def _earliest(heap: BitHeap, column: int, count: int, ready: Sequence[int]) -> list[int]:
    if not count:
        return []
    bits = sorted(heap.columns[column], key=lambda literal: ready[literal >> 1])
    heap.columns[column] = bits[count:]
    return bits[:count]


def _plain(builder: NetlistBuilder, literal: int) -> int:
    """The literal as a plain signal; it takes a LUT if it is inverted."""
    if literal <= TRUE or not literal & 1:
        return literal
    return builder.lut([literal], Function((1,), 0b10))[0]


def _positions(
    builder: NetlistBuilder, taken: Sequence[_Taken]
) -> tuple[list[int], list[int], list[Atom], int]:
    """Propagate and generate literals of each position, what they add, and the last link."""
    s: list[int] = []
    d: list[int] = []
    atoms: list[Atom] = []
    link = FALSE
    for t in taken:
        if t.part.kind == "full":
            atoms.append(_full(builder, t, s, d))
        elif t.part.kind == "pair":
            bits = [*t.table, link] if t.part.linked else t.table
            count = len(bits)
            # The generate input is read where the two bits are equal: it is 1 if both are 1.
            one, two = builder.lut(bits, Function((1,) * count, ODD), Function((1,) * count, 0b100))
            s.append(one)
            d.append(two)
            atoms.append(Atom(1, tuple((b, 1) for b in bits)))
            link = FALSE
        else:
            bits = list(t.table)
            second = link if t.part.linked else _plain(builder, t.extra[0]) if t.extra else FALSE
            count = len(bits)
            below = [second] if second else []
            one, two = builder.lut(
                [*bits, *below],
                Function((1,) * (count + len(below)), ODD),
                Function((1,) * count + (0,) * len(below), 0b1100),
            )
            s.append(one)
            d.append(second)
            atoms.append(Atom(1, tuple((b, 1) for b in [*bits, *below]), link=two >> 1))
            link = two
    return s, d, atoms, link


def _full(builder: NetlistBuilder, t: _Taken, s: list[int], d: list[int]) -> Atom:
    """Up to six bits of a column in two positions.

    Let ``r`` be half the sum of all bits but the last, rounded down. The first position adds the
    parity of all bits to the carry and generates the last bit. That leaves ``r`` and the extra bit
    for the second position.
    """
    bits = list(t.table)
    if len(bits) == 6:
        bits[5] = _plain(builder, bits[5])
    count = len(bits)
    ones, last = (1,) * count, (0,) * (count - 1) + (1,)
    # Where the generate input is read, the parity of the five others equals the sixth bit.
    generate = Function((1,) * 5 + (0,), ODD) if count == 6 else Function(last, 0b10)
    low = builder.lut(bits, Function(ones, ODD), generate)
    others = [*bits[:-1], *t.extra]
    weights = (1,) * (count - 1) + (2,) * len(t.extra)
    high = builder.lut(others, Function(weights, 0b1100), Function(weights, 0b110000))
    s += [low[0], high[0]]
    d += [low[1], high[1]]
    return Atom(2, (*((b, 1) for b in bits), *((b, 2) for b in t.extra)))
