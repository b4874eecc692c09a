"""Counted cycles held to predicted ones, with planted faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwbnn.estimate import cycles
from hwbnn.graph import Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan, circuit
from hwbnn.targets import generate
from hwbnn.verification.bench import Record, Stalls
from hwbnn.verification.core import Core
from hwbnn.verification.timing import FRAMES, Timing, check_stalled
from tests.strategies import random_graph, random_plan


@pytest.fixture(scope="module")
def core():
    graph = random_graph(3, max_width=20)
    return Core.of(generate(graph, "rtl", random_plan(3, graph)))


def record(core, frames, begin=5, **patterns):
    """A run as a sound core would make it, beginning in some cycle."""
    model = cycles(circuit(core.graph, core.plan), frames, **patterns)
    starts, ends = (np.array(cycle) + begin for cycle in (model.starts, model.ends))
    most = {name: model.fills[name] for name in core.fifos}
    return Record({}, starts, ends, int(ends[-1]) + 1, None, (), most)


@pytest.mark.parametrize("frames", [1, 3, FRAMES, FRAMES + 100])
def test_a_sound_run_passes(core, frames):
    timing = Timing(core)
    timing.add(record(core, frames), frames)
    found = timing.result()
    assert found.ok
    assert found.latency.holds
    assert found.latency.measured.value == core.latency
    assert found.interval.measured is None or found.interval.holds
    assert found.interval.predicted.value == core.interval
    assert found.frames == frames


def test_cycles_say_which_programs_counted_them_and_hold_if_equal(core):
    timing = Timing(core)
    timing.add(record(core, 3), 3)
    counted = timing.result(["verilator 5.48.0"]).latency
    assert counted.measured.source == "counted by verilator 5.48.0"
    assert counted.holds
    late = replace(counted, measured=replace(counted.measured, value=counted.measured.value + 1))
    assert not late.holds


@pytest.mark.parametrize("which", ["starts", "ends"])
@pytest.mark.parametrize("frame", [1, FRAMES - 1, FRAMES + 50])
def test_one_cycle_too_late_is_found(core, which, frame):
    frames = FRAMES + 100
    run = record(core, frames)
    getattr(run, which)[frame] += 1
    timing = Timing(core)
    timing.add(run, frames)
    assert not timing.result().ok
    expected = getattr(run, which)[frame] - 5
    assert timing.first == (
        f"{which[:-1]} of frame {frame}: predicted cycle {expected - 1}, counted {expected}"
    )


@pytest.mark.parametrize("late", [-1, 1])
def test_all_ends_a_cycle_off_are_found(core, late):
    """The starts say where a run begins, and nothing else."""
    run = record(core, FRAMES)
    timing = Timing(core)
    timing.add(replace(run, ends=run.ends + late), FRAMES)
    end = int(run.ends[0]) - 5
    assert timing.first == f"end of frame 0: predicted cycle {end}, counted {end + late}"
    assert timing.result().latency.measured.value == core.latency + late


@pytest.mark.parametrize(("frames", "change"), [(FRAMES, -1), (FRAMES, 1), (1, 1)])
def test_a_fifo_that_is_less_or_more_full_than_predicted_is_found(core, frames, change):
    run = record(core, frames)
    name = max(core.fifos, key=lambda name: core.fifos[name])
    most = {**run.most, name: core.fifos[name] + change}
    timing = Timing(core)
    timing.add(replace(run, most=most), frames)
    said, found = core.fifos[name], most[name]
    assert timing.first == f"FIFO {name}: predicted at most {said} words, found {found}"


def test_the_first_of_several_runs_that_is_wrong_is_kept(core):
    timing = Timing(core)
    timing.add(record(core, 4), 4)
    late = record(core, 4)
    late.ends[2:] += 1
    timing.add(late, 4)
    timing.add(record(core, 4), 4)
    assert timing.first.startswith("end of frame 2: ")


def test_a_missing_frame_is_found(core):
    run = record(core, 4)
    timing = Timing(core)
    timing.add(replace(run, ends=run.ends[:3]), 4)
    assert timing.first == "4 frames sent, 3 came out"


@pytest.mark.parametrize(("field", "said"), [("latency", "latency"), ("interval", "interval")])
def test_what_the_core_states_is_held_to_the_count(core, field, said):
    stated = getattr(core, field)
    timing = Timing(replace(core, **{field: stated + 1}))
    timing.add(record(core, 30), 30)
    assert timing.first == f"{said}: predicted {stated + 1}, counted {stated}"


def test_a_run_under_stalls_is_held_to_the_model_under_the_same(core):
    stalls = Stalls.random(4)
    patterns = {
        "source": lambda now: bool(stalls.source[now % len(stalls.source)]),
        "sink": lambda now: bool(stalls.sink[now % len(stalls.sink)]),
    }
    run = record(core, 9, begin=0, **patterns)
    assert check_stalled(core, run, stalls, 9) is None
    assert check_stalled(core, replace(run, ends=run.ends[:8]), stalls, 9).startswith("9 frames")
    run.ends[6] += 1
    assert check_stalled(core, run, stalls, 9).startswith("under stalls: end of frame 6")
    assert check_stalled(core, record(core, 9, begin=0), stalls, 9) is not None


def test_frames_that_start_in_bursts_have_the_interval_of_a_period():
    """Two pipelines, a border that is slower than both: credits come back in bursts."""
    rng = np.random.default_rng(1)
    graph = Graph(
        (
            Input("x", (12,), -3, 12),
            Dot("d1", "x", rng.random((16, 12)) < 0.5),
            Threshold("t1", "d1", np.zeros((16, 1), int), np.zeros(16, np.bool_)),
            Dot("d2", "t1", rng.random((6, 16)) < 0.5),
            Output("y", "d2"),
        )
    )
    plan = Plan({"d1": Folded(16, 12), "d2": Folded(6, 16)}, output_beat=24)
    core = Core.of(generate(graph, "rtl", plan))
    gaps = np.diff(record(core, 60).starts)[-20:]
    assert len(set(gaps.tolist())) > 1, "the case that this test is for"
    for frames in (59, 60, 61, 62):
        timing = Timing(core)
        timing.add(record(core, frames), frames)
        assert timing.result().ok
        assert timing.result().interval.measured.value == core.interval
    timing = Timing(replace(core, interval=core.interval + 1))
    timing.add(record(core, 60), 60)
    assert timing.first == f"interval: predicted {core.interval + 1}, counted {core.interval}"
