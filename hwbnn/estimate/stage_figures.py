"""The stages of a circuit for a report, each split into the parts that compute nodes."""

from __future__ import annotations

from hwbnn.estimate.amounts import Amounts, amounts, border_options, ends
from hwbnn.estimate.area import SOURCE, area_of
from hwbnn.estimate.cycles import Cycles
from hwbnn.estimate.table import node_of, timings
from hwbnn.plan import Circuit
from hwbnn.plan.blocks import Block
from hwbnn.plan.products import (
    DotFolded,
    DotNetlist,
    DotUnrolled,
    WeightedFolded,
    WeightedUnrolled,
)
from hwbnn.plan.stages import (
    AddStreams,
    AxisIn,
    AxisOut,
    Fork,
    Narrow,
    Pipeline,
    SlidingWindow,
    Stage,
    Widen,
    WindowUnrolled,
)
from hwbnn.report import PartFigures, StageFigures, StageTable

_AROUND = {
    AxisIn: "input border",
    AxisOut: "output border",
    Fork: "fork",
    Widen: "width change",
    Narrow: "width change",
}
CYCLES = "predicted by the token model"


def stage_table(circuit: Circuit, predicted: Cycles | None = None) -> StageTable:
    """All stages of a circuit, with their estimated resources.

    Args:
        circuit: the circuit.
        predicted: see :func:`hwbnn.estimate.table.timings`.
    """
    stages = []
    for stage, timed in zip(circuit.stages, timings(circuit, predicted), strict=True):
        parts = _parts(circuit, stage, timed.node)
        busy = round(float(timed.busy), 6)
        stages.append(StageFigures(timed.stage, timed.cycles, busy, parts, timed.depth, timed.fill))
    return StageTable(tuple(stages), {"cycles": CYCLES, "resources": SOURCE})


def _parts(circuit: Circuit, stage: Stage, node: str) -> tuple[PartFigures, ...]:
    if isinstance(stage, Pipeline):
        computed = [
            _part(node_of(block), form(block), amounts(block), block.latency)
            for block in stage.blocks
        ]
        return (*computed, _part("", "gate and FIFO", ends(stage)))
    if isinstance(stage, SlidingWindow | WindowUnrolled):
        return (_part(node, "sliding window", amounts(stage)),)
    if isinstance(stage, AddStreams):
        return (_part(node, "adder", amounts(stage)),)
    counted = amounts(stage)
    if isinstance(stage, AxisIn):
        counted.add(border_options(circuit))
    return (_part("", _AROUND.get(type(stage), type(stage).__name__), counted),)


def _part(node: str, form: str, counted: Amounts, latency: int = 0) -> PartFigures:
    taken = area_of(counted)
    bram = taken.bram36 + taken.bram18 / 2
    return PartFigures(node, form, taken.lut, taken.ff, bram, taken.dsp, latency)


def form(block: Block) -> str:
    """The form of a block in words: how a product is laid out; "" for other blocks."""
    if isinstance(block, DotFolded):
        dsp = isinstance(block, WeightedFolded) and block.dsp
        how = "" if block.sums == "bit_planes" or dsp else f", {block.sums.replace('_', ' ')}"
        return f"folded {block.pe} x {block.simd}{', multipliers' if dsp else how}"
    if isinstance(block, DotNetlist):
        return f"unrolled, netlist {block.form}"
    return "unrolled" if isinstance(block, DotUnrolled | WeightedUnrolled) else ""
