"""Plans that meet a goal: an interval at the fewest LUTs, or the most speed for a budget of LUTs.

All goals choose among the same points, each a Plan with the interval and the LUTs of the whole
circuit, FIFOs, adders and rescalers included. So a longer interval never takes more LUTs, a larger
budget is never slower, and a budget of N LUTs is never slower than a Plan for an interval that
takes N LUTs.

For each of several cycle limits one point is made: the cheapest layouts whose stages all stay
within the limit. In chains of ``Dot`` nodes the cheapest of the first layers are kept for each
number of lanes; elsewhere layers are chosen one after the other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from math import ceil, log, prod

import numpy as np

from hwbnn.errors import PlanError
from hwbnn.estimate.amounts import Amounts, amounts, ends
from hwbnn.estimate.area import area_of
from hwbnn.estimate.cycles import cycles as predicted_cycles
from hwbnn.estimate.schedule import Schedule, schedule
from hwbnn.graph import Add, Conv2d, Dot, Graph, Lookup, Node, Rescale, Threshold
from hwbnn.plan import (
    Circuit,
    Folded,
    Layout,
    Plan,
    Sums,
    TokenStream,
    Unrolled,
    circuit,
    constants,
    fold_candidates,
)
from hwbnn.plan.circuits import add, add_node
from hwbnn.plan.datapath import Datapath, OpenStream
from hwbnn.plan.fifos import settled
from hwbnn.plan.plan import BEAT_LIMIT, WINDOWED
from hwbnn.plan.products import DotFolded
from hwbnn.plan.stages import Fork, Narrow, Pipeline, Stage, Widen

BRAM_LUTS = 380
"""LUTs that a block RAM of 36 Kbit counts as when layouts of a layer are compared: a Zynq 7020 has
53,200 LUTs and 140 of them."""
FINER = 1.1
"""Ratio of neighbouring numbers of cycles that points are made for."""
FINEST = 1.03
"""The same for chains, whose points take little time."""
SMOOTH = 0.7
"""A size has many divisors if it has so many for each of its bits."""
APART = 1.12
"""Ratio of neighbouring parts of a size that has few divisors."""
CHEAPEST = 2
"""Layouts of a layer with the same ``pe`` whose cost is worked out with all that is around them."""
FULL = (64, 128, 256, 512)
"""Rows of memories of weights that fill the LUTs or block RAMs that they are made of."""
LONGER = 16
"""The next interval for which a schedule is sought is longer by this fraction: 1 / 16."""
LOOKS = 60_000
"""Layouts looked at, and tokens of schedules in thousands, after which a search ends with the best
that it has: a Plan does not depend on the speed of a machine. All of a bundled network takes less.
"""
TOKENS = 1000
"""Tokens of a schedule, moved once each, that count as a layout."""


def plan_for_ii(
    graph: Graph, cycles: int, base: Plan | None = None, tell: Callable[[str], None] | None = None
) -> Plan:
    """The Plan of the fewest LUTs under which a new frame can begin every ``cycles`` cycles.

    Every ``Dot`` and ``Conv2d`` is unrolled or folded, and sums inputs of several bits in the way
    that costs least (:data:`~hwbnn.plan.plan.Sums`); beats at the borders are widened where they
    would be too slow; FIFOs behind forks are as deep as the interval needs.

    Args:
        graph: the network.
        cycles: largest initiation interval that is good enough.
        base: what to take for everything else. If its default is ``Unrolled`` as netlists, layers
            may become these netlists too; each is made to see what it takes, by itself: what it
            saves behind another netlist is left out.
        tell: gets a line if the search ended at its limit of :data:`LOOKS`.

    Raises:
        PlanError: if no Plan is that fast; names the nearest that can be reached.
    """
    if isinstance(cycles, bool) or not isinstance(cycles, int) or cycles < 1:
        raise PlanError(f"plan: interval: expected at least 1 cycle, found {cycles!r}")
    return _points(graph, base).for_interval(cycles, tell)


def plan_for_luts(
    graph: Graph, budget: int, base: Plan | None = None, tell: Callable[[str], None] | None = None
) -> Plan:
    """The Plan with the smallest initiation interval that is estimated within a budget of LUTs.

    Args:
        graph: the network.
        budget: LUTs, raw count, of the whole core. Block RAM is not limited.
        base: what to take for everything else, and netlists, as for :func:`plan_for_ii`.
        tell: gets a line if the search ended at its limit of :data:`LOOKS`.

    Raises:
        PlanError: if every Plan takes more; names the smallest and its interval.
    """
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
        raise PlanError(f"plan: LUTs: expected a positive number, found {budget!r}")
    return _points(graph, base).for_luts(budget, tell)


def layout_summary(graph: Graph, plan: Plan) -> str:
    """The layouts of a Plan in one line, and the cycles that a frame keeps the busiest stage."""
    cycles = circuit(graph, plan).interval
    return f"{_layouts(graph, plan)}, a frame every {cycles:,} cycles"


def _layouts(graph: Graph, plan: Plan) -> str:
    """The layouts of a Plan in one line."""
    told = []
    for dot in graph.nodes:
        if isinstance(dot, Dot | Conv2d):
            layout = plan.layout(dot.name)
            shown = f"{layout.pe} x {layout.simd}" if isinstance(layout, Folded) else "unrolled"
            if isinstance(layout, Unrolled) and layout.form != "modules":
                shown += f" ({layout.form})"
            if layout.sums != "bit_planes":
                shown += f" {layout.sums}"
            told.append(f"{dot.name} {shown}")
    return ", ".join(told[:6]) + (", ..." if len(told) > 6 else "") + " (pe x simd)"


# ---- Points ----


def _points(graph: Graph, base: Plan | None) -> Points:
    return _remembered(_Key(graph, base or Plan()))


@dataclass(frozen=True, eq=False)
class _Key:
    """A Graph and a Plan that are told apart by what they say."""

    graph: Graph
    base: Plan

    @cached_property
    def said(self) -> tuple[str, str]:
        """The digest of the one, the text of the other."""
        return self.graph.digest, self.base.to_json()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.said == other.said

    def __hash__(self) -> int:
        return hash(self.said)


@lru_cache(maxsize=4)
def _remembered(key: _Key) -> Points:
    return Points(key.graph, key.base)


@dataclass(frozen=True)
class Point:
    """A Plan and what the whole circuit comes to.

    Attributes:
        interval: cycles from frame to frame.
        lut: estimated LUTs.
        plan: the Plan.
    """

    interval: int
    lut: int
    plan: Plan


@dataclass
class _Draft:
    """A point of which FIFOs behind forks are still to be sized.

    Attributes:
        plan: the Plan.
        made: its circuit.
        least: LUTs without more than two words behind forks.
        looks: layouts that were looked at for it, and thousands of tokens of its schedules.
    """

    plan: Plan
    made: Circuit
    least: int
    looks: int
    point: Point | None = None

    @property
    def bound(self) -> int:
        """No interval is shorter."""
        return self.made.interval

    def done(self) -> Point:
        """The point, once its FIFOs are sized."""
        if self.point is None:
            found = _scheduled(self.made.stages, self._moved)
            if found is None:  # with the FIFOs that are always deep enough
                interval = predicted_cycles(self.made).interval
                assert interval is not None
                self.point = Point(ceil(interval), _luts(self.made.stages), self.plan)
                return self.point
            depths = {fork.value: found.depths(fork) for fork in _forks(self.made.stages)}
            stages = [_sized(stage, depths) for stage in self.made.stages]
            plan = replace(self.plan, depths=depths) if depths else self.plan
            self.point = Point(found.interval, _luts(stages), plan)
        return self.point

    def _moved(self, tokens: int) -> None:
        self.looks += -(-tokens // TOKENS)


def _scheduled(stages: Sequence[Stage], moved: Callable[[int], None]) -> Schedule | None:
    """The schedule of the shortest interval that has one; FIFOs behind forks hold any number.

    It is longer than the cycles of the busiest stage where windows wait for rows. None if there is
    no schedule of twice as many cycles either, so that it would take long to find one.
    """
    least = low = high = max(stage.interval for stage in stages)
    while (found := schedule(stages, high, free=True, moved=moved)) is None:
        if high > 2 * least:
            return None
        low, high = high + 1, high + max(1, high // LONGER)
    while low < found.interval:
        middle = (low + found.interval) // 2
        shorter = schedule(stages, middle, free=True, moved=moved)
        if shorter is None:
            low = middle + 1
        else:
            found = shorter
    return found


def _sized(stage: Stage, depths: Mapping[str, tuple[int, ...]]) -> Stage:
    """A stage, with depths for its FIFOs if it is a fork; two words each by default."""
    if not isinstance(stage, Fork):
        return stage
    return stage.with_depths(depths.get(stage.value, (2,) * len(stage.depths)))


def _forks(stages: Sequence[Stage]) -> list[Fork]:
    return [stage for stage in stages if isinstance(stage, Fork)]


def _luts(stages: Sequence[Stage]) -> int:
    """LUTs of a circuit."""
    total = Amounts()
    for stage in stages:
        total.add(amounts(stage))
    return area_of(total).lut


class Points:
    """The points of one Graph, made as they are asked for and remembered."""

    def __init__(self, graph: Graph, base: Plan) -> None:
        self.graph = graph
        self.base = base
        self.layers = (_ChainLayers if is_chain(graph) else _NetworkLayers)(graph, base)
        self.goals = self._goals()
        self.drafts: dict[int, _Draft] = {}
        # Pools and borders may be busier than all products at their slowest.
        while (least := self.draft(self.goals[-1]).bound) > self.goals[-1]:
            self.goals.append(least)
        # No layout is fast enough for the first of them.
        self.goals = self.goals[bisect_left(self.goals, True, key=self.reached) :]

    def reached(self, goal: int) -> bool:
        """Whether layouts are as fast as that."""
        return self.draft(goal).bound <= goal

    def _goals(self) -> list[int]:
        """Numbers of cycles that points are made for, the smallest first.

        Those that layouts of many layers have in common come first where some are near one another.
        """
        borders = (self.graph.input, self.graph.output)
        fastest = max(_fastest(self.graph, node) for node in borders)
        shared = Counter(max(cycles, fastest) for cycles in self.layers.cycles())
        shared[fastest] += 1
        for node in borders:
            t = self.graph.types[node.name]
            carried = {-(-t.size // (8 * b // t.width)) for b in range(-(-t.width // 8), 129)}
            shared.update(cycles for cycles in carried if cycles > fastest)
        best: dict[int, int] = {}
        for cycles in sorted(shared):
            step = int(log(cycles / fastest) / log(self.layers.finer) + 1e-9)
            if step not in best or shared[cycles] >= shared[best[step]]:
                best[step] = cycles
        return sorted({fastest, *best.values()})

    def before(self, goal: int) -> int:
        """The number of cycles before this one; 0 before the first."""
        return self.goals[self.goals.index(goal) - 1] if goal != self.goals[0] else 0

    def choices(self, goals: Iterable[int], limit: _Limit) -> Iterator[tuple[int, _Draft]]:
        """The drafts of these goals, without those that are that of another goal too."""
        for goal in goals:
            draft = self.draft(goal)
            limit.seen.append(draft)
            if self.before(goal) < draft.bound <= goal:
                yield goal, draft

    def lanes(self, goal: int) -> dict[str, int]:
        """The fewest channels at a time with which rescalers and adders are fast enough."""
        found = dict(self.base.lanes)
        for node in self.graph.nodes:
            if isinstance(node, Rescale | Add) and node.name not in found:
                t = self.graph.types[node.name]
                enough = (n for n in divisors(t.channels) if t.size // n <= goal)
                found[node.name] = next(enough, t.channels)
        return found

    def draft(self, goal: int) -> _Draft:
        """The draft for a number of cycles."""
        if goal not in self.drafts:
            base = replace(
                self.base,
                input_beat=beat(self.graph, self.graph.input, self.base.input_beat, goal),
                output_beat=beat(self.graph, self.graph.output, self.base.output_beat, goal),
            )
            before = self.layers.looks
            plan = self.layers.plan(replace(base, lanes=self.lanes(goal)), goal)
            made = circuit(self.graph, plan)
            least = _luts([_sized(stage, {}) for stage in made.stages])
            self.drafts[goal] = _Draft(plan, made, least, self.layers.looks - before)
        return self.drafts[goal]

    def for_interval(self, cycles: int, tell: Callable[[str], None] | None) -> Plan:
        """The point of the fewest LUTs that is fast enough."""
        for node in (self.graph.input, self.graph.output):
            beat(self.graph, node, BEAT_LIMIT, cycles)  # refuses what no beat carries
        limit = _Limit(tell)
        best: Point | None = None
        nearest: list[int] = []
        # Of a goal above it a draft may be faster than it had to be, and in time.
        goals = (goal for goal in reversed(self.goals) if self.before(goal) < cycles)
        for _, draft in self.choices(goals, limit):
            if draft.bound <= cycles and (best is None or draft.least < best.lut):
                point = draft.done()
                nearest.append(point.interval)
                better = best is None or (point.lut, point.interval) < (best.lut, best.interval)
                if point.interval <= cycles and better:
                    best = point
            if best is not None and limit.over(f"the smallest so far takes {best.lut:,} LUTs"):
                break
        if best is not None:
            return best.plan
        if not nearest:
            draft = self.draft(self.goals[0])
            nearest.append(draft.done().interval)
        raise PlanError(
            f"plan: no Plan found has a frame every {cycles:,} cycles; the nearest takes "
            f"{min(nearest):,}"
        )

    def for_luts(self, budget: int, tell: Callable[[str], None] | None) -> Plan:
        """The fastest point within a budget."""
        limit = _Limit(tell)
        best: Point | None = None
        for goal, draft in self.choices(self.goals, limit):
            if best is not None and self.before(goal) >= best.interval:
                break
            if draft.least <= budget:
                point = draft.done()
                faster = best is None or (point.interval, point.lut) < (best.interval, best.lut)
                if point.lut <= budget and faster:
                    best = point
            if best is not None and limit.over(
                f"the fastest so far takes {best.interval:,} cycles"
            ):
                break
        if best is not None:
            return best.plan
        smallest = self.smallest()
        raise PlanError(
            f"plan: no Plan found is estimated within {budget:,} LUTs; the smallest takes about "
            f"{smallest.lut:,}, with a frame every {smallest.interval:,} cycles: "
            f"{_layouts(self.graph, smallest.plan)}"
        )

    def smallest(self) -> Point:
        """The point of the fewest LUTs."""
        choices = self.choices(self.goals, _Limit(None))
        drafts = sorted((draft for _, draft in choices), key=lambda d: d.least)
        best = drafts[0].done()
        for draft in drafts[1:]:
            if draft.least < best.lut and draft.done().lut < best.lut:
                best = draft.done()
        return best


class _Limit:
    """The work of a search, the same on every machine and whatever was remembered."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self.tell = tell
        self.seen: list[_Draft] = []

    def over(self, best: str) -> bool:
        """Whether it is used up by the drafts that were seen; says so."""
        if sum(draft.looks for draft in self.seen) <= LOOKS:
            return False
        if self.tell is not None:
            self.tell(f"the search for a Plan ended at its limit of {LOOKS:,} layouts; {best}")
        return True


# ---- Layers ----


def is_chain(graph: Graph) -> bool:
    """Whether a Graph is a chain without windows: every value is read once, by the next node."""
    shared = any(sum(n.sources.count(m.name) for n in graph.nodes) > 1 for m in graph.nodes)
    return not shared and not any(isinstance(node, WINDOWED) for node in graph.nodes)


@dataclass(frozen=True)
class _LayerCost:
    """A layer laid out in one way behind a stream.

    Attributes:
        layout: the layout.
        cost: estimated LUTs of its stages, block RAM counted as so many.
        end: those of them that are gone if the next layer joins the last pipeline.
        given: lanes of the stream that it gives.
        interval: cycles that a frame keeps its busiest stage.
    """

    layout: Layout
    cost: float
    end: float
    given: int
    interval: int


class _Layers:
    """The products of a Graph and what their layouts cost; what was asked is remembered.

    Attributes:
        looks: layouts that were asked for, remembered or not.
    """

    def __init__(self, graph: Graph, base: Plan) -> None:
        self.graph = graph
        self.base = base
        self.products = [node for node in graph.nodes if isinstance(node, Dot | Conv2d)]
        self.known: dict[tuple[object, ...], _LayerCost] = {}
        self.looks = 0
        self.layouts = {node.name: list(self._layouts_of(node)) for node in self.products}

    def plan(self, base: Plan, cycles: int) -> Plan:
        """The cheapest layouts whose stages a frame keeps busy for at most so many cycles."""
        raise NotImplementedError

    def cycles(self) -> Iterator[int]:
        """Cycles of all layouts of all layers, each once a layer."""
        for layouts in self.layouts.values():
            yield from {cycles for _, cycles in layouts}

    def cost(self, made: Amounts) -> float:
        """LUTs, a block RAM counted as so many."""
        taken = area_of(made)
        return taken.lut + BRAM_LUTS * (taken.bram36 + taken.bram18 / 2)

    def layer_cost(
        self, nodes: Sequence[Node], lanes: int, layout: Layout, behind: Mapping[str, int]
    ) -> _LayerCost:
        """A product and the nodes behind it, behind a stream of so many lanes.

        Args:
            nodes: the product first.
            lanes: of the stream in front.
            layout: of the product.
            behind: :attr:`~hwbnn.plan.Plan.lanes`.
        """
        product = nodes[0]
        own = {node.name: behind[node.name] for node in nodes if node.name in behind}
        key = (product.name, lanes, layout, *own.values())
        if key not in self.known:
            plan = replace(
                self.base, layers={product.name: layout}, depths={}, buffer_tokens={}, lanes=own
            )
            datapath = Datapath(self.graph, plan)
            source = self.graph.types[product.sources[0]]
            datapath.current = OpenStream("before", TokenStream.of(source, lanes))
            for node in nodes:
                add(node, datapath)
            datapath.close()
            stages, _ = settled(datapath.stages)
            cost = sum(self.cost(amounts(stage)) for stage in stages)
            last = stages[-1]
            end = self.cost(ends(last)) if isinstance(last, Pipeline) else 0.0
            interval = max(stage.interval for stage in stages)
            self.known[key] = _LayerCost(layout, cost, end, datapath.stream.lanes, interval)
        return self.known[key]

    def _layouts_of(self, node: Dot | Conv2d) -> Iterator[tuple[Layout, int]]:
        """All layouts of a product, with the cycles that they take."""
        groups = node.groups if isinstance(node, Conv2d) else 1
        width, windows = self.graph.types[node.source].width, self._windows(node)
        parallel: tuple[Sums, ...] = ("bit_planes", "adder_tree") if width > 1 else ("bit_planes",)
        yield from ((Unrolled(sums), windows) for sums in parallel)
        default = self.base.default
        if isinstance(default, Unrolled) and default.form != "modules":
            yield default, windows
        outputs, inputs = len(node.weights) // groups, node.weights[0].size
        pes, simds = fold_candidates(node)
        for pe, simd in product(self.sizes(pes, outputs), self.sizes(simds, inputs)):
            steps = windows * groups * Folded(pe, simd).steps(outputs, inputs)
            if steps > windows or self.folds_to_one:
                yield from ((Folded(pe, simd, sums), steps) for sums in parallel)
            if width > 1:
                yield Folded(pe, simd, "bit_serial"), steps * width

    finer = FINER
    """Ratio of neighbouring numbers of cycles that points are made for."""
    folds_to_one = True
    """Whether a layer may be folded by all of its size."""

    def sizes(self, candidates: Sequence[int], n: int) -> list[int]:
        """Parts of a size that layouts are made of."""
        return _thinned(candidates, n)

    def _windows(self, node: Dot | Conv2d) -> int:
        """Vectors that a frame brings to a product."""
        return prod(self.graph.types[node.name].shape[:-1])


class _NetworkLayers(_Layers):
    """Any network: each layer's layout is chosen behind those of the layers before it."""

    def plan(self, base: Plan, cycles: int) -> Plan:
        datapath = Datapath(self.graph, base)
        for node in self.graph.nodes:
            if isinstance(node, Dot | Conv2d):
                lanes = datapath.pending[node.source][0].stream.lanes
                nodes = self.behind(node)
                found = [
                    self.layer_cost(nodes, lanes, layout, base.lanes)
                    for layout in self.fast(node, cycles)
                ]
                self.looks += len(found)
                good = [layer for layer in found if layer.interval <= cycles]
                best = min(good or found, key=lambda layer: layer.cost if good else layer.interval)
                datapath.plan = datapath.plan.with_layers(**{node.name: best.layout})
            add_node(datapath, node)
        return datapath.plan

    def behind(self, node: Dot | Conv2d) -> list[Node]:
        """A product and the nodes behind it that follow its lanes alone."""
        nodes: list[Node] = [node]
        while True:
            readers = self.graph.readers(nodes[-1].name)
            if len(readers) != 1 or not isinstance(readers[0], Rescale | Threshold | Lookup):
                return nodes
            nodes.append(readers[0])

    def fast(self, node: Dot | Conv2d, cycles: int) -> list[Layout]:
        """Layouts worth a look: for each way to sum and each ``pe`` the least ``simd`` that does.

        Where none is fast enough, all that take the fewest cycles.
        """
        layouts = self.layouts[node.name]
        enough = [each for each in layouts if each[1] <= cycles]
        if not enough:
            least = min(taken for _, taken in layouts)
            return [layout for layout, taken in layouts if taken == least]
        chosen: dict[tuple[object, ...], Layout] = {}
        for layout, _ in enough:
            shape = layout.pe if isinstance(layout, Folded) else layout.form
            chosen.setdefault((shape, layout.sums), layout)
        return list(chosen.values())


@dataclass(frozen=True)
class _FirstLayers:
    """Layouts of the first layers, what they cost, and how much of that ends the last pipeline."""

    cost: float
    end: float
    chosen: tuple[Layout, ...]


class _ChainLayers(_Layers):
    """A chain: the cheapest layouts of the first layers are kept for each number of lanes.

    Streams between layers cost as much as what counts in them, where the lanes of one layer do not
    divide those of the next. So for each ``pe`` the ``simd`` are looked at that fit the lanes in
    front, whether they divide the layer or not.
    """

    finer = FINEST
    folds_to_one = False

    def __init__(self, graph: Graph, base: Plan) -> None:
        super().__init__(graph, base)
        starts = [i for i, node in enumerate(graph.nodes) if isinstance(node, Dot)]
        stops = [*starts[1:], len(graph.nodes) - 1][: len(starts)]
        self.before = graph.nodes[: starts[0]] if starts else ()
        self.runs = [graph.nodes[a:b] for a, b in zip(starts, stops, strict=True)]
        self.resizes: dict[tuple[str, int, int], float] = {}
        self.products_alone: dict[tuple[str, Folded], float] = {}

    def sizes(self, candidates: Sequence[int], n: int) -> list[int]:
        """All of them: chains have few layers."""
        return sorted({*divisors(n), *candidates})

    def plan(self, base: Plan, cycles: int) -> Plan:
        datapath = Datapath(self.graph, base)
        for node in self.before:
            add_node(datapath, node)
        lanes = datapath.pending[self.before[-1].name][0].stream.lanes if self.before else 1
        kept = {lanes: _FirstLayers(0.0, 0.0, ())}
        for nodes in self.runs:
            following: dict[int, _FirstLayers] = {}
            for layout, wanted in self.candidates(nodes[0], kept, cycles):
                self.looks += 1
                layer = self.layer_cost(nodes, wanted, layout, base.lanes)
                each = (self.extend(first, layer, nodes[0], n, wanted) for n, first in kept.items())
                best = min(each, key=lambda first: first.cost)
                if layer.given not in following or best.cost < following[layer.given].cost:
                    following[layer.given] = best
            kept = following
        best = min(kept.values(), key=lambda first: first.cost)
        names = (node.name for node in self.products)
        return base.with_layers(**dict(zip(names, best.chosen, strict=True)))

    def candidates(
        self, node: Node, kept: Mapping[int, _FirstLayers], cycles: int
    ) -> Iterator[tuple[Layout, int]]:
        """Layouts worth a look behind streams of so many lanes, and the lanes that each wants.

        For each way to sum and each ``pe`` those ``simd`` whose products alone, and the streams in
        front of them, are the cheapest.
        """
        assert isinstance(node, Dot)
        outputs, inputs = node.weights.shape
        before: dict[int, float] = {}  # the least cost of a stream of so many lanes
        folds: set[tuple[int, Sums]] = set()
        for layout, taken in self.layouts[node.name]:
            if isinstance(layout, Unrolled):
                if taken <= cycles:
                    yield layout, inputs
                continue
            passes = -(-outputs // layout.pe) * (taken // layout.steps(outputs, inputs))
            if passes > cycles or (layout.pe, layout.sums) in folds:
                continue
            folds.add((layout.pe, layout.sums))
            costs: dict[Folded, float] = {}
            for simd in self.simds(inputs, passes, cycles, kept):
                fold = replace(layout, simd=simd)
                if fold.steps(outputs, inputs) == 1:
                    continue
                if simd not in before:
                    each = (f.cost + self.resize(node, n, simd) for n, f in kept.items())
                    before[simd] = min(each)
                costs[fold] = before[simd] + self.alone(node, fold)
            cheapest = sorted(costs, key=lambda fold: (costs[fold], fold.simd))
            yield from ((fold, fold.simd) for fold in cheapest[:CHEAPEST])

    def simds(
        self, inputs: int, passes: int, cycles: int, given_lanes: Iterable[int]
    ) -> Iterator[int]:
        """Numbers of inputs at a time that are fast enough: the least, and what fits the lanes.

        Also the least under which memories of weights have no more rows than fill them.
        """
        rows = {cycles, *(full for full in FULL if passes <= full < cycles)}
        given: set[int] = set()
        for most in rows:
            least = -(-inputs // (most // passes))
            given.add(least)
            for lanes in given_lanes:
                given.add(-(-least // lanes) * lanes)
                given.update(d for d in divisors(lanes) if d >= least)
            given = {simd for simd in given if simd <= inputs}
        yield from sorted(given)

    def alone(self, node: Dot, fold: Folded) -> float:
        """The cost of a folded product alone."""
        key = (node.name, fold)
        if key not in self.products_alone and not node.binary:
            self.products_alone[key] = self.layer_cost([node], fold.simd, fold, {}).cost
        elif key not in self.products_alone:
            source = self.graph.types[node.source]
            stream = TokenStream.of(source, fold.simd)
            sums: Sums = fold.sums if source.width > 1 else "bit_planes"
            raw = constants.raw_sums(node.weights.astype(np.int64), source)
            lanes = -(-len(node.weights) // fold.pe) * fold.pe
            block = DotFolded(
                "raw", None, stream, TokenStream(lanes, fold.pe, raw.width), node.name, raw.weights,
                self.base.logic_levels_per_register, sums, fold.pe, fold.simd,
                node.scale_offset is not None,
            )  # fmt: skip
            self.products_alone[key] = self.cost(amounts(block))
        return self.products_alone[key]

    def extend(
        self, first: _FirstLayers, layer: _LayerCost, node: Node, lanes: int, wanted: int
    ) -> _FirstLayers:
        """One more layer behind those of a way that gives so many lanes."""
        cost = first.cost + layer.cost
        if isinstance(layer.layout, Unrolled) and lanes == wanted:
            cost -= first.end  # joins the pipeline of the layer before
        else:
            cost += self.resize(node, lanes, wanted)
        return _FirstLayers(cost, layer.end, (*first.chosen, layer.layout))

    def resize(self, node: Node, lanes: int, wanted: int) -> float:
        """LUTs that bring a stream to the lanes that a layer wants."""
        key = (node.name, lanes, wanted)
        if key not in self.resizes:
            cost, now = 0.0, TokenStream.of(self.graph.types[node.sources[0]], lanes)
            for target in now.resized(wanted):
                kind = Widen if target.lanes > now.lanes else Narrow
                cost += self.cost(amounts(kind("r", now, target)))
                now = target
            self.resizes[key] = cost
        return self.resizes[key]


def _thinned(candidates: Sequence[int], n: int) -> list[int]:
    """The divisors of a size where there are many; else more sizes of a part, some apart.

    >>> _thinned((1, 2, 3, 4, 6, 12), 12), _thinned((1, 2, 3, 4, 5, 6, 7, 13), 13)
    ([1, 2, 3, 4, 6, 12], [1, 2, 3, 4, 5, 6, 7, 13])
    """
    exact = divisors(n)
    if len(exact) >= SMOOTH * n.bit_length():
        return exact
    chosen: list[int] = []
    for size in candidates:
        if not chosen or size >= chosen[-1] * APART:
            chosen.append(size)
    return sorted({*exact, *chosen})


def divisors(n: int) -> list[int]:
    """All of them, the smallest first.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    return [d for d in range(1, n + 1) if n % d == 0]


# ---- Borders ----


def beat(graph: Graph, node: Node, given: int, cycles: int) -> int:
    """The beat itself, or the narrowest that carries a frame in so many cycles.

    Raises:
        PlanError: if none is wide enough.
    """
    t = graph.types[node.name]
    if given >= t.width and -(-t.size // (given // t.width)) <= cycles:
        return given
    wider = -(-(-(-t.size // cycles) * t.width) // 8) * 8
    if wider > BEAT_LIMIT:
        nearest = _fastest(graph, node)
        raise PlanError(
            f"plan: '{node.name}' takes {nearest} cycles a frame through the widest beat of "
            f"{BEAT_LIMIT} bits, over the interval of {cycles}; take at least {nearest}"
        )
    return wider


def _fastest(graph: Graph, node: Node) -> int:
    """Cycles of a frame through the widest beat."""
    t = graph.types[node.name]
    return -(-t.size // (BEAT_LIMIT // t.width))
