"""Networks like the published ones, against qonnx's executor: every activation and the class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from hwbnn.graph import Graph
from hwbnn.lowering.from_program import lower_program
from hwbnn.program import Program, Quantizer
from hwbnn.program.evaluate import evaluate
from hwbnn.readers.onnx import program
from hwbnn.simulators import simulate
from hwbnn.verification import verify
from tests.readers.onnx.look_alikes import LOOK_ALIKES, Exporter, source_of

FRAMES = 6
PAGE = Path(__file__).parents[3] / "docs" / "ways-in.md"


def drawn(read: Program, given: dict[str, Any], frames: int = FRAMES) -> Any:
    """Random integers of the input, some images dark and some bright."""
    rng = np.random.default_rng(1)
    source = source_of(given, read.shape)
    x = rng.integers(source.low, source.high + 1, (frames, *read.shape))
    x[::2] = x[::2] * rng.uniform(0.2, 1.0, (len(x[::2]), *(1,) * len(read.shape)))
    return x


def executed(net: Exporter, reals: Any, size: int, kind: int = 1) -> list[dict[str, Any]]:
    """All values that qonnx computes, for each sample; ``kind`` is the result's type in ONNX."""
    model = onnx.load_from_string(net.bytes())
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info(net.last, kind, [1, size]))
    wrapped = ModelWrapper(model).transform(InferShapes())
    sizes = wrapped.get_tensor_shape("x")
    found = []
    for one in reals.astype(np.float32):
        image = one.transpose(2, 0, 1) if one.ndim == 3 else one
        given = {"x": image.reshape(sizes)}
        found.append(execute_onnx(wrapped, given, return_full_exec_context=True))
    return found


def channels_last(value: Any, shape: tuple[int, ...]) -> Any:
    """A value of the executor in the program's order of axes."""
    return np.moveaxis(value.reshape(-1, *shape[:2]), 0, -1) if len(shape) == 3 else value.ravel()


def different_codes(net: Exporter, read: Program, values: Any, runs: Any) -> int:
    """How many codes of all quantizers differ; refuses to compare none."""
    outputs = {node.name: node.output[0] for node in onnx.load_from_string(net.bytes()).graph.node}
    compared = wrong = 0
    for layer in read.layers:
        if not isinstance(layer, Quantizer):
            continue
        for i, run in enumerate(runs):
            own = values[layer.name].counts[i]
            other = channels_last(run[outputs[layer.name]], own.shape)
            codes = np.rint((other.astype(np.float64) - layer.offset) / layer.scale)
            wrong += int((codes != own).sum())
            compared += own.size
    assert compared > 100
    return wrong


def graph_of(net: Exporter, given: dict[str, Any]) -> tuple[Program, Graph]:
    read = program(net.bytes())
    return read, lower_program(read, source_of(given, read.shape))


@pytest.mark.filterwarnings("ignore:Some old-style domain attributes")
@pytest.mark.filterwarnings("ignore:Output shapes disagree")
@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_activations_and_classes_are_those_of_qonnx(name: str) -> None:
    like = LOOK_ALIKES[name]
    net = like.make()
    read, graph = graph_of(net, like.source)
    x = drawn(read, like.source)
    values = evaluate(read, graph.input, x)
    size = int(np.prod(read.shapes[read.output]))
    runs = executed(net, graph.input.reals(x), *((1, 7) if name == "finn" else (size,)))
    assert different_codes(net, read, values, runs) == 0
    found = simulate(graph, x.reshape(FRAMES, *graph.input.shape)).ravel()
    logits = values[read.output].real.reshape(FRAMES, -1)
    for run, own, exact in zip(runs, found, logits, strict=True):
        other = np.asarray(run[net.last]).ravel()
        if graph.meaning == "decision":
            assert (other[0] > 0) == own
        elif name == "finn":
            assert other[0] == own
        else:
            assert exact[own] == exact[other.argmax()]  # of equal logits, either is right


def test_the_page_lists_every_family() -> None:
    table = PAGE.read_text().partition("## Which families were tried")[2].partition("\n## ")[0]
    for like in LOOK_ALIKES.values():
        assert f"| {like.family}" in table, like.family


def test_another_rounding_or_shift_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    like = LOOK_ALIKES["mobile 6"]
    good = like.make()
    read, graph = graph_of(good, like.source)
    x = drawn(read, like.source)
    values = evaluate(read, graph.input, x)
    node, seen = Exporter.node, []
    for attribute, wrong in (("rounding_mode", "CEIL"), ("signed", 1)):

        def changed(self: Exporter, op: str, *inputs: Any, **given: Any) -> str:
            if op == "Trunc":
                given[attribute] = wrong  # noqa: B023
            return node(self, op, *inputs, **given)

        monkeypatch.setattr(Exporter, "node", changed)
        other = like.make()
        runs = executed(other, graph.input.reals(x), 10)
        seen.append(different_codes(other, read, values, runs))
    assert all(seen), seen


@pytest.mark.hardware
@pytest.mark.parametrize("target", ["hls", "rtl"])
@pytest.mark.parametrize("name", ["mobile 6"])
def test_they_become_hardware_of_the_same_bits(name: str, target: str) -> None:
    like = LOOK_ALIKES[name]
    read, graph = graph_of(like.make(), like.source)
    x = drawn(read, like.source, 3).reshape(3, *graph.input.shape)
    assert verify(graph, x, backends=("fast", target)).ok
