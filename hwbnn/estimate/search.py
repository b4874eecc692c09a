"""Plans that meet a goal: a rate or a latency at the fewest LUTs, or the most speed on a part.

All goals choose among the same points, each a Plan with the interval and the resources of the whole
circuit, FIFOs, adders and rescalers included. So a longer interval never takes more LUTs, a larger
budget or part is never slower, and a budget of N LUTs is never slower than a Plan for an interval
that takes N LUTs.

For each of several cycle limits one point is computed: the cheapest layouts whose stages all stay
within the limit (:mod:`hwbnn.estimate.layouts`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import ceil, inf, log

from hwbnn.arguments import checked_call
from hwbnn.devices import read_part
from hwbnn.errors import GoalMissed
from hwbnn.estimate.amounts import amounts, border_options
from hwbnn.estimate.area import Area, area_of
from hwbnn.estimate.cycles import cycles as predicted_cycles
from hwbnn.estimate.goals import Goal, Limits, clock_period, mhz, ns_text
from hwbnn.estimate.layouts import ChainLayers, NetworkLayers, divisors, is_chain
from hwbnn.estimate.schedule import Schedule, schedule
from hwbnn.graph import Add, Conv2d, Dot, Graph, Node, Rescale
from hwbnn.plan import Circuit, Folded, Plan, Unrolled, circuit
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
LEVELS = (2, 3, 4, 6, 8)
"""Levels of logic between registers that are tried for a latency, where the Plan's have too many
registers."""


@checked_call(classes=("Graph", "Goal", "Plan"))
def plan_for(
    graph: Graph, goal: Goal, base: Plan | None = None, tell: Callable[[str], None] | None = None
) -> Plan:
    """The Plan that meets a goal, with the goal's clock and part in it.

    Every ``Dot`` and ``Conv2d`` is unrolled or folded, and sums inputs of several bits in the way
    that costs least (:data:`~hwbnn.plan.plan.Sums`); beats at the borders are widened where they
    would be too slow; FIFOs behind forks are as deep as the interval needs. For a latency, no more
    registers between levels of logic are left out than it needs: with fewer registers the clock may
    have to be slower, which is not checked.

    Args:
        graph: the network.
        goal: the goal.
        base: the Plan for everything else. If its default layout is an ``Unrolled`` netlist, layers
            may become such netlists too. Each netlist is built by itself to find its LUTs, so
            savings behind another netlist are not counted.
        tell: called with a line of text if the search ended at its limit of :data:`LOOKS`.

    Raises:
        GoalMissed: if no Plan that was found meets the goal.
        PlanError: if the goal is not one.
        InputError: if the part is unknown.

    A looser goal never gives a larger or slower core:
    more cycles of interval never give more LUTs, a larger part or budget never a longer interval,
    and more latency never more levels of logic between registers, nor, with equal levels, more
    LUTs.
    """
    base = base or Plan.default_of(graph)
    if goal.mhz is not None:
        base = replace(base, clock_ns=clock_period(goal.mhz))
    if goal.part is not None:
        base = replace(base, part=read_part(goal.part).name)
    limits = goal.limits(base.clock_ns)
    # The candidates do not depend on clock and part.
    points = _points(graph, replace(base, clock_ns=Plan().clock_ns, part=None))
    plan = points.best(limits, tell)
    return replace(plan, clock_ns=base.clock_ns, part=base.part)


@checked_call(classes=("Graph", "Goal", "Plan"))
def plan_for_ii(
    graph: Graph, cycles: int, base: Plan | None = None, tell: Callable[[str], None] | None = None
) -> Plan:
    """The Plan of the fewest LUTs under which a new frame can begin every ``cycles`` cycles.

    Like :func:`plan_for` with ``Goal(interval=cycles)``.

    Raises:
        GoalMissed: if no Plan is that fast; the message has the nearest interval that was found.
    """
    return plan_for(graph, Goal(interval=cycles), base, tell)


@checked_call(classes=("Graph", "Goal", "Plan"))
def plan_for_luts(
    graph: Graph, budget: int, base: Plan | None = None, tell: Callable[[str], None] | None = None
) -> Plan:
    """The Plan with the smallest initiation interval that is estimated within a budget of LUTs.

    Like :func:`plan_for` with ``Goal(lut=budget)``: LUTs are counted raw, of the whole core; block
    RAM is not limited.

    Raises:
        GoalMissed: if every Plan takes more; the message has the smallest Plan and its interval.
    """
    return plan_for(graph, Goal(lut=budget), base, tell)


@checked_call(classes=("Graph", "Goal", "Plan"))
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
    return _remembered(_Key(graph, base or Plan.default_of(graph)))


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
        area: its estimated resources.
        plan: the Plan.
    """

    interval: int
    area: Area
    plan: Plan

    @property
    def lut(self) -> int:
        """Estimated LUTs."""
        return self.area.lut


@dataclass
class _Draft:
    """A point whose FIFOs behind forks have not been sized yet.

    Its circuit is built again when they are: circuits hold arrays of the weights, too large to keep
    for hundreds of drafts.

    Attributes:
        graph: the network.
        plan: the Plan.
        bound: the interval is not shorter than this.
        least: the resources with two words in each FIFO behind a fork.
        soonest: the latency is not less than this many cycles.
        looks: layouts that were tried for it, plus thousands of tokens of its schedules.
        point: the point; None until its FIFOs are sized.
        counted: its latency in cycles; None until it was needed.
    """

    graph: Graph
    plan: Plan
    bound: int
    least: Area
    soonest: int
    looks: int
    point: Point | None = None
    counted: int | None = None

    def done(self) -> Point:
        """The point, once its FIFOs are sized."""
        if self.point is None:
            hardware = circuit(self.graph, self.plan)
            shortest = _scheduled(hardware.stages, self._moved)
            if shortest is None:  # use FIFOs that are always deep enough
                interval = predicted_cycles(hardware).interval
                assert interval is not None
                self.point = Point(ceil(interval), _area(hardware, hardware.stages), self.plan)
                return self.point
            depths = {fork.value: shortest.depths(fork) for fork in _forks(hardware.stages)}
            stages = [_sized(stage, depths) for stage in hardware.stages]
            plan = replace(self.plan, depths=depths) if depths else self.plan
            self.point = Point(shortest.interval, _area(hardware, stages), plan)
        return self.point

    def latency(self) -> int:
        """The cycles from a frame's first input beat to its last output beat, counted."""
        if self.counted is None:
            hardware = circuit(self.graph, self.done().plan)
            self.counted = predicted_cycles(hardware, 1).latency
        return self.counted

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


def _area(hardware: Circuit, stages: Sequence[Stage]) -> Area:
    """The resources of a circuit with these stages."""
    total = border_options(hardware)
    for stage in stages:
        total.add(amounts(stage))
    return area_of(total)


class Points:
    """The points of one Graph, computed on demand and cached."""

    def __init__(self, graph: Graph, base: Plan) -> None:
        self.graph = graph
        self.base = base
        self.layers = (ChainLayers if is_chain(graph) else NetworkLayers)(graph, base)
        self.goals = self._goals()
        self.drafts: dict[tuple[int, int], _Draft] = {}
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

    def choices(
        self, goals: Iterable[int], limit: _Limit, per_register: int | None = None
    ) -> Iterator[tuple[int, _Draft]]:
        """The drafts of these goals, except drafts that are fast enough for a smaller goal."""
        for goal in goals:
            draft = self.draft(goal, per_register)
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

    def draft(self, goal: int, per_register: int | None = None) -> _Draft:
        """The draft for a number of cycles.

        Args:
            goal: the cycles.
            per_register: levels of logic between registers; None for those of the base. Others have
                the layouts of the base.
        """
        usual = self.base.logic_levels_per_register
        key = goal, per_register or usual
        if key not in self.drafts and per_register not in (None, usual):
            chosen = self.draft(goal)
            plan = replace(chosen.plan, logic_levels_per_register=per_register)
            self.drafts[key] = self._drafted(plan, 0)
        elif key not in self.drafts:
            base = replace(
                self.base,
                input_beat=beat(self.graph, self.graph.input, self.base.input_beat, goal),
                output_beat=beat(self.graph, self.graph.output, self.base.output_beat, goal),
            )
            before = self.layers.looks
            plan = self.layers.plan(replace(base, lanes=self.lanes(goal)), goal)
            self.drafts[key] = self._drafted(plan, self.layers.looks - before)
        return self.drafts[key]

    def _drafted(self, plan: Plan, looks: int) -> _Draft:
        hardware = circuit(self.graph, plan)
        least = _area(hardware, [_sized(stage, {}) for stage in hardware.stages])
        return _Draft(self.graph, plan, hardware.interval, least, hardware.latency, looks)

    def best(self, limits: Limits, tell: Callable[[str], None] | None) -> Plan:
        """The Plan of the best point within limits.

        Raises:
            GoalMissed: if there is none.
        """
        if limits.interval is not None:
            for node in (self.graph.input, self.graph.output):
                beat(self.graph, node, BEAT_LIMIT, limits.interval)  # raises if none is wide enough
        for per_register in self.numbers_of_levels(limits):
            draft = self.search(limits, per_register, tell)
            if draft is not None:
                return draft.done().plan
        raise GoalMissed(f"plan: {self.missed(limits)}")

    def numbers_of_levels(self, limits: Limits) -> Sequence[int]:
        """Levels of logic between registers to try, the first that are enough being chosen."""
        usual = self.base.logic_levels_per_register
        more = LEVELS if limits.latency is not None else ()
        return (usual, *(per_register for per_register in more if per_register > usual))

    def search(
        self, limits: Limits, per_register: int, tell: Callable[[str], None] | None
    ) -> _Draft | None:
        """The best draft within limits: the fewest LUTs for a speed, or else the fastest."""
        limit, best = _Limit(tell), None
        most = min(limits.interval or inf, inf if limits.latency is None else limits.latency + 1)
        if limits.speed:
            # The draft of a larger goal may be faster than that goal, and fast enough.
            goals = [goal for goal in reversed(self.goals) if self.before(goal) < most]
        else:
            goals = self.goals
        for goal, draft in self.choices(goals, limit, per_register):
            if not limits.speed and best is not None and self.before(goal) >= best.done().interval:
                break
            hopeless = best is not None and limits.speed and draft.least.lut >= best.done().lut
            if not hopeless and self.within(draft, limits) and _better(draft, best, limits):
                best = draft
            if best is not None and limit.over(_so_far(best.done(), limits)):
                break
        return best

    def within(self, draft: _Draft, limits: Limits) -> bool:
        """Whether a draft keeps the limits; what can be told at once is told first."""
        interval, latency = limits.interval, limits.latency
        if interval is not None and draft.bound > interval:
            return False
        if latency is not None and draft.soonest > latency:
            return False
        if limits.over(draft.least):
            return False
        point = draft.done()
        if interval is not None and point.interval > interval:
            return False
        if limits.over(point.area):
            return False
        return latency is None or draft.latency() <= latency

    # ---- Goals that are missed ----

    def missed(self, limits: Limits) -> str:
        """By what a goal is missed, and the nearest that can be met."""
        if not limits.resources and limits.part is None:
            return self.missed_speed(limits)
        wanted = f"no Plan found is estimated within {limits.size_text}"
        if not limits.speed:
            return f"{wanted}; {self._smallest(limits)}"
        free, fitting = limits.with_any_size(), limits.with_any_speed()
        nearest = self.search(fitting, self.numbers_of_levels(limits)[-1], None)
        for per_register in self.numbers_of_levels(limits):
            if (enough := self.search(free, per_register, None)) is not None:
                break
        else:
            told = self.missed_speed(free)
            if nearest is not None:
                told += f"; the fastest core within {limits.size_text} takes "
                told += self._told(nearest, limits)
            return told
        needs = " and ".join(limits.over(enough.done().area))
        if nearest is None:
            return f"{limits.speed_text} needs {needs}, and {wanted}; {self._smallest(limits)}"
        told = f"{limits.speed_text} needs {needs}; the fastest core that fits takes "
        return told + self._told(nearest, limits) + self._hint(limits)

    def missed_speed(self, limits: Limits) -> str:
        """By what a rate or a latency is missed by all Plans, and the nearest."""
        if limits.latency is None:
            draft = self.draft(self.goals[0])
            nearest = [draft.done().interval]
            for _, each in self.choices(self.goals[:8], _Limit(None)):
                nearest.append(each.done().interval)
            assert limits.interval is not None
            return (
                f"no Plan found has a frame every {limits.interval:,} cycles; the nearest takes "
                f"{min(nearest):,}"
            )
        most = self.numbers_of_levels(limits)[-1]
        drafts = [draft for _, draft in self.choices(self.goals[:8], _Limit(None), most)]
        nearest_draft = min(drafts, key=lambda draft: draft.latency())
        return (
            f"no Plan found has {limits.speed_text}; the nearest takes "
            f"{self._told(nearest_draft, limits)}"
        )

    def _smallest(self, limits: Limits) -> str:
        """The smallest point, in words, and by what it misses."""
        smallest = self.smallest()
        over = " and ".join(limits.over(smallest.area))
        needs = f" and needs {over}" if limits.part is not None or len(limits.resources) > 1 else ""
        return (
            f"the smallest takes about {smallest.lut:,}{needs}, with a frame every "
            f"{smallest.interval:,} cycles: {_layouts(self.graph, smallest.plan)}"
        )

    def _told(self, draft: _Draft, limits: Limits) -> str:
        """Interval and latency of a draft, in words."""
        point = draft.done()
        told = f"{point.interval:,} cycles a frame = {1e9 / limits.clock_ns / point.interval:,.0f}"
        told += f" frames a second at {mhz(limits.clock_ns):g} MHz"
        if limits.latency is not None:
            cycles = draft.latency()
            told += (
                f", with a latency of {cycles:,} cycles = {ns_text(cycles * limits.clock_ns)} ns"
            )
        return told

    def _hint(self, limits: Limits) -> str:
        """The advice to take netlists, where they were not among the candidates."""
        family = limits.part.device.synthesis if limits.part else ""
        if self.base.default != Unrolled() or family not in ("xc7", "xcup"):
            return ""
        return f"; unrolled layers of the form '{family}' take fewer LUTs (--form {family})"

    def smallest(self) -> Point:
        """The point of the fewest LUTs."""
        choices = self.choices(self.goals, _Limit(None))
        drafts = sorted((draft for _, draft in choices), key=lambda d: d.least.lut)
        best = drafts[0].done()
        for draft in drafts[1:]:
            if draft.least.lut < best.lut and draft.done().lut < best.lut:
                best = draft.done()
        return best


def _better(draft: _Draft, best: _Draft | None, limits: Limits) -> bool:
    """Whether a draft is smaller than the best so far, or, where no speed is wanted, faster."""
    if best is None:
        return True
    new, old = draft.done(), best.done()
    if limits.speed:
        return (new.lut, new.interval) < (old.lut, old.interval)
    return (new.interval, new.lut) < (old.interval, old.lut)


def _so_far(point: Point, limits: Limits) -> str:
    if limits.speed:
        return f"the smallest so far takes {point.lut:,} LUTs"
    return f"the fastest so far takes {point.interval:,} cycles"


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
        raise GoalMissed(
            f"plan: '{node.name}' takes {nearest} cycles a frame through the widest beat of "
            f"{BEAT_LIMIT} bits, more than the interval of {cycles}; take at least {nearest}"
        )
    return wider


def _fastest(graph: Graph, node: Node) -> int:
    """Cycles of a frame through the widest beat."""
    t = graph.types[node.name]
    return -(-t.size // (BEAT_LIMIT // t.width))
