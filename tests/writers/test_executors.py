"""An executor that is not this project's computes the published networks, value by value.

qonnx runs a file's standard operations in ONNX Runtime and quantizers in its own Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from hwbnn.assets import assets
from hwbnn.errors import InputError
from hwbnn.graph import Graph, Input, load
from hwbnn.simulators import simulate
from hwbnn.writers import to_qonnx
from tests.conv_strategies import random_conv_graph
from tests.strategies import build_inputs, random_graph

NETWORKS = sorted(path.parent.name for path in Path(assets("models")).glob("*/graph.npz"))


def executed(graph: Graph, x: Any) -> int:
    """How many integers qonnx computes as the fast simulator does, over all values of a Graph."""
    model = ModelWrapper(onnx.load_from_string(to_qonnx(graph))).transform(InferShapes())
    wanted = simulate(graph, x, trace=True)
    count = 0
    for i, given in enumerate(arriving(graph.input, x)):
        found = execute_onnx(model, {graph.input.name: given[None]}, return_full_exec_context=True)
        for node in graph.nodes:
            integers = wanted[node.name][i].astype(np.int64)
            if graph.types[node.name].bit:
                integers = 2 * integers - 1
            value = found[node.name][0]
            if value.ndim == 3:
                value = value.transpose(1, 2, 0)
            assert np.array_equal(value.reshape(integers.shape), integers), (node.name, i)
            count += integers.size
    return count


def arriving(source: Input, x: Any) -> Any:
    """Inputs of the file: float32, channels first, bits as -1 and +1."""
    given = (2.0 * x - 1 if source.bit else x).astype(np.float32)
    return given.transpose(0, 3, 1, 2) if given.ndim == 4 else given


@pytest.mark.parametrize("name", NETWORKS)
def test_published_networks_are_what_qonnx_computes(name: str) -> None:
    graph = load(assets("models") / name / "graph.npz")
    frames = 1 if len(graph.input.shape) == 3 else 4
    x = build_inputs(graph, frames, np.random.default_rng(0))
    assert executed(graph, x) == frames * sum(t.size for t in graph.types.values())


def test_random_networks_are_what_qonnx_computes() -> None:
    done = 0
    for seed in range(12):
        for graph in (random_graph(seed), random_conv_graph(seed, integer_weights=True)):
            try:
                to_qonnx(graph)
            except InputError:
                continue
            done += executed(graph, build_inputs(graph, 3, np.random.default_rng(seed))) > 0
    assert done > 8


def test_a_wrong_threshold_is_seen_by_qonnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: one threshold of the file is 1 too high."""
    from hwbnn.writers import qonnx

    good = qonnx._multi_threshold

    def wrong(model: Any, source: str, thresholds: Any, *given: Any, **named: Any) -> str:
        return good(model, source, np.asarray(thresholds) + 1, *given, **named)

    graph = load(assets("models") / "tfc" / "graph.npz")
    x = build_inputs(graph, 16, np.random.default_rng(0))
    monkeypatch.setattr(qonnx, "_multi_threshold", wrong)
    with pytest.raises(AssertionError, match="threshold"):
        executed(graph, x)
