"""Plans that meet a goal: an initiation interval at least cost, or the most speed for a budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from hwbnn.errors import PlanError
from hwbnn.estimate.area import area
from hwbnn.estimate.folds import beat, cost_of, describe, divisors, fastest, netlists
from hwbnn.estimate.greedy import Greedy, is_chain
from hwbnn.estimate.parts import ends, parts
from hwbnn.graph import Dot, Graph, Node, ValueType
from hwbnn.plan import Folded, Layout, Plan, Sums, TokenStream, Unrolled, circuit
from hwbnn.plan.build import add, place
from hwbnn.plan.datapath import Datapath, OpenStream
from hwbnn.plan.fifos import settled
from hwbnn.plan.stages import Narrow, Pipeline, Widen

BRAM_LUTS = 380
"""LUTs that a block RAM of 36 Kbit counts as when plans are compared: a Zynq 7020 has 53,200 LUTs
and 140 of them."""


def plan_for_ii(graph: Graph, cycles: int, base: Plan | None = None) -> Plan:
    """The cheapest Plan under which a new frame can begin every ``cycles`` cycles or sooner.

    Every ``Dot`` and ``Conv2d`` is unrolled, or folded by divisors of its size, and sums inputs of
    several bits in the way that costs least (:data:`~hwbnn.plan.plan.Sums`); beats at the borders
    are widened where they would be too slow. Cost is estimated LUTs, block RAM counted as
    :data:`BRAM_LUTS`. In chains of ``Dot`` nodes all layouts are looked at; in convolutional
    networks a layer's layout is chosen after those of the layers before it.

    Args:
        graph: the network.
        cycles: largest initiation interval that is good enough.
        base: what to take for everything else. If its default is ``Unrolled`` as netlists, layers
            may become these netlists too; each is made to see what it takes, by itself: what it
            saves behind another netlist is left out.

    Raises:
        PlanError: if no Plan is that fast; names the nearest that can be reached.
    """
    if isinstance(cycles, bool) or not isinstance(cycles, int) or cycles < 1:
        raise PlanError(f"plan: interval: expected at least 1 cycle, found {cycles!r}")
    if not is_chain(graph):
        return Greedy(graph, base or Plan(), BRAM_LUTS).plan(cycles)
    return _Search(graph, base or Plan(), BRAM_LUTS).plan(cycles)


def plan_for_luts(graph: Graph, budget: int, base: Plan | None = None) -> Plan:
    """The Plan with the smallest initiation interval that is estimated within a budget of LUTs.

    In chains of ``Dot`` nodes all intervals are tried; in convolutional networks they are searched
    by halves, so that a faster Plan may be missed.

    Args:
        graph: the network.
        budget: LUTs, raw count, of the whole core. Block RAM is not limited.
        base: what to take for everything else, and netlists, as for :func:`plan_for_ii`.

    Raises:
        PlanError: if every Plan takes more; names the smallest.
    """
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
        raise PlanError(f"plan: LUTs: expected a positive number, found {budget!r}")
    if not is_chain(graph):
        return Greedy(graph, base or Plan(), 0).within(budget)
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
        stream = TokenStream.of(self.graph.types[self.dot.source], taken)
        datapath = Datapath(self.graph, replace(self.base, layers={self.dot.name: layout}))
        datapath.current = OpenStream("before", stream)
        for node in self.nodes:
            add(node, datapath)
        datapath.close()
        stages, _ = settled(datapath.stages)
        cost = sum(cost_of(parts(stage), self.bram_luts) for stage in stages)
        last = stages[-1]
        end = cost_of(ends(last), self.bram_luts) if isinstance(last, Pipeline) else 0.0
        return _Laid(cost, end, taken, datapath.stream.lanes)

    def layouts(self, cycles: int) -> Iterator[Layout]:
        """What is fast enough, with every way to sum inputs of several bits."""
        parallel: tuple[Sums, ...] = (
            ("bit_planes", "adder_tree") if self.width > 1 else ("bit_planes",)
        )
        for sums in parallel:
            yield Unrolled(sums)
        yield from netlists(self.base)
        m, n = self.dot.weights.shape
        for pe in divisors(m):
            for simd in divisors(n):
                steps = (n // simd) * (m // pe)
                if 1 < steps <= cycles:
                    for sums in parallel:
                        yield Folded(pe, simd, sums)
                if self.width > 1 and self.width * steps <= cycles:
                    yield Folded(pe, simd, "bit_serial")

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


NO_WAY = _Way(0.0, 0.0, ())


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
        self.resizes: dict[tuple[TokenStream, int], float] = {}

    def intervals(self) -> list[int]:
        """All intervals that a layer can have, smallest first."""
        found = {1}
        for layer in self.layers:
            m, n = layer.dot.weights.shape
            found |= {
                a * b * rounds
                for a in divisors(m)
                for b in divisors(n)
                for rounds in {1, layer.width}
            }
        borders = (self.graph.input, self.graph.output)
        least = max(fastest(self.graph, node) for node in borders)
        return sorted(cycles for cycles in found | {least} if cycles >= least)

    def plan(self, cycles: int) -> Plan:
        """The cheapest Plan for an interval."""
        return self.solve(cycles)[1]

    def solve(self, cycles: int) -> tuple[float, Plan]:
        """The cheapest Plan and the cost of all but its borders.

        Layers are gone through in order; of all ways to lay out the first ones, the cheapest for
        each number of lanes behind them is kept.
        """
        beats = [
            beat(self.graph, self.graph.input, self.base.input_beat, cycles),
            beat(self.graph, self.graph.output, self.base.output_beat, cycles),
        ]
        base = replace(self.base, input_beat=beats[0], output_beat=beats[1])
        datapath = Datapath(self.graph, base)
        for node in self.before:
            place(datapath, node)
        ways = {
            datapath.pending[self.before[-1].name][0].stream.lanes if self.before else 1: NO_WAY
        }
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
        return best.cost, base.with_layers(**dict(zip(names, best.chosen, strict=True)))

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
        given = now = TokenStream.of(t, lanes)
        if (given, wanted) not in self.resizes:
            cost = 0.0
            for target in given.resized(wanted):
                kind = Widen if target.lanes > now.lanes else Narrow
                cost += cost_of(parts(kind("r", now, target)), self.bram_luts)
                now = target
            self.resizes[given, wanted] = cost
        return self.resizes[given, wanted]
