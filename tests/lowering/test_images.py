"""Convolutions and pools: every code equal to the network's, at every place; faults are caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwbnn import methods
from hwbnn.errors import CannotLower, Mismatch
from hwbnn.graph import Conv2d, Dot, Graph, Input, Lookup, MaxPool, Node, Select, SumPool, Threshold
from hwbnn.lowering import compare, explain, floats, lower
from hwbnn.methods import Method
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear
from hwbnn.simulators import simulate
from tests.lowering.models import METHOD, random_integers

BITS = Input.bits((9, 10, 4))
PIXELS = Input("x", (9, 10, 4), 0, 15, scale=2 / 15, offset=-1.0)
METHODS = {
    "ste": METHOD,
    "adabin": methods.get("adabin"),
    "adabin_exact": methods.get("adabin", mode="exact"),
    "multibit": methods.get("binary_l2", bits=2),
    "react_net": methods.get("react_net"),
}


def shaken(model: nn.Module, seed: int) -> nn.Module:
    """Gains of both signs and zero, ties, sets of two numbers that are no bits; evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            size = module.weight.shape
            module.weight.data.copy_(torch.randn(size, generator=generator))
            module.weight.data[0] = 0.0
            module.bias.data.copy_(torch.randn(size, generator=generator).round())
            mean = (torch.randn(size, generator=generator) * 3).round()
            module.running_mean.copy_(mean)  # type: ignore[union-attr]
            spread = torch.rand(size, generator=generator) * 30 + 1
            module.running_var.copy_(spread)  # type: ignore[union-attr]
        if isinstance(module, BinaryActivation) and hasattr(module.quantizer, "alpha"):
            module.quantizer.alpha.data.fill_(0.7)  # type: ignore[operator, union-attr]
            module.quantizer.beta.data.fill_(0.3)  # type: ignore[operator, union-attr]
    return model.eval()


def activation(method: Method, channels: int) -> list[nn.Module]:
    between = method.make_nonlinearity(channels)
    return [*([] if between is None else [between]), BinaryActivation(channels, method)]


def read(layers: list[nn.Module], source: Input) -> Any:
    """What a layer behind these reads: an activation whose codes stand for other numbers."""
    last = next((m for m in reversed(layers) if isinstance(m, BinaryActivation)), None)
    if last is None:
        return source
    return last if last.quantizer.is_mapped else None


def network(method: Method, source: Input, seed: int) -> nn.Sequential:
    """Two convolutions of every kind, pools before and after BatchNorm and activation, logits."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    channels = source.shape[2]
    for out in (6, 4):
        kernel = int(rng.choice((1, 3, 5)))
        padding: Any = rng.choice(("none", "same", "uneven", "both"))
        sides = {"none": 0, "same": kernel // 2, "both": (kernel // 2, 0)}
        padding = sides.get(padding, (0, kernel // 2, kernel // 2, 0))
        given = read(layers, source)
        pad = int(rng.choice((-1, 0, 1))) if given is None or given is BITS else 0
        groups = int(rng.choice([g for g in (1, 2, channels) if out % g == channels % g == 0]))
        stride = (1, 1) if layers and kernel == 5 else tuple(int(n) for n in rng.integers(1, 3, 2))
        layers.append(
            BinaryConv2d(
                channels,
                out,
                kernel,
                method,
                stride=stride,
                padding=padding,
                pad=pad,  # type: ignore[arg-type]
                groups=groups,
                source=given,
            )
        )
        norm, codes, pool = nn.BatchNorm2d(out), activation(method, out), nn.MaxPool2d(2, 1)
        ceil = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        pool = (pool, ceil)[rng.integers(2)]
        orders = ([pool, norm, *codes], [norm, pool, *codes], [norm, *codes, pool], [norm, *codes])
        layers += orders[rng.integers(4)]
        channels = out
        if (
            min(
                nn.Sequential(*layers)
                .eval()(floats(source, np.full((1, *source.shape), source.low)))
                .shape[2:]
            )
            < 5
        ):
            break
    body = nn.Sequential(*layers, nn.Flatten()).eval()
    size = body(floats(source, np.full((1, *source.shape), source.low))).shape[1]
    logits = BinaryLinear(size, 5, method.logits(), source=read(layers, source))
    return nn.Sequential(*body, logits, nn.BatchNorm1d(5))


def frames(source: Input, count: int, seed: int) -> NDArray[np.int64]:
    """Random inputs, half of them with corners of the image at the ends of the range."""
    x = random_integers(source, count, seed)
    x[::2, 0, 0], x[::2, -1, -1] = source.low, source.high
    return x


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("source", [BITS, PIXELS], ids=["bits", "integers"])
@pytest.mark.parametrize("seed", range(4))
def test_random_networks_have_every_code_of_the_floats(name: str, source: Input, seed: int) -> None:
    if name == "adabin_exact" and not source.bit:
        source = BITS
        seed += 100
    model = shaken(network(METHODS[name], source, seed), seed)
    graph = lower(model, source)
    found = compare(model, graph, frames(source, 24, seed))
    assert found.differing == 0
    activations = sum(isinstance(m, BinaryActivation) for m in model)
    assert len(found.nodes) == activations + 2


@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
def test_a_pool_is_or_or_and_by_the_sign_of_the_gain(before: bool) -> None:
    torch.manual_seed(0)
    norm, pool = nn.BatchNorm2d(4), nn.MaxPool2d(2)
    norm.weight.data = torch.tensor([1.0, -1.0, 0.0, -0.5])
    middle = [pool, norm] if before else [norm, pool]
    model = nn.Sequential(BinaryConv2d(4, 4, 3, METHOD), *middle, BinaryActivation(4, METHOD))
    graph = lower(model.eval(), BITS, output="scores")
    (node,) = graph.of_type(MaxPool)
    assert isinstance(graph.node(node.source), Threshold)
    smallest = np.zeros(4, np.bool_) if node.smallest is None else node.smallest
    assert smallest.tolist() == ([False, True, False, True] if before else [False] * 4)
    assert compare(model, graph, frames(BITS, 30, 1)).differing == 0


def test_channels_that_rise_and_fall_behind_a_pool_are_pooled_as_integers() -> None:
    torch.manual_seed(0)
    bend = nn.PReLU(4, init=-1.0)
    norm = nn.BatchNorm2d(4)
    norm.running_mean.fill_(2.5)  # type: ignore[union-attr]
    pool = nn.MaxPool2d(2)
    for middle, kinds in (([pool, bend], [MaxPool, Lookup]), ([bend, pool], [Lookup, MaxPool])):
        layers = [BinaryConv2d(4, 4, 3, METHOD), *middle, norm, BinaryActivation(4, METHOD)]
        model = nn.Sequential(*layers).eval()
        graph = lower(model, BITS, output="scores")
        assert [type(n) for n in graph.nodes[2:4]] == kinds
        assert compare(model, graph, frames(BITS, 30, 1)).differing == 0


def test_means_are_sums_whose_divisor_is_in_what_follows() -> None:
    means: tuple[Callable[[Tensor], Tensor], ...] = (
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 2, 1),
        nn.AdaptiveAvgPool2d(1),
        lambda x: x.mean((2, 3), keepdim=True),
        lambda x: nn.functional.avg_pool2d(x, 2),
    )

    class Means(nn.Module):
        def __init__(self, mean: Callable[[Tensor], Tensor]) -> None:
            super().__init__()
            self.conv, self.norm = BinaryConv2d(4, 6, 3, METHOD), nn.BatchNorm2d(6)
            self.codes, self.mean = BinaryActivation(6, METHOD), mean

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.codes(self.norm(self.mean(self.conv(x))))
            return out

    for seed, mean in enumerate(means):
        torch.manual_seed(seed)
        model = shaken(Means(mean), seed)
        graph = lower(model, BITS, output="scores")
        assert len(graph.of_type(SumPool)) == 1
        assert compare(model, graph, frames(BITS, 30, seed)).differing == 0


def test_logits_of_an_image_come_in_the_order_of_torch() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(BinaryConv2d(4, 3, 3, METHOD, stride=3), nn.Flatten()).eval()
    graph = lower(model, BITS)
    assert len(graph.of_type(Select)) == 1
    assert compare(model, graph, frames(BITS, 60, 0)).differing == 0


@pytest.fixture
def faulty() -> tuple[nn.Module, Graph]:
    """A network of zero-padded integers, a pool, falling channels and a flattened image."""
    torch.manual_seed(3)
    first = BinaryConv2d(4, 6, 3, METHOD, padding=1, source=PIXELS)
    layers = [first, nn.MaxPool2d(3), nn.BatchNorm2d(6), BinaryActivation(6, METHOD), nn.Flatten()]
    layers += [BinaryLinear(54, 5, METHOD), nn.BatchNorm1d(5), BinaryActivation(5, METHOD)]
    layers += [BinaryLinear(5, 3, METHOD)]
    model = nn.Sequential(*layers)
    norm: Any = model[2]
    norm.weight.data = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    norm.running_mean.copy_(torch.tensor([5.0, 6.0, 4.0, 5.0, 7.0, 6.0]))
    model.eval()
    return model, lower(model, PIXELS)


def changed(graph: Graph, node: Node) -> Graph:
    return Graph(tuple(node if n.name == node.name else n for n in graph.nodes), graph.notes)


def test_planted_faults_are_seen(faulty: tuple[nn.Module, Graph]) -> None:
    model, graph = faulty
    x = frames(PIXELS, 400, 5)
    threshold, pool = graph.of_type(Threshold)[0], graph.of_type(MaxPool)[0]
    dot, conv = graph.of_type(Dot)[0], graph.of_type(Conv2d)[0]
    assert threshold.border_classes is not None
    assert pool.smallest is not None
    order = np.arange(54).reshape(3, 3, 6).transpose(2, 0, 1).ravel()
    corner = threshold.border_classes.copy()
    corner[0, 0] = threshold.border_classes[4, 4]
    window = np.roll(conv.weights, 1, axis=2)
    faults: dict[str, Node] = {
        "another border class": replace(threshold, border_classes=corner),
        "thresholds off by one": replace(threshold, thresholds=threshold.thresholds + 1),
        "OR for AND": replace(pool, smallest=None),
        "a flattened image in torch's order": replace(dot, weights=dot.weights[:, order]),
        "a window shifted by one": replace(conv, weights=window),
    }
    assert compare(model, graph, x).differing == 0
    for what, fault in faults.items():
        assert compare(model, changed(graph, fault), x).differing > 0, what


def test_lowering_itself_sees_a_wrong_border_class(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    conv = BinaryConv2d(4, 6, 3, METHOD, padding=1, source=PIXELS)
    model = nn.Sequential(conv, BinaryActivation(6, METHOD)).eval()
    right = BinaryConv2d.border_classes

    def turned(self: BinaryConv2d, height: int, width: int) -> Any:
        classes, count = right(self, height, width)
        return np.ascontiguousarray(classes[:, ::-1]), count

    monkeypatch.setattr(BinaryConv2d, "border_classes", turned)
    with pytest.raises(Mismatch, match="threshold_1"):
        lower(model, PIXELS, output="scores")


def test_what_is_said_of_images() -> None:
    torch.manual_seed(0)
    model = shaken(network(METHOD, PIXELS, 1), 1)
    lines = explain(model, PIXELS).lines
    assert "positions" in lines[0]
    assert any("border classes" in line or "thresholds" in line for line in lines)
    assert lines[-1].startswith("exact:")


def refused(model: nn.Module, source: Input = BITS) -> str:
    with pytest.raises(CannotLower) as caught:
        lower(model.eval(), source, output="scores")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refusals() -> None:
    def conv(**more: Any) -> BinaryConv2d:
        return BinaryConv2d(4, 4, 3, METHOD, **more)

    sign = BinaryActivation(4, METHOD)
    for layers, said in (
        ([conv(), nn.MaxPool2d(2, dilation=2), sign], "dilation"),
        ([conv(), nn.AvgPool2d(3, 2, 1, count_include_pad=False), sign], "count_include_pad"),
        ([conv(), nn.Conv2d(4, 4, 1, padding=1, padding_mode="reflect")], "padding_mode 'reflect'"),
        ([conv(), nn.BatchNorm2d(4), conv()], "put a BinaryActivation before it"),
        ([conv(), nn.AdaptiveAvgPool2d((2, 3)), sign], "expected sizes that divide it"),
        ([conv()], "expected logits in one axis"),
        ([nn.BatchNorm2d(4), conv(source=BITS)], "refuses an input"),
    ):
        norm = layers[0]
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean[1] = 0.4  # type: ignore[index]
        assert said in refused(nn.Sequential(*layers)), said


def test_values_are_channels_last() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(BinaryConv2d(4, 3, 3, METHOD), BinaryActivation(3, METHOD)).eval()
    graph = lower(model, BITS, output="scores")
    u = frames(BITS, 5, 0)
    with torch.no_grad():
        wanted = (model(floats(BITS, u)) == 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(simulate(graph, u), wanted)
