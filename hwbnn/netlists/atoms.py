"""What netlists of carry chains are made of, read back and checked: the first step of a proof.

Every atom of every carry chain adds up what it says: its tables are read for all values of its
inputs, of the carry and of the link, at most eight bits together. By induction along the chain, the
chain adds up what its atoms say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from hwbnn.errors import Mismatch
from hwbnn.netlists.netlist import FALSE, TRUE, Atom, Chain, Lut, Netlist

_Table = int | tuple[tuple[int, ...], int, int]
"""A constant, or a table with its inputs and whether it is complemented."""


@dataclass(frozen=True, slots=True)
class _Case:
    """An atom and its tables, whatever signals they have.

    Attributes:
        terms: number of a signal, whether it is complemented, and its weight.
        s: propagate tables.
        d: generate tables.
        link: the link's table; FALSE for none.
        constant: what is added.
        columns: as many as it spans.
        carries: the carries in that can be.
        compares: whether it has no sum bits.
        negated: whether its carries are complements.
    """

    terms: tuple[tuple[int, int, int], ...]
    s: tuple[_Table, ...]
    d: tuple[_Table, ...]
    link: _Table
    constant: int
    columns: int
    carries: frozenset[int]
    compares: bool
    negated: bool


@dataclass
class Reader:
    """The cells of a netlist by what they drive, and which atoms have been checked.

    Attributes:
        netlist: the netlist.
        tables: inputs and contents of the table that drives a signal.
        chains: index of the chain that drives a signal.
        checked: the carries out that each atom can give.
    """

    netlist: Netlist
    tables: dict[int, tuple[tuple[int, ...], int]]
    chains: dict[int, int]
    checked: dict[_Case, frozenset[int]]

    @classmethod
    def of(cls, netlist: Netlist) -> Reader:
        """Of a netlist, nothing of it checked yet."""
        tables: dict[int, tuple[tuple[int, ...], int]] = {}
        chains: dict[int, int] = {}
        for i, cell in enumerate(netlist.cells):
            if isinstance(cell, Lut):
                _add_tables(tables, cell)
            else:
                drives = (signal for signal in (*cell.sums, cell.carry) if signal)
                chains |= dict.fromkeys(drives, i)
        return cls(netlist, tables, chains, {})

    def origin(self, literal: int) -> int:
        """The literal itself, or the one that a table of one input makes it of."""
        inputs, init = self.tables.get(literal >> 1, ((), 0))
        if len(inputs) != 1 or init not in (0b01, 0b10):
            return literal
        return 2 * inputs[0] + (literal & 1 ^ (init == 0b01))

    def shape(self, literal: int, terms: Sequence[int]) -> _Table:
        """A literal as a function of these signals."""
        if literal in (FALSE, TRUE):
            return literal
        signal = literal >> 1
        if signal in self.tables and signal not in terms:
            inputs, init = self.tables[signal]
            if set(inputs) <= set(terms):
                return (tuple(terms.index(i) for i in inputs), init, literal & 1)
        if signal in terms:
            return ((terms.index(signal),), 0b10, literal & 1)
        raise Mismatch(f"netlist: signal {signal} is no function of what its chain adds")


def _add_tables(tables: dict[int, tuple[tuple[int, ...], int]], cell: Lut) -> None:
    full = 1 << len(cell.inputs)
    if not cell.second:
        tables[cell.first] = (cell.inputs, cell.init)
        return
    low = (1 << min(full, 32)) - 1
    tables[cell.second] = (cell.inputs[:5], cell.init & low)
    upper = cell.init >> 32 & low
    tables[cell.first] = (cell.inputs, cell.init if full == 64 else upper)


def checked(netlist: Netlist) -> Reader:
    """A netlist of which every chain adds what it says.

    Raises:
        Mismatch: naming the cell that does not.
    """
    reader = Reader.of(netlist)
    for i, cell in enumerate(netlist.cells):
        if isinstance(cell, Chain):
            _check_chain(reader, i, cell)
    return reader


def _check_chain(reader: Reader, index: int, chain: Chain) -> None:
    if chain.cin in (FALSE, TRUE):
        carries = frozenset({chain.cin ^ chain.negated})
    else:
        carries = frozenset({0, 1})
    at, link = 0, 0
    compares = not any(chain.sums)
    for atom in chain.atoms:
        count = 1 if compares else atom.positions
        positions = (chain.s[at : at + count], chain.d[at : at + count])
        try:
            carries = _check_atom(reader, atom, positions, carries, compares, chain.negated)
        except Mismatch as error:
            raise Mismatch(f"netlist: cell {index}: {error}") from None
        at, link = at + count, atom.link
    # A comparison gives its carry alone; a sum all its bits, and its carry if there can be one.
    if compares:
        unseen = not chain.carry
    else:
        unseen = not all(chain.sums) or (not chain.carry and carries != {0})
    if at != len(chain.s) or unseen or (compares and link):
        raise Mismatch(f"netlist: cell {index}: its atoms do not make up its chain")


def _check_atom(
    reader: Reader, atom: Atom, positions: tuple[Sequence[int], Sequence[int]],
    carries: frozenset[int], compares: bool, negated: bool,
) -> frozenset[int]:  # fmt: skip
    """Check an atom for these carries in; the carries out that can be."""
    added = [(literal, weight) for literal, weight in atom.terms if literal > TRUE]
    constant = atom.constant + sum(weight for literal, weight in atom.terms if literal == TRUE)
    signals = list(dict.fromkeys(literal >> 1 for literal, _ in added))
    tables = [tuple(reader.shape(literal, signals) for literal in side) for side in positions]
    link = reader.shape(2 * atom.link, signals) if atom.link else FALSE
    terms = tuple((signals.index(t >> 1), t & 1, weight) for t, weight in added)
    case = _Case(
        terms, tables[0], tables[1], link, constant, atom.positions, carries, compares, negated
    )
    if case not in reader.checked:
        reader.checked[case] = _enumerate(case, len(signals))
    return reader.checked[case]


def _enumerate(case: _Case, variables: int) -> frozenset[int]:
    """Go through all values of an atom's inputs: what it says and what its tables do."""
    reached = set()
    for *bits, carry in product((0, 1), repeat=variables + 1):
        if carry not in case.carries:
            continue
        said = case.constant + carry
        said += sum(w * (bits[i] ^ inverted) for i, inverted, w in case.terms)
        c, found = carry ^ case.negated, 0
        for i, (s, d) in enumerate(zip(case.s, case.d, strict=True)):
            passes = _value(s, bits)
            found += (passes ^ c) << i
            c = c if passes else _value(d, bits)
        c ^= case.negated
        above = c + (_value(case.link, bits) ^ case.negated if case.link != FALSE else 0)
        if case.compares:
            # The sum bits are not there: what goes up is what counts.
            if above != said >> case.columns:
                raise Mismatch(f"a window comes to {said} and gives {above}")
        elif found + (above << case.columns) != said:
            above <<= case.columns
            raise Mismatch(f"bits that come to {said} are added to {found + above}")
        reached.add(c)
    return frozenset(reached)


def _value(table: _Table, bits: Sequence[int]) -> int:
    if isinstance(table, int):
        return table
    inputs, init, inverted = table
    return (init >> sum(bits[i] << j for j, i in enumerate(inputs)) & 1) ^ inverted
