"""Layers of integer weights and of real weights: exact where they can be, measured elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

import hwbnn
from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Conv2d, Dot, Graph, Input, Rescale
from hwbnn.lowering import check_accuracy, compare, explain, floats, lower, measure
from hwbnn.lowering.from_torch.real_weights import PlainWeights, quantised
from hwbnn.methods import get
from hwbnn.nn import BinaryActivation, BinaryConv2d, QuantConv2d, QuantLinear
from tests.lowering.models import METHOD

PIXELS = Input.pixels((6, 6, 3))
ROW = Input("x", (12,), 0, 15, scale=0.125, offset=-1.0)


def settled(model: nn.Sequential, source: Input) -> nn.Sequential:
    """A network with statistics that fit its inputs and gains of both signs, in evaluation."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None
            nn.init.normal_(module.weight, 0.7, 0.5)
            nn.init.normal_(module.bias, 0.0, 0.3)
    with torch.no_grad():
        model.train()(floats(source, integers(source, 64)))
    return model.eval()


def integers(source: Input, count: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(1)
    return rng.integers(source.low, source.high, (count, *source.shape), endpoint=True)


def convolved(u: Any, weights: Any, groups: int = 1) -> Any:
    """A convolution with a border of one zero, in integers: images channels last."""
    image = torch.from_numpy(np.ascontiguousarray(u.transpose(0, 3, 1, 2))).double()
    taps = torch.from_numpy(np.ascontiguousarray(weights.transpose(0, 3, 1, 2))).double()
    sums = functional.conv2d(image, taps, padding=1, groups=groups)
    return sums.numpy().transpose(0, 2, 3, 1).astype(np.int64)


@pytest.mark.parametrize("kind", ["ternary", "int3", "int8"])
def test_quantised_layers_are_exact(kind: str) -> None:
    """Every code of the network, and the sums against integers computed here."""
    torch.manual_seed(0)
    model = settled(
        nn.Sequential(
            QuantConv2d(3, 4, 3, kind, padding=1, source=PIXELS),
            nn.BatchNorm2d(4),
            BinaryActivation(4, METHOD),
            nn.Flatten(),
            QuantLinear(144, 5, kind),
        ),
        PIXELS,
    )
    graph = lower(model, PIXELS)
    assert graph.is_exact
    u = integers(PIXELS, 50)
    assert compare(model, graph, u).differing == 0
    first: Any = model[0]
    codes = first.weight.codes().integers.detach().numpy()
    (conv,) = graph.of_type(Conv2d)
    np.testing.assert_array_equal(conv.weights, codes.transpose(0, 2, 3, 1))
    trace = hwbnn.simulate(graph, u, trace=True)
    np.testing.assert_array_equal(trace[conv.name], convolved(u, conv.weights.astype(np.int64)))
    with torch.no_grad():
        classes = model(floats(PIXELS, u)).argmax(1).numpy()
    np.testing.assert_array_equal(hwbnn.simulate(graph, u)[:, 0], classes)


class Normalise(nn.Module):
    """A mean and a deviation a colour."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.2, 0.3, 0.25]).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation  # type: ignore[operator]


@pytest.mark.parametrize("front", [Normalise, lambda: nn.BatchNorm2d(3), nn.Identity])
@pytest.mark.parametrize("groups", [1, 3])
def test_a_real_first_layer_reads_pixels(front: Callable[[], nn.Module], groups: int) -> None:
    """The rounded network is exact: its numbers are those of rounded weights, in float64."""
    torch.manual_seed(0)
    stem = nn.Conv2d(3, 6, 3, padding=1, groups=groups)
    tail = nn.BatchNorm2d(6), BinaryActivation(6, METHOD), nn.Flatten()
    model = settled(nn.Sequential(front(), stem, *tail, QuantLinear(216, 4)), PIXELS)
    graph = lower(model, PIXELS, weight_bits=12)
    assert (graph.weight_bits, graph.fraction) == (12, None)
    assert "1: real weights rounded to 12 bits, 0.0" in graph.notes["rounded weights"]
    (conv,) = graph.of_type(Conv2d)
    assert int(np.abs(conv.weights).max()) == 2047
    u = integers(PIXELS, 40)
    assert compare(model, graph, u).differing == 0
    # The float network's own sums, from the integers of the Graph, up to half a step a weight.
    trace = hwbnn.simulate(graph, u, trace=True)
    with torch.no_grad():
        x = model[0](floats(PIXELS, u)).double()
        real = functional.conv2d(x, stem.weight.double(), padding=1, groups=groups)
    sums = trace[conv.name].reshape(-1, 6)
    near = real.permute(0, 2, 3, 1).reshape(-1, 6).numpy()
    centre = (36 * np.arange(40)[:, None] + 14).ravel()  # inside, all of one border class
    for channel in range(6):
        line = np.polyfit(sums[centre, channel], near[centre, channel], 1)
        off = near[centre, channel] - np.polyval(line, sums[centre, channel])
        assert np.abs(off).max() < 2e-3 * np.abs(near).max()


class Scaled(nn.Module):
    """A student's own layer: signs times a mean."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(m, n))
        self.b = nn.Parameter(torch.randn(m))

    def forward(self, x: Tensor) -> Tensor:
        size = self.w.abs().mean(dim=1, keepdim=True)
        return functional.linear(x, torch.where(self.w >= 0, 1.0, -1.0) * size, self.b)


class Signs(nn.Module):
    """A parametrization that makes two numbers of weights."""

    def forward(self, w: Tensor) -> Tensor:
        return torch.where(w >= 0, 0.75, -0.25)


def parametrized() -> nn.Module:
    layer = nn.Linear(12, 8)
    parametrize.register_parametrization(layer, "weight", Signs())
    return layer


def small_integers() -> nn.Module:
    layer = nn.Linear(12, 8)
    steps = 0.01 + torch.rand(8, 1) / 10
    layer.weight.data = torch.randint(-5, 6, (8, 12)) * steps
    return layer


@pytest.mark.parametrize(
    ("make", "said", "most"),
    [
        (lambda: Scaled(12, 8), "weights are -1 and +1 times a number a channel, exactly", 1),
        (small_integers, "weights are integers up to 5 times a number a channel, exactly", 5),
        (parametrized, "weights are integers up to 3 times a number a channel, exactly", 3),
    ],
)
def test_weights_with_an_integer_form_are_recognised(
    make: Callable[[], nn.Module], said: str, most: int
) -> None:
    torch.manual_seed(0)
    layer = make()
    tail = nn.BatchNorm1d(8), BinaryActivation(8, METHOD), QuantLinear(8, 3)
    model = settled(nn.Sequential(layer, *tail), ROW)
    graph = lower(model, ROW)
    assert graph.is_exact
    first = graph.of_type(Dot)[0]
    assert int(np.abs(first.weights).max()) == most
    assert said in str(explain(model, ROW))
    u = integers(ROW, 300)
    assert compare(model, graph, u).differing == 0
    with torch.no_grad():
        wanted = model(floats(ROW, u)).argmax(1).numpy()
    # The float layer rounds its own sums, so that a bit at a tie may differ.
    assert (hwbnn.simulate(graph, u)[:, 0] == wanted).mean() > 0.98


def test_weights_that_depend_on_the_input_are_refused() -> None:
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(3, 12))

        def forward(self, x: Tensor) -> Tensor:
            return functional.linear(x, self.w * x.mean())

    with pytest.raises(CannotLower, match="function"):
        lower(Mixing().eval(), ROW)


@pytest.mark.parametrize("last", [nn.Linear, QuantLinear])
def test_a_mean_of_real_numbers_needs_no_shortcut(last: Callable[..., nn.Module]) -> None:
    """Convolution, BatchNorm, mean over the image, dense layer."""
    torch.manual_seed(0)
    model = settled(
        nn.Sequential(
            BinaryConv2d(3, 8, 3, METHOD, padding=1, source=PIXELS),
            nn.BatchNorm2d(8),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            last(8, 4),
        ),
        PIXELS,
    )
    graph = lower(model, PIXELS, weight_bits=14)
    assert graph.fraction == 18
    u = integers(PIXELS, 60)
    with torch.no_grad():
        logits = model(floats(PIXELS, u)).numpy()
    (result,) = measure(model, PIXELS, u, logits.argmax(1), fractions=[16], weight_bits=14)
    assert result.weight_bits == (14 if last is nn.Linear else None)
    assert result.largest < 2e-3 * result.spread + 2e-3
    assert check_accuracy(model, graph, u, logits.argmax(1)).differing <= 1


def test_two_sums_in_front_of_a_mean_and_a_free_maxout_lower() -> None:
    """AdaBin as published: real offsets, slopes of any sign, zeros outside the image."""
    torch.manual_seed(0)
    method = get("adabin", mode="exact", form="code", maxout="free")
    first, second = BinaryActivation(3, method), BinaryActivation(8, method)
    slopes = method.make_nonlinearity(8)
    assert slopes is not None
    slopes.negative.data[:3] = -0.6  # type: ignore[operator]
    model = settled(
        nn.Sequential(
            nn.BatchNorm2d(3),
            first,
            BinaryConv2d(3, 8, 3, method, padding=1, source=first),
            nn.BatchNorm2d(8),
            slopes,
            second,
            BinaryConv2d(8, 8, 3, method, padding=1, source=second),
            nn.BatchNorm2d(8),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            QuantLinear(8, 3),
        ),
        PIXELS,
    )
    graph = lower(model, PIXELS)
    assert graph.fraction == 18
    u = integers(PIXELS, 40)
    assert compare(model, graph, u).differing == 0
    with torch.no_grad():
        classes = model(floats(PIXELS, u)).argmax(1).numpy()
    (result,) = measure(model, PIXELS, u, classes, fractions=[16])
    assert result.agreement > 0.9


def step_of(graph: Graph) -> int:
    return int(np.abs(graph.of_type(Dot)[0].weights).max())


@pytest.mark.parametrize("bits", [2, 8, 16])
def test_weights_are_rounded_to_the_bits_that_are_asked_for(bits: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 12)
    layer = quantised(PlainWeights("layer 'a'", weight, None), None, bits)
    codes = layer.weight.codes()
    levels = (1 << (bits - 1)) - 1
    step = weight.abs().amax(dim=1, keepdim=True) / levels
    assert int(codes.integers.abs().max()) == levels
    off = codes.integers * step - weight
    assert (off.abs() <= step * 0.5001).all()
    model = nn.Sequential(nn.Linear(12, 4)).eval()
    graph = lower(model, ROW, weight_bits=bits)
    assert step_of(graph) == levels
    assert f"weights of '0' rounded to {bits} bits" in explain(model, ROW, weight_bits=bits).verdict


def test_rounded_weights_are_no_exact_graph() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 4)).eval()
    graph = lower(model, ROW, weight_bits=3)
    u = integers(ROW, 400)
    with torch.no_grad():
        classes = model(floats(ROW, u)).argmax(1).numpy()
    assert not graph.is_exact
    assert hwbnn.simulate(graph, u)[:, 0].tolist() != classes.tolist()
    check = check_accuracy(model, graph, u, classes, tolerance=0.5)
    assert 0 < check.differing < 200
    with pytest.raises(InputError, match="weight_bits: expected an integer from 2 to 16, found 1"):
        lower(model, ROW, weight_bits=1)


def test_a_planted_fault_is_seen() -> None:
    """One weight of another sign, and the Graph is no longer the model's."""
    torch.manual_seed(0)
    model = settled(
        nn.Sequential(
            QuantLinear(12, 8, source=ROW),
            nn.BatchNorm1d(8),
            BinaryActivation(8, METHOD),
            QuantLinear(8, 3),
        ),
        ROW,
    )
    graph = lower(model, ROW)
    first = graph.of_type(Dot)[0]
    weights = first.weights.copy()
    weights[0, int(np.abs(weights[0]).argmax())] *= -1
    nodes = [n if n is not first else Dot(n.name, n.source, weights) for n in graph.nodes]
    assert compare(model, Graph(tuple(nodes)), integers(ROW, 300)).differing > 0
    assert not graph.of_type(Rescale)
