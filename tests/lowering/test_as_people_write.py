"""Networks as people write them: functions in place of modules, other codes, normalised inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Graph, Input, Lookup, Rescale, Threshold
from hwbnn.lowering import explain, floats, lower
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear, QuantConv2d, Scale
from hwbnn.simulators import simulate
from tests.lowering.models import METHOD, random_integers
from tests.lowering.test_refuse import Forward

BITS = Input.bits(12)
WHOLE = Input("x", (12,), -3, 4)


def binary(inputs: int, outputs: int) -> BinaryLinear:
    return BinaryLinear(inputs, outputs, METHOD)


def trained(model: nn.Module, seed: int = 0) -> nn.Module:
    """A model with BatchNorms of gains of both signs."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 1)
    return model.eval()


def dense(between: Callable[[nn.Module, Tensor], Tensor], **more: nn.Module) -> nn.Module:
    """Two binary layers with a function between the first sums and the last layer."""
    torch.manual_seed(1)
    parts = {"first": binary(12, 9), "norm": nn.BatchNorm1d(9), "last": binary(9, 3)}
    parts["sign"] = BinaryActivation(9, METHOD)
    return trained(Forward(lambda m, x: m.last(between(m, m.first(x))), **{**parts, **more}))


def same_class(model: nn.Module, graph: Graph, source: Input) -> None:
    """The model's own class, by code apart from the lowering, on hundreds of inputs."""
    u = random_integers(source, 400, 3)
    x = torch.from_numpy(u).double()
    scale, offset = (torch.tensor(part).double() for part in (source.scale, source.offset))
    x = (x * scale + offset).float()
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)
    with torch.no_grad():
        wanted = model(x).argmax(dim=1).numpy()
    assert len(np.unique(wanted)) > 1
    for engine in ("plain", "fast"):
        np.testing.assert_array_equal(simulate(graph, u, engine=engine)[:, 0], wanted)


def batch_norm(m: nn.Module, x: Tensor) -> Tensor:
    norm = m.norm
    return functional.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias, m.training
    )


EXACT: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "batch_norm as a function": lambda m, x: m.sign(batch_norm(m, x)),
    "clip": lambda m, x: m.sign(torch.clip(m.norm(x), -1, 1)),
    "a method clip": lambda m, x: m.sign(m.norm(x).clip(-1, 1)),
    "clamp_min": lambda m, x: m.sign(m.norm(x).clamp_min(-0.5)),
    "maximum with zeros_like": lambda m, x: m.sign(m.norm(torch.maximum(x, torch.zeros_like(x)))),
    "a bias by expand_as": lambda m, x: m.sign(x + m.norm.bias.expand_as(x)),
    "a bias by view and expand": lambda m, x: m.sign(
        x + m.norm.bias.view(1, -1).expand(x.size(0), 9)
    ),
    "a constant minus": lambda m, x: m.sign(0.5 - m.norm(x)),
    "a constant over": lambda m, x: m.sign(3.0 / m.norm(x)),
    "codes 0 and 1 of an activation": lambda m, x: (m.sign(m.norm(x)) + 1) / 2,
    "codes 0 and 1 by a comparison": lambda m, x: (m.norm(x) >= 0).float(),
    "codes 0 and 1 below a constant": lambda m, x: (m.norm(x) < 0.25).float(),
    "signs by where": lambda m, x: torch.where(m.norm(x) >= 0, 1.0, -1.0),
    "signs by a comparison": lambda m, x: 2 * (m.norm(x) > 0).float() - 1,
    "ReLU of integers": lambda m, x: functional.relu(x),
    "ReLU6 of integers": lambda m, x: functional.relu6(x),
    "rounded and clipped": lambda m, x: torch.clamp(torch.round(m.norm(x)), 0, 7),
    "rounded to signed integers": lambda m, x: torch.round(m.norm(x)).clamp(-3, 3),
    "two slopes by where": lambda m, x: m.sign(torch.where(x > 0, m.norm(x), 0.1 * x)),
    "a product of two functions": lambda m, x: m.sign(m.norm(x) * x.abs() - 1),
    "floor": lambda m, x: torch.floor(m.norm(x).clamp(-2, 2)),
    "the magnitude by two ReLUs of slopes": lambda m, x: functional.leaky_relu(x, -1.0),
}


@pytest.mark.parametrize("way", EXACT)
@pytest.mark.parametrize("source", [BITS, WHOLE], ids=["bits", "integers"])
def test_functions_that_people_write_are_exact(way: str, source: Input) -> None:
    model = dense(EXACT[way])
    graph = lower(model, source)
    assert graph.is_exact
    same_class(model, graph, source)


def test_a_step_of_integers_becomes_the_least_hardware() -> None:
    node = lower(dense(EXACT["ReLU of integers"]), BITS).nodes[2]
    assert isinstance(node, Rescale)
    assert (node.low, node.high) == (0, 12)
    assert (node.multiplier == 1).all()
    assert not node.shift.any()
    node = lower(dense(EXACT["codes 0 and 1 by a comparison"]), BITS).nodes[2]
    assert isinstance(node, Threshold)
    assert (node.base, node.levels) == (0, 1)
    node = lower(dense(EXACT["signs by where"]), BITS).nodes[2]
    assert isinstance(node, Threshold)
    assert node.bit
    rises_and_falls = lower(dense(EXACT["the magnitude by two ReLUs of slopes"]), BITS)
    assert isinstance(rises_and_falls.nodes[2], Lookup)


def test_an_integer_off_by_one_is_seen() -> None:
    """The comparison of the tests above can fail: a step that begins one integer late."""
    model = dense(EXACT["ReLU of integers"])
    graph = lower(model, BITS)
    nodes = list(graph.nodes)
    old = nodes[2]
    assert isinstance(old, Rescale)
    nodes[2] = Rescale(
        old.name, old.source, old.multiplier, old.bias - 1, old.shift, old.low, old.high
    )
    with pytest.raises(AssertionError):
        same_class(model, Graph(tuple(nodes)), BITS)


@pytest.mark.parametrize("kind", [nn.SyncBatchNorm, nn.BatchNorm1d])
def test_a_batch_norm_over_several_machines(kind: type[nn.Module]) -> None:
    model = dense(lambda m, x: m.sign(m.norm(x)), norm=kind(9))
    same_class(model, lower(model, BITS), BITS)


def test_an_averaged_model_is_unwrapped() -> None:
    model = dense(lambda m, x: m.sign(m.norm(x)))
    same_class(model, lower(AveragedModel(model), BITS), BITS)


def images(first: nn.Module, front: Callable[[nn.Module, Tensor], Tensor]) -> nn.Module:
    torch.manual_seed(2)
    model = Forward(
        lambda m, x: m.last(m.flat(m.sign(m.norm(m.first(front(m, x)))))),
        first=first,
        norm=nn.BatchNorm2d(4),
        sign=BinaryActivation(4, METHOD),
        flat=nn.Flatten(),
        last=BinaryLinear(4 * 36, 3, METHOD),
        own=nn.BatchNorm2d(3),
        mean=torch.rand(1, 3, 1, 1),
        std=torch.rand(3) + 0.5,
    )
    return trained(model)


FRONTS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "constants": lambda m, x: (x - m.mean) / m.std.view(1, -1, 1, 1),
    "expand_as": lambda m, x: (x - m.mean.expand_as(x)) / m.std[:, None, None],
    "a BatchNorm": lambda m, x: m.own(x),
    "one scale for all": lambda m, x: x * 2 - 1,
}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(
    "first",
    [lambda: nn.Conv2d(3, 4, 3, padding=1), lambda: BinaryConv2d(3, 4, 3, METHOD, padding=1)],
    ids=["real", "binary"],
)
def test_a_normalised_input_becomes_part_of_the_first_layer(
    front: str, first: Callable[[], nn.Module]
) -> None:
    """A scale a channel goes into the weights, which are rounded if they are no integers then."""
    source = Input.pixels((6, 6, 3))
    graph = lower(images(first(), FRONTS[front]), source, weight_bits=16)
    kinds = [type(node).__name__ for node in graph.nodes]
    assert kinds == ["Input", "Conv2d", "Threshold", "Flatten", "Dot", "ArgMax", "Output"]


def test_a_dilated_convolution_has_zeros_between_its_taps() -> None:
    source = Input.pixels((6, 6, 3))
    first = nn.Conv2d(3, 4, 3, padding=2, dilation=2)
    first.weight.data = first.weight.data.sign() / 4
    model = images(first, lambda m, x: x)
    graph = lower(model, source)
    weights = graph.nodes[1].weights  # type: ignore[attr-defined]
    assert weights.shape == (4, 5, 5, 3)
    assert graph.is_exact
    with pytest.raises(InputError, match=r"BinaryConv2d: dilation: expected 1, found 2: .*nn.Conv"):
        BinaryConv2d(3, 4, 3, METHOD, dilation=2)
    pool = nn.Sequential(BinaryConv2d(3, 4, 3, METHOD, source=source), nn.MaxPool2d(2, dilation=2))
    with pytest.raises(CannotLower, match="dilation 2: expected 1"):
        lower(nn.Sequential(*pool, BinaryActivation(4, METHOD)), source, output="scores")


@pytest.mark.parametrize(
    ("between", "said"),
    [
        (
            lambda m, x: m.sign(functional.batch_norm(x, None, None, training=True)),
            "function 'batch_norm' in the model: without running statistics it depends",
        ),
        (
            lambda m, x: m.sign(x * x.abs().mean(1, keepdim=True)),
            "function 'mean' in the model: a number computed from each sample (such as XNOR-Net's",
        ),
        (lambda m, x: m.sign(torch.tanh(x)), "function 'tanh' in the model: use nn.Hardtanh"),
        (lambda m, x: x / x.abs(), "makes a NaN"),
        (lambda m, x: torch.bernoulli(torch.sigmoid(x)), "function 'sigmoid' in the model"),
        (lambda m, x: m.norm(x), "put a BinaryActivation before it"),
        (lambda m, x: m.factor(x), "put a BinaryActivation before it"),
    ],
)
def test_what_has_no_exact_form_is_refused_by_name(
    between: Callable[[nn.Module, Tensor], Tensor], said: str
) -> None:
    with pytest.raises(CannotLower) as caught:
        lower(dense(between, factor=Scale(0.3)), BITS)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
CHANNELS = Input.pixels(
    (6, 6, 3),
    scale=[1 / 255 / s for s in STD],
    offset=[-m / s for m, s in zip(MEAN, STD, strict=True)],
)
"""Pixels normalised channel by channel, as people train on them."""


@pytest.mark.parametrize(
    "first",
    [
        lambda: nn.Conv2d(3, 4, 3, padding=1),
        lambda: QuantConv2d(3, 4, 3, source=CHANNELS, padding=1),
        lambda: BinaryConv2d(3, 4, 3, METHOD, padding=1),
    ],
    ids=["real", "quantised", "binary"],
)
def test_an_input_of_a_scale_a_channel_is_the_network_that_normalises(
    first: Callable[[], nn.Module],
) -> None:
    """The contract says the same as constants in the model; the integers are as near to both."""
    model = images(first(), lambda m, x: x)
    graph = lower(model, CHANNELS, weight_bits=16)
    u = random_integers(CHANNELS, 300, 5)
    with torch.no_grad():
        wanted = model(floats(CHANNELS, u)).argmax(dim=1).numpy()
    found = simulate(graph, u, engine="fast")[:, 0]
    assert (found == wanted).mean() > 0.97  # of weights of 16 bits
    assert graph.input.scale == CHANNELS.scale
    swapped = np.ascontiguousarray(u[..., ::-1])
    assert (simulate(graph, swapped, engine="fast")[:, 0] == wanted).mean() < 0.9


def test_a_quantised_layer_on_channels_of_their_own_is_exact() -> None:
    model = images(QuantConv2d(3, 4, 3, source=CHANNELS, padding=1), lambda m, x: x)
    graph = lower(model, CHANNELS)
    assert graph.is_exact
    same_class(model, graph, CHANNELS)


def test_a_binary_layer_cannot_take_up_scales_of_channels() -> None:
    with pytest.raises(InputError, match="channels of input 'x' have scales or offsets of their"):
        BinaryConv2d(3, 4, 3, METHOD, source=CHANNELS)


def test_an_input_is_averaged_and_chosen_from_first() -> None:
    """What reads the input by itself: one function for all channels, some of the channels."""
    source = Input.pixels((6, 6, 3), scale=1.0)
    torch.manual_seed(0)
    model = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), BinaryActivation(27, METHOD))
    graph = lower(nn.Sequential(*model, BinaryLinear(27, 3, METHOD)).eval(), source)
    assert graph.is_exact
    rows = Input("x", (5,), 0, 9, scale=[1.0, 2.0, 0.5, 1.0, -1.0], offset=-1.0)  # type: ignore[arg-type]
    chosen = Forward(
        lambda m, x: m.last(m.sign(x[:, [4, 1, 2]])),
        sign=BinaryActivation(3, METHOD),
        last=BinaryLinear(3, 2, METHOD),
    ).eval()
    u = random_integers(rows, 100, 0)
    with torch.no_grad():
        wanted = chosen(floats(rows, u)).argmax(dim=1).numpy()
    np.testing.assert_array_equal(simulate(lower(chosen, rows), u)[:, 0], wanted)


def test_images_of_one_channel_are_flattened_by_a_view() -> None:
    source = Input.pixels((6, 6, 1))
    torch.manual_seed(4)
    parts: dict[str, nn.Module] = {
        "conv": BinaryConv2d(1, 3, 3, METHOD, source=source),
        "norm": nn.BatchNorm2d(3),
        "sign": BinaryActivation(3, METHOD),
        "last": binary(48, 3),
    }
    model = trained(
        Forward(lambda m, x: m.last(m.sign(m.norm(m.conv(x))).view(x.size(0), -1)), **parts)
    )
    assert floats(source, np.zeros((2, 6, 6, 1), np.int64)).stride() == (36, 36, 6, 1)
    same_class(model, lower(model, source), source)


class Sign(torch.autograd.Function):
    """A sign as students write it, with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] * (x.abs() <= 1).float()


class SignByMask(Sign):
    """Written by assignments: 0 gives +1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        y = torch.ones_like(x)
        y[x < 0] = -1
        return y


class SignInNewForm(torch.autograd.Function):
    """Written with ``setup_context``."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


def bireal(x: Tensor) -> Tensor:
    """A sign whose gradient is that of a piecewise polynomial."""
    low, middle, high = ((x < end).float() for end in (-1.0, 0.0, 1.0))
    y = -low + (x * x + 2 * x) * (1 - low)
    y = y * middle + (2 * x - x * x) * (1 - middle)
    y = y * high + (1 - high)
    return x.sign().detach() - y.detach() + y


def straight(q: Tensor, x: Tensor) -> Tensor:
    return (q - x).detach() + x


THREE = "three levels"
BIT = "a bit"
STEPS = "several levels"
# Each idiom for the sums themselves, an integer that may be 0; the levels that it must have.
IDIOMS: dict[str, tuple[Callable[[nn.Module, Tensor], Tensor], str]] = {
    "torch.sign": (lambda m, x: torch.sign(x), THREE),
    "x.sign()": (lambda m, x: x.sign(), THREE),
    "torch.sgn": (lambda m, x: torch.sgn(x), THREE),
    "sign in place": (lambda m, x: (x + 0).sign_(), THREE),
    "sign of BatchNorm is never 0": (lambda m, x: m.norm(x).sign(), BIT),
    "sign behind hardtanh": (lambda m, x: functional.hardtanh(x).sign(), THREE),
    "sign with a small offset": (lambda m, x: torch.sign(x + 1e-6), BIT),
    "sign of a sign": (lambda m, x: torch.sign(torch.sign(x) + 0.1), BIT),
    "where of integers": (lambda m, x: torch.where(x >= 0, 1, -1).float(), BIT),
    "where of tensors": (
        lambda m, x: torch.where(x > 0, torch.ones_like(x), -torch.ones_like(x)),
        BIT,
    ),
    "a comparison by .to": (lambda m, x: (x >= 0).to(x.dtype) * 2 - 1, BIT),
    "a comparison by .type": (lambda m, x: (x >= 0).type(torch.float32) * 2 - 1, BIT),
    "a comparison by .int": (lambda m, x: (x >= 0).int().float() * 2 - 1, BIT),
    "the negation of a comparison": (lambda m, x: (~(x < 0)).float() * 2 - 1, BIT),
    "two comparisons": (lambda m, x: (x > 0).float() - (x < 0).float(), THREE),
    "heaviside": (lambda m, x: torch.heaviside(x, torch.tensor(1.0)) * 2 - 1, BIT),
    "heaviside with one half": (lambda m, x: 2 * torch.heaviside(x, torch.tensor(0.5)) - 1, THREE),
    "copysign": (lambda m, x: torch.copysign(torch.ones_like(x), x), BIT),
    "masked_fill": (lambda m, x: torch.ones_like(x).masked_fill(x < 0, -1.0), BIT),
    "a Function": (lambda m, x: Sign.apply(x), THREE),
    "a Function by masks": (lambda m, x: SignByMask.apply(x), BIT),
    "a Function in the new form": (lambda m, x: SignInNewForm.apply(x), BIT),
    "straight-through": (lambda m, x: straight(x.sign(), x), THREE),
    "straight-through, turned round": (lambda m, x: x + (x.sign() - x).detach(), THREE),
    "straight-through by .data": (lambda m, x: x + (x.sign() - x).data, THREE),
    "straight-through of hardtanh": (
        lambda m, x: straight(x.sign(), functional.hardtanh(x)),
        THREE,
    ),
    "a polynomial's gradient": (lambda m, x: bireal(x), THREE),
    "ternary by two functions": (lambda m, x: x.sign() * (x.abs() > 2).float(), THREE),
    "rounded straight-through": (lambda m, x: straight(x.clamp(0, 3).round(), x), STEPS),
}


def levels_of(graph: Graph) -> str:
    node = graph.nodes[2]
    assert isinstance(node, Threshold)
    if node.bit:
        return BIT
    return THREE if (node.base, node.levels) == (-1, 2) else STEPS


@pytest.mark.parametrize("idiom", IDIOMS)
@pytest.mark.parametrize("source", [BITS, WHOLE], ids=["bits", "integers"])
def test_signs_as_people_write_them_have_the_levels_that_torch_gives(
    idiom: str, source: Input
) -> None:
    function, levels = IDIOMS[idiom]
    model = dense(function)
    graph = lower(model, source)
    assert graph.is_exact
    assert levels_of(graph) == levels
    same_class(model, graph, source)


def test_a_sign_of_zero_that_counts_as_plus_one_is_seen() -> None:
    """The comparison can fail: the network's sign of 0 is 0, the planted Graph's is +1."""
    model = dense(IDIOMS["torch.sign"][0])
    graph = lower(model, BITS)
    nodes = list(graph.nodes)
    old = nodes[2]
    assert isinstance(old, Threshold)
    both = np.repeat(old.thresholds[:, :1], 2, axis=1)  # -1, then +1 at once
    nodes[2] = Threshold(old.name, old.source, both, old.falling, base=-1)
    with pytest.raises(AssertionError):
        same_class(model, Graph(tuple(nodes)), BITS)


def test_a_sum_that_cancels_is_what_remains() -> None:
    """In float32 a straight-through sum is not always the number that it stands for."""
    torch.manual_seed(0)
    x = torch.randn(10_000)
    assert (straight(x.sign() / 3, x) != x.sign() / 3).any()
    assert (straight(x.sign(), x * 1e9) != x.sign()).any()
    model = dense(lambda m, x: (x.sign() - 0.37 * x).detach() + x)
    with pytest.raises(CannotLower, match="real numbers"):
        lower(model, BITS)  # here the number that is added is another one


class OwnLinear(nn.Linear):
    """A linear layer that computes its weights in its forward."""

    def __init__(self, inputs: int, outputs: int, way: Callable[[Tensor], Tensor]) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.way = way
        self.weight.data[:, ::4] = 0

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.way(self.weight))


WEIGHTS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "sign": (lambda w: w.sign(), "-1, 0 and +1"),
    "a Function": (lambda w: Sign.apply(w), "-1, 0 and +1"),
    "straight-through": (lambda w: straight(w.sign(), w), "-1, 0 and +1"),
    "where": (lambda w: torch.where(w >= 0, 1.0, -1.0), "-1 and +1"),
    "a mean as scale": (
        lambda w: straight(w.sign(), w) * w.abs().mean(1, keepdim=True).detach(),
        "-1, 0 and +1",
    ),
    "centred": (lambda w: (w - w.mean(1, keepdim=True)).sign(), "-1 and +1"),
    "rounded": (lambda w: (w * 12).round().clamp(-3, 3) / 3, "integers up to 3"),
}


@pytest.mark.parametrize("way", WEIGHTS)
def test_weights_that_are_computed_in_forward_are_evaluated_once(way: str) -> None:
    torch.manual_seed(3)
    function, text = WEIGHTS[way]
    layers = OwnLinear(12, 9, function), nn.BatchNorm1d(9), Forward(lambda m, x: x.sign())
    model = trained(nn.Sequential(*layers, OwnLinear(9, 3, function)))
    graph = lower(model, BITS)
    assert graph.is_exact
    assert f"weights are {text} times" in str(explain(model, BITS))
    if "mean" not in way:  # equal integers of unequal scales are no ties in floats
        same_class(model, graph, BITS)


def test_functions_of_one_sum_meet_behind_a_flatten() -> None:
    """Channels of a flattened image have another order in the Graph than in torch."""
    source = Input("x", (4, 4, 2), -3, 4)
    torch.manual_seed(6)
    parts = {
        "conv": BinaryConv2d(2, 3, 3, METHOD),
        "norm": nn.BatchNorm1d(12),
        "shift": nn.BatchNorm1d(12),
        "last": binary(12, 4),
    }

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y = m.conv(x).flatten(1)
        return m.last(m.norm(y).sign() * m.shift(m.norm(y) * y).sign())

    model = trained(Forward(forward, **parts))
    graph = lower(model, source)
    assert graph.is_exact
    same_class(model, graph, source)


def test_levels_of_thirds_are_exact() -> None:
    """A quantizer that is written as functions: its levels k / 3 are integers times a step."""
    torch.manual_seed(3)
    act = Forward(lambda m, x: (x.clamp(0, 1) * 3).round() / 3)
    model = nn.Sequential(nn.Linear(12, 9), act, OwnLinear(9, 3, lambda w: w.sign()))
    model[0].weight.data.sign_()
    graph = lower(model.eval(), BITS)
    assert graph.is_exact
    node = graph.nodes[2]
    assert isinstance(node, Threshold)
    assert (node.base, node.levels) == (0, 3)


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda m, x: m.last(x) if x.size(1) != 12 else m.first(x), "cannot be traced.*control"),
        (lambda m, x: m.last(m.norm(m.first(x)) + x.new_tensor(m.first.weight.org)), "a parameter"),
    ],
)
def test_code_that_no_trace_can_follow_is_refused(forward: Any, said: str) -> None:
    parts = {"first": nn.Linear(12, 9), "norm": nn.BatchNorm1d(9), "last": nn.Linear(9, 3)}
    with pytest.raises(CannotLower, match=said) as caught:
        lower(Forward(forward, **parts).eval(), BITS)
    assert "\n" not in str(caught.value)
