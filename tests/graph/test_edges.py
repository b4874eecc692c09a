"""Limits of a Graph, exactly, and what is said of what is none."""

from __future__ import annotations

import pytest

from hwbnn.errors import GraphError
from hwbnn.graph import Input
from hwbnn.graph.graph import check_graph


def test_the_largest_input_has_two_to_the_24_elements() -> None:
    assert Input("x", (1 << 12, 1 << 12), 0, 1).shape == (4096, 4096)
    with pytest.raises(GraphError, match="'x': shape"):
        Input("x", ((1 << 24) + 1,), 0, 1)


def test_a_model_is_told_from_anything_else() -> None:
    class Model:
        def named_modules(self) -> None:
            """As every module of PyTorch has it."""

    with pytest.raises(GraphError, match=r"hwbnn\.lower\(model, input\) makes one of a model"):
        check_graph(Model(), "here")
    with pytest.raises(GraphError, match=r"hwbnn\.lower makes one of a model, hwbnn\.load reads"):
        check_graph(3, "here")
    with pytest.raises(GraphError, match=r"hwbnn\.load reads one from a file"):
        check_graph("graph.npz", "here")
