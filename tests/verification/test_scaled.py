"""Dots with scale and offset, of widths around a machine word, through every backend at once."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.graph import Dot, Graph, Input, Node, Output, Threshold
from hwbnn.plan import Folded, Plan, Unrolled
from hwbnn.simulators import simulate
from hwbnn.verification import verify

BACKENDS = ["fast", "hls", "hls-stream", "rtl"]


def odd(first: Input, seed: int) -> Graph:
    """65 or 63 inputs, layers of 64, 63 or 65, and 1 channels, and 3 at the end."""
    rng = np.random.default_rng(seed)
    nodes: list[Node] = [first]
    for i, channels in enumerate((64, 128 - first.shape[0], 1, 3)):
        inputs = Graph((*nodes, Output("y", nodes[-1].name))).types[nodes[-1].name].size
        factors = np.full(channels, 16), rng.integers(-8, 9, channels)
        nodes.append(Dot(f"d{i}", nodes[-1].name, rng.random((channels, inputs)) < 0.5, *factors))
        if i < 3:
            graph = Graph((*nodes, Output("y", nodes[-1].name)))
            sums = simulate(graph, samples(graph))
            # Near the middle of what occurs, so that every bit varies.
            cuts = np.median(sums, axis=0).astype(np.int64)[:, None]
            falling = rng.random(channels) < 0.5
            nodes.append(Threshold(f"t{i}", nodes[-1].name, cuts, falling))
    return Graph((*nodes, Output("y", nodes[-1].name)))


def samples(graph: Graph) -> np.ndarray:
    node = graph.input
    x = np.random.default_rng(9).integers(node.low, node.high, (40, *node.shape), endpoint=True)
    return x.astype(np.bool_) if node.bit else x


PLANS = {
    "unrolled": Plan(output_beat=16),
    "folded": Plan(
        {"d0": Folded(16, 1, "bit_serial"), "d1": Folded(5, 32), "d2": Folded(1, 13)},
        fuse=False,
        output_beat=32,
    ),
    "adders": Plan(
        {"d0": Unrolled("adder_tree"), "d2": Folded(1, 65)},
        logic_levels_per_register=1,
        output_beat=16,
    ),
}


@pytest.mark.hardware
@pytest.mark.parametrize(
    ("first", "plan"),
    [
        (Input.bits(65), "unrolled"),
        (Input("x", (63,), -3, 12), "folded"),
        (Input("x", (63,), 0, 15), "adders"),
    ],
    ids=PLANS,
)
def test_widths_around_a_word_through_every_backend(first: Input, plan: str) -> None:
    graph = odd(first, len(plan))
    found = verify(graph, samples(graph), plan=PLANS[plan], backends=BACKENDS).raise_for_mismatch()
    assert {backend.name.split(",")[0] for backend in found.backends} == set(BACKENDS)
    values = simulate(graph, samples(graph), trace=True)
    for name in ("t0", "t1", "t2"):
        assert 0 < values[name].mean() < 1
    seen = {node.value for backend in found.backends for node in backend.nodes}
    assert seen == set(graph.types)
