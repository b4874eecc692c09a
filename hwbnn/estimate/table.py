"""A table of a circuit's stages: how busy each is, its resources, and the fill of its FIFO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from hwbnn.estimate.area import ERROR_PERCENT, STAGE_ERRORS, area
from hwbnn.estimate.cycles import Cycles, cycles
from hwbnn.plan import Circuit
from hwbnn.plan.blocks import Block
from hwbnn.plan.stages import (
    AddStreams,
    AxisIn,
    Fork,
    Pipeline,
    SlidingWindow,
    Stage,
    WindowUnrolled,
)

COLUMNS = ("stage", "for", "cycles", "busy", "LUT", "FF", "BRAM", "DSP", "depth", "fill")


@dataclass(frozen=True)
class StageRow:
    """One stage of a circuit.

    Attributes:
        stage: its name in the top module.
        node: the nodes that it computes; for a fork the value, for a resizer the stream it takes.
        cycles: cycles for which a frame keeps it busy.
        busy: these cycles as a fraction of the interval; below 1 even for the busiest stage if that
            waits for others between two frames.
        lut: LUTs; they are estimated, like all its resources.
        ff: flip-flops.
        bram: block RAMs of 36 Kbit, smaller ones counted as halves.
        dsp: multipliers.
        depth: tokens of the FIFO behind it, branch by branch for a fork; empty if it has none.
        fill: the most tokens in that FIFO, from the token model.
    """

    stage: str
    node: str
    cycles: int
    busy: Fraction
    lut: int
    ff: int
    bram: float
    dsp: int
    depth: tuple[int, ...]
    fill: tuple[int, ...]

    def cells(self) -> tuple[object, ...]:
        """The cells of its row, in the order of :data:`COLUMNS`."""
        depth, fill = (" ".join(map(str, numbers)) for numbers in (self.depth, self.fill))
        busy = f"{float(100 * self.busy):.0f} %"
        bram = f"{self.bram:g}"
        area = (self.lut, self.ff, bram, self.dsp)
        return (self.stage, self.node, self.cycles, busy, *area, depth, fill)


@dataclass(frozen=True)
class StageTiming:
    """The timing of one stage of a circuit; attributes as in :class:`StageRow`."""

    stage: str
    node: str
    cycles: int
    busy: Fraction
    depth: tuple[int, ...]
    fill: tuple[int, ...]


def timings(circuit: Circuit, predicted: Cycles | None = None) -> tuple[StageTiming, ...]:
    """How busy each stage of a circuit is, in order, without its resources.

    Args:
        circuit: the circuit.
        predicted: the result of :func:`~hwbnn.estimate.cycles.cycles` to a steady state; None to
            compute it.
    """
    predicted = predicted or cycles(circuit)
    interval = predicted.interval or Fraction(circuit.interval)
    timed = []
    for stage in circuit.stages:
        depth = _depth(stage)
        fill = tuple(predicted.fills[name] for name in stage.outputs) if depth else ()
        busy = stage.interval / interval
        timed.append(StageTiming(stage.name, _node(stage), stage.interval, busy, depth, fill))
    return tuple(timed)


def rows(circuit: Circuit, predicted: Cycles | None = None) -> tuple[StageRow, ...]:
    """A circuit stage by stage, in order; the busiest is the bottleneck.

    Args:
        circuit: the circuit.
        predicted: as in :func:`timings`.
    """
    areas = area(circuit).stages
    stage_rows = []
    for timed in timings(circuit, predicted):
        taken = areas[timed.stage]
        stage_rows.append(
            StageRow(
                timed.stage, timed.node, timed.cycles, timed.busy, taken.lut, taken.ff,
                taken.bram36 + taken.bram18 / 2, taken.dsp, timed.depth, timed.fill,
            )
        )  # fmt: skip
    return tuple(stage_rows)


def error_note(stage_rows: tuple[StageRow, ...]) -> str:
    """A line with the estimated LUTs, and with the errors of such estimates against synthesis."""
    total = sum(row.lut for row in stage_rows)
    kinds = (f"{kind} {low:+d} to {high:+d} %" for kind, (low, high) in STAGE_ERRORS.items())
    return (
        f"about {total:,} LUTs, estimated; against yosys: layers of dense networks within "
        f"{ERROR_PERCENT} %, stages of images and shortcuts: {', '.join(kinds)}"
    )


def bottleneck(stage_rows: tuple[StageRow, ...]) -> StageRow:
    """The busiest stage; of several that are equally busy, the first."""
    return max(stage_rows, key=lambda row: row.busy)


def facts(stage_rows: tuple[StageRow, ...]) -> list[Mapping[str, object]]:
    """The rows as plain values for JSON."""
    return [
        {name: list(v) if isinstance(v, tuple) else v for name, v in vars(row).items()}
        | {"busy": round(float(row.busy), 4)}
        for row in stage_rows
    ]


def node_of(block: Block) -> str:
    """The node that a block computes; "" for one that computes none."""
    return str(getattr(block, "node", None) or block.value or "")


def _node(stage: Stage) -> str:
    if isinstance(stage, Pipeline):
        names = map(node_of, stage.blocks)
        return ", ".join(dict.fromkeys(name for name in names if name))
    if isinstance(stage, Fork):
        return stage.value
    if isinstance(stage, AxisIn | SlidingWindow | WindowUnrolled | AddStreams):
        return stage.name.partition("_")[2]
    return stage.inputs[0]


def _depth(stage: Stage) -> tuple[int, ...]:
    if isinstance(stage, Pipeline):
        return (stage.credits,)
    return stage.depths if isinstance(stage, Fork) else ()
