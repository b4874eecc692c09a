"""Values side by side: networks that join channels lower exactly where these have integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.errors import CannotLower
from hwbnn.graph import Concat, Graph, Input, Select
from hwbnn.lowering import compare, floats, lower
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear
from hwbnn.simulators import simulate
from tests.lowering.models import METHOD, random_integers
from tests.lowering.test_as_people_write import trained

SOURCE = Input.pixels((6, 5, 2))


def unit(inputs: int, outputs: int, source: Input | None = None) -> nn.Sequential:
    return nn.Sequential(
        BinaryConv2d(inputs, outputs, 3, METHOD, padding=1, source=source),
        nn.BatchNorm2d(outputs),
        BinaryActivation(outputs, METHOD),
    )


class Joined(nn.Module):
    """A stem, two branches of it, and a head behind what ``join`` makes of the three."""

    def __init__(self, join: Callable[[Any, Tensor], Tensor], channels: int) -> None:
        super().__init__()
        self.stem, self.one, self.two = unit(2, 6, SOURCE), unit(6, 4), unit(6, 5)
        self.sums = BinaryConv2d(6, 3, 3, METHOD, padding=1)
        self.more = BinaryConv2d(4, 6, 3, METHOD, padding=1)
        self.three = unit(3, 3)
        self.join = join
        self.norm, self.sign = nn.BatchNorm2d(channels), BinaryActivation(channels, METHOD)
        self.head = unit(channels, 4)
        self.last = BinaryLinear(120, 3, METHOD)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.head(self.join(self, self.stem(x))).flatten(1))


def network(join: Callable[[Any, Tensor], Tensor], channels: int) -> nn.Module:
    torch.manual_seed(1)
    return trained(Joined(join, channels))


def shuffle_unit(m: Any, x: Tensor) -> Tensor:
    """As ShuffleNet's: half of the channels past a convolution, then all shuffled."""
    left, right = x.chunk(2, dim=1)
    return functional.channel_shuffle(torch.cat([left, m.three(right)], 1), 2)


EXACT: dict[str, tuple[Callable[[Any, Tensor], Tensor], int]] = {
    "bits of two branches": (lambda m, x: torch.cat([m.one(x), m.two(x)], 1), 9),
    "bits and what they read": (lambda m, x: torch.cat((x, m.two(x)), dim=1), 11),
    "three values": (lambda m, x: torch.concat([m.two(x), x, m.one(x)], dim=-3), 15),
    "a value twice": (lambda m, x: torch.cat([x, x], 1), 12),
    "pooled bits": (
        lambda m, x: torch.cat([functional.max_pool2d(m.one(x), 3, 1, 1), m.two(x)], 1),
        9,
    ),
    "sums in front of one BatchNorm": (
        lambda m, x: m.sign(m.norm(torch.cat([m.sums(x), m.more(m.one(x))], 1))),
        9,
    ),
    "sums with a BatchNorm each": (
        lambda m, x: m.sign(torch.cat([m.stem[1](m.more(m.one(x))), m.sums(x) * 0.25 - 1], 1)),
        9,
    ),
}


def same(model: nn.Module, graph: Graph, source: Input = SOURCE) -> None:
    u = random_integers(source, 200, 2)
    with torch.no_grad():
        wanted = model(floats(source, u)).argmax(dim=1).numpy()
    assert len(np.unique(wanted)) > 1
    for engine in ("plain", "fast"):
        np.testing.assert_array_equal(simulate(graph, u, engine=engine)[:, 0], wanted)


@pytest.mark.parametrize("kind", EXACT)
def test_channels_side_by_side_are_exact(kind: str) -> None:
    model = network(*EXACT[kind])
    graph = lower(model, SOURCE)
    assert graph.is_exact
    assert len(graph.of_type(Concat)) == (2 if kind == "three values" else 1)
    same(model, graph)


def test_values_in_the_wrong_order_are_seen() -> None:
    model = network(*EXACT["bits of two branches"])
    graph = lower(model, SOURCE)
    nodes = [Concat(n.name, n.other, n.source) if isinstance(n, Concat) else n for n in graph.nodes]
    assert compare(model, Graph(tuple(nodes)), random_integers(SOURCE, 30, 0)).differing


def test_bits_beside_real_numbers_become_fixed_point() -> None:
    def join(m: Any, x: Tensor) -> Tensor:
        return m.sign(m.norm(torch.cat([m.one(x), m.stem[1](m.more(m.one(x)))], 1)))

    model = network(join, 10)
    graph = lower(model, SOURCE)
    assert graph.fraction is not None
    assert not compare(model, graph, random_integers(SOURCE, 60, 1)).differing


def test_a_dense_block_grows_exactly() -> None:
    class Dense(nn.Module):
        """Each layer reads all sums before it, as BinaryDenseNet's do."""

        def __init__(self) -> None:
            super().__init__()
            self.stem = BinaryConv2d(2, 4, 3, METHOD, padding=1, source=SOURCE)
            widths = (4, 7, 10)
            self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in widths)
            self.signs = nn.ModuleList(BinaryActivation(n, METHOD) for n in widths)
            self.convs = nn.ModuleList(
                BinaryConv2d(n, 3, 3, METHOD, padding=1) for n in widths[:-1]
            )
            self.last = BinaryLinear(300, 3, METHOD)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            for k in range(2):
                x = torch.cat([x, self.convs[k](self.signs[k](self.norms[k](x)))], 1)
            return self.last(self.signs[2](self.norms[2](x)).flatten(1))

    torch.manual_seed(2)
    model = trained(Dense())
    graph = lower(model, SOURCE)
    assert graph.is_exact
    assert len(graph.of_type(Concat)) == 2
    same(model, graph)


def test_rows_side_by_side_keep_the_order_of_flattened_images() -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.one = unit(2, 3, SOURCE), unit(3, 2)
            self.last = BinaryLinear(150, 4, METHOD)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            return self.last(torch.cat([self.one(x).flatten(1), x.flatten(1)], -1))

    torch.manual_seed(3)
    model = trained(Rows())
    same(model, lower(model, SOURCE))


CHOSEN: dict[str, tuple[Callable[[Any, Tensor], Tensor], int]] = {
    "the first channels": (lambda m, x: x[:, :4], 4),
    "every second channel": (lambda m, x: x[:, 1::2], 3),
    "channels by number": (lambda m, x: x[:, [5, 0, 3]], 3),
    "turned round": (lambda m, x: x.flip(1), 6),
    "shuffled": (lambda m, x: functional.channel_shuffle(x, 3), 6),
    "half of what there is": (lambda m, x: x[:, : x.size(1) // 2], 3),
    "a unit of ShuffleNet": (shuffle_unit, 6),
    "a part of a split": (lambda m, x: torch.split(x, [1, 3, 2], 1)[1], 3),
    "narrow": (lambda m, x: torch.narrow(x, 1, 2, 3), 3),
    "sums in front of a BatchNorm": (lambda m, x: m.sign(m.norm(m.more(m.one(x))[:, 2:])), 4),
}


@pytest.mark.parametrize("kind", CHOSEN)
def test_a_choice_of_channels_is_exact(kind: str) -> None:
    model = network(*CHOSEN[kind])
    graph = lower(model, SOURCE)
    assert graph.is_exact
    assert graph.of_type(Select)
    same(model, graph)


def test_elements_of_a_flattened_image_are_those_of_torch() -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.last = unit(2, 3, SOURCE), BinaryLinear(40, 4, METHOD)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.stem(x).flatten(1)[:, 30:70])

    torch.manual_seed(3)
    model = trained(Rows())
    same(model, lower(model, SOURCE))


@pytest.mark.parametrize(
    "join",
    [
        lambda m, x: x[:, :, ::2],
        lambda m, x: x.flip(2),
        lambda m, x: x[:, [0, 1, 1, 2]],
        lambda m, x: functional.channel_shuffle(x, 2).flip(3),
    ],
    ids=["rows", "rows turned round", "a channel twice", "columns turned round"],
)
def test_other_choices_are_refused_by_name(join: Callable[[Any, Tensor], Tensor]) -> None:
    class Net(Joined):
        def forward(self, x: Tensor) -> Tensor:
            return self.join(self, self.stem(x)).flatten(1)

    with pytest.raises(CannotLower, match=r"in the model: expected a choice of channels, each on"):
        lower(trained(Net(join, 4)), SOURCE, output="scores")


def stacked(m: Any, x: Tensor) -> Tensor:
    return functional.max_pool2d(torch.cat([m.one(x), m.one(x)], 2), (2, 1))


@pytest.mark.parametrize(
    ("join", "channels", "said"),
    [
        (stacked, 4, "expected cat([a, b], dim=1), the channels of several values, found dim=2"),
        (lambda m, x: torch.cat([m.one(x), torch.zeros_like(x)], 1), 10, "found a constant"),
    ],
)
def test_other_joins_are_refused_by_name(
    join: Callable[[Any, Tensor], Tensor], channels: int, said: str
) -> None:
    with pytest.raises(CannotLower) as caught:
        lower(network(join, channels), SOURCE)
    assert said in str(caught.value)
    assert "function 'cat' in the model" in str(caught.value)
    assert "\n" not in str(caught.value)
