"""The circuit: a Graph under a Plan as stages of hardware, a pure function of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwbnn.graph import Graph
from hwbnn.plan.blocks import Block
from hwbnn.plan.builder import Builder
from hwbnn.plan.depths import with_depths
from hwbnn.plan.plan import Plan
from hwbnn.plan.stages import Segment, Stage, settled
from hwbnn.plan.taps import Tap


@dataclass(frozen=True, eq=False)
class Circuit:
    """A Graph under a Plan, as hardware.

    Attributes:
        graph: what is computed.
        plan: how.
        stages: from border to border, each behind those that it reads.
        taps: by value, those that can be seen.
        fused: by value, those that cannot: the value that they went into.
        interval: cycles that a frame keeps the busiest stage. Without windows it is exactly that
            from the first beat of a frame to that of the next at full rate; with them it can be
            more, and :func:`hwbnn.estimate.cycles` says how much.
        latency: cycles from the first input beat of a frame to its last output beat, if no storage
            is ever full; exact without windows.
    """

    graph: Graph
    plan: Plan
    stages: tuple[Stage, ...]
    taps: Mapping[str, Tap]
    fused: Mapping[str, str]
    interval: int
    latency: int

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The free-running pipelines, in order."""
        return tuple(s for s in self.stages if isinstance(s, Segment))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all segments, in order."""
        return tuple(block for segment in self.segments for block in segment.blocks)


def circuit(graph: Graph, plan: Plan) -> Circuit:
    """The hardware for a Graph under a Plan.

    Raises:
        PlanError: if the Plan does not fit the Graph, naming what and what would fit.
    """
    plan.check(graph)
    builder = Builder(graph, plan)
    for node in graph.nodes:
        builder.place(node)
    stages, last = settled(with_depths(builder.stages, plan))
    return Circuit(
        graph,
        plan,
        tuple(stages),
        MappingProxyType(builder.taps),
        MappingProxyType(builder.fused),
        max(stage.interval for stage in stages),
        last,
    )
