"""Every kind of node has all its readings, all alike, and random networks have every kind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from hwbnn.graph import (
    NODE_TYPES,
    Dot,
    Graph,
    Input,
    Lookup,
    Node,
    Output,
    Threshold,
    from_bytes,
    to_bytes,
)
from hwbnn.graph.arrays import Array
from hwbnn.plan import Folded, Plan, Unrolled
from hwbnn.simulators import ENGINES, simulate
from hwbnn.targets import TARGETS, generate
from hwbnn.verification import verify
from tests.conv_strategies import random_conv_graph
from tests.samples import INTEGER_SAMPLES, SAMPLES, network
from tests.strategies import random_graph, random_inputs, random_plan
from tests.targets.hls_networks import every_node, images

SIMULATORS = tuple(engine for engine in ENGINES if engine != "plain")
KINDS = tuple(kind for kind in NODE_TYPES if kind not in (Input, Output))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_node_has_a_sample_that_is_read_alike_everywhere(kind: type[Node]) -> None:
    assert kind in SAMPLES, f"{kind.__name__}: a sample in tests/samples.py"
    for sample in SAMPLES[kind]:
        graph = network(sample)
        x = every_input(graph)
        expected = simulate(graph, x, engine="plain", trace=True)
        assert (expected["node"] != expected["node"][0]).any(), "a sample that makes no difference"
        assert from_bytes(to_bytes(graph)) == graph
        for engine in SIMULATORS:
            found = simulate(graph, x, engine=engine, trace=True)
            assert all(np.array_equal(found[name], value) for name, value in expected.items())
            found = {"y": simulate(graph, x, engine=engine)}  # sums that are fused are not stored
            assert np.array_equal(found["y"], expected["y"])
        for target in TARGETS:
            assert generate(graph, target, Plan()).files


@pytest.mark.parametrize("sample", INTEGER_SAMPLES, ids=lambda node: type(node).__name__)
def test_integer_weights_and_bases_are_read_alike(sample: Node) -> None:
    graph = network(sample)
    x = every_input(graph)
    expected = simulate(graph, x, engine="plain", trace=True)
    assert (expected["node"] != expected["node"][0]).any(), "a sample that makes no difference"
    assert from_bytes(to_bytes(graph)) == graph
    for engine in SIMULATORS:
        found = simulate(graph, x, engine=engine, trace=True)
        assert all(np.array_equal(found[name], value) for name, value in expected.items())
    for target in TARGETS:
        assert generate(graph, target, Plan(output_beat=32)).files


def every_input(graph: Graph) -> Array:
    """All inputs where they are few, else a hundred of them."""
    t = graph.types[graph.input.name]
    if t.count**t.size <= 256:
        return np.array(list(product(range(t.low, t.high + 1), repeat=t.size))).reshape(
            -1, *t.shape
        )
    return random_inputs(graph, 100, 0)


@pytest.mark.hardware
@pytest.mark.parametrize("make", [every_node, images])
def test_every_kind_of_node_is_compared_through_hls_and_rtl(make: Callable[[], Graph]) -> None:
    """One build of each target for dense networks, one for images; unfused, so that all is seen."""
    graph = make()
    found = verify(
        graph, random_inputs(graph, 40, 0), plan=Plan(fuse=False), backends=("fast", "hls", "rtl")
    )
    found.raise_for_mismatch()
    expected = {node.name for node in graph.nodes}
    for backend in found.backends:
        seen = {node.value for node in backend.nodes}
        assert seen >= expected - {graph.input.name, graph.output.name}, backend.name


def test_the_networks_that_hardware_is_compared_on_have_every_kind() -> None:
    kinds = {type(node) for make in (every_node, images) for node in make().nodes}
    assert kinds == set(NODE_TYPES)


def test_a_reading_that_differs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison must be able to fail, for each kind: one element of the node's value."""
    plain = ENGINES["plain"]

    def wrong(graph: Graph, x: Array, trace: bool) -> dict[str, Array]:
        values = dict(plain(graph, x, True))
        values["node"] = values["node"].copy()
        values["node"].flat[-1] ^= values["node"].dtype.type(1)
        return values

    monkeypatch.setitem(ENGINES, "fast", wrong)
    for kind in KINDS:
        with pytest.raises(AssertionError):
            test_every_kind_of_node_has_a_sample_that_is_read_alike_everywhere(kind)


def test_random_networks_have_every_kind_of_node_and_layout() -> None:
    made: set[object] = set()
    for seed in range(200):
        graph = random_graph(seed)
        plan = random_plan(seed, graph)
        made |= {type(node) for node in graph.nodes} | {graph.input.bit, "fused" * plan.fuse}
        made |= {type(layout) for layout in plan.layers.values()}
        for threshold in graph.of_type(Threshold):
            source = graph.types[threshold.source]
            made.add(f"{min(threshold.thresholds.shape[1], 2)} cuts")
            made |= {"falling" if falling else "rising" for falling in threshold.falling}
            made |= {"never" for cut in threshold.thresholds.ravel() if cut > source.high}
            made |= {"always" for cut in threshold.thresholds.ravel() if cut <= source.low}
        for dot in graph.of_type(Dot):
            m, n = dot.weights.shape
            made |= {"sums of integers"} - {"sums of integers" * graph.types[dot.source].bit}
            made |= {"scaled"} - {"scaled" * (dot.scale_offset is None)}
            made.add(f"{plan.layout(dot.name).sums} of {min(2, graph.types[dot.source].width)}")
            if isinstance(layout := plan.layout(dot.name), Folded):
                made |= {"a rest of inputs"} - {"a rest of inputs" * (n % layout.simd == 0)}
                made |= {"a rest of outputs"} - {"a rest of outputs" * (m % layout.pe == 0)}
            made |= {("inputs", dot.weights.shape[1]), ("outputs", len(dot.weights))}
        made |= {"bits of tables" for lookup in graph.of_type(Lookup) if lookup.bit}
    for seed in range(100):
        made |= {type(node) for node in random_conv_graph(seed).nodes}
    for seed in range(10):
        made |= {type(node) for node in random_conv_graph(seed, concat=True).nodes}
    expected = {*NODE_TYPES, Folded, Unrolled, True, False, "fused", "", "1 cuts", "2 cuts"}
    expected |= {"falling", "rising", "never", "always", "sums of integers", "bits of tables"}
    expected |= {"scaled", "bit_planes of 2", "adder_tree of 2", "bit_serial of 2"}
    expected |= {"a rest of inputs", "a rest of outputs"}
    expected |= {(side, width) for side in ("inputs", "outputs") for width in (1, 63, 64, 65)}
    assert not expected - made
