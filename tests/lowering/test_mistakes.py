"""Mistakes of newcomers: each is answered in one line with their layer and a remedy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwbnn import methods
from hwbnn.errors import HwbnnError, TrainingMode
from hwbnn.graph import Input, SumPool
from hwbnn.lowering import compare, lower
from hwbnn.lowering.value import GraphBuilder
from hwbnn.methods import Method
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear
from tests.lowering.models import METHOD

LEVELS = Input("x", (20,), 0, 16, scale=1 / 16)
IMAGE = Input("x", (6, 6, 2), 0, 16, scale=1 / 16)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Added(nn.Module):
    """Two branches of different shapes that meet in a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = BinaryConv2d(2, 4, 3, METHOD, padding=1, source=IMAGE)
        self.left = nn.BatchNorm2d(4)
        self.right = nn.AvgPool2d(6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        return self.left(y) + self.right(y)


class Ended(nn.Module):
    """A network with a function of its own at the end."""

    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.end = dense(*normal()), end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.body(x))


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is going
        module: nn.Module = torch.jit.trace(dense(*normal()), torch.zeros(1, 20))
    return module


def dense(*between: nn.Module, first: nn.Module | None = None, width: int = 8) -> nn.Sequential:
    """A network of two layers, named as Sequential does, with these modules between."""
    head = first or BinaryLinear(20, 8, METHOD, source=LEVELS)
    return nn.Sequential(head, *between, BinaryLinear(width, 3, METHOD), nn.BatchNorm1d(3)).eval()


def normal() -> list[nn.Module]:
    return [nn.BatchNorm1d(8), BinaryActivation(8, METHOD)]


def image(*between: nn.Module, source: Input = IMAGE) -> nn.Sequential:
    head = BinaryConv2d(2, 4, 3, METHOD, padding=1, source=source)
    return nn.Sequential(head, *between).eval()


MISTAKES: dict[str, tuple[Callable[[], Any], Any, tuple[str, ...]]] = {
    "no source": (
        lambda: dense(*normal(), first=BinaryLinear(20, 8, METHOD)),
        LEVELS,
        ("layer '0' (BinaryLinear)", "make it with source=input"),
    ),
    "another input": (
        lambda: dense(*normal()),
        Input("x", (20,), 0, 16, scale=1 / 8),
        ("layer '0' (BinaryLinear)", "was made for x = 0.0625 * u", "the input says x = 0.125"),
    ),
    "no input": (lambda: dense(*normal()), None, ("expected hwbnn.Input", "found nothing")),
    "a shape for an input": (lambda: dense(*normal()), (20,), ("hwbnn.Input", "found tuple")),
    "no activation": (
        dense,
        LEVELS,
        ("layer '1' (BinaryLinear)", "put a BinaryActivation before it"),
    ),
    "a ReLU for an activation": (
        lambda: dense(nn.BatchNorm1d(8), nn.ReLU()),
        LEVELS,
        ("layer '3' (BinaryLinear)", "layer '2' (ReLU)", "put a BinaryActivation before it"),
    ),
    "a smooth function": (
        lambda: dense(nn.GELU(), *normal()),
        LEVELS,
        ("layer '1' (GELU)", "use nn.Hardtanh, nn.ReLU or nn.PReLU"),
    ),
    "another normalisation": (
        lambda: dense(nn.LayerNorm(8), BinaryActivation(8, METHOD)),
        LEVELS,
        ("layer '1' (LayerNorm)", "BatchNorm"),
    ),
    "channels of an activation": (
        lambda: dense(nn.BatchNorm1d(8), BinaryActivation(5, METHOD)),
        LEVELS,
        ("layer '2' (BinaryActivation)", "was made for 5 channels, but reads 8"),
    ),
    "channels of an activation on images": (
        lambda: image(BinaryActivation(2, METHOD)),
        IMAGE,
        ("layer '1' (BinaryActivation)", "was made for 2 channels, but reads 4"),
    ),
    "sizes that do not match": (
        lambda: dense(*normal(), width=16),
        LEVELS,
        ("layer '3' (BinaryLinear), which reads (2, 8)", "expected an input of shape (batch, 16)"),
    ),
    "an image with its channels first": (
        lambda: image(source=Input("x", (2, 6, 6), 0, 16, scale=1 / 16)),
        Input("x", (2, 6, 6), 0, 16, scale=1 / 16),
        ("layer '0' (BinaryConv2d)", "(height, width, channels) = (2, 6, 6)", "(2, 6, 2, 6)"),
    ),
    "a branch on values": (Branching, LEVELS, ("Branching", "branches on values")),
    "an argument too many": (
        lambda: nn.Sequential(nn.Bilinear(20, 20, 2)),
        LEVELS,
        ("layer '0' (Bilinear), which reads (2, 20)", "missing 1 required"),
    ),
    "a softmax": (
        lambda: nn.Sequential(*dense(*normal()), nn.Softmax(1)),
        LEVELS,
        ("layer '5' (Softmax)", "return the logits"),
    ),
    "a softmax as a function": (
        lambda: Ended(lambda y: torch.log_softmax(y, 1)),
        LEVELS,
        ("function 'log_softmax' in the model", "return the logits"),
    ),
    "the class itself": (
        lambda: Ended(lambda y: y.argmax(1)),
        LEVELS,
        ("function 'argmax' in the model", "return the logits"),
    ),
    "a sigmoid as a function": (
        lambda: Ended(torch.sigmoid),
        LEVELS,
        ("function 'sigmoid' in the model", "BCEWithLogitsLoss"),
    ),
    "a smooth function as a method": (
        lambda: Ended(lambda y: y.tanh()),
        LEVELS,
        ("function 'tanh' in the model", "use nn.Hardtanh, nn.ReLU or nn.PReLU"),
    ),
    "a module of torch.jit": (
        scripted,
        LEVELS,
        ("a module of torch.jit", "give the model that it was made of"),
    ),
    "branches of two shapes": (
        Added,
        IMAGE,
        ("function 'add' in the model", "layer 'stem'", "(6, 6, 4) and (1, 1, 4)"),
    ),
    "a class": (
        lambda: BinaryLinear,
        LEVELS,
        ("expected a torch module, found the class BinaryLinear",),
    ),
    "a state": (lambda: dense(*normal()).state_dict(), LEVELS, ("expected a torch module",)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_in_one_line_with_the_layer_and_a_remedy(mistake: str) -> None:
    make, source, said = MISTAKES[mistake]
    with pytest.raises(HwbnnError) as caught:
        lower(make(), source)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    for part in said:
        assert part in message


@pytest.mark.parametrize("method", [METHOD, methods.get("xnor_net")])
def test_a_mean_of_real_numbers_is_fixed_point_and_exact_right_behind_bits(method: Method) -> None:
    bits = Input.bits((6, 6, 2))
    head = BinaryConv2d(2, 4, 3, method, padding=1)
    tail = BinaryActivation(4, METHOD), nn.Flatten(), BinaryLinear(36, 3, METHOD)
    real = nn.Sequential(head, nn.BatchNorm2d(4), nn.AvgPool2d(2), *tail).eval()
    assert lower(real, bits).fraction == 18
    of_bits = nn.Sequential(head, nn.BatchNorm2d(4), BinaryActivation(4, METHOD), nn.AvgPool2d(2))
    assert lower(nn.Sequential(*of_bits, *tail).eval(), bits).is_exact


def test_names_of_nodes_never_stand_for_layers() -> None:
    """What the Graph refuses is said of the layer, whose name a person knows."""
    build = GraphBuilder(label="layer 'block.pool' (AvgPool2d)")
    build.add(Input.bits((2, 2, 1)))
    with pytest.raises(HwbnnError, match=r"layer 'block.pool' \(AvgPool2d\): ") as caught:
        build.add(SumPool("sum_1", "x", (3, 3), (1, 1)))
    assert "sum_1" not in str(caught.value)


@pytest.mark.parametrize("part", ["0", "1", "2"])
def test_a_model_in_training_mode_is_told_of(part: str) -> None:
    """Its own accuracy, measured without ``eval()``, would be that of another network."""
    model = dense(*normal())
    x = np.zeros((2, 20), int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = lower(model, LEVELS)
        compare(model, graph, x)
    model.get_submodule(part).train()  # one part alone, whichever, is enough
    with pytest.warns(
        TrainingMode, match=rf"^Sequential: layer '{part}' .*model\.eval\(\)"
    ) as told:
        assert lower(model, LEVELS).digest == graph.digest
    with pytest.warns(TrainingMode, match=rf"^Sequential: layer '{part}' ") as told_too:
        compare(nn.DataParallel(model.train()) if part == "0" else model, graph, x)
    assert {Path(w.filename).name for w in (*told, *told_too)} == {Path(__file__).name}
    assert len(told) == len(told_too) == 1
    assert model.get_submodule(part).training
