"""Goals with a part, a rate and a latency: met, monotone, and told by what they are missed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbnn.devices import DEVICES, read_part
from hwbnn.errors import GoalMissed, InputError, PlanError
from hwbnn.estimate import Goal, area, cycles, fit, plan_for, plan_for_ii
from hwbnn.estimate.planned import PlannedCore
from hwbnn.graph import Graph, load
from hwbnn.plan import Plan, Unrolled, circuit
from tests.strategies import graphs, random_graph

MODELS = Path(__file__).parents[2] / "models"
DIGITS = load(MODELS / "digits" / "graph.npz")
PARTS = ("xc7s15ftgb196-1", "xc7a35tcpg236-1", "xc7z020clg400-1", "xc7k325tffg900-2")
"""Each has more of everything than the one in front."""


def core(graph: Graph, goal: Goal, base: Plan | None = None) -> PlannedCore | None:
    """The core for a goal, which is checked against the goal; None if the goal is missed."""
    try:
        plan = plan_for(graph, goal, base)
    except GoalMissed:
        return None
    made = PlannedCore.of(graph, plan)
    if goal.interval is not None:
        assert made.interval <= goal.interval
    if goal.fps is not None:
        assert made.frames_per_second >= goal.fps * (1 - 1e-9)
    if goal.latency_ns is not None:
        assert made.latency_ns <= goal.latency_ns * (1 + 1e-9)
    if goal.part is not None:
        assert made.fit is not None
        assert made.fit.fits
        assert made.fit.part.name == goal.part == plan.part
    return made


def test_parts_are_in_order() -> None:
    rows = [read_part(name).device.resources() for name in PARTS]
    for small, large in pairwise(rows):
        assert all(small[name] <= large[name] for name in small)


def test_a_larger_part_is_never_slower() -> None:
    intervals = []
    for name in PARTS:
        made = core(DIGITS, Goal(part=name))
        assert made is not None
        intervals.append(made.interval)
    assert intervals == sorted(intervals, reverse=True)
    assert intervals[0] > intervals[-1] == 1


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_looser_goals_are_never_larger_or_slower(data: st.DataObject) -> None:
    graph = data.draw(graphs(max_width=24))
    latencies = sorted(data.draw(st.lists(st.integers(5, 400), min_size=2, max_size=3)))
    rates = sorted(data.draw(st.lists(st.integers(1, 200), min_size=2, max_size=2)))
    part = data.draw(st.sampled_from([None, *PARTS]))
    before: tuple[int, int] | None = None
    for latency in latencies:
        made = core(graph, Goal(latency=latency, part=part))
        if made is None:
            assert before is None
            continue
        assert made.predicted.latency <= latency
        now = made.circuit.plan.logic_levels_per_register, made.area.lut
        assert before is None or now <= before
        before = now
    sizes = [core(graph, Goal(interval=interval, part=PARTS[-1])) for interval in rates]
    luts = [made.area.lut for made in sizes if made is not None]
    assert luts == sorted(luts, reverse=True)


def test_a_part_that_does_not_bind_changes_nothing_but_its_name() -> None:
    for interval in (1, 24, 500):
        alone = plan_for_ii(DIGITS, interval)
        with_part = plan_for(DIGITS, Goal(interval=interval, part=PARTS[-1], mhz=100))
        assert replace(with_part, part=None, clock_ns=alone.clock_ns) == alone
        assert with_part.clock_ns == 10


def test_the_clock_joins_cycles_and_time() -> None:
    by_cycles = plan_for(DIGITS, Goal(interval=25, latency=60, mhz=100))
    by_time = plan_for(DIGITS, Goal(fps=4e6, latency_ns=600, mhz=100))
    assert by_cycles == by_time
    faster = plan_for(DIGITS, Goal(fps=4e6, latency_ns=600, mhz=200))
    assert area(circuit(DIGITS, faster)).lut <= area(circuit(DIGITS, by_time)).lut


def test_registers_are_left_out_only_where_the_latency_needs_it() -> None:
    usual = Plan().logic_levels_per_register
    levels = []
    for latency in (60, 20, 15, 13):
        plan = plan_for(DIGITS, Goal(latency=latency))
        assert cycles(circuit(DIGITS, plan)).latency <= latency
        levels.append(plan.logic_levels_per_register)
    assert levels == sorted(levels)
    assert levels[0] == usual < levels[-1]


def test_netlists_are_weighed_where_they_are_the_default() -> None:
    netlists = Plan(default=Unrolled(form="xc7"))
    made = core(DIGITS, Goal(latency=20), netlists)
    plain = core(DIGITS, Goal(latency=20))
    assert made is not None
    assert plain is not None
    assert made.area.lut < plain.area.lut


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        (
            Goal(interval=1, part=PARTS[0], mhz=100),
            r"a frame every 1 cycles needs [\d,]+ LUT of 8,000 \(\d+ %\).*; the fastest core that "
            r"fits takes [\d,]+ cycles a frame = [\d,]+ frames a second at 100 MHz; unrolled layers"
            r" of the form 'xc7' take fewer LUTs",
        ),
        (
            Goal(latency_ns=150, part=PARTS[0], mhz=100),
            r"a latency of 15 cycles = 150 ns needs [\d,]+ LUT of 8,000 .*; the fastest core that "
            r"fits takes .*, with a latency of [\d,]+ cycles = [\d,]+ ns",
        ),
        (
            Goal(latency=3),
            r"no Plan found has a latency of 3 cycles = 15 ns; the nearest takes .* latency of \d+",
        ),
        (Goal(lut=20, interval=9), r"every 9 cycles needs [\d,]+ LUT of 20, and no Plan .* the sm"),
        (Goal(bram=0, lut=20), r"within 20 LUTs and 0 BRAM_18K; the smallest takes about"),
        (Goal(fps=1e9), r"more than a frame a cycle at 200 MHz; expected at most 200,000,000"),
        (Goal(latency_ns=4), r"4 ns is less than a cycle of 5 ns at 200 MHz"),
    ],
)
def test_a_missed_goal_says_by_what_and_the_nearest(goal: Goal, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        plan_for(DIGITS, goal)


def test_the_nearest_that_is_named_can_be_met() -> None:
    with pytest.raises(GoalMissed) as error:
        plan_for(DIGITS, Goal(interval=1, part=PARTS[0]))
    nearest = int(str(error.value).partition("fits takes ")[2].partition(" cycles")[0])
    assert core(DIGITS, Goal(interval=nearest, part=PARTS[0])) is not None
    assert core(DIGITS, Goal(interval=nearest - 1, part=PARTS[0])) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval": 0}, {"latency": True}, {"fps": 0}, {"fps": float("nan")}, {"mhz": -1},
        {"latency_ns": float("inf")}, {"lut": 0}, {"dsp": -1}, {"bram": -0.5}, {"lut": 2.5},
    ],
)  # fmt: skip
def test_what_is_no_goal_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PlanError, match=r"plan: .*expected"):
        Goal(**wrong)  # type: ignore[arg-type]


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(InputError, match=r"no such device is known; .* one of xc7z020"):
        Goal(part="xc7z02clg400-1")
    assert len(DEVICES) > 80


def test_a_border_that_slows_the_layers_is_named() -> None:
    graph = random_graph(3, max_width=30)
    made = PlannedCore.of(graph, Plan(input_beat=8))
    if made.circuit.stages[0].interval == 1:
        pytest.fail("the network of this test needs an input of several beats")
    assert "--input-beat" in made.border
    beats: dict[str, Any] = dict(made.wider_beats)
    wider = replace(Plan(input_beat=8), **beats)
    assert PlannedCore.of(graph, wider).interval < made.interval
    assert PlannedCore.of(graph, wider).border == ""
    assert fit(made.area, read_part(PARTS[2])).fits
