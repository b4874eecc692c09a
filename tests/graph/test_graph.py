"""Graphs as a whole: refusals, lookups, digests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

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
    infer,
)
from tests.strategies import random_graph

X = Input.bits(4)
PIXELS = Input.pixels((2, 3))
DOT = Dot("dot", "x", np.ones((2, 4), np.bool_))
CUTS = np.zeros((2, 1), np.int64)
UP = np.zeros(2, np.bool_)
Y = Output("y", "dot")


@dataclass(frozen=True, eq=False, slots=True)
class Foreign(Node):
    source: str


REFUSED: dict[str, tuple[Callable[[], Graph], str]] = {
    "empty": (lambda: Graph(()), "begins with Input and ends with Output, found nothing"),
    "no input": (lambda: Graph((DOT, Y)), "begins with Input .* found Dot, Output"),
    "no output": (lambda: Graph((X, DOT)), "begins with Input .* found Input, Dot"),
    "two inputs": (lambda: Graph((X, replace(X, name="z"), DOT, Y)), "a Input cannot stand"),
    "two outputs": (lambda: Graph((X, DOT, Y, Output("z", "dot"))), "a Output cannot stand"),
    "a stranger": (lambda: Graph((X, Foreign("f", "x"), Output("y", "f"))), "a Foreign cannot"),
    "name taken": (lambda: Graph((X, DOT, Output("dot", "dot"))), "'dot': the name is taken"),
    "source unknown": (
        lambda: Graph((X, replace(DOT, source="z"), Y)),
        "'dot': source 'z': expected the name of an earlier node, one of x",
    ),
    "source later": (
        lambda: Graph((X, Flatten("f", "dot"), replace(DOT, source="f"), Y)),
        "'f': source 'dot': expected the name of an earlier node, one of x",
    ),
    "source itself": (lambda: Graph((X, replace(DOT, source="dot"), Y)), "'dot': source 'dot'"),
    "unread": (lambda: Graph((X, DOT, Flatten("f", "x"), Y)), "'f': no node reads it; remove it"),
    "notes": (lambda: Graph((X, DOT, Y), {"a": 1}), "notes: expected text, found 'a': 1"),  # type: ignore[dict-item]
    "select past the end": (
        lambda: Graph((X, Select("s", "x", np.array([0, 4])), Output("y", "s"))),
        "'s': index: expected positions below 4, found 4",
    ),
    "select beyond the channels": (
        lambda: Graph((PIXELS, Select("s", "x", np.array([0, 3])), Output("y", "s"))),
        "'s': index: expected positions below 3, found 3",
    ),
    "encode bits": (
        lambda: Graph((X, Encode("e", "x", np.zeros((4, 1), int)), Output("y", "e"))),
        "'e': expected integers, found bits",
    ),
    "encode of another length": (
        lambda: Graph((Input.pixels(3), Encode("e", "x", CUTS), Output("y", "e"))),
        "'e': thresholds: expected length 3 as its source has, found 2",
    ),
    "dot of another length": (
        lambda: Graph((Input.bits(5), DOT, Y)),
        "'dot': weights: expected length 5 as its source has, found 4",
    ),
    "dot not flat": (
        lambda: Graph((PIXELS, Dot("dot", "x", np.ones((1, 6), bool)), Y)),
        "'dot': expected a flat value",
    ),
    "dot too large": (
        lambda: Graph((Input("x", (4,), 0, 1 << 30), DOT, Y)),
        r"'dot': sums from 0 to 4294967296 do not stay below 2\^31; use a smaller input range",
    ),
    "threshold of bits": (
        lambda: Graph((Input.bits(2), Threshold("t", "x", CUTS, UP), Output("y", "t"))),
        "'t': expected integers, found bits",
    ),
    "threshold of other channels": (
        lambda: Graph((PIXELS, Threshold("t", "x", CUTS, UP), Output("y", "t"))),
        "'t': thresholds: expected length 3 as its source has, found 2",
    ),
    "lookup of bits": (
        lambda: Graph((Input.bits(2), Lookup("l", "x", CUTS), Output("y", "l"))),
        "'l': expected integers, found bits",
    ),
    "lookup of other channels": (
        lambda: Graph((PIXELS, Lookup("l", "x", CUTS), Output("y", "l"))),
        "'l': table: expected length 3 as its source has, found 2",
    ),
    "lookup too short": (
        lambda: Graph((X, DOT, Lookup("l", "dot", np.zeros((2, 4), int)), Output("y", "l"))),
        "'l': table: expected 5 entries .* from -4 to 4 in steps of 2, found 4",
    ),
    "argmax of bits": (
        lambda: Graph((X, ArgMax("a", "x"), Output("y", "a"))),
        "'a': expected integers, found bits",
    ),
    "argmax not flat": (
        lambda: Graph((PIXELS, ArgMax("a", "x"), Output("y", "a"))),
        "'a': expected a flat value",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_graph_is_refused(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(GraphError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_node_without_a_rule_is_refused() -> None:
    with pytest.raises(GraphError, match="'f': unknown kind Foreign"):
        infer(Foreign("f", "x"))


def test_nodes_are_found_by_name_kind_and_reader() -> None:
    graph = Graph((X, DOT, Y))
    assert graph.node("dot") is DOT
    assert graph.of_type(Dot) == (DOT,)
    assert graph.readers("x") == (DOT,)
    assert (graph.input, graph.output) == (X, Y)
    with pytest.raises(GraphError, match="no node is named 'z'; there are x, dot, y"):
        graph.node("z")


def test_the_digest_is_of_what_is_computed() -> None:
    graph = Graph((X, DOT, Y), {"from": "a test"})
    assert graph == Graph((X, DOT, Y))
    assert hash(graph) == hash(Graph((X, DOT, Y)))
    weights = DOT.weights.copy()
    weights[1, 3] = -1
    changed = {
        "a weight": Graph((X, Dot("dot", "x", weights), Y)),
        "a name": Graph((X, Dot("dots", "x", DOT.weights), Output("y", "dots"))),
        "a scale": Graph((replace(X, scale=3.0), DOT, Y)),
        "a shape": Graph((Input.bits((4, 1)), Flatten("f", "x"), replace(DOT, source="f"), Y)),
    }
    assert len({graph.digest, *(g.digest for g in changed.values())}) == 1 + len(changed)


def test_the_digest_of_a_graph_is_the_same_on_every_machine() -> None:
    # A literal from the day the format was fixed: it changes with the format version only.
    assert tiny().digest == TINY


def tiny() -> Graph:
    cuts = np.array([[1], [-3]])
    falling = np.array([True, False])
    return Graph((X, DOT, Threshold("t", "dot", cuts, falling), Output("y", "t")))


TINY = "afecbe118747bffc464b4d6e7ad3257a65139b131d478e9d309d6a37b631995a"


def test_random_graphs_differ() -> None:
    assert len({random_graph(seed).digest for seed in range(50)}) == 50
