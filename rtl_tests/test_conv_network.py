"""Generated convolutional networks: every value, cycle and FIFO as the simulator and the model say.

Random Graphs (kernels, strides, paddings, groups, pools, shortcuts) under random Plans; once at
full rate, where starts, ends and the highest fill of every FIFO are held to the token model, and
once under random stalls after a reset in the middle of a frame.
"""

from __future__ import annotations

import pytest

from hwbnn.graph import Concat, Conv2d
from hwbnn.plan import Unrolled, circuit
from hwbnn.targets import generate
from hwbnn.verification import verify
from rtl_tests.stalled import check_more_stalls
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_inputs, random_plan
from tests.test_conv_strategies import FEATURES, features
from tests.thorough import some
from tests.verification.test_hls_images import SEEDS as IN_HLS

ICARUS = (1, 4, 22, 33, 35, 80, 90, 104, 117, 131)
BENCH = (71,)
COCOTB = (136,)
"""For Icarus, for the C++ bench and for cocotb over Verilator."""


def network(seed):
    graph = random_conv_graph(seed)
    return graph, random_plan(seed, graph, max_cycles=400)


def checked(seed, backend, **options):
    """Verify, and see that every value was compared or is said to be fused."""
    graph, plan = network(seed)
    project, x = generate(graph, "rtl", plan), random_inputs(graph, 8, seed)
    found = verify(
        project, x, backends=["fast", backend], seed=seed, **options
    ).raise_for_mismatch()
    _, full, stalled, *netlists = found.backends
    assert {node.value for node in full.nodes} | set(full.fused) == set(graph.types)
    assert full.frames == len(x)
    assert stalled.bits > 0
    cycles = full.cycles
    assert cycles.latency.holds
    assert cycles.interval.holds
    # Of a netlist all cycles are held to the model too; it runs too few frames to settle, perhaps.
    assert all(each.cycles.latency.holds for each in netlists)
    return graph, project, x


@pytest.mark.hardware
@pytest.mark.parametrize("seed", some(ICARUS))
def test_random_convolutional_networks_under_icarus(seed):
    checked(seed, "rtl-icarus")


@pytest.mark.hardware
@pytest.mark.parametrize("seed", [1, 6, 9])
def test_values_side_by_side_under_icarus(seed):
    graph = random_conv_graph(seed, concat=True)
    assert graph.of_type(Concat)
    project = generate(graph, "rtl", random_plan(seed, graph, max_cycles=400))
    x = random_inputs(graph, 8, seed)
    found = verify(project, x, backends=["fast", "rtl-icarus"], seed=seed).raise_for_mismatch()
    full = found.backends[1]
    assert {node.value for node in full.nodes} | set(full.fused) == set(graph.types)
    assert full.cycles.latency.holds
    assert full.cycles.interval.holds


@pytest.mark.hardware
@pytest.mark.parametrize("seed", COCOTB)
def test_random_convolutional_networks_under_cocotb_and_verilator(seed):
    checked(seed, "rtl-cocotb")


@pytest.mark.hardware
@pytest.mark.parametrize("seed", BENCH)
def test_random_convolutional_networks_in_the_bench(seed, tmp_path):
    graph, project, x = checked(seed, "rtl", folder=tmp_path)
    check_more_stalls(graph, project, x[:6], tmp_path / "rtl", seed)


def test_the_random_networks_are_of_all_sorts():
    """They have every feature, and those that go through HLS are among them."""
    seeds = {*ICARUS, *BENCH, *COCOTB}
    assert seeds >= set(IN_HLS)
    drawn = [network(seed) for seed in sorted(seeds)]
    assert set().union(*(features(graph) for graph, _ in drawn)) >= FEATURES
    layouts = {
        layout.form if isinstance(layout, Unrolled) else layout.sums
        for graph, plan in drawn
        for layout in (plan.layout(conv.name) for conv in graph.of_type(Conv2d))
    }
    assert layouts >= {"modules", "xc7", "xcup", "bit_planes", "adder_tree"}
    assert {plan.fuse for _, plan in drawn} == {True, False}
    stages = {type(stage).__name__ for each in drawn for stage in circuit(*each).stages}
    assert stages >= {"SlidingWindow", "WindowUnrolled", "Fork", "AddStreams", "Widen", "Narrow"}
