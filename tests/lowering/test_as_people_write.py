"""Networks as people write them: functions in place of modules, other codes, normalised inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Graph, Input, Lookup, Rescale, Threshold
from hwbnn.lowering import floats, lower
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
            lambda m, x: m.sign(torch.where(x > 0, x, 0.1 * x)),
            "function 'where' in the model: expected one value of the network",
        ),
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
