"""The data type of a netlist: look-up tables and carry chains.

A *signal* is an integer: 0 is the constant zero, then come the inputs, then the signals that cells
drive. A *literal* is a signal or its complement, ``2 * signal + inverted``. Tables read signals
only: the inversion of an input is part of the table. A carry chain also declares the sum that it
adds up, so that this can be proved from its cells (:mod:`hwbnn.netlists.proof`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

FALSE = 0
"""The literal that is always 0."""
TRUE = 1
"""The literal that is always 1."""

Terms = tuple[tuple[int, int], ...]
"""A sum as pairs of literal and weight."""


@dataclass(frozen=True, slots=True)
class Lut:
    """A look-up table with one or two outputs.

    Attributes:
        inputs: signals, the first the lowest bit of the table's address; at most six.
        init: the table. With two outputs it has 64 bits: ``second`` reads the lower 32 under the
            first five inputs; ``first`` reads all 64, its sixth input being 1 if it has none.
        first: the signal of the output O6.
        second: the signal of the output O5; 0 if it is not used.
    """

    inputs: tuple[int, ...]
    init: int
    first: int
    second: int = 0


@dataclass(frozen=True, slots=True)
class Atom:
    """The terms that some successive positions of a carry chain add up.

    ``constant + terms + carry in == sum bits + carry out + link``, the sum bits at weights 1, 2, ..
    from the atom's first position, the carry and the link above them.

    Attributes:
        positions: how many positions it has.
        terms: literals with weights relative to the atom's first position.
        constant: an integer, also relative to that position.
        link: a signal that goes with the carry, to the next position; 0 for none.
    """

    positions: int
    terms: Terms
    constant: int = 0
    link: int = 0


@dataclass(frozen=True, slots=True)
class CarryChain:
    """A carry chain: ``o = s ^ c`` and ``c' = c if s else d`` at each position.

    Attributes:
        cin: literal of the carry into the first position; a plain signal or a constant.
        s: literals, plain or constant, one a position.
        d: literals, likewise.
        sums: signals of ``o`` at each position; 0 where it is not used.
        carry: signal of the carry out of the last position; 0 if it is not used.
        atoms: the terms that it adds; together they cover all positions.
        negated: whether carries and links are complements of those in the atoms; only in
            comparisons.
    """

    cin: int
    s: tuple[int, ...]
    d: tuple[int, ...]
    sums: tuple[int, ...]
    carry: int
    atoms: tuple[Atom, ...]
    negated: bool = False

    @property
    def wires(self) -> bool:
        """Whether it needs no carry cell, because its sum or carry equals one of its inputs."""
        if not any(self.s) and not any(self.sums):
            return True
        return len(self.s) == 1 and self.cin == FALSE and self.d[0] == FALSE


Cell = Lut | CarryChain


@dataclass(frozen=True)
class Netlist:
    """Cells in an order in which each reads what earlier ones drive.

    Attributes:
        inputs: number of inputs, the signals from 1 on.
        signals: number of signals, with the constant.
        cells: in order.
        outputs: a literal for each output; builders give only plain literals and constants.
    """

    inputs: int
    signals: int
    cells: tuple[Cell, ...]
    outputs: tuple[int, ...]

    @property
    def luts(self) -> int:
        """LUTs, those with two outputs counted once."""
        return sum(isinstance(cell, Lut) for cell in self.cells)

    def logic_depths(self) -> list[int]:
        """Levels of LUTs and carry chains before each signal."""
        level = [0] * self.signals
        for cell in self.cells:
            if isinstance(cell, Lut):
                level[cell.first] = 1 + max((level[i] for i in cell.inputs), default=0)
                level[cell.second] = level[cell.first] if cell.second else 0
            else:
                reads = [literal >> 1 for literal in (cell.cin, *cell.s, *cell.d)]
                # A chain stands behind the LUTs of its slice: it makes one level with them.
                at = max(level[i] for i in reads)
                for signal in (*cell.sums, cell.carry):
                    level[signal] = at
                level[0] = 0
        return level


@dataclass(frozen=True)
class Function:
    """A bit of a weighted sum: ``mask >> (constant + sum of weight * literal) & 1``."""

    weights: tuple[int, ...]
    mask: int
    constant: int = 0


@lru_cache(maxsize=1 << 16)
def _table(weights: tuple[int, ...], constant: int, mask: int) -> int:
    """The table of a function, one bit for each value of its inputs."""
    sums = [constant]
    for weight in weights:
        sums += [s + weight for s in sums]
    return sum((mask >> s & 1) << address for address, s in enumerate(sums))


@dataclass
class NetlistBuilder:
    """A netlist under construction; equal cells are added once.

    Attributes:
        inputs: number of inputs.
        cells: the cells so far.
        depth: levels of logic before each signal.
    """

    inputs: int
    cells: list[Cell] = field(default_factory=list)
    depth: list[int] = field(init=False)
    _known: dict[object, tuple[int, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.depth = [0] * (self.inputs + 1)

    @property
    def luts(self) -> int:
        """LUTs so far."""
        return sum(isinstance(cell, Lut) for cell in self.cells)

    def signal(self, depth: int) -> int:
        """A new signal."""
        self.depth.append(depth)
        return len(self.depth) - 1

    def lut(
        self, literals: Sequence[int], first: Function, second: Function | None = None
    ) -> tuple[int, int]:
        """The output literals of one or two functions of the same literals, computed by one LUT.

        With six different signals, the second function must equal the first function where the last
        literal is 0, and that literal must be plain.

        Raises:
            ValueError: if a second function of six signals is not half of the first.
        """
        signals, reduced = _reduced(literals, first, second)
        tables = [_table(weights, constant, mask) for weights, constant, mask in reduced]
        everything = (1 << (1 << len(signals))) - 1
        if len(tables) == 1 or any(table in (0, everything) for table in tables):
            outputs = [self._single(signals, table) for table in tables]
            return outputs[0], outputs[1] if second is not None else FALSE
        if len(signals) == 6:
            low = tables[0] & 0xFFFFFFFF
            full = [low | low << 32, tables[1]]
            if full[0] != full[1]:
                raise ValueError("the second function of six inputs is not half of the first")
            init = tables[0]
        else:
            rows = 1 << len(signals)
            wide = [t * ((1 << 32) - 1) // ((1 << rows) - 1) for t in tables]
            init = wide[0] << 32 | wide[1]
        key = (signals, init)
        if key not in self._known:
            level = 1 + max((self.depth[s] for s in signals), default=0)
            pair = (self.signal(level), self.signal(level))
            self.cells.append(Lut(signals, init, *pair))
            self._known[key] = pair
        one, two = self._known[key]
        return 2 * one, 2 * two

    def _single(self, signals: tuple[int, ...], init: int) -> int:
        everything = (1 << (1 << len(signals))) - 1
        if init in (0, everything):
            return TRUE if init else FALSE
        key = (signals, init, 1)
        if key not in self._known:
            signal = self.signal(1 + max(self.depth[s] for s in signals))
            self.cells.append(Lut(signals, init, signal))
            self._known[key] = (signal,)
        return 2 * self._known[key][0]

    def chain(
        self,
        cin: int,
        s: Sequence[int],
        d: Sequence[int],
        atoms: Sequence[Atom],
        *,
        sums: bool = True,
        carry: bool = True,
        negated: bool = False,
    ) -> tuple[tuple[int, ...], int]:
        """Add a carry chain; return the literals of its sums and carry, 0 where not wanted."""
        # Equal chains may declare different atoms of the same value: each keeps its own.
        key = (cin, tuple(s), tuple(d), sums, carry, negated, tuple(atoms))
        if key not in self._known:
            level = max(self.depth[literal >> 1] for literal in (cin, *s, *d))
            outs = tuple(self.signal(level) if sums else 0 for _ in s)
            last = self.signal(level) if carry else 0
            self.cells.append(
                CarryChain(cin, tuple(s), tuple(d), outs, last, tuple(atoms), negated)
            )
            self._known[key] = (*outs, last)
        *outputs, last = self._known[key]
        return tuple(2 * o for o in outputs), 2 * last

    def netlist(self, outputs: Sequence[int]) -> Netlist:
        """The finished netlist, without the cells that no output needs."""
        return swept(Netlist(self.inputs, len(self.depth), tuple(self.cells), tuple(outputs)))


def _reduced(
    literals: Sequence[int], *functions: Function | None
) -> tuple[tuple[int, ...], list[tuple[tuple[int, ...], int, int]]]:
    """Functions of signals instead of literals: constants and repeated signals joined."""
    signals: list[int] = []
    place: dict[int, int] = {}
    for literal in literals:
        if literal > TRUE and literal >> 1 not in place:
            place[literal >> 1] = len(signals)
            signals.append(literal >> 1)
    sums = []
    for function in functions:
        if function is None:
            continue
        weights, constant = [0] * len(signals), function.constant
        for literal, weight in zip(literals, function.weights, strict=True):
            if literal & 1:
                constant += weight
                weight = -weight
            if literal > TRUE:
                weights[place[literal >> 1]] += weight
        sums.append((tuple(weights), constant, function.mask))
    return tuple(signals), sums


def swept(netlist: Netlist) -> Netlist:
    """The netlist with only those cells that its outputs need."""
    needed = bytearray(netlist.signals)
    for literal in netlist.outputs:
        needed[literal >> 1] = 1
    needed[0] = 0
    kept: list[Cell] = []
    for cell in reversed(netlist.cells):
        if isinstance(cell, Lut):
            if not (needed[cell.first] or needed[cell.second]):
                continue
            reads = cell.inputs
        else:
            if not (needed[cell.carry] or any(needed[o] for o in cell.sums)):
                continue
            # All terms of a comparison stay, even if some bits do not matter: proofs need them.
            terms = (literal for atom in cell.atoms for literal, _ in atom.terms)
            reads = tuple(literal >> 1 for literal in (cell.cin, *cell.s, *cell.d, *terms))
        for signal in reads:
            needed[signal] = 1
        needed[0] = 0
        kept.append(cell)
    return Netlist(netlist.inputs, netlist.signals, tuple(reversed(kept)), netlist.outputs)
