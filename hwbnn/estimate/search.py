"""Plans that meet a goal: an interval at the fewest LUTs, or the most speed for a budget of LUTs.

All goals choose among the same points, each a Plan with the interval and the LUTs of the whole
circuit, FIFOs, adders and rescalers included. So a longer interval never takes more LUTs, a larger
budget is never slower, and a budget of N LUTs is never slower than a Plan for an interval that
takes N LUTs.

For each of several cycle limits one point is computed: the cheapest layouts whose stages all stay
within the limit (:mod:`hwbnn.estimate.layouts`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import ceil, log

from hwbnn.errors import PlanError
from hwbnn.estimate.amounts import Amounts, amounts
from hwbnn.estimate.area import area_of
from hwbnn.estimate.cycles import cycles as predicted_cycles
from hwbnn.estimate.layouts import ChainLayers, NetworkLayers, divisors, is_chain
from hwbnn.estimate.schedule import Schedule, schedule
from hwbnn.graph import Add, Conv2d, Dot, Graph, Node, Rescale
from hwbnn.plan import (
    Folded,
    Plan,
    Unrolled,
    circuit,
)
from hwbnn.plan.plan import BEAT_LIMIT
from hwbnn.plan.stages import Fork, Stage

LONGER = 16
"""If an interval has no schedule, the next one that is tried is longer by 1 / 16."""
LOOKS = 200_000
"""The work after which a search ends with its best Plan so far: layouts that were tried, plus
thousands of tokens of schedules. So a Plan does not depend on the speed of the machine. A complete
search for any bundled network takes less work.
"""
TOKENS = 1000
"""This many tokens of a schedule, each computed once, count as much work as one layout."""


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
        base: the Plan for everything else. If its default layout is an ``Unrolled`` netlist, layers
            may become such netlists too. Each netlist is built by itself to find its LUTs, so
            savings behind another netlist are not counted.
        tell: called with a line of text if the search ended at its limit of :data:`LOOKS`.

    Raises:
        PlanError: if no Plan is that fast; the message has the nearest interval that was found.
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
        base: the Plan for everything else, as in :func:`plan_for_ii`.
        tell: called with a line of text if the search ended at its limit of :data:`LOOKS`.

    Raises:
        PlanError: if every Plan takes more; the message has the smallest Plan and its interval.
    """
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
        raise PlanError(f"plan: LUTs: expected a positive number, found {budget!r}")
    return _points(graph, base).for_luts(budget, tell)


def layout_summary(graph: Graph, plan: Plan) -> str:
    """One line: the layouts of a Plan, and the cycles of its busiest stage for a frame."""
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
    """A Graph and a Plan, compared by their contents."""

    graph: Graph
    base: Plan

    @cached_property
    def said(self) -> tuple[str, str]:
        """The digest of the Graph and the text of the Plan."""
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
    """A Plan and the figures of the whole circuit.

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
    """A point whose FIFOs behind forks have not been sized yet.

    Its circuit is built again when they are: circuits hold arrays of the weights, too large to keep
    for hundreds of drafts.

    Attributes:
        graph: the network.
        plan: the Plan.
        bound: the interval is not shorter than this.
        least: LUTs with two words in each FIFO behind a fork.
        looks: layouts that were tried for it, plus thousands of tokens of its schedules.
        point: the point; None until its FIFOs are sized.
    """

    graph: Graph
    plan: Plan
    bound: int
    least: int
    looks: int
    point: Point | None = None

    def done(self) -> Point:
        """The point, once its FIFOs are sized."""
        if self.point is None:
            hardware = circuit(self.graph, self.plan)
            shortest = _scheduled(hardware.stages, self._moved)
            if shortest is None:  # use FIFOs that are always deep enough
                interval = predicted_cycles(hardware).interval
                assert interval is not None
                self.point = Point(ceil(interval), _luts(hardware.stages), self.plan)
                return self.point
            depths = {fork.value: shortest.depths(fork) for fork in _forks(hardware.stages)}
            stages = [_sized(stage, depths) for stage in hardware.stages]
            plan = replace(self.plan, depths=depths) if depths else self.plan
            self.point = Point(shortest.interval, _luts(stages), plan)
        return self.point

    def _moved(self, tokens: int) -> None:
        self.looks += -(-tokens // TOKENS)


def _scheduled(stages: Sequence[Stage], moved: Callable[[int], None]) -> Schedule | None:
    """The schedule of the shortest interval that has one, with unlimited FIFOs behind forks.

    The interval is longer than the cycles of the busiest stage where windows wait for rows. None if
    about twice these cycles have no schedule either: it would take too long to find one.
    """
    least = low = high = max(stage.interval for stage in stages)
    while (best := schedule(stages, high, free=True, moved=moved)) is None:
        if high > 2 * least:
            return None
        low, high = high + 1, high + max(1, high // LONGER)
    while low < best.interval:
        middle = (low + best.interval) // 2
        shorter = schedule(stages, middle, free=True, moved=moved)
        if shorter is None:
            low = middle + 1
        else:
            best = shorter
    return best


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
    """The points of one Graph, computed on demand and cached."""

    def __init__(self, graph: Graph, base: Plan) -> None:
        self.graph = graph
        self.base = base
        self.layers = (ChainLayers if is_chain(graph) else NetworkLayers)(graph, base)
        self.goals = self._goals()
        self.drafts: dict[int, _Draft] = {}
        # Pools and borders may be busier than all products at their slowest.
        while (least := self.draft(self.goals[-1]).bound) > self.goals[-1]:
            self.goals.append(least)
        # Drop the first goals, for which no layout is fast enough.
        self.goals = self.goals[bisect_left(self.goals, True, key=self.reached) :]

    def reached(self, goal: int) -> bool:
        """Whether some layouts reach a goal, a number of cycles."""
        return self.draft(goal).bound <= goal

    def _goals(self) -> list[int]:
        """Numbers of cycles for which points are computed, the smallest first.

        Of numbers near one another, the one that layouts of the most layers have in common is used.
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
        """The drafts of these goals, except drafts that are fast enough for a smaller goal."""
        for goal in goals:
            draft = self.draft(goal)
            limit.seen.append(draft)
            if self.before(goal) < draft.bound <= goal:
                yield goal, draft

    def lanes(self, goal: int) -> dict[str, int]:
        """The fewest lanes with which ``Rescale`` and ``Add`` nodes are fast enough."""
        lanes = dict(self.base.lanes)
        for node in self.graph.nodes:
            if isinstance(node, Rescale | Add) and node.name not in lanes:
                t = self.graph.types[node.name]
                enough = (n for n in divisors(t.channels) if t.size // n <= goal)
                lanes[node.name] = next(enough, t.channels)
        return lanes

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
            hardware = circuit(self.graph, plan)
            least = _luts([_sized(stage, {}) for stage in hardware.stages])
            looks = self.layers.looks - before
            self.drafts[goal] = _Draft(self.graph, plan, hardware.interval, least, looks)
        return self.drafts[goal]

    def for_interval(self, cycles: int, tell: Callable[[str], None] | None) -> Plan:
        """The point of the fewest LUTs that is fast enough."""
        for node in (self.graph.input, self.graph.output):
            beat(self.graph, node, BEAT_LIMIT, cycles)  # raises if no beat is wide enough
        limit = _Limit(tell)
        best: Point | None = None
        nearest: list[int] = []
        # The draft of a larger goal may be faster than that goal, and fast enough.
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
    """The limit on the work of a search: the same on every machine, whatever is cached."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self.tell = tell
        self.seen: list[_Draft] = []

    def over(self, best: str) -> bool:
        """Whether the drafts so far have reached the limit; if so, ``tell`` is called."""
        if sum(draft.looks for draft in self.seen) <= LOOKS:
            return False
        if self.tell is not None:
            self.tell(f"the search for a Plan ended at its limit of {LOOKS:,} layouts; {best}")
        return True


# ---- Borders ----


def beat(graph: Graph, node: Node, given: int, cycles: int) -> int:
    """The bits of the given beat if it carries a frame in ``cycles`` cycles, or of the narrowest.

    Raises:
        PlanError: if no beat is wide enough.
    """
    t = graph.types[node.name]
    if given >= t.width and -(-t.size // (given // t.width)) <= cycles:
        return given
    wider = -(-(-(-t.size // cycles) * t.width) // 8) * 8
    if wider > BEAT_LIMIT:
        nearest = _fastest(graph, node)
        raise PlanError(
            f"plan: '{node.name}' takes {nearest} cycles a frame through the widest beat of "
            f"{BEAT_LIMIT} bits, more than the interval of {cycles}; take at least {nearest}"
        )
    return wider


def _fastest(graph: Graph, node: Node) -> int:
    """Cycles of a frame through the widest beat."""
    t = graph.types[node.name]
    return -(-t.size // (BEAT_LIMIT // t.width))
