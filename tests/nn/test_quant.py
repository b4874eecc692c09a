"""Quantised layers against their formulas, in integers and in gradients."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.nn import QuantConv2d, QuantLinear, chain, mlp, parameter_groups, residual
from hwbnn.nn.binary import Lattice, Source
from hwbnn.nn.networks import ConvChain
from hwbnn.nn.quant import KINDS, largest_of
from hwbnn.nn.residual import Projection, ResidualStages

LATTICE = Lattice("x", 0, 15, torch.linspace(0.5, 1.5, 20), torch.linspace(-1, 1, 20))


@pytest.mark.parametrize("kind", ["ternary", "int2", "int4", "int8"])
def test_gradients_are_those_of_the_formulas(kind: str) -> None:
    """Learned step size, section 2: of the step and, straight through, of the weights."""
    torch.manual_seed(0)
    layer = QuantLinear(20, 3, kind).train()
    weight, q_max = layer.weight, largest_of(kind)
    with torch.no_grad():
        weight.latent[0, :3] = torch.tensor([5.0, -5.0, 0.0])
    x = torch.randn(50, 20)
    layer(x).square().sum().backward()
    step = weight.step.detach()[:, None]
    v = weight.latent.detach() / step
    q = v.clamp(-q_max, q_max).round()
    assert (v.abs() > q_max).any()
    real = (q * step).requires_grad_()
    functional.linear(x, real, layer.bias.detach()).square().sum().backward()
    assert real.grad is not None
    within = v.abs() <= q_max
    of_step = (torch.where(within, q - v, q) * real.grad).sum(dim=1) / (20 * q_max) ** 0.5
    torch.testing.assert_close(weight.step.grad, of_step, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(weight.latent.grad, real.grad * within, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("step", ["learned", "range"])
@pytest.mark.parametrize("kind", KINDS)
def test_integers_are_of_their_kind(kind: str, step: str) -> None:
    torch.manual_seed(0)
    layer = QuantLinear(64, 8, kind, step=step).eval()  # type: ignore[arg-type]
    codes = layer.weight.codes()
    q, most = codes.integers, largest_of(kind)
    assert (q == q.round()).all()
    assert int(q.abs().max()) <= most
    if step == "range":
        assert (q.abs().amax(dim=1) == most).all()
    if kind == "ternary" and step == "learned":
        # 0 is all below half a step: the learned threshold.
        zero = layer.weight.latent.abs() < codes.scale[:, None] / 2
        assert torch.equal(q == 0, zero)
        assert 0.1 < float(zero.float().mean()) < 0.9


def _input(source: Source, u: Tensor) -> Tensor:
    if source is None:
        return u
    assert isinstance(source, Input | Lattice)
    return u * source.scale + source.offset


@pytest.mark.parametrize("kind", ["ternary", "int8", "int16"])
@pytest.mark.parametrize("source", [None, Input("x", (20,), 0, 15, scale=0.5, offset=-1), LATTICE])
def test_evaluation_sums_integers_and_agrees_with_training(source: Source, kind: str) -> None:
    torch.manual_seed(0)
    layer = QuantLinear(20, 4, kind, source=source)
    assert layer.bias is not None
    nn.init.normal_(layer.bias)
    u = torch.randint(0, 16, (50, 20))
    x = _input(source, u.float())
    sums, total = layer.eval().sums(layer.integers(x))
    q = layer.weight.codes().integers.detach().long().numpy()
    assert total is None
    np.testing.assert_array_equal(sums.detach().numpy(), u.numpy() @ q.T)
    torch.testing.assert_close(layer(x), layer.train()(x), rtol=1e-4, atol=1e-3)


def test_sums_that_float32_would_round_are_exact() -> None:
    torch.manual_seed(0)
    source = Input.pixels(4000, scale=1.0)
    layer = QuantLinear(4000, 3, "int16", step="range", source=source).eval()
    nn.init.constant_(layer.weight.latent, 1.0)
    u = torch.full((1, 4000), 255)
    u[0, 0] = 254
    exact = 32767 * (4000 * 255 - 1)
    assert exact > 1 << 24
    assert float(layer.sums(u.float())[0][0, 0].detach()) == float(np.float32(exact))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", ["ternary", "int8"])
def test_a_convolution_of_normalised_channels_sums_pixels(kind: str, groups: int) -> None:
    """Outside are zeros of the normalised image, so the constant differs at the border."""
    torch.manual_seed(0)
    source = Lattice("x", 0, 255, torch.tensor([0.1, 0.2, 0.4, 0.3]), torch.randn(4))
    layer = QuantConv2d(4, 6, 3, kind, source=source, padding=1, groups=groups, bias=True)
    u = torch.randint(0, 256, (2, 4, 6, 5))
    x = u * source.scale.view(1, -1, 1, 1) + source.offset.view(1, -1, 1, 1)
    sums, _ = layer.eval().sums(layer.integers(x))
    q = layer.weight.codes().integers.double()
    wanted = functional.conv2d(u.double(), q, padding=1, groups=groups)
    assert torch.equal(sums.double(), wanted)
    torch.testing.assert_close(layer(x), layer.train()(x), rtol=1e-4, atol=1e-2)
    assert layer.border_classes(6, 5)[1] == 9
    with pytest.raises(InputError, match=r"x: channel 2: expected x = 0.4 \* u"):
        layer.eval()(x + torch.tensor([0, 0, 0.2, 0]).view(1, -1, 1, 1))


def test_steps_do_not_decay_and_a_learned_step_moves() -> None:
    torch.manual_seed(0)
    layer = QuantLinear(32, 4, "int4")
    groups = parameter_groups(layer, 0.01, weight_decay=0.1)
    decays = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert decays[id(layer.weight.step)] == 0
    assert decays[id(layer.weight.latent)] == 0.1
    before = copy.deepcopy(layer.weight.step.detach())
    optimiser = torch.optim.Adam(groups)
    x = torch.randn(256, 32)
    y = (x @ torch.randn(32, 4)).argmax(dim=1)
    losses = []
    for _ in range(60):
        loss = functional.cross_entropy(layer(x), y)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert ((layer.weight.step - before).abs() / before > 0.02).all()


def test_networks_have_quantised_ends() -> None:
    pixels = Input.pixels((8, 8, 3))
    dense = mlp(Input.pixels(64), (16,), 10, "bnn_ste", first="ternary", last="int8")
    assert isinstance(dense.layers[0], QuantLinear)
    assert dense.layers[0].weight.largest_weight == 1
    assert isinstance(dense.layers[-1], QuantLinear)
    assert dense.layers[-1].bias is not None
    images = chain(pixels, ConvChain((4, "pool", 8), (), padding=1), 10, "bnn_ste", first="int4")
    assert [type(m).__name__ for m in images.layers if hasattr(m, "kernel")] == [
        "QuantConv2d",
        "BinaryConv2d",
    ]
    stages = ResidualStages((4, 8), 1, "block", projects=False)
    ends = {"first": "int8", "last": "int8", "downsample": "int8"}
    body = residual(pixels, stages, 10, "bnn_ste", **ends)  # type: ignore[arg-type]
    assert any(isinstance(m, Projection) for m in body.modules())
    assert body(torch.rand(2, 3, 8, 8).mul(255).round().div(255)).shape == (2, 10)


def test_kinds_that_are_unknown() -> None:
    with pytest.raises(InputError, match="weights: expected 'ternary', or 'int2' to 'int16', foun"):
        QuantLinear(4, 2, "int1")
    with pytest.raises(InputError, match="step: expected 'learned' or 'range', found 'fixed'"):
        QuantConv2d(4, 2, 3, step="fixed")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="QuantLinear: expected sizes from 1, found 0 and 2"):
        QuantLinear(0, 2)
