"""Graphs as QONNX files: an executor of the tests and our own reader find every value again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwbnn.assets import assets
from hwbnn.errors import InputError
from hwbnn.graph import (
    Add,
    ArgMax,
    Conv2d,
    Dot,
    Graph,
    Input,
    Lookup,
    Node,
    Output,
    Rescale,
    Threshold,
    load,
)
from hwbnn.lowering.from_program import lower_program
from hwbnn.lowering.probes import probes
from hwbnn.readers.onnx import program
from hwbnn.readers.onnx.protobuf import read_model
from hwbnn.simulators import simulate
from hwbnn.writers import to_qonnx
from tests.conv_strategies import random_conv_graph
from tests.readers.onnx.executor import trace
from tests.samples import INTEGER_SAMPLES, SAMPLES, network
from tests.strategies import build_inputs, random_graph


def compared(graph: Graph, x: Any) -> int:
    """How many values of a Graph the file computes, all equal."""
    wanted = simulate(graph, x, trace=True)
    given = 2.0 * x - 1 if graph.types[graph.input.name].bit else x.astype(float)
    model = read_model(to_qonnx(graph))
    name = graph.input.name
    found = trace(model, given.transpose(0, 3, 1, 2) if given.ndim == 4 else given, name)
    for node in graph.nodes:
        value, integers = found[node.name], wanted[node.name]
        if value.ndim == 4:
            value = value.transpose(0, 2, 3, 1)
        if graph.types[node.name].bit:
            integers = 2 * integers.astype(int) - 1
        elif isinstance(node, Output) and node.meaning == "logits":
            integers = node.reals(integers).astype(np.float32)
            value = value.astype(np.float32)
        assert np.array_equal(value.reshape(integers.shape), integers), node
    return len(graph.nodes)


def refusal(graph: Graph) -> str:
    """Why a Graph has no form in QONNX; empty if it has."""
    try:
        to_qonnx(graph)
    except InputError as error:
        return str(error)
    return ""


def written(graphs: Any) -> tuple[int, set[str]]:
    """How many of random networks have the form, and the kinds of nodes compared."""
    done, kinds = 0, set()
    for seed, graph in graphs:
        why = refusal(graph)
        assert not why or why.startswith("to_qonnx: node '")
        if why:
            continue
        compared(graph, build_inputs(graph, 6, np.random.default_rng(seed)))
        done += 1
        kinds |= {type(node).__name__ for node in graph.nodes}
    return done, kinds


def test_random_networks_compute_the_same_value_by_value() -> None:
    done, kinds = written((s, random_graph(s)) for s in range(60))
    assert done > 35
    assert {"Dot", "Threshold", "ArgMax"} <= kinds


def test_random_networks_of_images_compute_the_same_value_by_value() -> None:
    given = [
        (s, random_conv_graph(s, integer_weights=s % 2 > 0, based=s % 3 > 0)) for s in range(80)
    ]
    done, kinds = written(given)
    assert done > 70
    assert {"Conv2d", "Threshold", "Lookup", "Rescale", "Add", "MaxPool", "SumPool"} <= kinds


@pytest.mark.parametrize(
    "node", [n for kind in SAMPLES.values() for n in kind] + list(INTEGER_SAMPLES), ids=repr
)
def test_every_kind_of_node_computes_the_same(node: Node) -> None:
    graph = network(node)
    compared(graph, probes(graph.input)[:20])


def test_tables_that_rise_or_fall_and_factors_compute_the_same() -> None:
    source = Input("x", (3,), -2, 2)
    table = np.array([[0, 0, 1, 3, 3], [5, 2, 2, 2, -7], [4, 4, 4, 4, 4]])
    factors, bias = np.array([2, -3, 0]), np.array([-1, 0, 7])
    zero = np.zeros(3, np.int64)
    nodes = (
        Lookup("t", "x", table),
        Rescale("r", "t", factors, bias, zero, -99, 99),
        Lookup("b", "x", (table > 2).astype(np.int64), bit=True),
    )
    for chosen in (nodes[:2], nodes[2:]):
        graph = Graph((source, *chosen, Output("y", chosen[-1].name)))
        compared(graph, probes(source)[:50])


@pytest.mark.parametrize("name", ["sfc", "lenet"])
def test_trained_networks_are_written_and_read_back(name: str) -> None:
    path = Path(assets("models")) / name / "graph.npz"
    graph = load(path)
    x = probes(graph.input)[:8]
    compared(graph, x)
    made = program(to_qonnx(graph))
    again = lower_program(made, made.contract)
    assert np.array_equal(
        simulate(again, x, engine="auto").ravel(), simulate(graph, x, engine="auto").ravel()
    )


def test_what_arrives_is_in_the_file() -> None:
    def made(source: Input) -> Input | None:
        weights = np.ones((2, 3), bool)
        return program(to_qonnx(Graph((source, Dot("d", "x", weights), Output("y", "d"))))).contract

    bits = made(Input.bits(3))
    assert bits is not None
    assert bits.bit
    pixels = made(Input.pixels(3))
    assert pixels is not None
    assert (pixels.low, pixels.high) == (0, 255)


def test_a_planted_fault_of_the_file_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Input("x", (4,), -3, 3)
    weights = np.random.default_rng(0).choice([-1, 1], (5, 4))
    thresholds = np.arange(-2, 3).reshape(5, 1)
    graph = Graph(
        (
            source,
            Dot("d", "x", weights),
            Threshold("t", "d", thresholds, np.array([True, False, True, False, True])),
            Output("y", "t"),
        )
    )
    x = probes(source)
    compared(graph, x)
    from tests.readers.onnx import executor

    def strict(a: Any, x: Any, t: Any) -> Any:
        return a["out_scale"] * (x[..., None] > t).sum(axis=-1) + a["out_bias"]

    monkeypatch.setitem(executor.OPERATIONS, "MultiThreshold", strict)
    with pytest.raises(AssertionError):
        compared(graph, x)


def test_nodes_without_the_form_are_refused_by_name() -> None:
    source = Input("x", (2,), 0, 1 << 20)
    zero = np.zeros(2, np.int64)
    wide = Input("x", (2,), 0, 1 << 25)
    products = Rescale("r", "x", zero + (1 << 30), zero, zero + 30, 0, 1 << 25)
    with pytest.raises(InputError, match=r"node 'r': its products reach \d+, beyond 2\^53"):
        to_qonnx(Graph((wide, products, Output("y", "r"))))
    large = Dot("d", "x", np.full((1, 2), 100))
    to_qonnx(Graph((source, large, Output("y", "d"))))
    image = Input("x", (2, 2, 1), 0, 1 << 20)
    conv = Conv2d("c", "x", np.full((1, 1, 1, 1), 100))
    with pytest.raises(InputError, match=r"node 'c': a Conv2d of integers beyond 2\^24"):
        to_qonnx(Graph((image, conv, Output("y", "c"))))


def test_fixed_point_and_integers_beyond_float32_compute_the_same() -> None:
    """Every rule of ``Rescale``, halves included; sums, thresholds and classes beyond 2^24."""
    source = Input("x", (3,), -40, 40)
    factors, shift = np.array([7, -5, 3]), np.array([3, 2, 0])
    bias, negative = np.array([4, -3, 1]), np.array([-2, 9, 0])
    rescale = Rescale("r", "x", factors, bias, shift, -20, 25, negative=negative)
    compared(Graph((source, rescale, Output("y", "r"))), probes(source)[:80])
    source = Input("x", (3,), -1000, 1000)
    large = Dot("d", "x", np.array([[32_001, -3, 1], [-1, 32_767, 2], [1, 1, -30_000]]))
    steps = np.array([[-1_000_002, 5, 9_000_000], [-3, 0, 7], [-9, 1, 11_000_001]])
    falling = np.array([False, False, True])
    for last in (
        Threshold("t", "d", steps, falling),
        Threshold("b", "d", steps[:, 1:2], falling),
        ArgMax("a", "d"),
        Add("s", "d", "d"),
    ):
        graph = Graph((source, large, last, Output("y", last.name)))
        assert max(abs(graph.types["d"].low), graph.types["d"].high) > 1 << 24
        compared(graph, probes(source)[:80])


def test_tables_that_rise_and_fall_compute_the_same() -> None:
    source = Input("x", (2,), -3, 4)
    table = np.array([[0, 3, -2, -2, 5, 5, 4, 9], [1, 0, 1, 0, 1, 1, 0, 0]])
    compared(Graph((source, Lookup("t", "x", table), Output("y", "t"))), probes(source))


def test_another_rounding_of_fixed_point_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.readers.onnx import executor

    source = Input("x", (2,), -40, 40)
    one = np.ones(2, np.int64)
    graph = Graph((source, Rescale("r", "x", 3 * one, one, 2 * one, -9, 9), Output("y", "r")))
    compared(graph, probes(source))
    monkeypatch.setitem(executor.OPERATIONS, "Floor", lambda a, x: np.ceil(x))
    with pytest.raises(AssertionError):
        compared(graph, probes(source))


def test_thresholds_that_differ_at_the_border_compute_the_same() -> None:
    image = Input("x", (3, 3, 1), 0, 3)
    conv = Conv2d("c", "x", np.ones((1, 3, 3, 1), int), padding=(1, 1, 1, 1))
    places = np.arange(9).reshape(3, 3)
    for levels, falls in ((2, False), (3, True), (1, True)):
        each = np.arange(9 * levels).reshape(9, 1, levels)
        count = Threshold("t", "c", each, np.full(1, falls), places)
        compared(Graph((image, conv, count, Output("y", "t"))), probes(image)[:40])
