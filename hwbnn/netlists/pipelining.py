"""Registers in a netlist: the pipeline stage of each cell.

A carry chain and the tables that feed it are one unit. It has two levels of logic if its tables
feed each other by links, else one. A stage has a given number of levels.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwbnn.netlists.netlist import CarryChain, Lut, Netlist


@dataclass(frozen=True)
class Pipelining:
    """Stages of a netlist, with registers behind each.

    Attributes:
        stages: how many there are; 0 without registers.
        cells: the stage of each cell.
        signals: the stage that drives each signal; -1 for constants and inputs.
    """

    stages: int
    cells: tuple[int, ...]
    signals: tuple[int, ...]


def pipelining(netlist: Netlist, per_register: int | None) -> Pipelining:
    """Place registers after every ``per_register`` levels and after the outputs; none for None."""
    if per_register is None:
        return Pipelining(0, (0,) * len(netlist.cells), (0,) * netlist.signals)
    level = _logic_depths(netlist)
    last = max((level[literal >> 1] for literal in netlist.outputs), default=0)
    stages = max(1, -(-last // per_register))
    cells = [0] * len(netlist.cells)
    stage_of = [-1] * netlist.signals
    for i, cell in enumerate(netlist.cells):
        if isinstance(cell, Lut):
            at = level[cell.first or cell.second]
        else:
            at = max((level[s] for s in (*cell.sums, cell.carry)), default=0)
        cells[i] = _stage(at, per_register)
    _join_chains(netlist, cells)
    for i, cell in enumerate(netlist.cells):
        for signal in drives(cell):
            stage_of[signal] = cells[i]
    stage_of[0] = -1
    return Pipelining(stages, tuple(cells), tuple(stage_of))


def _join_chains(netlist: Netlist, cells: list[int]) -> None:
    """Move tables that feed a chain to its stage, but to no stage after that of another reader."""
    first: dict[int, int] = {}  # the first stage in which a signal is read
    feeding: set[int] = set()
    for i in reversed(range(len(cells))):
        cell = netlist.cells[i]
        if isinstance(cell, CarryChain):
            feeding.update(literal >> 1 for literal in (*cell.s, *cell.d))
        elif feeding & (own := {cell.first, cell.second} - {0}):
            cells[i] = max(cells[i], min(first[signal] for signal in own if signal in first))
        for signal in reads(cell):
            first[signal] = min(first.get(signal, cells[i]), cells[i])


def _stage(level: int, per_register: int) -> int:
    return max(0, level - 1) // per_register


def _logic_depths(netlist: Netlist) -> list[int]:
    """Levels before each signal; all outputs of a chain have the level of its latest input."""
    level = [0] * netlist.signals
    for cell in netlist.cells:
        if isinstance(cell, Lut):
            at = 1 + max((level[i] for i in cell.inputs), default=0)
            level[cell.first] = level[cell.second] = at
        else:
            at = max(level[literal >> 1] for literal in (cell.cin, *cell.s, *cell.d))
            for signal in (*cell.sums, cell.carry):
                level[signal] = at
        level[0] = 0
    return level


def registers(netlist: Netlist, plan: Pipelining) -> dict[int, int]:
    """The number of registers behind each signal, for later stages and outputs that read it."""
    delays: dict[int, int] = {}

    def read(signal: int, stage: int) -> None:
        if signal:
            late = stage - max(plan.signals[signal], 0)
            if late > 0:
                delays[signal] = max(delays.get(signal, 0), late)

    for cell, stage in zip(netlist.cells, plan.cells, strict=True):
        for signal in reads(cell):
            read(signal, stage)
    if plan.stages:
        for literal in netlist.outputs:
            read(literal >> 1, plan.stages)
    return delays


def reads(cell: Lut | CarryChain) -> tuple[int, ...]:
    """The signals that a cell reads."""
    if isinstance(cell, Lut):
        return cell.inputs
    return tuple(literal >> 1 for literal in (cell.cin, *cell.s, *cell.d))


def drives(cell: Lut | CarryChain) -> tuple[int, ...]:
    """The signals that a cell drives; 0 for those that it does not."""
    if isinstance(cell, Lut):
        return cell.first, cell.second
    return *cell.sums, cell.carry
