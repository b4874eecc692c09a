"""Which carry chains stand one above the other in the same carry cells.

A carry cell has four positions, or eight, and most chains are shorter. Between two chains in a run
of cells is one position with the propagate input 0: the carry of the chain below comes out of it as
a sum bit, which is how a slice gives out a carry beside its sum, and its generate input is the
carry into the chain above. No carry ever passes it, so the chains stay what they are alone. Only
chains of one stage and of one level share a run: they cannot read each other.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from hwbnn.circuits.netlist import Chain, Netlist
from hwbnn.circuits.pipeline import Schedule, drives, reads, schedule

LONGEST = 16
"""Positions of a run in which chains are put above each other."""


@dataclass(frozen=True)
class Run:
    """Chains in a run of carry cells.

    Attributes:
        chains: indices of the netlist's cells, the lowest first.
        starts: the first position of each; the one below it, if there is one, is in between.
        positions: all of them, those above the last chain too: full cells.
    """

    chains: tuple[int, ...]
    starts: tuple[int, ...]
    positions: int


def runs(netlist: Netlist, plan: Schedule, bits: int) -> tuple[Run, ...]:
    """The runs of a netlist's chains, in few cells of so many positions."""
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, rank in enumerate(_ranks(netlist)):
        cell = netlist.cells[index]
        if isinstance(cell, Chain) and not cell.wires:
            alike[plan.cells[index], rank].append(index)
    return tuple(run for group in alike.values() for run in _joined(netlist, group, bits))


def carries(netlist: Netlist, bits: int = 4, levels: int | None = None) -> int:
    """Carry cells in the text of a netlist: CARRY4 for four bits, CARRY8 for eight.

    Args:
        netlist: what is written.
        bits: positions of a cell.
        levels: levels of logic between two registers; None for none at all.
    """
    made = runs(netlist, schedule(netlist, levels), bits)
    return sum(run.positions // bits for run in made)


def _ranks(netlist: Netlist) -> Iterator[int]:
    """For each cell a number that is higher than those of all cells it depends on."""
    rank = [0] * netlist.signals
    for cell in netlist.cells:
        own = 1 + max((rank[signal] for signal in reads(cell)), default=0)
        for signal in drives(cell):
            rank[signal] = own
        rank[0] = 0
        yield own


_Kind = tuple[int, bool]
"""Positions of a chain with the one above it, and whether it needs that at the top of a run."""


def _joined(netlist: Netlist, group: Sequence[int], bits: int) -> Iterator[Run]:
    """Chains that may share cells: the longest that is left, and what fills its cells best."""
    waiting: dict[_Kind, deque[int]] = defaultdict(deque)
    for index in group:
        chain = netlist.cells[index]
        assert isinstance(chain, Chain)
        waiting[len(chain.s) + 1, bool(chain.carry and chain.sums[-1])].append(index)
    while waiting:
        left = sorted(((kind, len(those)) for kind, those in waiting.items()), reverse=True)
        kinds = _filled(tuple(left), bits)
        # One that gives its carry alone stands at the top: it needs no position above it.
        chosen = [(waiting[kind].popleft(), kind) for kind in sorted(kinds, key=lambda k: -k[1])]
        waiting = {kind: those for kind, those in waiting.items() if those}
        sizes = [size for _, (size, _) in chosen]
        starts = tuple(accumulate(sizes[:-1], initial=0))
        total = sum(sizes) - (not chosen[-1][1][1])
        yield Run(tuple(index for index, _ in chosen), starts, -(-total // bits) * bits)


def _filled(left: tuple[tuple[_Kind, int], ...], bits: int) -> tuple[_Kind, ...]:
    """The first of these kinds of chains, with the others that leave fewest positions unused.

    Args:
        left: kinds and how many there are of each, the longest first.
        bits: positions of a cell.
    """
    best: tuple[int, int, tuple[_Kind, ...]] | None = None
    stack: list[tuple[int, tuple[_Kind, ...]]] = [(0, (left[0][0],))]
    while stack:
        at, kinds = stack.pop()
        total = sum(size for size, _ in kinds) - (not all(below for _, below in kinds))
        if len(kinds) > 1 and total > LONGEST:
            continue
        made = (-total % bits, total, kinds)
        best = made if best is None or made < best else best
        for i in range(at, len(left)):
            kind, count = left[i]
            if kinds.count(kind) < count:
                stack.append((i, (*kinds, kind)))
    assert best is not None
    return best[2]
