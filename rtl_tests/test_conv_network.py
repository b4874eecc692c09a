"""Generated convolutional networks: every value, cycle and FIFO as the simulator and the model say.

Random Graphs (kernels, strides, paddings, groups, pools, shortcuts) under random Plans; once at
full rate, where starts, ends and the highest fill of every FIFO are held to the token model, and
once under random stalls after a reset in the middle of a frame.
"""

from __future__ import annotations

import pytest

from hwbnn.targets import generate
from hwbnn.verify import verify
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_inputs, random_plan

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize("seed", [0, 2, 3, 5, 8, 10, 12, 20, 22])
def test_random_convolutional_networks(seed):
    graph = random_conv_graph(seed, max_depth=2)
    project = generate(graph, "rtl", random_plan(seed, graph, max_cycles=400))
    x = random_inputs(graph, 8, seed)
    found = verify(project, x, ways=["rtl-icarus"], seed=seed).raise_for_mismatch()
    full, stalled = found.ways
    assert {node.value for node in full.nodes} | set(full.fused) == set(graph.types)
    assert full.frames == len(x)
    assert stalled.bits > 0
    cycles = full.cycles
    assert (cycles.counted_latency, cycles.counted_interval) == (cycles.latency, cycles.interval)
