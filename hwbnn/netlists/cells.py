"""Carry chains placed one above the other in the same carry cells.

A carry cell has four positions, or eight, and most chains are shorter. Two chains in one run of
cells are separated by one position whose propagate input is 0. Its sum bit is the carry out of the
chain below; its generate input is the carry into the chain above. No carry ever passes it, so each
chain works as it would alone. Only chains of the same stage and the same level share a run: they
cannot read each other.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from hwbnn.netlists.netlist import TRUE, CarryChain, Lut, Netlist
from hwbnn.netlists.pipelining import Pipelining, drives, pipelining, reads

LONGEST = 16
"""The most positions of a run that several chains share."""


@dataclass(frozen=True)
class ChainStack:
    """Chains in a run of carry cells.

    Attributes:
        chains: indices of the netlist's cells, the lowest first.
        starts: the first position of each; the position below that, if there is one, passes its
            carry in.
        positions: all positions of the cells, including unused ones above the last chain.
    """

    chains: tuple[int, ...]
    starts: tuple[int, ...]
    positions: int


def stacks(netlist: Netlist, plan: Pipelining, bits: int) -> tuple[ChainStack, ...]:
    """The runs of a netlist's chains, placed such that they take few carry cells.

    Args:
        netlist: the netlist; chains that are only wires take no cells.
        plan: the stage of each cell.
        bits: positions of a carry cell.
    """
    pairs = {c.first: c.second for c in netlist.cells if isinstance(c, Lut) and c.second}
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, rank in enumerate(_ranks(netlist)):
        cell = netlist.cells[index]
        if isinstance(cell, CarryChain) and not cell.wires:
            alike[plan.cells[index], rank].append(index)
    return tuple(run for chains in alike.values() for run in _joined(netlist, chains, pairs, bits))


def carries(netlist: Netlist, bits: int = 4, per_register: int | None = None) -> int:
    """The number of carry cells of a netlist: CARRY4 for four bits, CARRY8 for eight.

    Args:
        netlist: the netlist.
        bits: positions of a cell.
        per_register: levels of logic between two registers; None for none at all.
    """
    runs = stacks(netlist, pipelining(netlist, per_register), bits)
    return sum(run.positions // bits for run in runs)


def _ranks(netlist: Netlist) -> Iterator[int]:
    """For each cell, a number that is higher than the numbers of all cells on which it depends."""
    rank = [0] * netlist.signals
    for cell in netlist.cells:
        own = 1 + max((rank[signal] for signal in reads(cell)), default=0)
        for signal in drives(cell):
            rank[signal] = own
        rank[0] = 0
        yield own


class _Kind(NamedTuple):
    """The properties of a chain that decide where it can be placed.

    Attributes:
        size: its positions, and one above it.
        gives: whether it needs the one above even at the top of a run, to give its carry beside its
            last sum.
        enters: whether it needs one below even at the bottom of a run, for its carry in.
    """

    size: int
    gives: bool
    enters: bool


def _joined(
    netlist: Netlist, chains: Sequence[int], pairs: Mapping[int, int], bits: int
) -> Iterator[ChainStack]:
    """Runs of these chains: each is the longest one left, with chains that fill its cells best."""
    waiting: dict[_Kind, deque[int]] = defaultdict(deque)
    for index in chains:
        chain = netlist.cells[index]
        assert isinstance(chain, CarryChain)
        kind = _Kind(len(chain.s) + 1, bool(chain.carry and chain.sums[-1]), _enters(chain, pairs))
        waiting[kind].append(index)
    while waiting:
        left = sorted(((kind, len(those)) for kind, those in waiting.items()), reverse=True)
        kinds = _filled(tuple((kind, min(count, LONGEST)) for kind, count in left), bits)
        indices = tuple(waiting[kind].popleft() for kind in kinds)
        waiting = {kind: those for kind, those in waiting.items() if those}
        starts = accumulate((kind.size for kind in kinds[:-1]), initial=int(kinds[0].enters))
        yield ChainStack(indices, tuple(starts), -(-_total(kinds) // bits) * bits)


def _enters(chain: CarryChain, pairs: Mapping[int, int]) -> bool:
    """Whether a chain's carry in cannot enter its first position directly.

    A slice has a single pin for the carry in and for a generate input that is not the second output
    of the table beside it.
    """
    return chain.cin > TRUE and chain.d[0] > TRUE and pairs.get(chain.s[0] >> 1) != chain.d[0] >> 1


def _total(kinds: Sequence[_Kind]) -> int:
    """Positions that chains of these kinds take in one run."""
    return sum(kind.size for kind in kinds) + kinds[0].enters - (not kinds[-1].gives)


@lru_cache(maxsize=1 << 14)
def _filled(left: tuple[tuple[_Kind, int], ...], bits: int) -> tuple[_Kind, ...]:
    """The first of these kinds of chains, with others that leave the fewest positions unused.

    Args:
        left: kinds and how many there are of each, the longest first.
        bits: positions of a cell.
    """
    best: tuple[float, int, tuple[_Kind, ...]] | None = None
    stack: list[tuple[int, tuple[_Kind, ...]]] = [(0, (left[0][0],))]
    while stack:
        at, kinds = stack.pop()
        # At the bottom a chain that needs none below it, at the top one that needs none above.
        placed = tuple(sorted(kinds, key=lambda kind: (not kind.gives, kind.enters)))
        total = _total(placed)
        if len(kinds) > 1 and total > LONGEST:
            continue
        used = sum(kind.size for kind in kinds)
        candidate = (-(-total // bits) * bits / used, total, placed)
        best = candidate if best is None or candidate < best else best
        for i in range(at, len(left)):
            kind, count = left[i]
            if kinds.count(kind) < count:
                stack.append((i, (*kinds, kind)))
    assert best is not None
    return best[2]
