"""Layers that read some of their inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwbnn.errors import CannotLower
from hwbnn.graph import Dot, Input, Select
from hwbnn.lowering import explain, lower
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear, Scale
from hwbnn.nn import Select as Picks
from hwbnn.simulators import simulate
from tests.lowering.models import METHOD, random_integers, random_model
from tests.lowering.test_model import assert_equal


def wild(norm: nn.Module) -> nn.Module:
    """A BatchNorm whose channels all differ, some of which fall."""
    generator = torch.Generator().manual_seed(3)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        tensor.data = torch.randn(tensor.shape, generator=generator)
    return norm


@pytest.mark.parametrize("seed", range(6))
def test_what_is_not_read_plays_no_part(seed: int) -> None:
    inner, source = random_model(seed, max_width=130, max_depth=2)
    n = source.shape[0]
    rng = np.random.default_rng(seed)
    index = rng.permutation(n + 37)[:n]
    wide = Input("x", (n + 37,), source.low, source.high, source.bit, source.scale, source.offset)
    model = nn.Sequential(Picks(n + 37, index.tolist()), inner).eval()
    graph = lower(model, wide)
    assert [node.index.tolist() for node in graph.of_type(Select)] == [index.tolist()]
    assert graph.of_type(Dot)[0].weights.shape[1] == n
    u = random_integers(wide, 70, seed)
    assert_equal(model, wide, graph, u)
    others = np.setdiff1d(np.arange(n + 37), index)
    changed = u.copy()
    changed[:, others] = random_integers(wide, 70, seed + 1)[:, others]
    np.testing.assert_array_equal(simulate(graph, u), simulate(graph, changed))


@pytest.mark.parametrize("count", [1, 63, 64, 65])
def test_between_sums_and_their_activation_each_channel_keeps_its_own_batchnorm(count: int) -> None:
    source = Input.bits(90)
    index = torch.randperm(130, generator=torch.Generator().manual_seed(count))[:count].tolist()
    torch.manual_seed(count)
    model = nn.Sequential(
        BinaryLinear(90, 130, METHOD, source=source),
        wild(nn.BatchNorm1d(130)),
        Picks(130, index),
        BinaryActivation(count, METHOD),
        BinaryLinear(count, 7, METHOD),
        Scale(0.1),
    ).eval()
    assert_equal(model, source, lower(model, source), random_integers(source, 200, 1))


def test_of_a_flattened_image_the_elements_are_torchs() -> None:
    source = Input.bits((4, 5, 3))
    torch.manual_seed(1)
    model = nn.Sequential(
        BinaryConv2d(3, 6, 3, METHOD, padding=1, source=source),
        wild(nn.BatchNorm2d(6)),
        BinaryActivation(6, METHOD),
        nn.Flatten(),
        Picks(120, [119, 3, 40, 41, 0]),
        BinaryLinear(5, 9, METHOD),
        wild(nn.BatchNorm1d(9)),
        BinaryActivation(9, METHOD),
        BinaryLinear(9, 4, METHOD),
        Scale(0.1),
    ).eval()
    graph = lower(model, source)
    u = np.random.default_rng(0).integers(0, 2, (300, 4, 5, 3))
    x = torch.tensor(2.0 * u - 1, dtype=torch.float32).permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        wanted = model(x).argmax(dim=1).numpy()
    np.testing.assert_array_equal(simulate(graph, u)[:, 0], wanted)
    assert len(set(wanted.tolist())) > 1


def test_explained_and_refused() -> None:
    source = Input.bits(8)
    inner = nn.Sequential(BinaryLinear(3, 2, METHOD, source=source), Scale(1.0))
    said = explain(nn.Sequential(Picks(8, [1, 5, 7]), inner), source).lines
    assert said[0] == "0 -> select_1: 3 of 8 elements"
    with pytest.raises(CannotLower, match=r"refuses an input: Select: expected \(batch, 9\)"):
        lower(nn.Sequential(Picks(9, [1, 5, 7]), inner), source)
    damaged = Picks(8, [1, 5, 7])
    damaged.index[1] = 8
    with pytest.raises(CannotLower, match=r"layer '0' \(Select\), which reads \(2, 8\): INDICES"):
        lower(nn.Sequential(damaged, inner), source)
