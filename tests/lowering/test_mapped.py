"""Layers behind activations that stand for other numbers than their codes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from hwbnn.errors import CannotLower
from hwbnn.graph import Dot, Input, Threshold
from hwbnn.lowering import compare, lower
from hwbnn.nn import BinaryActivation, BinaryLinear, mlp
from tests.lowering.models import METHOD
from tests.methods.forms import Mapped

BITS = Input.bits(8)
EVERY = np.array(list(itertools.product((0, 1), repeat=8)))


@pytest.mark.parametrize("levels", [1, 3, 15])
@pytest.mark.parametrize("last", ["scale", "batch_norm"])
def test_every_input_gives_the_same_bits(levels: int, last: str) -> None:
    for seed in range(2):
        torch.manual_seed(seed)
        model = mlp(BITS, (7, 6), 3, Mapped(levels), last=last)  # type: ignore[arg-type]
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm1d):
                norm.weight.data.normal_().mul_(levels)
                norm.bias.data.normal_()
        graph = lower(model, BITS)
        assert compare(model, graph, EVERY).differing == 0
        assert [t.thresholds.shape[1] for t in graph.of_type(Threshold)] == [levels, levels]
        assert all(dot.scale_offset is None for dot in graph.of_type(Dot))


def refused(*layers: nn.Module) -> str:
    with pytest.raises(CannotLower) as caught:
        lower(nn.Sequential(*layers).eval(), BITS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestSource:
    def test_forgotten(self) -> None:
        activation = BinaryActivation(6, Mapped())
        second = BinaryLinear(6, 3, METHOD)
        said = refused(BinaryLinear(8, 6, METHOD), activation, second)
        assert "layer '2' (BinaryLinear): it reads real numbers, from layer '1'" in said
        assert "layer.source = activation" in said
        second.source = activation  # as it says
        assert lower(nn.Sequential(BinaryLinear(8, 6, METHOD), activation, second), BITS).nodes

    def test_another_activation(self) -> None:
        activation, other = BinaryActivation(6, Mapped()), BinaryActivation(6, Mapped())
        other.load_state_dict(activation.state_dict())
        second = BinaryLinear(6, 3, METHOD, source=other)
        said = refused(BinaryLinear(8, 6, METHOD), activation, second)
        assert "its source= is not the activation whose output it reads" in said

    def test_something_between(self) -> None:
        activation = BinaryActivation(6, Mapped())
        activation.quantizer.scale.data.fill_(1.0)
        activation.quantizer.centre.data.fill_(1.0)  # 0 and 2, which ReLU lets through
        second = BinaryLinear(6, 3, METHOD, source=activation)
        first = BinaryLinear(8, 6, METHOD)
        for harmless in (nn.Dropout(0.5), nn.Identity(), nn.ReLU()):
            assert lower(nn.Sequential(first, activation, harmless, second), BITS).nodes
        said = refused(first, activation, nn.Hardtanh(0.0, 1.99), second)
        assert "its source= is not the activation whose output it reads" in said

    def test_a_map_that_float32_does_not_hold(self) -> None:
        activation = BinaryActivation(6, Mapped())
        activation.quantizer.scale.data.fill_(1e-9)
        activation.quantizer.centre.data.fill_(1.0)
        second = BinaryLinear(6, 3, METHOD, source=activation)
        said = refused(BinaryLinear(8, 6, METHOD), activation, second)
        assert "float32" in said or "refuses an input" in said
