"""The meaning of a Graph's output and its fraction bits: typed, checked, kept in files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwbnn.errors import GraphError
from hwbnn.graph import ArgMax, Dot, Graph, Input, Node, Output, Threshold
from hwbnn.graph.store import from_bytes, to_bytes

BITS = Input.bits(3)
DOT = Dot("dot", "x", np.array([[True, False, True]]))
SIGN = Threshold("sign", "dot", np.array([[1]]), np.array([False]))


def graph(*nodes: Node, last: str, meaning: str | None = None, **more: Any) -> Graph:
    return Graph((BITS, *nodes, Output("y", last, meaning)), **more)


def test_the_meaning_is_that_of_the_last_node_or_as_declared() -> None:
    assert graph(DOT, last="dot").meaning == "scores"
    assert graph(DOT, ArgMax("argmax", "dot"), last="argmax").meaning == "class"
    assert graph(DOT, SIGN, last="sign").meaning == "bits"
    assert graph(DOT, SIGN, last="sign", meaning="decision").meaning == "decision"


def test_a_meaning_that_does_not_fit_is_refused() -> None:
    with pytest.raises(GraphError, match="expected one of class, decision, scores, logits, bits"):
        graph(DOT, SIGN, last="sign", meaning="verdict")
    with pytest.raises(GraphError, match="meaning decision: expected bits"):
        graph(DOT, last="dot", meaning="decision")
    two = Dot("dot", "x", np.array([[True, False, True]] * 2))
    signs = Threshold("sign", "dot", np.array([[1], [1]]), np.array([False, False]))
    with pytest.raises(GraphError, match="meaning decision: expected one element"):
        graph(two, signs, last="sign", meaning="decision")


def test_both_outlive_a_file() -> None:
    saved = graph(DOT, SIGN, last="sign", meaning="decision", fraction=7)
    loaded = from_bytes(to_bytes(saved))
    assert (loaded.meaning, loaded.fraction) == ("decision", 7)
    assert loaded == saved
    assert saved != graph(DOT, SIGN, last="sign")


def test_files_of_earlier_versions_have_the_number_among_their_notes() -> None:
    notes = {"fraction": "18", "model": "m"}
    loaded = from_bytes(to_bytes(graph(DOT, last="dot", notes=notes)))
    assert loaded.fraction == 18
    assert dict(loaded.notes) == {"model": "m"}
    for text in ("9" * 5000, "-1", "21", "many", ""):
        strange = from_bytes(to_bytes(graph(DOT, last="dot", notes={"fraction": text})))
        assert strange.fraction is None


@pytest.mark.parametrize("fraction", [-1, 21, 1.0, "18", True, 10**4000])
def test_a_fraction_is_a_small_integer(fraction: Any) -> None:
    with pytest.raises(GraphError, match="fraction: expected an integer from 0 to 20"):
        graph(DOT, last="dot", fraction=fraction)
