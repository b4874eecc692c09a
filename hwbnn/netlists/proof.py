"""Proof that a netlist computes its layer, for all possible inputs.

The proof has three steps, and reads the finished netlist alone. Only the literals of inputs come
from :mod:`hwbnn.netlists.layer_inputs`, which is also used to build netlists:

1. Every carry chain computes the sum that it declares. Each atom is checked for all values of its
   inputs, carry and link (at most eight bits together). By induction along the chain, the chain
   adds up what its atoms declare.
2. From an output back to the inputs, the results of each chain are replaced by the terms that it
   adds. This is valid only if all its results are there, with the weights that they have in the
   chain. That leaves the sum of inputs that the output compares, or is.
3. That sum must be the neuron's: the same weights, and with the constant the same threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from hwbnn.errors import Mismatch
from hwbnn.graph.arrays import Bools, Ints
from hwbnn.netlists.digits import Digits, integers
from hwbnn.netlists.layer_inputs import LayerInputs
from hwbnn.netlists.netlist import FALSE, TRUE, Atom, CarryChain, Lut, Netlist, Terms

_Table = int | tuple[tuple[int, ...], int, int]
"""A constant, or inputs of a table, its contents, and whether its output is complemented."""


@dataclass(frozen=True, slots=True)
class _Case:
    """An atom and its tables, with signals numbered by the atom, so that equal ones are found.

    Attributes:
        terms: number of a signal, whether it is complemented, and its weight.
        s: propagate tables.
        d: generate tables.
        link: the link's table; FALSE for none.
        constant: the constant that is added.
        columns: how many columns it spans.
        carries: the possible carries in.
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
class NetlistReader:
    """The cells of a netlist by the signals that they drive, and the atoms checked so far.

    Attributes:
        netlist: the netlist.
        tables: inputs and contents of the table that drives a signal.
        chains: index of the chain that drives a signal.
        checked: the possible carries out of each atom checked.
    """

    netlist: Netlist
    tables: dict[int, tuple[tuple[int, ...], int]]
    chains: dict[int, int]
    checked: dict[_Case, frozenset[int]]

    @classmethod
    def of(cls, netlist: Netlist) -> NetlistReader:
        """A reader of a netlist, of which no atom has been checked yet."""
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
        """The literal itself, or the literal from which a table of one input computes it."""
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


def checked(netlist: Netlist) -> NetlistReader:
    """Check that every chain of a netlist adds its operands; return its reader.

    Raises:
        Mismatch: if one does not; the message has the number of the cell.
    """
    reader = NetlistReader.of(netlist)
    for i, cell in enumerate(netlist.cells):
        if isinstance(cell, CarryChain):
            _check_chain(reader, i, cell)
    return reader


def _check_chain(reader: NetlistReader, index: int, chain: CarryChain) -> None:
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
    # A comparison gives only its carry; a sum gives all bits, and its carry if that can be 1.
    if compares:
        unseen = not chain.carry
    else:
        unseen = not all(chain.sums) or (not chain.carry and carries != {0})
    if at != len(chain.s) or unseen or (compares and link):
        raise Mismatch(f"netlist: cell {index}: its atoms do not make up its chain")


def _check_atom(
    reader: NetlistReader, atom: Atom, positions: tuple[Sequence[int], Sequence[int]],
    carries: frozenset[int], compares: bool, negated: bool,
) -> frozenset[int]:  # fmt: skip
    """Check an atom for these carries in; return the possible carries out."""
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
    """Compare an atom's tables with its declared sum, for all inputs; return its carries out."""
    reached = set()
    for *bits, carry in product((0, 1), repeat=variables + 1):
        if carry not in case.carries:
            continue
        said = case.constant + carry
        said += sum(w * (bits[i] ^ inverted) for i, inverted, w in case.terms)
        c, digits = carry ^ case.negated, 0
        for i, (s, d) in enumerate(zip(case.s, case.d, strict=True)):
            passes = _value(s, bits)
            digits += (passes ^ c) << i
            c = c if passes else _value(d, bits)
        c ^= case.negated
        above = c + (_value(case.link, bits) ^ case.negated if case.link != FALSE else 0)
        if case.compares:
            # There are no sum bits: only the carry and the link to the next position count.
            if above != said >> case.columns:
                raise Mismatch(f"a window adds up to {said} but carries {above}")
        elif digits + (above << case.columns) != said:
            above <<= case.columns
            raise Mismatch(f"a sum of {said} is computed as {digits + above}")
        reached.add(c)
    return frozenset(reached)


def _value(table: _Table, bits: Sequence[int]) -> int:
    if isinstance(table, int):
        return table
    inputs, init, inverted = table
    return (init >> sum(bits[i] << j for j, i in enumerate(inputs)) & 1) ^ inverted


# ---- From the outputs back to the inputs ----


def _added(chain: CarryChain) -> tuple[Terms, int]:
    """The terms that a chain adds, with weights from its first position, and the constant."""
    terms: list[tuple[int, int]] = []
    constant = (chain.cin if chain.cin in (FALSE, TRUE) else 0) ^ chain.negated
    if chain.cin not in (FALSE, TRUE):
        constant = 0
        terms.append((chain.cin ^ chain.negated, 1))
    at, link = 0, 0
    for atom in chain.atoms:
        inner = link  # it comes from the atom before, which has it in its sum already
        for literal, weight in atom.terms:
            if inner and literal >> 1 == inner:
                if (literal, weight) != (2 * inner + chain.negated, 1):
                    raise Mismatch("netlist: a link is not added as it comes")
                inner = 0
                continue
            terms.append((literal, weight << at))
        if inner:
            raise Mismatch("netlist: a link goes nowhere")
        constant += atom.constant << at
        at, link = at + atom.positions, atom.link
    return tuple(terms), constant


@dataclass
class _Sum:
    """An integer as a sum of signals.

    Attributes:
        weights: by signal, its weight.
        constant: the constant that is added.
    """

    weights: dict[int, int]
    constant: int

    @property
    def ends(self) -> tuple[int, int]:
        """The lowest and the highest value over all inputs."""
        low = sum(weight for weight in self.weights.values() if weight < 0)
        high = sum(weight for weight in self.weights.values() if weight > 0)
        return self.constant + low, self.constant + high

    def add(self, literal: int, weight: int) -> None:
        """Add a literal's value times a weight."""
        if literal & 1:
            self.constant += weight
            weight = -weight
        if literal > TRUE:
            self.weights[literal >> 1] = self.weights.get(literal >> 1, 0) + weight


def _traced(reader: NetlistReader, total: _Sum, modulus: int = 0) -> _Sum:
    """The same sum over inputs alone; equal modulo ``modulus`` if that is not 0.

    Results of chains are replaced by what the chains add, the last chain first.
    """
    cells = reader.netlist.cells
    waiting = {reader.chains[s] for s in total.weights if s in reader.chains}
    while waiting:
        index = max(waiting)
        waiting.discard(index)
        chain = cells[index]
        assert isinstance(chain, CarryChain)
        weight = total.weights.get(chain.sums[0], 0)
        for place, signal in enumerate((*chain.sums, chain.carry)):
            if not signal:
                continue
            over = total.weights.pop(signal, 0) - (weight << place)
            if over % modulus if modulus else over:
                raise Mismatch(f"netlist: cell {index}: a result has lost its weight")
        # Chains that share a table share a link: the part of other chains stays.
        total.add(reader.origin(2 * chain.atoms[-1].link), -weight << len(chain.s))
        terms, constant = _added(chain)
        total.constant += weight * constant
        for term, factor in terms:
            literal = reader.origin(term)
            total.add(literal, weight * factor)
            if literal >> 1 in reader.chains:
                waiting.add(reader.chains[literal >> 1])
    return total


def _neuron(row: Ints, inputs: LayerInputs, minus: int = 0) -> _Sum:
    """The raw sum of a neuron; ``minus`` is the sum of its negative digits."""
    total = _Sum({}, minus * inputs.high)
    for i, weight in enumerate(row.tolist()):
        for literal, bit in inputs.bits(i) if weight else ():
            total.add(literal, weight << bit)
    return total


def _weighed(raw: _Sum, scale_offset: tuple[int, int], inputs: LayerInputs) -> _Sum:
    """``scale * raw + offset * total``."""
    scale, offset = scale_offset
    total = _neuron(np.ones(inputs.count, np.int64), inputs)
    weighed = _Sum({}, scale * raw.constant + offset * total.constant)
    for factor, part in ((scale, raw), (offset, total)):
        for signal, weight in part.weights.items():
            weighed.weights[signal] = weighed.weights.get(signal, 0) + factor * weight
    return weighed


def _same(found: _Sum, expected: _Sum, modulus: int = 0) -> bool:
    keys = found.weights.keys() | expected.weights.keys()
    over = (found.weights.get(k, 0) - expected.weights.get(k, 0) for k in keys)
    return not any(o % modulus if modulus else o for o in over)


def _opened(netlist: Netlist, inputs: LayerInputs, outputs: int) -> NetlistReader:
    """A reader of the netlist, after its chains, inputs and outputs have been checked."""
    if netlist.inputs != inputs.count * inputs.width or len(netlist.outputs) != outputs:
        raise Mismatch("netlist: other inputs or outputs than the layer has")
    return checked(netlist)


def prove_thresholds(
    netlist: Netlist, weights: Ints | Bools, wanted: Ints, *, width: int = 1, signed: bool = False,
    scale_offset: tuple[Ints, Ints] | None = None, drivers: Sequence[int] | None = None,
) -> None:  # fmt: skip
    """Prove a netlist of :func:`hwbnn.netlists.layer.thresholds` for all inputs.

    Args:
        netlist: the netlist to prove.
        weights: integers ``(neurons, inputs)``, or bools for -1 and +1.
        wanted: int64 ``(neurons,)``.
        width: bits of an input.
        signed: whether inputs are two's complement.
        scale_offset: scale and offset, int64 ``(neurons,)`` each, as in
            :func:`~hwbnn.netlists.layer.thresholds`.
        drivers: the output literals of the netlist that drives the inputs. The proof then covers
            all inputs that their constant, equal and opposite literals allow.

    Raises:
        Mismatch: if it is wrong; the message has the neuron, or the cell that does not add its sum.
    """
    inputs = LayerInputs(weights.shape[1], width, signed, drivers)
    own, minus = integers(weights), Digits.of(weights).minus.sum(axis=1).tolist()
    reader = _opened(netlist, inputs, len(weights))
    for neuron, literal in enumerate(netlist.outputs):
        least = int(wanted[neuron])
        expected = _neuron(own[neuron], inputs, minus[neuron])
        if scale_offset is not None:
            factors = int(scale_offset[0][neuron]), int(scale_offset[1][neuron])
            expected = _weighed(expected, factors, inputs)
        if literal in (FALSE, TRUE):
            low, high = expected.ends
            right = least <= low if literal == TRUE else least > high
        else:
            right = _compares(reader, literal, expected, least)
        if not right:
            raise Mismatch(f"netlist: neuron {neuron} does not compare its sum with {least}")


def _compares(reader: NetlistReader, literal: int, expected: _Sum, least: int) -> bool:
    """Whether a literal is ``expected >= least``."""
    index = reader.chains.get(literal >> 1)
    chain = None if index is None else reader.netlist.cells[index]
    if literal & 1 or not isinstance(chain, CarryChain) or chain.carry != literal >> 1:
        return False
    total = _Sum({}, 0)
    terms, total.constant = _added(chain)
    for term, weight in terms:
        total.add(reader.origin(term), weight)
    total = _traced(reader, total)
    # The carry is 1 if the total is at least this power of two.
    total.constant -= 1 << sum(atom.positions for atom in chain.atoms)
    if chain.negated:
        total.weights = {signal: -weight for signal, weight in total.weights.items()}
        total.constant = -1 - total.constant
    return _same(total, expected) and total.constant == expected.constant - least


def prove_sums(
    netlist: Netlist, weights: Ints | Bools, *, width: int = 1, signed: bool = False,
    drivers: Sequence[int] | None = None,
) -> None:  # fmt: skip
    """Prove a netlist of :func:`hwbnn.netlists.layer.sums` for all inputs.

    Args:
        netlist: the netlist to prove.
        weights: integers ``(neurons, inputs)``, or bools for -1 and +1.
        width: bits of an input.
        signed: whether inputs are two's complement.
        drivers: as in :func:`prove_thresholds`.

    Raises:
        Mismatch: if it is wrong; the message has the neuron, or the cell that does not add its sum.
    """
    inputs = LayerInputs(weights.shape[1], width, signed, drivers)
    digits = Digits.of(weights)
    bits, minus = digits.width(inputs.high), digits.minus.sum(axis=1).tolist()
    reader = _opened(netlist, inputs, len(weights) * bits)
    for neuron, row in enumerate(integers(weights)):
        total = _Sum({}, 0)
        for i, literal in enumerate(netlist.outputs[neuron * bits : (neuron + 1) * bits]):
            total.add(reader.origin(literal), 1 << i)
        total = _traced(reader, total, 1 << bits)
        expected = _neuron(row, inputs, minus[neuron])
        # Both are numbers of ``bits`` bits: equal modulo 2^bits means equal.
        if not _same(total, expected, 1 << bits) or (total.constant - expected.constant) % (
            1 << bits
        ):
            raise Mismatch(f"netlist: neuron {neuron} does not give its sum")
