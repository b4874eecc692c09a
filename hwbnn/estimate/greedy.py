"""Plans for convolutional networks: layer by layer, the cheapest layout that is fast enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from hwbnn.errors import PlanError
from hwbnn.estimate.area import area
from hwbnn.estimate.cycles import cycles as counted
from hwbnn.estimate.depths import used_depths
from hwbnn.estimate.folds import beat, cost_of, describe, divisors, fastest, netlists
from hwbnn.estimate.parts import parts
from hwbnn.graph import Conv2d, Dot, Graph
from hwbnn.plan import Folded, Layout, Plan, Sums, Unrolled, circuit
from hwbnn.plan.build import add, place
from hwbnn.plan.datapath import Datapath, OpenStream
from hwbnn.plan.fifos import settled
from hwbnn.plan.plan import WINDOWED

TRIES = 5
"""Goals that are tried one below the other, where windows wait for rows of the image."""
FINER = 1.25
"""Ratio of neighbouring intervals that are looked at for a budget."""


def is_chain(graph: Graph) -> bool:
    """Whether a Graph is a chain without windows: every value is read once, by the next node."""
    shared = any(sum(n.sources.count(m.name) for n in graph.nodes) > 1 for m in graph.nodes)
    return not shared and not any(isinstance(node, WINDOWED) for node in graph.nodes)


@dataclass(frozen=True)
class _Tried:
    """A layout, what it costs, and how many cycles a frame keeps its busiest stage."""

    layout: Layout
    cost: float
    interval: int


class Greedy:
    """Plans for one Graph; what layouts cost is remembered.

    Args:
        graph: the network.
        base: what to take for everything but layouts and beats.
        bram_luts: what a block RAM counts.
    """

    def __init__(self, graph: Graph, base: Plan, bram_luts: int) -> None:
        self.graph = graph
        self.base = base
        self.bram_luts = bram_luts
        self.tried: dict[tuple[str, int, Layout], _Tried] = {}

    def plan(self, cycles: int) -> Plan:
        """The Plan for an interval, by the token model.

        Raises:
            PlanError: if none was found; names the nearest.
        """
        goal, best = cycles, 0
        for _ in range(TRIES):
            plan = self.layouts(goal)
            interval = counted(circuit(self.graph, plan)).interval
            assert interval is not None
            if interval <= cycles:
                return used_depths(self.graph, plan)
            best = min(best or int(interval), int(interval))
            goal = min(goal - 1, int(goal * cycles / interval))
            if goal < 1:
                break
        raise PlanError(
            f"plan: no Plan found has a frame every {cycles:,} cycles; the nearest takes {best:,}"
        )

    def within(self, budget: int) -> Plan:
        """A fast Plan that is estimated within a budget of LUTs.

        Intervals are searched by halves, as if a slower Plan never took more: a faster one within
        the budget may be missed where a step of the search falls on one that does.

        Raises:
            PlanError: if none was found; names the smallest.
        """
        goals = self.intervals()
        low, high = 0, len(goals) - 1
        plan = self.layouts(goals[-1])
        smallest = area(circuit(self.graph, plan)).lut
        if smallest > budget:
            raise PlanError(
                f"plan: no Plan found is estimated within {budget:,} LUTs; the smallest takes "
                f"about {smallest:,}: {describe(self.graph, plan)}"
            )
        while low < high:
            middle = (low + high) // 2
            made = self.layouts(goals[middle])
            if area(circuit(self.graph, made)).lut <= budget:
                plan, high = made, middle
            else:
                low = middle + 1
        return plan

    def intervals(self) -> list[int]:
        """Intervals to look at, from the fastest to that of one product a cycle."""
        borders = (self.graph.input, self.graph.output)
        now = float(max(fastest(self.graph, node) for node in borders))
        products = [n for n in self.graph.nodes if isinstance(n, Dot | Conv2d)]
        slowest = max((max(layout[1] for layout in self.ways(n)) for n in products), default=1)
        found = {int(now)}
        while now < slowest:
            now = min(float(slowest), max(now + 1, now * FINER))
            found.add(int(now))
        return sorted(found)

    def layouts(self, cycles: int) -> Plan:
        """The cheapest layouts whose stages a frame keeps busy for at most so many cycles."""
        graph, base = self.graph, self.base
        base = replace(
            base,
            input_beat=beat(graph, graph.input, base.input_beat, cycles),
            output_beat=beat(graph, graph.output, base.output_beat, cycles),
        )
        datapath = Datapath(graph, base)
        for node in graph.nodes:
            if isinstance(node, Dot | Conv2d):
                lanes = datapath.pending[node.source][0].stream.lanes
                found = [self.laid(node, lanes, layout) for layout in self.fast(node, cycles)]
                good = [tried for tried in found if tried.interval <= cycles]
                best = min(good or found, key=lambda t: t.cost if good else t.interval)
                datapath.plan = datapath.plan.with_layers(**{node.name: best.layout})
            place(datapath, node)
        return datapath.plan

    def ways(self, node: Dot | Conv2d) -> Iterator[tuple[Layout, int]]:
        """All layouts of a product, with the cycles that they take."""
        groups = node.groups if isinstance(node, Conv2d) else 1
        width, windows = self.graph.types[node.source].width, self.windows(node)
        yield from ((Unrolled(sums), windows) for sums in self.parallel(width))
        yield from ((layout, windows) for layout in netlists(self.base))
        outputs, inputs = len(node.weights) // groups, node.weights[0].size
        for pe in divisors(outputs):
            for simd in divisors(inputs):
                steps = windows * groups * (outputs // pe) * (inputs // simd)
                yield from ((Folded(pe, simd, sums), steps) for sums in self.parallel(width))
                if width > 1:
                    yield Folded(pe, simd, "bit_serial"), steps * width

    def fast(self, node: Dot | Conv2d, cycles: int) -> list[Layout]:
        """Layouts worth a look: for each way to sum and each ``pe`` the least ``simd`` that does.

        Where none is fast enough, all that take the fewest cycles.
        """
        ways = list(self.ways(node))
        enough = [way for way in ways if way[1] <= cycles]
        if not enough:
            least = min(taken for _, taken in ways)
            return [layout for layout, taken in ways if taken == least]
        chosen: dict[tuple[object, ...], Layout] = {}
        for layout, _ in enough:
            shape = layout.pe if isinstance(layout, Folded) else layout.form
            chosen.setdefault((shape, layout.sums), layout)
        return list(chosen.values())

    def laid(self, node: Dot | Conv2d, lanes: int, layout: Layout) -> _Tried:
        """What a product comes to in one layout, behind a stream of so many lanes."""
        key = (node.name, lanes, layout)
        if key not in self.tried:
            plan = replace(self.base, layers={node.name: layout}, depths={}, buffer_tokens={})
            datapath = Datapath(self.graph, plan)
            stream = datapath.result(self.graph.node(node.source), lanes)
            datapath.current = OpenStream("before", stream)
            add(node, datapath)
            datapath.close()
            stages, _ = settled(datapath.stages)
            cost = sum(cost_of(parts(stage), self.bram_luts) for stage in stages)
            self.tried[key] = _Tried(layout, cost, max(stage.interval for stage in stages))
        return self.tried[key]

    def windows(self, node: Dot | Conv2d) -> int:
        """Vectors that a frame brings to a product."""
        return prod(self.graph.types[node.name].shape[:-1])

    @staticmethod
    def parallel(width: int) -> tuple[Sums, ...]:
        """Ways to sum all bits of inputs at once."""
        return ("bit_planes", "adder_tree") if width > 1 else ("bit_planes",)
