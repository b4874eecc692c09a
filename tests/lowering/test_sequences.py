"""Networks over sequences: one-dimensional layers as images of one row, exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Conv2d, Graph, Input
from hwbnn.lowering import check_accuracy, compare, floats, lower
from hwbnn.nn import BinaryActivation, BinaryConv1d, BinaryLinear
from hwbnn.simulators import simulate
from hwbnn.training import predict
from tests.lowering.models import METHOD, random_integers
from tests.lowering.test_as_people_write import trained
from tests.lowering.test_refuse import Forward

SOURCE = Input("x", (1, 24, 3), -8, 7, scale=0.25)
"""Three channels of 24 samples."""


def block(inputs: int, outputs: int, **more: Any) -> list[nn.Module]:
    layer = BinaryConv1d(inputs, outputs, 3, METHOD, padding=1, **more)
    return [layer, nn.BatchNorm1d(outputs), BinaryActivation(outputs, METHOD)]


def spotter(*middle: nn.Module, first: nn.Module | None = None, reads: int = 8) -> nn.Module:
    """A small keyword spotter."""
    torch.manual_seed(3)
    front = block(3, 8, source=SOURCE)
    front[0] = first or front[0]
    return trained(nn.Sequential(*front, *middle, nn.Flatten(), BinaryLinear(reads, 4, METHOD)))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "a convolution": lambda: spotter(*block(8, 6), reads=144),
    "a pool behind the activation": lambda: spotter(nn.MaxPool1d(2), *block(8, 5), reads=60),
    "a pool of three with padding": lambda: spotter(nn.MaxPool1d(3, 2, 1), reads=96),
    "stride and groups": lambda: spotter(
        BinaryConv1d(8, 8, 5, METHOD, stride=2, groups=4, padding=(1, 3)),
        nn.PReLU(8),
        nn.MaxPool1d(2),
        nn.BatchNorm1d(8),
        BinaryActivation(8, METHOD),
        reads=48,
    ),
    "a mean of everything": lambda: spotter(
        nn.AdaptiveAvgPool1d(1), nn.BatchNorm1d(8), BinaryActivation(8, METHOD)
    ),
    "means of four": lambda: spotter(nn.AvgPool1d(4), BinaryActivation(8, METHOD), reads=48),
    "same": lambda: spotter(
        BinaryConv1d(8, 4, 4, METHOD, padding="same", pad=1),
        nn.BatchNorm1d(4),
        BinaryActivation(4, METHOD),
        reads=96,
    ),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_over_sequences_lowers_to_the_same_classes(kind: str) -> None:
    model = NETWORKS[kind]()
    graph = lower(model, SOURCE)
    u = random_integers(SOURCE, 300, 2)
    # Apart from the lowering: (batch, channels, length) by hand.
    x = torch.from_numpy(u[:, 0].transpose(0, 2, 1).copy()).float() * 0.25
    with torch.no_grad():
        wanted = model(x).argmax(dim=1).numpy()
    assert len(np.unique(wanted)) > 1
    for engine in ("plain", "fast"):
        np.testing.assert_array_equal(simulate(graph, u, engine=engine)[:, 0], wanted)
    assert not compare(model, graph, u).differing
    np.testing.assert_array_equal(predict(model, SOURCE, u), wanted)
    assert check_accuracy(model, graph, u, wanted).differing == 0


@pytest.mark.parametrize("dilation", [1, 3])
def test_real_convolutions_over_sequences_are_rounded_as_those_of_images(dilation: int) -> None:
    torch.manual_seed(0)
    real = nn.Conv1d(3, 8, 3, padding=dilation, dilation=dilation)
    real.weight.data = (real.weight.data * 20).round().clamp(-7, 7)
    model = spotter(first=real, reads=192)
    graph = lower(model, SOURCE)
    assert graph.is_exact
    node = graph.nodes[1]
    assert isinstance(node, Conv2d)
    assert node.kernel == (1, 2 * dilation + 1)
    u = random_integers(SOURCE, 200, 4)
    with torch.no_grad():
        wanted = model(floats(SOURCE, u, is_sequence=True)).argmax(dim=1).numpy()
    np.testing.assert_array_equal(simulate(graph, u)[:, 0], wanted)


def test_functions_over_sequences() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.first(x)
        x = y + m.bias.view(1, -1, 1).expand_as(y)
        x = functional.max_pool1d(m.sign(m.norm(x)), 2)
        x = functional.conv1d(x, m.own.weight.sign(), padding=1)
        return m.last(m.third(m.other(functional.hardtanh(x)).mean(dim=2)))

    torch.manual_seed(0)
    model = Forward(
        forward,
        first=BinaryConv1d(3, 8, 3, METHOD, source=SOURCE, padding=1),
        bias=nn.Parameter(torch.randn(8)),
        norm=nn.BatchNorm1d(8),
        sign=BinaryActivation(8, METHOD),
        own=nn.Conv1d(8, 6, 3),
        other=BinaryActivation(6, METHOD),
        third=BinaryActivation(6, METHOD),
        last=BinaryLinear(6, 4, METHOD),
    )
    graph = lower(trained(model), SOURCE)
    u = random_integers(SOURCE, 200, 4)
    assert graph.is_exact
    assert not compare(model, graph, u).differing


def test_a_tap_read_from_the_wrong_side_is_seen() -> None:
    model = NETWORKS["a convolution"]()
    graph = lower(model, SOURCE)
    old = graph.nodes[1]
    assert isinstance(old, Conv2d)
    turned = Conv2d(old.name, old.source, old.weights[:, :, ::-1], old.stride, old.padding)
    wrong = Graph((graph.nodes[0], turned, *graph.nodes[2:]))
    assert compare(model, wrong, random_integers(SOURCE, 20, 0)).differing


def test_what_is_no_sequence_is_told_what_to_give() -> None:
    rows = Input("x", (24, 3), -8, 7, scale=0.25)
    with pytest.raises(CannotLower, match=r"for sequences give Input the shape \(1, length, ch"):
        lower(spotter(reads=192), rows)
    with pytest.raises(InputError, match=r"expected an input of shape \(batch, 3, length\), found"):
        BinaryConv1d(3, 8, 3, METHOD)(torch.zeros(2, 3, 1, 24))
    for wrong in ({"kernel": (3, 3)}, {"stride": 0}, {"padding": (1, 2, 3)}, {"dilation": 2}):
        given: dict[str, Any] = {"kernel": 3, **wrong}
        with pytest.raises(InputError, match=f"BinaryConv.d: {next(iter(wrong))}: expected"):
            BinaryConv1d(3, 8, given.pop("kernel"), METHOD, **given)
