"""Plans that meet a goal: an initiation interval at least cost, or the most speed for a budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from hwbnn.errors import PlanError
from hwbnn.estimate.luts import area, area_of
from hwbnn.estimate.parts import Parts, ends, parts
from hwbnn.graph import Dot, Graph, Node, ValueType
from hwbnn.plan import Folded, Layout, Plan, Stream, Sums, Unrolled, circuit
from hwbnn.plan.builder import Builder
from hwbnn.plan.plan import BEAT_LIMIT
from hwbnn.plan.stages import Down, Segment, Stage, Up, settled

BRAM_LUTS = 380
"""LUTs that a block RAM of 36 Kbit counts as when plans are compared: a Zynq 7020 has 53,200 LUTs
and 140 of them."""


def plan_for_ii(graph: Graph, cycles: int, base: Plan | None = None) -> Plan:
    """The cheapest Plan under which a new frame can begin every ``cycles`` cycles or sooner.

    Every ``Dot`` is unrolled, or folded by divisors of its size, and sums inputs of several bits in
    the way that costs least (:data:`~hwbnn.plan.plan.Sums`); beats at the borders are widened
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
    made: list[tuple[int, Plan]] = []
    # One goal after the other: FIFOs and borders make some slower Plans take more than a faster
    # one, so that a search by halves would miss Plans that fit.
    for goal in search.intervals():
        plan = search.plan(goal)
        made.append((area(circuit(graph, plan)).lut, plan))
        if made[-1][0] <= budget:
            return plan
    luts, plan = min(made, key=lambda each: each[0])
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
        if layout.sums != "planes":
            shown += f" {layout.sums}"
        told.append(f"{dot.name} {shown}")
    layers = ", ".join(told[:6]) + (", ..." if len(told) > 6 else "")
    return f"{layers} (pe x simd), a frame every {circuit(graph, plan).interval:,} cycles"


@dataclass(frozen=True)
class _Laid:
    """A layer laid out in one way.

    Attributes:
        cost: estimated LUTs of its pipelines, block RAM counted as so many.
        end: those of them that are gone if the next layer joins the last pipeline.
        taken: lanes of the stream that it takes.
        given: lanes of the stream that it gives.
    """

    cost: float
    end: float
    taken: int
    given: int


@dataclass
class _Layer:
    """A ``Dot`` and what follows it up to the next, and the ways to lay it out."""

    graph: Graph
    nodes: Sequence[Node]
    base: Plan
    bram_luts: int
    ways: dict[Layout, _Laid] = field(default_factory=dict)

    @property
    def dot(self) -> Dot:
        """Its first node."""
        return cast(Dot, self.nodes[0])

    def laid(self, layout: Layout) -> _Laid:
        """What it comes to in one layout."""
        if layout not in self.ways:
            self.ways[layout] = self.lay(layout)
        return self.ways[layout]

    def lay(self, layout: Layout) -> _Laid:
        """Build it behind a stream of the lanes that it takes."""
        taken = layout.simd if isinstance(layout, Folded) else self.dot.weights.shape[1]
        stream = Stream.of(self.graph.types[self.dot.source], taken)
        builder = Builder(self.graph, replace(self.base, dots={self.dot.name: layout}))
        builder.stages.append(Stage("before", stream, stream))
        for node in self.nodes:
            builder.add(node)
        builder.close()
        stages, _ = settled(builder.stages[1:])
        cost = sum(_cost(parts(stage), self.bram_luts) for stage in stages)
        last = stages[-1]
        end = _cost(ends(last), self.bram_luts) if isinstance(last, Segment) else 0.0
        return _Laid(cost, end, taken, builder.stream.lanes)

    def layouts(self, cycles: int) -> Iterator[Layout]:
        """What is fast enough, with every way to sum inputs of several bits."""
        parallel: tuple[Sums, ...] = ("planes", "adders") if self.width > 1 else ("planes",)
        for sums in parallel:
            yield Unrolled(sums)
        m, n = self.dot.weights.shape
        for pe in _divisors(m):
            for simd in _divisors(n):
                steps = (n // simd) * (m // pe)
                if 1 < steps <= cycles:
                    for sums in parallel:
                        yield Folded(pe, simd, sums)
                if self.width > 1 and self.width * steps <= cycles:
                    yield Folded(pe, simd, "serial")

    @property
    def width(self) -> int:
        """Bits of an input."""
        return self.graph.types[self.dot.source].width


@dataclass(frozen=True)
class _Way:
    """Layouts of the first layers, what they cost, and how much of that ends the last pipeline."""

    cost: float
    end: float
    chosen: tuple[Layout, ...]


class _Search:
    """Plans for one Graph: a table of costs for each layer, filled as it is asked for."""

    def __init__(self, graph: Graph, base: Plan, bram_luts: int) -> None:
        self.graph = graph
        self.base = base
        self.bram_luts = bram_luts
        starts = [i for i, node in enumerate(graph.nodes) if isinstance(node, Dot)]
        ends = [*starts[1:], len(graph.nodes) - 1][: len(starts)]
        self.before = graph.nodes[: starts[0]] if starts else ()
        self.layers = [
            _Layer(graph, graph.nodes[a:b], base, bram_luts)
            for a, b in zip(starts, ends, strict=True)
        ]
        self.resizes: dict[tuple[Stream, int], float] = {}

    def intervals(self) -> list[int]:
        """All intervals that a layer can have, smallest first."""
        found = {1}
        for layer in self.layers:
            m, n = layer.dot.weights.shape
            found |= {
                a * b * rounds
                for a in _divisors(m)
                for b in _divisors(n)
                for rounds in {1, layer.width}
            }
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
        base = replace(self.base, input_beat=beats[0], output_beat=beats[1])
        builder = Builder(self.graph, base)
        for node in self.before:
            builder.add(node)
        ways = {builder.stream.lanes if self.before else 1: _Way(0.0, 0.0, ())}
        for layer in self.layers:
            following: dict[int, _Way] = {}
            for layout in layer.layouts(cycles):
                made = layer.laid(layout)
                taken = (self.extend(way, layer, lanes, layout) for lanes, way in ways.items())
                best = min(taken, key=lambda way: way.cost)
                if made.given not in following or best.cost < following[made.given].cost:
                    following[made.given] = best
            ways = following
        best = min(ways.values(), key=lambda way: way.cost)
        names = (layer.dot.name for layer in self.layers)
        return best.cost, base.with_dots(**dict(zip(names, best.chosen, strict=True)))

    def extend(self, way: _Way, layer: _Layer, lanes: int, layout: Layout) -> _Way:
        """One more layer behind those of a way that gives so many lanes."""
        made = layer.laid(layout)
        cost = way.cost + made.cost
        if isinstance(layout, Unrolled) and lanes == made.taken:
            cost -= way.end  # joins the pipeline of the layer before
        else:
            cost += self.resize(self.graph.types[layer.dot.source], lanes, made.taken)
        return _Way(cost, made.end, (*way.chosen, layout))

    def resize(self, t: ValueType, lanes: int, wanted: int) -> float:
        """What it costs to bring a stream to so many lanes."""
        given = now = Stream.of(t, lanes)
        if (given, wanted) not in self.resizes:
            cost = 0.0
            for target in given.resized(wanted):
                kind = Up if target.lanes > now.lanes else Down
                cost += _cost(parts(kind("r", now, target)), self.bram_luts)
                now = target
            self.resizes[given, wanted] = cost
        return self.resizes[given, wanted]

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


def _cost(made: Parts, bram_luts: int) -> float:
    taken = area_of(made)
    return taken.lut + bram_luts * (taken.bram36 + taken.bram18 / 2)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]
