"""Brevitas models, live: every quantizer against the module itself, networks, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.core.restrict_val import RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import (
    Int8Bias,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFixedPoint,
    Int32Bias,
    ShiftedUint8ActPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    SignedTernaryActPerTensorConst,
    SignedTernaryWeightPerTensorConst,
    Uint8ActPerTensorFixedPoint,
)
from brevitas.quant.float import Fp8e4m3ActPerTensorFloat
from torch import Tensor, nn
from torch.nn import functional

import hwbnn
from hwbnn.errors import CannotLower
from hwbnn.graph import Graph, Input, Threshold
from hwbnn.lowering import explain, floats, lower, takes_sequences
from hwbnn.lowering.from_torch import brevitas as reading
from hwbnn.lowering.from_torch.coded import CodedActivation, Quantized
from hwbnn.simulators import simulate
from hwbnn.verification import verify
from tests.lowering.exported_brevitas import ONNX, SOURCE, loaded
from tests.lowering.models import random_integers
from tests.lowering.test_refuse import Forward

BINARY = {"weight_quant": SignedBinaryWeightPerTensorConst, "weight_scaling_init": 1.0}
BINARY_ACT = {"act_quant": SignedBinaryActPerTensorConst, "scaling_init": 1.0}
TERNARY = {"weight_quant": SignedTernaryWeightPerTensorConst, "weight_threshold": 0.3}
TIE = 1e-6
"""Equal integers times a scale differ by this in float32, relative to the largest logit."""
HALVES = Input("x", (1,), -300, 300, scale=1 / 16)
"""Every integer over 16: for a scale of 1/8 every second one is a tie."""


def plain(y: Any) -> Tensor:
    return y.value if isinstance(y, tuple) else y


def trained(model: nn.Module, x: Tensor) -> nn.Module:
    """A model whose BatchNorms have seen data, with gains of both signs; then in evaluation."""
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(x)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.weight.data = torch.randn_like(module.weight)
            module.bias.data = torch.randn_like(module.bias) / 4
    return model.eval()


def logits(model: nn.Module, source: Input, u: Any) -> np.ndarray:
    x = floats(source, u, is_sequence=takes_sequences(model, source))
    with torch.no_grad():
        return plain(model(x)).numpy()


def same(model: nn.Module, graph: Graph, source: Input, frames: int = 600) -> None:
    """Brevitas's own class, on many inputs; of equal integers either class is right."""
    u = random_integers(source, frames, 3)
    real = logits(model, source, u)
    wanted = real.argmax(axis=1)
    assert len(np.unique(wanted)) > 1
    found = simulate(graph, u, engine="fast")[:, 0]
    behind = real.max(axis=1) - np.take_along_axis(real, found[:, None].astype(int), axis=1)[:, 0]
    assert (behind <= TIE * np.abs(real).max()).all()


# --- activations ---

CONST = {
    "scaling_impl_type": ScalingImplType.CONST,
    "restrict_scaling_type": RestrictValueType.FP,
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "binary": lambda: qnn.QuantIdentity(**BINARY_ACT),
    "binary of another scale": lambda: qnn.QuantIdentity(
        act_quant=SignedBinaryActPerTensorConst, scaling_init=0.1
    ),
    "ternary": lambda: qnn.QuantHardTanh(
        act_quant=SignedTernaryActPerTensorConst, threshold=0.5, scaling_init=1.0
    ),
    "2 bits": lambda: qnn.QuantIdentity(bit_width=2, max_val=1.0, min_val=-1.0, **CONST),
    "4 bits of powers of two": lambda: qnn.QuantIdentity(
        bit_width=4, max_val=1.0, min_val=-1.0, scaling_impl_type=ScalingImplType.CONST,
        restrict_scaling_type=RestrictValueType.POWER_OF_TWO,
    ),
    "8 bits of powers of two": lambda: qnn.QuantIdentity(
        bit_width=8, max_val=8.0, min_val=-8.0, scaling_impl_type=ScalingImplType.CONST,
        restrict_scaling_type=RestrictValueType.POWER_OF_TWO,
    ),
    "ReLU of 1 bit": lambda: qnn.QuantReLU(bit_width=1, max_val=4.0, **CONST),
    "ReLU of 3 bits": lambda: qnn.QuantReLU(bit_width=3, max_val=7.0, **CONST),
    "ReLU of 8 bits": lambda: qnn.QuantReLU(bit_width=8, max_val=6.0, **CONST),
    "hardtanh of 4 bits": lambda: qnn.QuantHardTanh(
        bit_width=4, max_val=3.0, min_val=-3.0, **CONST
    ),
    "tanh of 4 bits": lambda: qnn.QuantTanh(bit_width=4),
    "sigmoid of 3 bits": lambda: qnn.QuantSigmoid(bit_width=3),
    "floor in place of round": lambda: qnn.QuantIdentity(
        bit_width=4, max_val=4.0, min_val=-4.0, float_to_int_impl_type="FLOOR", **CONST
    ),
    "a zero point": lambda: qnn.QuantIdentity(act_quant=ShiftedUint8ActPerTensorFloat, bit_width=4),
    "a scale that is learned": lambda: qnn.QuantReLU(bit_width=4),
}  # fmt: skip


def levels(act: nn.Module, source: Input) -> tuple[np.ndarray, np.ndarray, Graph]:
    """The numbers of a quantizer on all integers, by the Graph and by the module itself."""
    u = np.arange(source.low, source.high + 1)[:, None]
    last = qnn.QuantLinear(1, 2, bias=False, **BINARY)
    last.weight.data = torch.tensor([[1.0], [-1.0]])
    model = nn.Sequential(qnn.QuantLinear(1, 1, bias=False, **BINARY), act, last)
    model[0].weight.data = torch.ones(1, 1)
    trained(model, floats(source, u))
    graph = lower(model, source, output="scores")
    scores = simulate(graph, u, engine="plain")
    with torch.no_grad():
        wanted = plain(act(floats(source, u))).numpy()[:, 0]
    return scores[:, 0], wanted, graph


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_every_quantizer_has_its_own_levels_on_every_integer(kind: str) -> None:
    torch.manual_seed(0)
    found, wanted, _ = levels(ACTIVATIONS[kind](), HALVES)
    levels_of = np.unique(wanted)
    assert len(levels_of) > 1
    # The Graph's integers are ordered as the module's numbers, ties included.
    np.testing.assert_array_equal(
        np.unique(found, return_inverse=True)[1], np.unique(wanted, return_inverse=True)[1]
    )


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("4 bits of powers of two", "half up"),
        ("4 bits of powers of two", "floor"),
        ("binary", "strict"),
    ],
)
def test_a_planted_rule_is_caught(kind: str, rule: str) -> None:
    """The comparison of levels can fail: a module that rounds otherwise has other levels."""
    torch.manual_seed(0)
    act = ACTIVATIONS[kind]()
    found, _, _ = levels(act, HALVES)
    u = np.arange(HALVES.low, HALVES.high + 1)[:, None]
    x = floats(HALVES, u)
    y = x / act.act_quant.scale()
    wrong = {
        "half up": lambda: torch.floor(y + 0.5).clamp(-7, 7),
        "floor": lambda: torch.floor(y).clamp(-7, 7),
        "strict": lambda: torch.where(x > 0, 1.0, -1.0),
    }[rule]()
    ours = np.unique(found, return_inverse=True)[1]
    theirs = np.unique(wrong.numpy()[:, 0], return_inverse=True)[1]
    assert (ours != theirs).any()


def test_an_input_that_has_the_levels_already_needs_no_node() -> None:
    source = Input("x", (6,), -8, 7, scale=1 / 8)
    act = qnn.QuantIdentity(bit_width=4, max_val=1.0, min_val=-1.0,
                            scaling_impl_type=ScalingImplType.CONST, narrow_range=False,
                            restrict_scaling_type=RestrictValueType.POWER_OF_TWO)  # fmt: skip
    model = nn.Sequential(act, qnn.QuantLinear(6, 3, bias=False, **BINARY)).eval()
    graph = lower(model, source)
    assert [type(node).__name__ for node in graph.nodes] == ["Input", "Dot", "ArgMax", "Output"]
    same(model, graph, source)


# --- networks ---

PIXELS = Input.pixels(20)
IMAGES = Input.pixels((8, 8, 3))


def mlp(weights: dict[str, Any], act: Callable[[], nn.Module], **end: Any) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantLinear(20, 24, bias=False, **weights),
        nn.BatchNorm1d(24),
        act(),
        nn.Dropout(0.2),
        qnn.QuantLinear(24, 16, bias=False, **weights),
        nn.BatchNorm1d(16),
        act(),
        qnn.QuantLinear(16, 4, **(end or {"bias": False, **weights})),
    )


def two_bits() -> nn.Module:
    return qnn.QuantIdentity(
        bit_width=2, max_val=1.0, min_val=-1.0, narrow_range=True, return_quant_tensor=True, **CONST
    )


def relu() -> nn.Module:
    return qnn.QuantReLU(bit_width=4, return_quant_tensor=True)


EIGHT = {"weight_bit_width": 8, "bias": True, "bias_quant": Int32Bias}
MLPS: dict[str, Callable[[], nn.Module]] = {
    "1w1a": lambda: mlp(BINARY, lambda: qnn.QuantIdentity(**BINARY_ACT)),
    "1w2a": lambda: mlp(BINARY, two_bits),
    "2w2a": lambda: mlp(TERNARY, two_bits),
    "4w4a": lambda: mlp({"weight_bit_width": 4}, relu),
    "int8 at the end": lambda: mlp({"weight_bit_width": 4}, relu, **EIGHT),
    "a scale a channel": lambda: mlp({"weight_quant": Int8WeightPerChannelFloat}, relu),
    "powers of two": lambda: mlp(
        {"weight_quant": Int8WeightPerTensorFixedPoint},
        lambda: qnn.QuantReLU(act_quant=Uint8ActPerTensorFixedPoint),
    ),
}


@pytest.mark.parametrize("kind", MLPS)
def test_dense_networks_are_exact(kind: str) -> None:
    model = MLPS[kind]()
    u = random_integers(PIXELS, 300, 1)
    trained(model, floats(PIXELS, u))
    if model[-1].bias is not None:  # so that every class occurs
        model[-1].bias.data -= torch.from_numpy(logits(model, PIXELS, u).mean(axis=0))
    graph = lower(model, PIXELS)
    assert graph.is_exact
    same(model, graph, PIXELS)


class Images(nn.Module):
    """A small convolutional network; pools stand before and behind quantizers."""

    def __init__(self, pool: nn.Module, *, packed: bool, **weights: Any) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first = qnn.QuantIdentity(bit_width=8, return_quant_tensor=packed)
        self.conv = qnn.QuantConv2d(3, 6, 3, padding=1, bias=False, **weights)
        self.norm = nn.BatchNorm2d(6)
        self.act = qnn.QuantReLU(bit_width=3, return_quant_tensor=packed)
        self.pool = pool
        self.depthwise = qnn.QuantConv2d(6, 6, 3, padding=1, groups=6, bias=False, **weights)
        self.second = nn.BatchNorm2d(6)
        self.relu = qnn.QuantReLU(bit_width=3, return_quant_tensor=packed)
        self.last = qnn.QuantLinear(6 * 4, 4, bias=True, weight_bit_width=4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.conv(self.first(x))))
        x = self.second(self.depthwise(self.pool(x)))
        x = self.relu(functional.max_pool2d(x, 2))
        y: Tensor = self.last(x.flatten(1))
        return y


def cnn(*middle: nn.Module, reads: int, first: nn.Module | None = None) -> nn.Module:
    """8-bit pixels, a convolution, 3-bit activations, other layers, logits."""
    torch.manual_seed(2)
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        first or qnn.QuantConv2d(3, 6, 3, padding=1, bias=False, weight_bit_width=4),
        *middle,
        nn.Flatten(),
        qnn.QuantLinear(reads, 4, bias=True, weight_bit_width=4),
    )


def block(act: nn.Module | None = None, *, of: type[nn.Module] = nn.BatchNorm2d) -> list[nn.Module]:
    return [of(6), act or qnn.QuantReLU(bit_width=3, return_quant_tensor=True)]


def apart() -> nn.Module:
    """An activation with a scale for each channel, from statistics of each."""
    return qnn.QuantReLU(
        bit_width=3,
        return_quant_tensor=True,
        scaling_per_output_channel=True,
        per_channel_broadcastable_shape=(1, 6, 1, 1),
        scaling_stats_permute_dims=(1, 0, 2, 3),
    )


def spread(model: nn.Module, source: Input) -> nn.Module:
    """A trained model with a last bias so that every class occurs."""
    u = random_integers(source, 300, 1)
    sequence = takes_sequences(model, source)
    trained(model, floats(source, u, is_sequence=sequence))
    with torch.no_grad():
        mean = plain(model(floats(source, u, is_sequence=sequence))).mean(dim=0)
    last = model.get_submodule(str(len(list(model.children())) - 1))
    assert isinstance(last.bias, nn.Parameter)
    last.bias.data -= mean
    return model


CNNS: dict[str, Callable[[], nn.Module]] = {
    "an adaptive mean": lambda: cnn(*block(), nn.AdaptiveAvgPool2d(1), reads=6),
    "adaptive means of parts": lambda: cnn(*block(), nn.AdaptiveAvgPool2d((2, 4)), reads=48),
    "an adaptive maximum": lambda: cnn(*block(), nn.AdaptiveMaxPool2d(1), reads=6),
    "a truncated adaptive mean": lambda: cnn(
        *block(), qnn.TruncAdaptiveAvgPool2d(1, bit_width=8), reads=6
    ),
    "a scale for each channel, then depthwise": lambda: cnn(
        *block(apart()),
        qnn.QuantConv2d(6, 6, 3, padding=1, groups=6, bias=False, weight_bit_width=4),
        *block(),
        reads=384,
    ),
}


@pytest.mark.parametrize("kind", CNNS)
def test_other_layers_between_convolutions_are_exact(kind: str) -> None:
    model = spread(CNNS[kind](), IMAGES)
    graph = lower(model, IMAGES)
    assert graph.is_exact
    same(model, graph, IMAGES, frames=200)


def test_a_scale_for_each_channel_in_front_of_other_layers_rounds_weights_and_says_so() -> None:
    wide = qnn.QuantConv2d(6, 6, 3, padding=1, bias=False, weight_bit_width=4)
    model = spread(cnn(*block(apart()), wide, *block(), reads=384), IMAGES)
    told = explain(model, IMAGES)
    assert told.form != "exact"
    assert "rounded" in str(told)


ROW = Input("x", (1, 24, 3), -8, 7, scale=1 / 8)
"""Three channels of 24 samples."""
SEQUENCES: dict[str, tuple[Callable[[], list[nn.Module]], int]] = {
    "no pool": (lambda: [], 144),
    "a maximum": (lambda: [nn.MaxPool1d(2)], 72),
    "an adaptive maximum": (lambda: [nn.AdaptiveMaxPool1d(4)], 24),
    "a mean": (lambda: [nn.AvgPool1d(4)], 36),
    "another convolution": (
        lambda: [
            qnn.QuantConv1d(6, 6, 3, stride=2, groups=2, bias=True, weight_bit_width=3),
            *block(of=nn.BatchNorm1d),
        ],
        66,
    ),
}


@pytest.mark.parametrize("kind", SEQUENCES)
def test_convolutions_of_sequences_are_exact(kind: str) -> None:
    middle, reads = SEQUENCES[kind]
    first = qnn.QuantConv1d(3, 6, 3, padding=1, bias=False, weight_bit_width=4)
    model = cnn(*block(of=nn.BatchNorm1d), *middle(), reads=reads, first=first)
    graph = lower(spread(model, ROW), ROW)
    assert graph.is_exact
    same(model, graph, ROW, frames=200)


# --- a network and its export ---


def live_and_file(model: nn.Module) -> list[str]:
    """Values in which the live network and its export differ; all nodes are in the same order."""
    live, file = lower(model, SOURCE), hwbnn.read(ONNX, SOURCE)
    u = random_integers(SOURCE, 3000, 4)
    ours, theirs = (simulate(g, u, engine="fast", trace=True) for g in (live, file))
    assert len(live.nodes) == len(file.nodes) >= 12
    return [
        one.name
        for one, other in zip(live.nodes, file.nodes, strict=True)
        if not np.array_equal(ours[one.name], theirs[other.name])
    ]


def test_a_network_and_its_export_are_the_same() -> None:
    """Every value of both ways in, and Brevitas's own classes."""
    model = loaded()
    assert not live_and_file(model)
    same(model, hwbnn.read(ONNX, SOURCE), SOURCE)


@pytest.mark.parametrize("part", ["depthwise.weight", "norm.bias", "relu", "last.bias"])
def test_another_network_than_the_export_is_seen(part: str) -> None:
    model = loaded()
    with torch.no_grad():
        if part == "relu":
            for value in model.relu.parameters():
                value *= 1.25
        else:
            model.get_parameter(part).neg_()
    assert live_and_file(model)


POOLS: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "max": (lambda: nn.MaxPool2d(2), False),
    "max of quantized": (lambda: nn.MaxPool2d(2), True),
    "mean of quantized": (lambda: nn.AvgPool2d(2), True),
    "truncated mean": (lambda: qnn.TruncAvgPool2d(2, bit_width=4), True),
}


@pytest.mark.parametrize("kind", POOLS)
def test_convolutional_networks_are_exact(kind: str) -> None:
    make, packed = POOLS[kind]
    model = Images(make(), packed=packed, weight_bit_width=4)
    trained(model, floats(IMAGES, random_integers(IMAGES, 60, 1)))
    graph = lower(model, IMAGES)
    assert graph.is_exact
    same(model, graph, IMAGES, frames=100)


def branches(m: nn.Module, x: Any) -> Any:
    one, two = m.one(m.a(x)), m.two(m.b(x))
    return torch.cat([m.end(m.add(one, two)), m.end(m.b(x))], dim=1)


def test_branches_of_one_quantizer_are_added_and_put_side_by_side() -> None:
    torch.manual_seed(3)
    model = Forward(
        lambda m, x: m.last(branches(m, m.first(x))),
        first=qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        a=qnn.QuantLinear(20, 8, bias=True, weight_bit_width=4),
        b=qnn.QuantLinear(20, 8, bias=True, weight_bit_width=4, bias_quant=Int8Bias),
        one=relu(),
        two=relu(),
        add=qnn.QuantEltwiseAdd(bit_width=5),
        end=qnn.QuantReLU(bit_width=4),
        last=qnn.QuantLinear(16, 4, bias=False, weight_bit_width=4),
    )
    trained(model, floats(PIXELS, random_integers(PIXELS, 300, 1)))
    graph = lower(model, PIXELS)
    assert graph.is_exact
    same(model, graph, PIXELS)


def test_a_scale_that_is_ignored_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of networks can fail: weights without their scales give other thresholds."""
    model = MLPS["a scale a channel"]()
    trained(model, floats(PIXELS, random_integers(PIXELS, 300, 1)))
    right = reading._codes

    def unscaled(label: str, weight: Any) -> Any:
        codes = right(label, weight)
        assert codes is not None
        return type(codes)(codes.integers, torch.full_like(codes.scale, codes.scale.mean()))

    monkeypatch.setattr(reading, "_codes", unscaled)
    with pytest.raises(AssertionError):
        same(model, lower(model, PIXELS), PIXELS)


# --- the networks of the BNN-PYNQ examples: the same layers, built here ---


class TensorNorm(nn.Module):
    """A BatchNorm of one number for all logits, as these networks end in."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.tensor([0.7])), nn.Parameter(torch.zeros(1))
        self.register_buffer("mean", torch.tensor([2.5]))
        self.register_buffer("var", torch.tensor([30.0]))

    def forward(self, x: Tensor) -> Tensor:
        normal = (x - self.mean) / torch.sqrt(self.var + 1e-4)
        return normal * self.weight + self.bias


def pynq_act(bits: int) -> nn.Module:
    if bits == 1:
        return qnn.QuantIdentity(**BINARY_ACT, return_quant_tensor=True)
    return two_bits()


def pynq_weight(bits: int) -> dict[str, Any]:
    if bits == 1:
        return {**BINARY, "bias": False}
    return {
        "bias": False,
        "weight_bit_width": 2,
        "weight_narrow_range": True,
        "weight_scaling_impl_type": ScalingImplType.CONST,
        "weight_scaling_init": 0.05,
    }


class Dense(nn.Module):
    """TFC, SFC and LFC in small: pixels become -1 to 1, then layers of sums, BatchNorms, codes."""

    def __init__(self, weight: int, act: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        parts: list[nn.Module] = [pynq_act(act), nn.Dropout(0.2)]
        for inputs, outputs in pairwise(sizes[:-1]):
            parts += [qnn.QuantLinear(inputs, outputs, **pynq_weight(weight))]
            parts += [nn.BatchNorm1d(outputs), pynq_act(act), nn.Dropout(0.2)]
        parts += [qnn.QuantLinear(*sizes[-2:], **pynq_weight(weight)), TensorNorm()]
        self.features = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(x.shape[0], -1)
        x = 2.0 * x - torch.tensor([1.0], device=x.device)
        for layer in self.features:
            x = layer(x)
        return x


class Conv(nn.Module):
    """CNV in small: 8-bit pixels of powers of two, convolutions without padding, max pools."""

    def __init__(self, weight: int, act: int) -> None:
        super().__init__()
        eight = {
            "bit_width": 8,
            "min_val": -1.0,
            "max_val": 1.0 - 2.0**-7,
            "narrow_range": False,
            "scaling_impl_type": ScalingImplType.CONST,
            "restrict_scaling_type": RestrictValueType.POWER_OF_TWO,
        }
        parts: list[nn.Module] = [qnn.QuantIdentity(**eight, return_quant_tensor=True)]
        for inputs, outputs, pool in ((3, 8, False), (8, 8, True), (8, 12, False)):
            parts += [qnn.QuantConv2d(inputs, outputs, 3, **pynq_weight(weight))]
            parts += [nn.BatchNorm2d(outputs, eps=1e-4), pynq_act(act)]
            parts += [nn.MaxPool2d(2)] if pool else []
        self.conv_features = nn.ModuleList(parts)
        ends: list[nn.Module] = [qnn.QuantLinear(12 * 9, 16, **pynq_weight(weight))]
        ends += [nn.BatchNorm1d(16, eps=1e-4), pynq_act(act)]
        ends += [qnn.QuantLinear(16, 10, **pynq_weight(weight)), TensorNorm()]
        self.linear_features = nn.ModuleList(ends)

    def forward(self, x: Tensor) -> Tensor:
        x = 2.0 * x - torch.tensor([1.0], device=x.device)
        for layer in self.conv_features:
            x = layer(x)
        x = x.view(x.shape[0], -1)
        for layer in self.linear_features:
            x = layer(x)
        return x


PYNQ = [(1, 1), (1, 2), (2, 2)]


@pytest.mark.parametrize(("weight", "act"), PYNQ)
def test_the_dense_networks_of_bnn_pynq_are_exact(weight: int, act: int) -> None:
    torch.manual_seed(4)
    source = Input.pixels((6, 6, 1))
    model = trained(
        Dense(weight, act, (36, 24, 24, 10)), floats(source, random_integers(source, 300, 1))
    )
    graph = lower(model, source)
    assert graph.is_exact
    same(model, graph, source)


@pytest.mark.parametrize(("weight", "act"), PYNQ)
def test_the_convolutional_network_of_bnn_pynq_is_exact(weight: int, act: int) -> None:
    torch.manual_seed(5)
    source = Input.pixels((14, 14, 3))
    model = trained(Conv(weight, act), floats(source, random_integers(source, 100, 1)))
    graph = lower(model, source)
    assert graph.is_exact
    same(model, graph, source, frames=100)


@pytest.mark.hardware
def test_a_network_is_the_same_in_hls_and_rtl() -> None:
    torch.manual_seed(8)
    source = Input("x", (12,), 0, 15, scale=1 / 15)
    model = trained(Dense(2, 2, (12, 12, 8, 4)), floats(source, random_integers(source, 300, 1)))
    graph = lower(model, source)
    u = random_integers(source, 24, 3)
    same(model, graph, source)
    assert verify(graph, u).ok


# --- what is refused ---


class Doubled(qnn.QuantLinear):
    def forward(self, x: Any) -> Any:
        return 2 * super().forward(x)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "no quantizer": (lambda: qnn.QuantReLU(act_quant=None), "its quantizer is off"),
    "16 bits": (lambda: qnn.QuantIdentity(bit_width=16), "expected at most 256"),
    "floating-point": (
        lambda: qnn.QuantIdentity(act_quant=Fp8e4m3ActPerTensorFloat),
        "gives FloatQuantTensor; expected integers times a scale",
    ),
    "another layer": (lambda: qnn.QuantHardSwish(), "this layer of Brevitas is not taken"),
    "a forward of its own": (lambda: Doubled(8, 8, bias=False), "a subclass with a forward"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_names_the_layer(kind: str) -> None:
    torch.manual_seed(0)
    make, said = REFUSED[kind]
    first = qnn.QuantLinear(20, 8, bias=False, weight_bit_width=4)
    last = qnn.QuantLinear(8, 3, bias=False, weight_bit_width=4)
    model = nn.Sequential(first, make(), last)
    trained(model, floats(PIXELS, random_integers(PIXELS, 50, 1)))
    with pytest.raises(CannotLower, match=rf"layer '1' \(\w+\): .*{said}") as caught:
        lower(model, PIXELS)
    assert "\n" not in str(caught.value)


def test_a_layer_that_fails_in_brevitas_itself_is_told_before_it_runs() -> None:
    model = Forward(
        lambda m, x: m.last(m.cat([m.first(x), m.first(x)])),
        first=qnn.QuantLinear(20, 8, bias=False, weight_bit_width=4),
        cat=qnn.QuantCat(bit_width=4),
        last=qnn.QuantLinear(16, 3, bias=False, weight_bit_width=4),
    )
    said = r"layer 'cat' \(QuantCat\): .* it fails in Brevitas 0.13.4 itself .* use torch.cat"
    with pytest.raises(CannotLower, match=said) as caught:
        lower(model.eval(), PIXELS)
    assert "\n" not in str(caught.value)


def changing(x: Tensor) -> Quantized:
    scale = x.abs().max() / 7
    return Quantized((x / scale).round() * scale, scale, 4)


def random(x: Tensor) -> Quantized:
    return Quantized((x + torch.rand_like(x)).floor().clamp(-7, 7), torch.tensor(1.0), 4)


def rising_and_falling(x: Tensor) -> Quantized:
    return Quantized(torch.where(x.abs() < 1, 7.0, x.clamp(-3, 3).round()), torch.tensor(1.0), 4)


@pytest.mark.parametrize(
    ("quantizer", "said"),
    [
        (changing, "its scale depends on the input"),
        (random, "gives other numbers for the same input"),
        (rising_and_falling, "not one of its integers -3 to 3 of a rising quantizer"),
    ],
)
def test_quantizers_that_no_table_holds_are_refused(quantizer: Any, said: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(CannotLower, match=said):
        CodedActivation("layer 'a'", "QuantIdentity", quantizer, (2, 5))(torch.zeros(1, 5))


def test_an_explanation_names_the_layers_of_the_model() -> None:
    model = MLPS["1w2a"]()
    trained(model, floats(PIXELS, random_integers(PIXELS, 300, 1)))
    told = explain(model, PIXELS)
    assert [layer.kind for layer in told.layers][:3] == [
        "QuantIdentity",
        "QuantLinear",
        "QuantIdentity",
    ]
    assert told.form == "exact"
    assert isinstance(lower(model, PIXELS).nodes[3], Threshold)
