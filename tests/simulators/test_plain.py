"""The plain simulator against sums and comparisons written out in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import GraphError
from hwbnn.graph import (
    ArgMax,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    Node,
    Output,
    Select,
    Threshold,
    ValueType,
)
from hwbnn.simulators import plain, simulate
from tests.strategies import graphs, inputs


def written_out(node: Node, x: Any, t: ValueType) -> Any:
    """One sample's value by the words of the node's docstring, from nested lists of integers."""
    match node:
        case Select():
            return [x[i] for i in node.index]
        case Encode():
            return [int(e >= cut) for e, row in zip(x, node.thresholds, strict=True) for cut in row]
        case Dot():
            signed = [2 * e - 1 if t.bit else e for e in x]
            rows = node.weights.tolist()
            sums = [sum(w * e for w, e in zip(row, signed, strict=True)) for row in rows]
            if node.scale is None or node.offset is None:
                return sums
            factors = zip(node.scale.tolist(), sums, node.offset.tolist(), strict=True)
            return [a * dot + b * sum(signed) for a, dot, b in factors]
        case Threshold() if isinstance(x[0], Sequence):
            return [written_out(node, part, t) for part in x]
        case Threshold():
            cuts = zip(x, node.thresholds, node.falling, strict=True)
            base = 0 if node.base is None else node.base
            return [base + sum(e <= c if down else e >= c for c in row) for e, row, down in cuts]
        case Lookup() if isinstance(x[0], Sequence):
            return [written_out(node, part, t) for part in x]
        case Lookup():
            places = range(t.low, t.high + 1, t.step)
            return [int(row[places.index(e)]) for e, row in zip(x, node.table, strict=True)]
        case Flatten() if isinstance(x[0], Sequence):
            return [e for part in x for e in written_out(node, part, t)]
        case ArgMax():
            return [x.index(max(x))]
        case Flatten() | Output():
            return x
    raise AssertionError(f"not written out: {node}")


@pytest.mark.parametrize("integers", [False, True])
@given(st.data())
def test_every_node_is_what_its_words_say(integers: bool, data: st.DataObject) -> None:
    graph = data.draw(graphs(max_width=20, integer_weights=integers, based=integers))
    values = plain.run(graph, data.draw(inputs(graph, 5)))
    for node in graph.nodes[1:]:
        (source,) = node.sources
        found = values[node.name].astype(np.int64).tolist()
        for sample, expected in zip(values[source].astype(np.int64).tolist(), found, strict=True):
            assert written_out(node, sample, graph.types[source]) == expected, node.name


def test_ties_of_argmax_go_to_the_lowest_index() -> None:
    graph = Graph((Input("x", (3,), -5, 5), ArgMax("best", "x"), Output("y", "best")))
    x = np.array([[1, 3, 3], [2, 2, 2], [-5, -5, -4]])
    assert simulate(graph, x).tolist() == [[1], [0], [2]]


@pytest.mark.parametrize(("falling", "fires"), [(False, [0, 1, 1]), (True, [1, 1, 0])])
def test_a_tie_with_the_threshold_fires(falling: bool, fires: list[int]) -> None:
    node = Threshold("t", "x", np.array([[2]]), np.array([falling]))
    graph = Graph((Input("x", (1,), 1, 3), node, Output("y", "t")))
    assert simulate(graph, np.array([[1], [2], [3]]))[:, 0].tolist() == fires


def test_batches_larger_than_a_block_and_empty_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph((Input("x", (2, 2), 0, 9), Flatten("f", "x"), Output("y", "f")))
    x = np.arange(28).reshape(7, 2, 2) % 10
    monkeypatch.setattr(plain, "BATCH", 3)
    assert np.array_equal(simulate(graph, x, engine="plain"), x.reshape(7, 4))
    assert simulate(graph, x[:0], engine="plain").shape == (0, 4)
    assert sorted(plain.run(graph, x)) == ["f", "x", "y"]
    assert sorted(plain.run(graph, x, trace=False)) == ["y"]


def test_a_node_that_the_simulator_does_not_know_is_refused() -> None:
    class Foreign(Node):
        SOURCE_FIELDS = ()

    with pytest.raises(GraphError, match="'f': the simulator has no Foreign"):
        plain.evaluate(Foreign("f"))
