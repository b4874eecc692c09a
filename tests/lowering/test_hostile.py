"""Networks that no circuit computes, or only just: refused in a line, or exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwbnn.errors import CannotLower
from hwbnn.graph import Input, MaxPool, SumPool
from hwbnn.lowering import compare, lower
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear
from tests.lowering.models import METHOD
from tests.lowering.test_as_people_write import same_class

PIXELS = Input("x", (4, 4, 2), 0, 3, scale=0.5, offset=-0.75)


class Shortcut(nn.Module):
    """A block of any form between a stem and logits."""

    def __init__(self, block: Callable[[Shortcut, Tensor], Tensor], channels: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block = block
        self.stem = BinaryConv2d(2, 2, 3, METHOD, padding=1, source=PIXELS)
        self.norm = nn.BatchNorm2d(2)
        self.norm.weight.data.fill_(-1.5)
        self.relu = nn.ReLU(inplace=True)
        self.same = nn.Identity()
        self.codes = BinaryActivation(channels, METHOD)
        self.dense = BinaryLinear(32, 3, METHOD)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.dense(self.codes(self.block(self, self.stem(x))).flatten(1))
        return logits


def added_in_place(net: Shortcut, x: Tensor) -> Tensor:
    y = net.same(x)
    y += net.norm(x)
    return y + x


OVERWRITTEN: dict[str, Callable[[Shortcut, Tensor], Tensor]] = {
    "module": lambda net, x: net.norm(net.relu(x)) + x,
    "behind an alias": lambda net, x: net.relu(net.same(x)) + net.norm(x),
    "function": lambda net, x: nn.functional.relu(net.same(x), inplace=True) + net.norm(x),
    "read by the sum alone": lambda net, x: net.relu(x) + x,
}


@pytest.mark.parametrize("form", OVERWRITTEN)
def test_what_is_overwritten_in_place_and_read_again_is_refused(form: str) -> None:
    with pytest.raises(CannotLower, match="but a call in between works in place"):
        lower(Shortcut(OVERWRITTEN[form]), PIXELS, fraction=4)


def test_a_sum_in_place_into_what_is_read_again_is_refused() -> None:
    with pytest.raises(CannotLower, match=r"in place \(\+=\) to a value that is read again"):
        lower(Shortcut(added_in_place), PIXELS, fraction=4)


def test_what_works_in_place_on_values_of_its_own_is_lowered() -> None:
    lower(Shortcut(lambda net, x: net.relu(net.norm(x)) + x), PIXELS, fraction=4)


INTEGERS = Input("x", (4, 4, 2), -3, 3)


def pooled(pool: nn.Module, places: int = 16) -> nn.Sequential:
    torch.manual_seed(0)
    codes = BinaryActivation(2, METHOD)
    dense = BinaryLinear(2 * places, 3, METHOD)
    return nn.Sequential(BinaryConv2d(2, 2, 1, METHOD), pool, codes, nn.Flatten(), dense)


@pytest.mark.parametrize("size", [(None, None), (None, 4), (4, None), (4, 4)])
def test_an_adaptive_pool_to_the_images_own_size_sums_one_place(
    size: tuple[int | None, int | None],
) -> None:
    (node,) = lower(pooled(nn.AdaptiveAvgPool2d(size)), INTEGERS).of_type(SumPool)
    assert node.kernel == (1, 1)


@pytest.mark.parametrize(("size", "places"), [((None, 1), 4), ((2, None), 8), ((2, 2), 4)])
@pytest.mark.parametrize("kind", [nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d])
def test_an_adaptive_pool_that_divides_the_image_has_equal_windows(
    kind: Callable[..., nn.Module], size: tuple[int | None, int | None], places: int
) -> None:
    model = pooled(kind(size), places).eval()
    same_class(model, lower(model, INTEGERS), INTEGERS)
    assert lower(model, INTEGERS).of_type(SumPool if kind is nn.AdaptiveAvgPool2d else MaxPool)


@pytest.mark.parametrize("kind", [nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d])
def test_an_adaptive_pool_of_unequal_windows_is_refused(kind: Callable[..., nn.Module]) -> None:
    with pytest.raises(CannotLower, match=r"makes \(3, 2\) positions of an image of \(4, 4\)"):
        lower(pooled(kind((3, 2)), 6), INTEGERS)


def test_an_image_of_one_place_has_a_border_all_around() -> None:
    source = Input("x", (1, 1, 3), 0, 3, scale=0.5, offset=-0.75)
    torch.manual_seed(0)
    model = nn.Sequential(
        BinaryConv2d(3, 4, 3, METHOD, padding=1, source=source),
        nn.BatchNorm2d(4),
        BinaryActivation(4, METHOD),
        nn.Flatten(),
        BinaryLinear(4, 3, METHOD),
    )
    graph = lower(model, source)
    every = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 1, 1, 3)
    assert compare(model, graph, every).differing == 0


def test_a_border_as_wide_as_the_window_is_refused() -> None:
    model = nn.Sequential(
        BinaryConv2d(2, 4, (3, 1), METHOD, padding=(0, 0, 1, 0)),
        BinaryActivation(4, METHOD),
        nn.Flatten(),
        BinaryLinear(40, 3, METHOD),
    )
    with pytest.raises(CannotLower, match=r"layer '0'.*padding below the kernel.*use less padding"):
        lower(model, INTEGERS)


def test_a_value_added_to_itself_is_one_function_of_the_sums() -> None:
    class Doubled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + x

    layers = (BinaryLinear(8, 4, METHOD), Doubled(), BinaryActivation(4, METHOD))
    graph = lower(nn.Sequential(*layers, BinaryLinear(4, 2, METHOD)).eval(), Input.bits(8))
    assert graph.is_exact
    assert [type(node).__name__ for node in graph.nodes[1:3]] == ["Dot", "Threshold"]
