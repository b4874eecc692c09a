"""Plans that meet a goal: an initiation interval at least cost, or the most speed for a budget."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from hwbnn.errors import PlanError
from hwbnn.estimate.luts import Area, area, stage_area
from hwbnn.graph import ArgMax, Dot, Encode, Graph, Input, Node, Output, Select, ValueType
from hwbnn.plan import Folded, Layout, Plan, Stream, Unrolled, circuit
from hwbnn.plan.plan import BEAT_LIMIT
from hwbnn.plan.stages import Down, Segment, Up

BRAM_LUTS = 380
"""LUTs that a block RAM of 36 Kbit counts as when plans are compared: a Zynq 7020 has 53,200 LUTs
and 140 of them."""


def plan_for_ii(graph: Graph, cycles: int, base: Plan | None = None) -> Plan:
    """The cheapest Plan under which a new frame can begin every ``cycles`` cycles or sooner.

    Every ``Dot`` is unrolled, or folded by divisors of its size; beats at the borders are widened
    where they would be too slow. Cost is estimated LUTs, block RAM counted as :data:`BRAM_LUTS`.

    Args:
        graph: the network.
        cycles: largest initiation interval that is good enough.
        base: what to take for everything else.

    Raises:
        PlanError: if no Plan is that fast; names the nearest that can be reached.
    """
    if isinstance(cycles, bool) or not isinstance(cycles, int) or cycles < 1:
        raise PlanError(f"plan: interval: expected at least 1 cycle, found {cycles!r}")
    return _Search(graph, base or Plan(), BRAM_LUTS).plan(cycles)


def plan_for_luts(graph: Graph, budget: int, base: Plan | None = None) -> Plan:
    """The Plan with the smallest initiation interval that is estimated within a budget of LUTs.

    Args:
        graph: the network.
        budget: LUTs, raw count, of the whole core. Block RAM is not limited.
        base: what to take for everything else.

    Raises:
        PlanError: if every Plan takes more; names the smallest.
    """
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
        raise PlanError(f"plan: LUTs: expected a positive number, found {budget!r}")
    search = _Search(graph, base or Plan(), 0)
    goals = search.intervals()
    made: dict[int, tuple[int, Plan]] = {}

    def fits(goal: int) -> bool:
        plan = search.plan(goal)
        made[goal] = area(circuit(graph, plan)).lut, plan
        return made[goal][0] <= budget

    # Layers alone take less than the core: no goal fits that is faster than the first of these.
    first = bisect_left(goals, True, key=lambda goal: search.solve(goal)[0] <= budget)
    goal = bisect_left(goals, True, lo=min(first, len(goals) - 1), key=fits)
    if goal < len(goals):
        return made[goals[goal]][1]
    luts, plan = min(made.values(), key=lambda each: each[0])
    raise PlanError(
        f"plan: no Plan found is estimated within {budget:,} LUTs; the smallest takes about "
        f"{luts:,}: {describe(graph, plan)}"
    )


def describe(graph: Graph, plan: Plan) -> str:
    """The layouts of a Plan in one line, and the interval that they come to."""
    told = []
    for dot in graph.of_type(Dot):
        layout = plan.layout(dot.name)
        shown = f"{layout.pe} x {layout.simd}" if isinstance(layout, Folded) else "unrolled"
        told.append(f"{dot.name} {shown}")
    layers = ", ".join(told[:6]) + (", ..." if len(told) > 6 else "")
    return f"{layers} (pe x simd), a frame every {circuit(graph, plan).interval:,} cycles"


@dataclass
class _Layer:
    """A ``Dot`` and what follows it up to the next, the ways to lay it out, what each costs."""

    alone: Graph
    base: Plan
    bram_luts: int
    costs: dict[Layout, float] = field(default_factory=dict)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Channels and inputs."""
        m, n = self.alone.of_type(Dot)[0].weights.shape
        return m, n

    @cached_property
    def source(self) -> ValueType:
        """What it reads."""
        return self.alone.types[self.alone.input.name]

    @cached_property
    def result(self) -> ValueType:
        """What it gives."""
        return self.alone.types[self.alone.output.name]

    def cost(self, layout: Layout) -> float:
        """Estimated LUTs of its pipelines, block RAM counted as so many."""
        if layout not in self.costs:
            made = circuit(self.alone, replace(self.base, default=layout))
            whole = area(made)
            ends = [i for i, stage in enumerate(made.stages) if isinstance(stage, Segment)]
            inner = made.stages[ends[0] : ends[-1] + 1]
            self.costs[layout] = sum(_cost(whole.stages[s.name], self.bram_luts) for s in inner)
        return self.costs[layout]

    def layouts(self, cycles: int) -> Iterator[Layout]:
        """What is fast enough."""
        yield Unrolled()
        m, n = self.shape
        for pe in _divisors(m):
            for simd in _divisors(n):
                if 1 < (n // simd) * (m // pe) <= cycles:
                    yield Folded(pe, simd)

    def lanes(self, layout: Layout) -> tuple[int, int]:
        """Lanes of the streams that it takes and gives."""
        m, n = self.shape
        wide, many = (layout.simd, layout.pe) if isinstance(layout, Folded) else (n, m)
        return wide, min(_lanes_behind(self.alone.nodes[2:], many), self.result.size)


class _Search:
    """Plans for one Graph: a table of costs for each layer, filled as it is asked for."""

    def __init__(self, graph: Graph, base: Plan, bram_luts: int) -> None:
        self.graph = graph
        self.base = base
        self.bram_luts = bram_luts
        inner = replace(base, dots={}, input_beat=64, output_beat=64)
        starts = [i for i, node in enumerate(graph.nodes) if isinstance(node, Dot)]
        ends = [*starts[1:], len(graph.nodes) - 1][: len(starts)]
        self.before = graph.nodes[1 : starts[0]] if starts else ()
        self.layers = [
            _Layer(_alone(graph, graph.nodes[a:b]), inner, bram_luts)
            for a, b in zip(starts, ends, strict=True)
        ]
        self.names = [graph.nodes[start].name for start in starts]
        self.resizes: dict[tuple[Stream, int], float] = {}

    def intervals(self) -> list[int]:
        """All intervals that a layer can have, smallest first."""
        found = {1}
        for layer in self.layers:
            m, n = layer.shape
            found |= {a * b for a in _divisors(m) for b in _divisors(n)}
        fastest = max(self.fastest(node) for node in (self.graph.input, self.graph.output))
        return sorted(cycles for cycles in found | {fastest} if cycles >= fastest)

    def plan(self, cycles: int) -> Plan:
        """The cheapest Plan for an interval."""
        return self.solve(cycles)[1]

    def solve(self, cycles: int) -> tuple[float, Plan]:
        """The cheapest Plan and the cost of all but its borders.

        Layers are gone through in order; of all ways to lay out the first ones, the cheapest for
        each number of lanes behind them is kept.
        """
        beats = [
            self.beat(self.graph.input, self.base.input_beat, cycles),
            self.beat(self.graph.output, self.base.output_beat, cycles),
        ]
        entry = self.graph.types[self.graph.input.name]
        lanes = _lanes_behind(self.before, min(beats[0] // entry.width, entry.size))
        ways: dict[int, tuple[float, tuple[Layout, ...]]] = {lanes: (0.0, ())}
        for layer in self.layers:
            following: dict[int, tuple[float, tuple[Layout, ...]]] = {}
            for layout in layer.layouts(cycles):
                wide, many = layer.lanes(layout)
                cost, chosen = min(
                    (
                        (cost + self.resize(layer.source, lanes, wide), chosen)
                        for lanes, (cost, chosen) in ways.items()
                    ),
                    key=lambda way: way[0],
                )
                cost += layer.cost(layout)
                if many not in following or cost < following[many][0]:
                    following[many] = cost, (*chosen, layout)
            ways = following
        cost, chosen = min(ways.values(), key=lambda way: way[0])
        dots = dict(zip(self.names, chosen, strict=True))
        return cost, replace(self.base, dots=dots, input_beat=beats[0], output_beat=beats[1])

    def resize(self, t: ValueType, lanes: int, wanted: int) -> float:
        """What it costs to bring a stream to so many lanes."""
        now = Stream(t.size, lanes, t.width, t.signed)
        if (now, wanted) not in self.resizes:
            cost = 0.0
            for target in now.resized(wanted):
                kind = Up if target.lanes > now.lanes else Down
                cost += _cost(stage_area(kind("r", now, target)), self.bram_luts)
                now = target
            self.resizes[Stream(t.size, lanes, t.width, t.signed), wanted] = cost
        return self.resizes[Stream(t.size, lanes, t.width, t.signed), wanted]

    def beat(self, node: Node, given: int, cycles: int) -> int:
        """The beat itself, or the narrowest that carries a frame in so many cycles."""
        t = self.graph.types[node.name]
        if given >= t.width and -(-t.size // (given // t.width)) <= cycles:
            return given
        beat = -(-(-(-t.size // cycles) * t.width) // 8) * 8
        if beat > BEAT_LIMIT:
            nearest = self.fastest(node)
            raise PlanError(
                f"plan: '{node.name}' takes {nearest} cycles a frame through the widest beat of "
                f"{BEAT_LIMIT} bits, over the interval of {cycles}; take at least {nearest}"
            )
        return beat

    def fastest(self, node: Node) -> int:
        """Cycles of a frame through the widest beat."""
        t = self.graph.types[node.name]
        return -(-t.size // (BEAT_LIMIT // t.width))


def _cost(made: Area, bram_luts: int) -> float:
    return made.lut + bram_luts * (made.bram36 + made.bram18 / 2)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _lanes_behind(nodes: Sequence[Node], lanes: int) -> int:
    """Lanes of a stream behind these nodes."""
    for node in nodes:
        if isinstance(node, Select):
            lanes = len(node.index)
        elif isinstance(node, Encode):
            lanes *= node.thresholds.shape[1]
        elif isinstance(node, ArgMax):
            lanes = 1
    return lanes


def _alone(graph: Graph, nodes: Sequence[Node]) -> Graph:
    """A layer and what follows it as a network."""
    x = graph.types[nodes[0].sources[0]]
    made: list[Node] = [Input("x0", (x.size,), x.low, x.high, bit=x.bit)]
    for i, node in enumerate(nodes, start=1):
        made.append(replace(node, name=f"x{i}", source=made[-1].name))  # type: ignore[call-arg]
    return Graph((*made, Output("y", made[-1].name)))
