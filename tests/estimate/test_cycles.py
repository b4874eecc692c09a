"""The token model: against sums in closed form, with too little storage, and under stalls."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import PlanError
from hwbnn.estimate import cycles
from hwbnn.estimate.cycles import Deadlock
from hwbnn.estimate.equations import FoldedEquations, WindowEquations
from hwbnn.estimate.machines import FoldedMachine
from hwbnn.estimate.schedule import schedule
from hwbnn.graph import (
    Add,
    ChannelPad,
    Conv2d,
    Dot,
    Graph,
    Input,
    Output,
    Rescale,
    Threshold,
)
from hwbnn.plan import Folded, Plan, circuit
from hwbnn.plan.stages import Fork, SlidingWindow
from tests.conv_strategies import random_conv_graph
from tests.strategies import graphs, plans, random_graph, random_plan


def chain(*widths):
    """Bits through layers with thresholds behind each."""
    rng = np.random.default_rng(1)
    nodes = [Input.bits(widths[0])]
    for i, (n, m) in enumerate(pairwise(widths)):
        nodes.append(Dot(f"fc{i}", nodes[-1].name, rng.random((m, n)) < 0.5))
        cuts, falling = rng.integers(-5, 5, (m, 1)), rng.random(m) < 0.5
        nodes.append(Threshold(f"act{i}", nodes[-1].name, cuts, falling))
    return Graph((*nodes, Output("y", nodes[-1].name)))


@given(st.data())
def test_steps_and_sums_agree(data):
    graph = data.draw(graphs(max_width=100))
    made = circuit(graph, data.draw(plans(graph, max_cycles=400)))
    counted = cycles(made)
    assert counted.latency == made.latency
    assert counted.interval == made.interval
    assert all(counted.fills[s.name] <= s.credits for s in made.pipelines)


@given(st.data())
def test_stepping_over_idle_cycles_changes_nothing(data):
    graph = data.draw(graphs(max_width=60))
    made = circuit(graph, data.draw(plans(graph, max_cycles=200)))
    every_cycle = cycles(made, 4, source=lambda _: True)
    assert cycles(made, 4) == every_cycle


@pytest.mark.parametrize("source", [None, lambda _: True], ids=["equations", "steps"])
def test_frames_are_at_least_one(source):
    made = circuit(chain(8, 4), Plan())
    assert len(cycles(made, 1, source=source).starts) == 1
    for frames in (0, -1):
        with pytest.raises(PlanError, match=f"frames: expected at least 1, found {frames}$"):
            cycles(made, frames, source=source)


@pytest.mark.parametrize("seed", range(40))
def test_equations_give_the_cycles_of_the_state_machines(seed):
    """Of networks with windows, pools and shortcuts; frames until their starts repeat."""
    graph = random_conv_graph(seed) if seed % 3 else random_graph(seed, max_width=40)
    made = circuit(graph, random_plan(seed, graph, max_cycles=300))
    counted = cycles(made)
    stepped = cycles(made, len(counted.starts), source=lambda _: True)
    assert counted.starts == stepped.starts
    assert counted.ends == stepped.ends
    assert counted.fills == stepped.fills


@pytest.mark.parametrize("seed", range(8))
def test_equations_give_the_cycles_of_values_side_by_side(seed):
    graph = random_conv_graph(seed, concat=True)
    made = circuit(graph, random_plan(seed, graph, max_cycles=300))
    counted = cycles(made)
    stepped = cycles(made, len(counted.starts), source=lambda _: True)
    assert (counted.starts, counted.ends, counted.fills) == (
        stepped.starts, stepped.ends, stepped.fills,
    )  # fmt: skip


def padded_shortcut(before, after, layout, kernel=3):
    """A convolution to more channels, and past it its input between channels of zeros."""
    rng = np.random.default_rng(3)
    channels = 2 + before + after
    one = np.ones(channels, np.int64)
    return Graph(
        (
            Input("x", (4, 4, 2), -8, 7),
            Threshold("bits", "x", np.zeros((2, 1), np.int64), np.zeros(2, np.bool_)),
            Conv2d(
                "conv", "bits", rng.random((channels, kernel, kernel, 2)) < 0.5,
                padding=(kernel // 2,) * 4,
            ),
            Rescale("scaled", "conv", one, 0 * one, one, -8, 7),
            ChannelPad("padded", "x", before, after),
            Add("sum", "padded", "scaled"),
            Output("y", "sum"),
        )
    ), Plan({"conv": layout}, input_beat=8)  # fmt: skip


PADS = [
    padded_shortcut(before, after, layout, kernel)
    for before, after in ((1, 1), (3, 3), (0, 4), (4, 0), (2, 9))
    for layout in (Folded(1, 2), Folded(2, 1), Folded(2, 18))
    for kernel in (1, 3)
]


def test_equations_hold_where_windows_go_back():
    """Channels of zeros wider than the kernel: a slot that is free is never taken again."""
    for graph, plan in PADS:
        for lanes in (1, 2):
            given = replace(plan, lanes={"scaled": 1}, input_beat=8 * lanes)
            made = circuit(graph, given)
            windows = {s.name: s for s in made.stages if isinstance(s, SlidingWindow)}
            pad = windows["v_padded"]
            assert (np.diff(pad.origins) < 0).any()
            for tokens in (pad.buffer_tokens, pad.least_buffer_tokens):
                made = circuit(graph, replace(given, buffer_tokens={"padded": tokens}))
                counted = cycles(made)
                stepped = cycles(made, len(counted.starts), source=lambda _: True)
                assert (counted.starts, counted.ends) == (stepped.starts, stepped.ends)
                assert counted.fills == stepped.fills


def test_a_slot_of_a_window_that_goes_back_counted_wrong_is_seen(monkeypatch):
    """The comparison above fails if the equations free tokens as they would without going back."""
    before = WindowEquations.__init__

    def changed(self, stage, *more):
        object.__setattr__(stage, "kept", stage.origins)
        before(self, stage, *more)

    made = [circuit(graph, replace(plan, lanes={"scaled": 1})) for graph, plan in PADS]
    right = [cycles(each, 4) for each in made]
    monkeypatch.setattr(WindowEquations, "__init__", changed)
    assert [cycles(each, 4) for each in made] != right


@pytest.mark.parametrize("seed", range(20))
def test_there_is_a_schedule_of_the_interval_and_none_that_is_shorter(seed):
    graph = random_conv_graph(seed) if seed % 3 else random_graph(seed, max_width=40)
    made = circuit(graph, random_plan(seed, graph, max_cycles=300))
    interval = ceil(cycles(made).interval)
    assert schedule(made.stages, interval) is not None
    assert interval == 1 or schedule(made.stages, interval - 1) is None


@pytest.mark.parametrize("seed", [10, 19, 28, 47])
def test_depths_of_a_schedule_keep_its_interval(seed):
    graph = random_conv_graph(seed)
    plan = random_plan(seed, graph, max_cycles=300)
    made = circuit(graph, plan)
    interval = ceil(cycles(made).interval)
    found = schedule(made.stages, interval, free=True)
    assert found is not None
    forks = [stage for stage in made.stages if isinstance(stage, Fork)]
    depths = {fork.value: found.depths(fork) for fork in forks}
    assert forks
    assert cycles(circuit(graph, replace(plan, depths=depths))).interval <= interval


@pytest.mark.parametrize(("pe", "simd"), [(1, 1), (2, 8), (24, 8), (8, 48), (24, 48)])
def test_a_folded_layer_takes_its_folds(pe, simd):
    made = circuit(chain(48, 24), Plan(default=Folded(pe, simd), input_beat=48, output_beat=24))
    folds = (48 // simd) * (24 // pe)
    assert cycles(made).interval == folds


@pytest.mark.parametrize("folds", [Folded(1, 4), Folded(4, 2), Folded(2, 1), Folded(8, 8)])
def test_a_chain_of_folded_layers_keeps_the_slowest_layer_busy(folds):
    """Layers of equal work, whose tokens come as slowly as they are needed quickly."""
    plan = Plan({"fc0": Folded(2, 2), "fc1": folds, "fc2": Folded(2, 2)}, output_beat=8)
    made = circuit(chain(32, 32, 32, 32), plan)
    slowest = max(256, (32 // folds.pe) * (32 // folds.simd))
    assert cycles(made).interval == slowest


def with_slots(monkeypatch, change):
    """All folded layers keep so many tokens more."""
    for kind in (FoldedMachine, FoldedEquations):

        def changed(self, *given, before=kind.__init__):
            before(self, *given)
            self.buffer_tokens += change

        monkeypatch.setattr(kind, "__init__", changed)


def test_storage_for_less_than_two_vectors_slows_such_a_chain(monkeypatch):
    made = circuit(chain(32, 32, 32), Plan(default=Folded(2, 2)))
    steps = made.pipelines[1].head.steps
    assert cycles(made).interval == 256
    with_slots(monkeypatch, -4)
    assert cycles(made).interval == 265
    with_slots(monkeypatch, 4 - steps)
    assert cycles(made).interval > 256 + 16 * (steps - 4)


def test_storage_for_less_than_a_vector_stops_it(monkeypatch):
    made = circuit(chain(32, 32, 32), Plan(default=Folded(2, 2)))
    with_slots(monkeypatch, -made.pipelines[1].head.steps - 1)
    with pytest.raises(Deadlock):
        cycles(made)


def with_credits(made, change):
    """The circuit with the credits of its first segment changed."""
    stages = list(made.stages)
    i = stages.index(made.pipelines[0])
    stages[i] = replace(stages[i], credits=stages[i].credits + change)
    return replace(made, stages=tuple(stages))


def test_one_credit_less_lowers_the_rate_as_predicted():
    made = circuit(chain(64, 64, 64), Plan(input_beat=64, output_beat=64))
    (segment,) = made.pipelines
    # A credit is away for the pipeline, a cycle in the FIFO and one to come back.
    assert segment.credits == segment.latency + 2
    assert cycles(made).interval == 1
    fewer = segment.credits - 1
    assert cycles(with_credits(made, -1)).interval == Fraction(segment.latency + 2, fewer)
    assert cycles(with_credits(made, -fewer)).interval == segment.latency + 2


def test_one_credit_more_changes_nothing():
    for seed in range(30):
        graph = random_graph(seed, max_width=64)
        made = circuit(graph, random_plan(seed, graph, max_cycles=300))
        if made.pipelines:
            more = cycles(with_credits(made, 1))
            assert (more.latency, more.interval) == (made.latency, made.interval)


def test_a_frame_in_several_beats_needs_fewer_credits():
    made = circuit(chain(64, 64), Plan(input_beat=8, output_beat=64))
    (segment,) = made.pipelines
    assert cycles(made).interval == 8
    assert segment.credits == -(-(segment.latency + 2) // 8)


@given(st.data())
def test_stalls_delay_frames_and_lose_none(data):
    graph = data.draw(graphs(max_width=40))
    made = circuit(graph, data.draw(plans(graph, max_cycles=100)))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    source, sink = rng.random((2, 1009)) < rng.random((2, 1)) + 0.05
    free = cycles(made, 5)
    slow = cycles(made, 5, source=lambda t: source[t % 1009], sink=lambda t: sink[t % 997])
    assert len(slow.ends) == len(slow.starts) == 5
    assert all(a <= b for a, b in zip(free.ends, slow.ends, strict=True))
    assert all(slow.fills[s.name] <= s.credits for s in made.pipelines)


def test_a_closed_output_fills_the_circuit_and_then_stops_the_input():
    made = circuit(chain(64, 64), Plan(input_beat=64, output_beat=64))
    counted = cycles(made, 100, sink=lambda t: t >= 500)
    (segment,) = made.pipelines
    # While the output is closed: those with a credit, and two that wait at the border.
    assert sum(start < 500 for start in counted.starts) == segment.credits + 2
    assert counted.fills[segment.name] == segment.credits
    assert counted.ends[0] == 500


def test_a_large_folded_network_is_stepped_in_a_moment():
    graph = chain(784, 256, 256, 256, 10)
    folds = {"fc0": Folded(1, 16), "fc1": Folded(1, 8), "fc2": Folded(1, 8), "fc3": Folded(1, 1)}
    made = circuit(graph, Plan(folds))
    counted = cycles(made)
    assert counted.interval == made.interval == 12544
    assert counted.latency == made.latency
