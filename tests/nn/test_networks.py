"""Networks by name: widths, shapes, shortcuts."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.methods import METHODS, get
from hwbnn.nn import (
    CHAINS,
    NAMES,
    NETWORKS,
    RESIDUAL,
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    ConvChain,
    OptionA,
    Residual,
    Scale,
    SumLayer,
    chain,
    mlp,
    network,
    residual,
    takes_images,
)
from hwbnn.nn.residual import ResidualStages

METHOD = get("bnn_ste")


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_by_name_have_their_widths(name: str) -> None:
    source = Input.bits(64 if name == "digits" else 784)
    model = network(name, source, 10, METHOD)
    layers = [m for m in model.modules() if isinstance(m, BinaryLinear)]
    sizes = [layers[0].in_features, *(layer.out_features for layer in layers)]
    assert sizes == [source.shape[0], *NETWORKS[name], 10]
    assert [layer.source for layer in layers] == [source] + [None] * (len(layers) - 1)
    assert model(torch.ones(2, *source.shape)).shape == (2, 10)


def test_images_are_flattened_and_either_ending_makes_logits() -> None:
    source = Input.pixels((1, 4, 4))
    for last, kind in (("batch_norm", nn.BatchNorm1d), ("scale", Scale)):
        model = mlp(source, (), 3, METHOD, last=last)  # type: ignore[arg-type]
        assert isinstance(model.layers[-1], kind)
        assert model(torch.randint(0, 256, (5, 1, 4, 4)) / 255).shape == (5, 3)


def test_names_that_are_unknown() -> None:
    with pytest.raises(
        InputError, match="network 'xfc': expected one of tfc, sfc, lfc, digits, mlp, lenet, cnv"
    ):
        network("xfc", Input.bits(4), 2, METHOD)
    with pytest.raises(InputError, match=r"last: expected one of batch_norm, .* found 'sum'"):
        mlp(Input.bits(4), (), 2, METHOD, last="sum")
    with pytest.raises(InputError, match="expected sizes from 1, found 4 and 0"):
        mlp(Input.bits(4), (0,), 2, METHOD)


COLOURS = Input.pixels((32, 32, 3), scale=2 / 255, offset=-1.0)


def shapes(model: nn.Module, x: torch.Tensor) -> list[tuple[int, ...]]:
    """What each binary layer returns for a batch of one, without the batch."""
    found: list[tuple[int, ...]] = []
    hooks = [
        module.register_forward_hook(lambda _, __, y: found.append(tuple(y.shape[1:])))
        for module in model.modules()
        if isinstance(module, SumLayer)
    ]
    model.eval()(x)
    for hook in hooks:
        hook.remove()
    return found


def test_the_chains_have_their_published_shapes() -> None:
    lenet = network("lenet", Input.pixels((28, 28, 1)), 10, METHOD)
    assert shapes(lenet, torch.ones(1, 1, 28, 28)) == [(32, 24, 24), (64, 8, 8), (512,), (10,)]
    cnv = network("cnv", COLOURS, 10, METHOD)
    expected = [(64, 30, 30), (64, 28, 28), (128, 12, 12), (128, 10, 10), (256, 3, 3), (256, 1, 1)]
    assert shapes(cnv, torch.ones(1, 3, 32, 32)) == [*expected, (512,), (512,), (10,)]
    kinds = [type(layer).__name__ for layer in cnv.layers]
    assert kinds[3:8] == [
        "BinaryConv2d",
        "MaxPool2d",
        "BatchNorm2d",
        "BinaryActivation",
        *kinds[:1],
    ]
    vgg = network("vgg_small", COLOURS, 10, METHOD)
    expected = [(128, 32, 32)] * 2 + [(256, 16, 16)] * 2 + [(512, 8, 8)] * 2
    found = shapes(vgg, torch.ones(1, 3, 32, 32))
    assert found == [*expected, (10,)]


@pytest.mark.parametrize("name", RESIDUAL)
def test_shortcuts_go_around_blocks_or_convolutions(name: str) -> None:
    model = network(name, COLOURS, 10, METHOD, last="scale")
    form = RESIDUAL[name]
    blocks = [m for m in model.modules() if isinstance(m, Residual)]
    per_block = 1 if form.shortcut == "block" else 2
    assert len(blocks) == len(form.widths) * form.blocks * per_block
    convolutions = [m for m in model.modules() if isinstance(m, BinaryConv2d)]
    large = [m for m in convolutions if m.kernel == (3, 3)]
    assert len(large) == 1 + 2 * form.blocks * len(form.widths)
    around = [m for m in model.modules() if isinstance(m, OptionA)]
    narrow = [m for m in convolutions if m.kernel == (1, 1)]
    assert (len(around), len(narrow)) == ((0, 3) if form.projects else (2, 0))
    found = shapes(model, torch.ones(1, 3, 32, 32))
    assert found[0] == (form.widths[0], 32, 32)
    assert found[-2] == (form.widths[-1], *(32 >> len(form.widths) - 1,) * 2)
    # A network of zero sums is its shortcuts: what the stem returns arrives at the average.
    for block in blocks:
        units = block.body if isinstance(block.body, nn.Sequential) else [block.body]
        nn.init.zeros_(units[-1].norm.weight)
    x = torch.randint(0, 256, (2, 3, 32, 32)) * (2 / 255) - 1
    if not form.projects:
        model.train()
        stem, mean = model.layers[:3](x), model.layers[:-2](x)
        pooled = stem[:, :, ::4, ::4].mean(dim=(2, 3))
        torch.testing.assert_close(mean[:, 24:40], pooled)
        assert mean[:, :24].count_nonzero() == mean[:, 40:].count_nonzero() == 0


def test_option_a_keeps_every_other_place_and_adds_zeros() -> None:
    x = torch.arange(24.0).reshape(1, 2, 3, 4) + 1
    y = OptionA(2, 1, 2)(x)
    assert y.shape == (1, 5, 2, 2)
    assert torch.equal(y[:, 1:3], x[:, :, ::2, ::2])
    assert y[:, 0].count_nonzero() == y[:, 3:].count_nonzero() == 0


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_small_networks_on_images(method: str) -> None:
    torch.manual_seed(0)
    source = Input("x", (8, 8, 2), 0, 15, scale=2 / 15, offset=-1.0)
    x = torch.randint(0, 16, (4, 2, 8, 8)) * (2 / 15) - 1
    form = ConvChain((3, "pool", 4), (5,), padding=1)
    for model in (
        chain(source, form, 3, get(method), last="scale"),
        residual_of(source, ResidualStages((2, 4), 1, "block", projects=False), method),
        residual_of(source, ResidualStages((2, 4), 1, "conv", projects=True), method),
    ):
        x_last = x.to(memory_format=torch.channels_last)
        nn.functional.cross_entropy(model(x_last), torch.tensor([0, 1, 2, 0])).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        for activation in (m for m in model.modules() if isinstance(m, BinaryActivation)):
            # The layer behind knows what the codes stand for.
            reads = [m for m in model.modules() if getattr(m, "source", None) is activation]
            assert bool(reads) == activation.quantizer.is_mapped
        again = copy.deepcopy(model).eval()
        assert torch.equal(again(x), model.eval()(x))


def residual_of(source: Input, form: ResidualStages, method: str) -> nn.Module:
    return residual(source, form, 3, get(method))


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected images \(height, width, channels\)"):
        network("cnv", Input.pixels(3072), 10, METHOD)
    with pytest.raises(InputError, match="too small for the layers"):
        network("cnv", Input.pixels((28, 28, 1)), 10, METHOD)
    with pytest.raises(InputError, match=r"last: expected one of batch_norm, .* found 'sum'"):
        network("resnet20", COLOURS, 10, METHOD, last="sum")
    assert [name for name in NAMES if takes_images(name)] == [*CHAINS, *RESIDUAL]
