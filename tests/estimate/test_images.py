"""The token model, FIFO depths and Plans of convolutional networks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbnn.errors import PlanError
from hwbnn.estimate import area, cycles, layout_summary, least_depths, plan_for_ii, plan_for_luts
from hwbnn.estimate.cycles import Deadlock
from hwbnn.graph import (
    Add,
    ArgMax,
    Conv2d,
    Dot,
    Flatten,
    Graph,
    Input,
    MaxPool,
    Node,
    Output,
    Rescale,
    Threshold,
)
from hwbnn.plan import Folded, Plan, circuit
from hwbnn.plan.stages import Fork, SlidingWindow
from tests.conv_strategies import conv_graphs, random_conv_graph
from tests.strategies import plans, random_plan


def network(*channels: int, side: int = 12, pad: int = 0) -> Graph:
    """Convolutions of 3x3 with thresholds, a pool behind the first, a dense layer."""
    rng = np.random.default_rng(1)
    nodes: list[Node] = [Input.pixels((side, side, 3))]
    depth = 3
    for i, m in enumerate(channels):
        weights = rng.random((m, 3, 3, depth)) < 0.5
        nodes.append(Conv2d(f"conv{i}", nodes[-1].name, weights, padding=(pad,) * 4))
        cuts, falling = rng.integers(-5, 5, (m, 1)), rng.random(m) < 0.5
        nodes.append(Threshold(f"act{i}", nodes[-1].name, cuts, falling))
        if i == 0:
            nodes.append(MaxPool("pool", nodes[-1].name, (2, 2), (2, 2)))
        depth = m
    nodes.append(Flatten("flat", nodes[-1].name))
    size = Graph((*nodes, Output("y", "flat"))).types["flat"].size
    nodes += [Dot("fc", "flat", rng.random((10, size)) < 0.5), ArgMax("best", "fc")]
    return Graph((*nodes, Output("y", "best")))


def shortcut(side: int = 8) -> Graph:
    """A stream goes through a convolution and past it."""
    rng = np.random.default_rng(2)
    one = np.ones(4, np.int64)
    return Graph(
        (
            Input("x", (side, side, 4), -100, 100),
            Threshold("bits", "x", np.zeros((4, 1), np.int64), np.zeros(4, np.bool_)),
            Conv2d("conv", "bits", rng.random((4, 3, 3, 4)) < 0.5, padding=(1, 1, 1, 1)),
            Rescale("scaled", "conv", 3 * one, 0 * one, one, -64, 63),
            Add("sum", "x", "scaled"),
            Output("y", "sum"),
        )
    )


SLOW = Plan({"conv": Folded(2, 4)}, input_beat=32, output_beat=64)


@given(st.data())
def test_stepping_what_moves_is_stepping_every_cycle(data: st.DataObject) -> None:
    graph = data.draw(conv_graphs())
    made = circuit(graph, data.draw(plans(graph, max_cycles=400)))
    counted = cycles(made, 3)
    assert counted == cycles(made, 3, source=lambda _: True)
    settled = cycles(made)
    assert settled.interval is not None
    assert settled.interval >= made.interval
    assert counted.starts == settled.starts[:3]


@settings(max_examples=30)
@given(st.data())
def test_stalls_never_stop_a_network_with_shortcuts(data: st.DataObject) -> None:
    graph = data.draw(conv_graphs())
    made = circuit(graph, data.draw(plans(graph, max_cycles=200)))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    source, sink = rng.random((2, 1009)) < rng.random((2, 1)) + 0.1
    free = cycles(made, 3)
    slow = cycles(made, 3, source=lambda t: source[t % 1009], sink=lambda t: sink[t % 997])
    assert len(slow.ends) == 3
    assert all(a <= b for a, b in zip(free.ends, slow.ends, strict=True))


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize(("pe", "simd"), [(1, 4), (8, 8), (2, 24), (8, 72)])
def test_windows_keep_the_busiest_product_busy(pe: int, simd: int, pad: int) -> None:
    graph = network(8, 8, pad=pad)
    layouts = {"conv0": Folded(8, 27), "conv1": Folded(pe, simd), "fc": Folded(10, 8)}
    made = circuit(graph, Plan(layouts, input_beat=24))
    assert cycles(made).interval == made.interval


def test_fewer_slots_than_those_lengthen_the_interval() -> None:
    weights = np.random.default_rng(3).random((8, 3, 3, 8)) < 0.5
    graph = Graph((Input.bits((10, 10, 8)), Conv2d("conv", "x", weights), Output("y", "conv")))
    plan = Plan({"conv": Folded(8, 8)}, input_beat=8, output_beat=64)
    (window,) = (s for s in circuit(graph, plan).stages if isinstance(s, SlidingWindow))
    assert cycles(circuit(graph, plan)).interval == 8 * 8 * 9
    fewer = replace(plan, buffer_tokens={"conv": window.least_buffer_tokens})
    slower = cycles(circuit(graph, fewer)).interval
    assert slower is not None
    assert slower > 8 * 8 * 9
    with pytest.raises(PlanError, match="'conv' needs at least 23 for a window"):
        circuit(graph, replace(plan, buffer_tokens={"conv": window.least_buffer_tokens - 1}))


@pytest.mark.parametrize("seed", [10, 19, 28, 38, 47])
def test_defaults_are_no_limit_and_least_depths_are(seed: int) -> None:
    graph = random_conv_graph(seed)
    plan = random_plan(seed, graph, max_cycles=300)
    made = circuit(graph, plan)
    wanted = cycles(made).interval
    forks = [stage for stage in made.stages if isinstance(stage, Fork)]
    deep = {fork.value: tuple(depth + 99 for depth in fork.depths) for fork in forks}
    assert forks
    assert cycles(circuit(graph, replace(plan, depths=deep))).interval == wanted
    least = least_depths(graph, plan)
    assert cycles(circuit(graph, least)).interval == wanted
    for value, depths in least.depths.items():
        for branch, depth in enumerate(depths):
            if depth > 2:
                assert with_one_less(graph, least, value, branch, wanted)


@pytest.mark.parametrize("layout", [Folded(1, 4), Folded(4, 36)])
def test_a_fifo_one_word_too_short_slows_and_a_small_one_stops(layout: Folded) -> None:
    plan = least_depths(shortcut(), Plan({"conv": layout}, input_beat=32, output_beat=64))
    (depths,) = plan.depths.values()
    wanted = cycles(circuit(shortcut(), plan)).interval
    assert depths[0] == 2
    assert with_one_less(shortcut(), plan, "x", 1, wanted) == "slower"
    short = replace(plan, depths={"x": (2, 2)})
    assert with_one_less(shortcut(), short, "x", 1, wanted) == "still"


def with_one_less(
    graph: Graph, plan: Plan, value: str, branch: int, wanted: Fraction | None
) -> str:
    """What a FIFO that is one word short does."""
    depths = list(plan.depths[value])
    depths[branch] -= 1
    short = circuit(graph, replace(plan, depths={**plan.depths, value: tuple(depths)}))
    try:
        found = cycles(short).interval
    except Deadlock:
        return "still"
    assert found is not None
    assert wanted is not None
    assert found > wanted
    return "slower"


def test_fills_of_a_fork_are_told_branch_by_branch() -> None:
    made = circuit(shortcut(), SLOW)
    (fork,) = (stage for stage in made.stages if isinstance(stage, Fork))
    fills = cycles(made).fills
    assert all(fills[name] <= d for name, d in zip(fork.outputs, fork.depths, strict=True))
    # A row and more passes by before the convolution gives anything.
    assert fills[fork.outputs[1]] > 8


def test_an_interval_is_met_and_a_budget_kept() -> None:
    graph = network(8, 16, side=10)
    for goal in (300, 2000):
        plan = plan_for_ii(graph, goal, Plan(input_beat=24))
        counted = cycles(circuit(graph, plan)).interval
        assert counted is not None
        assert counted <= goal
    slow, fast = (area(circuit(graph, plan_for_ii(graph, goal))).lut for goal in (2000, 400))
    assert slow < fast
    plan = plan_for_luts(graph, fast)
    assert area(circuit(graph, plan)).lut <= fast
    assert "conv0" in layout_summary(graph, plan)
    with pytest.raises(PlanError, match="no Plan found is estimated within 50 LUTs"):
        plan_for_luts(graph, 50)
    with pytest.raises(PlanError, match="no Plan found has a frame every 40 cycles"):
        plan_for_ii(graph, 40)


def test_plans_for_shortcuts_have_fifos_as_deep_as_they_are_filled() -> None:
    plan = plan_for_ii(shortcut(), 600)
    made = circuit(shortcut(), plan)
    (fork,) = (stage for stage in made.stages if isinstance(stage, Fork))
    fills = cycles(made).fills
    assert max(fork.depths) - max(fills[name] for name in fork.outputs) in (0, 1)
