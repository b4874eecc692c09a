"""Logits as integers of one scale and one offset: near the network's, and stated everywhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from hwbnn.errors import CannotLower, GraphError, InputError
from hwbnn.graph import Dot, Graph, Input, Output, from_bytes, to_bytes
from hwbnn.lowering import compare, explain, floats, lower
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear, Scale
from hwbnn.plan import Plan
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from tests.lowering.models import METHOD, random_integers
from tests.lowering.test_as_people_write import trained

PIXELS = Input.pixels(10)


def network(*last: nn.Module, classes: int = 4) -> nn.Module:
    torch.manual_seed(4)
    front = BinaryLinear(10, 30, METHOD, source=PIXELS), nn.BatchNorm1d(30)
    parts = *front, BinaryActivation(30, METHOD), BinaryLinear(30, classes, METHOD), *last
    return trained(nn.Sequential(*parts))


def real_and_found(model: nn.Module, graph: Graph, source: Input = PIXELS) -> tuple:
    u = random_integers(source, 300, 1)
    with torch.no_grad():
        real = model(floats(source, u)).double().numpy()
    y = simulate(graph, u)
    np.testing.assert_array_equal(y, simulate(graph, u, engine="plain"))
    return real, graph.output.reals(y), y


def test_plain_sums_stand_for_themselves() -> None:
    model = network()
    graph = lower(model, PIXELS, output="logits")
    assert (graph.meaning, graph.output.scale, graph.output.offset) == ("logits", 1.0, 0.0)
    real, found, _ = real_and_found(model, graph)
    np.testing.assert_array_equal(found, real)


@pytest.mark.parametrize("factor", [0.37, -0.02])
def test_one_factor_for_all_is_the_scale(factor: float) -> None:
    model = network(Scale(factor))
    graph = lower(model, PIXELS, output="logits")
    assert graph.is_exact
    assert isinstance(graph.node(graph.output.source), Dot)
    assert graph.output.scale == pytest.approx(factor, rel=1e-6)
    real, found, _ = real_and_found(model, graph)
    np.testing.assert_allclose(found, real, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("classes", [1, 4])
def test_gains_of_their_own_become_fixed_point_of_sixteen_bits(classes: int) -> None:
    model = network(nn.BatchNorm1d(classes), classes=classes)
    graph = lower(model, PIXELS, output="logits")
    assert graph.types[graph.output.name].width <= 16
    assert graph.is_exact == (classes == 1)
    real, found, _ = real_and_found(model, graph)
    assert graph.output.scale is not None
    unit = abs(graph.output.scale)
    assert np.abs(found - real).max() <= unit
    if classes == 1:
        # One logit is on a line of its sums, whatever its gain is: a curve of true and false
        # positives is drawn by comparing with any number.
        assert np.abs(found - real).max() < 1e-4 * unit
        np.testing.assert_array_equal(np.argsort(np.unique(real)), np.argsort(np.unique(found)))
        return
    assert np.abs(real).max() > 1000 * unit
    one, other = real[:, 0] - real[:, -1], found[:, 0] - found[:, -1]
    apart = np.abs(one) > 2 * unit
    np.testing.assert_array_equal((one > 0)[apart], (other > 0)[apart])


def test_real_weights_and_convolutions_have_logits_too() -> None:
    source = Input.pixels((6, 6, 2))
    torch.manual_seed(0)
    model = nn.Sequential(
        BinaryConv2d(2, 8, 3, METHOD, padding=1, source=source),
        nn.BatchNorm2d(8),
        BinaryActivation(8, METHOD),
        nn.AvgPool2d(6),
        nn.Flatten(),
        nn.Linear(8, 3),
    ).eval()
    graph = lower(model, source, output="logits")
    real, found, _ = real_and_found(model, graph, source)
    assert np.abs(found - real).max() < 0.05


def test_the_comparison_sees_a_wrong_scale_and_a_wrong_offset() -> None:
    model = network(nn.BatchNorm1d(4))
    graph = lower(model, PIXELS, output="logits")
    u = random_integers(PIXELS, 50, 2)
    assert not compare(model, graph, u).differing
    rescale = graph.node(graph.output.source)
    for change in ({"bias": rescale.bias + (3 << int(rescale.shift[0]))},):  # type: ignore[attr-defined]
        fields = {f: getattr(rescale, f) for f in rescale.__slots__}
        moved = type(rescale)(**({"name": rescale.name} | fields | change))
        nodes = tuple(moved if n is rescale else n for n in graph.nodes)
        assert compare(model, Graph(nodes, fraction=graph.fraction), u).differing


def test_the_scale_is_in_files_cores_and_explanations() -> None:
    graph = lower(network(Scale(0.25)), PIXELS, output="logits")
    again = from_bytes(to_bytes(graph))
    assert again == graph
    assert again.output.scale == 0.25
    for target in ("rtl", "hls"):
        project = generate(graph, target, Plan(output_beat=32))
        said = json.loads(project.text("core.json"))["output"]
        assert (said["meaning"], said["scale"], said["offset"]) == ("logits", 0.25, 0.0)
        assert "stands for the logit 0.25 * y + 0.0" in project.text("README.md")
    told = explain(network(Scale(0.25)), PIXELS, output="logits")
    assert "a logit is 0.25 * y + 0" in str(told)
    assert "output: integers that stand for the logits" in str(told)


def test_what_has_no_logits_says_so() -> None:
    graph = lower(network(), PIXELS, output="scores")
    with pytest.raises(GraphError, match="lower with output='logits'"):
        graph.output.reals(np.zeros(4))
    with pytest.raises(CannotLower, match="the model ends in bits"):
        lower(network(BinaryActivation(4, METHOD)), PIXELS, output="logits")
    with pytest.raises(InputError, match="found 'top5'; for the k best classes take 'scores'"):
        lower(network(), PIXELS, output="top5")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        ("logits", None, None),
        ("logits", 1.0, None),
        ("logits", 0.0, 0.0),
        ("logits", float("inf"), 0.0),
        ("scores", 1.0, 0.0),
        (None, 1.0, 0.0),
    ],
)
def test_an_output_has_a_scale_exactly_where_it_is_logits(fields: tuple) -> None:
    with pytest.raises(GraphError, match=r"'y': (scale|offset): expected a"):
        Graph((Input("x", (3,), 0, 9), Output("y", "x", *fields)))


def test_logits_are_no_bits() -> None:
    with pytest.raises(GraphError, match="meaning logits: expected integers, found 3 bits"):
        Graph((Input.bits(3), Output("y", "x", "logits", 1.0, 0.0)))


def test_two_heads_are_one_vector_of_logits() -> None:
    """A model of two heads is told what to return; joined, each head has its own logits."""

    class Heads(nn.Module):
        def __init__(self, joined: bool) -> None:
            super().__init__()
            self.trunk = network()[:3]  # type: ignore[index]
            self.one = nn.Sequential(BinaryLinear(30, 3, METHOD), nn.BatchNorm1d(3))
            self.two = nn.Sequential(BinaryLinear(30, 2, METHOD), Scale(0.5))
            self.joined = joined

        def forward(self, x: torch.Tensor) -> object:
            x = self.trunk(x)
            heads = self.one(x), self.two(x)
            return torch.cat(heads, 1) if self.joined else heads

    with pytest.raises(CannotLower, match=r"of several heads return torch.cat\(heads, 1\)"):
        lower(trained(Heads(False)), PIXELS, output="logits")
    model = trained(Heads(True))
    graph = lower(model, PIXELS, output="logits")
    real, found, _ = real_and_found(model, graph)
    assert real.shape == (300, 5)
    assert graph.output.scale is not None
    assert np.abs(found - real).max() <= graph.output.scale
