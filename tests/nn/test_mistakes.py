"""What layers say of the mistakes that people make in their own training loops."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.errors import HwbnnWarning, InputError
from hwbnn.graph import Input
from hwbnn.methods import METHODS, get
from hwbnn.nn import (
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    QuantLinear,
    after_step,
    mlp,
    network,
)
from hwbnn.training.loop import reestimate

PIXELS = Input("x", (6,), 0, 16, scale=1 / 16)
ON = torch.randint(0, 17, (8, 6), generator=torch.Generator().manual_seed(0)) / 16


@contextmanager
def silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (ON * 16, "found x = [0-9]+;"),  # not divided by 16
        ((ON - 0.4) / 0.3, "found x = -?[0-9.]+;"),  # normalised
        (ON + 0.02, r"found x = [0-9.]+;"),  # noise
    ],
)
def test_training_data_off_the_lattice_is_told_once(x: Tensor, found: str) -> None:
    layer = BinaryLinear(6, 3, "bnn_ste", source=PIXELS).train()
    expected = (
        r"in training: input 'x': expected x = 0\.0625 \* u \+ 0 with integers u from 0 to 16"
    )
    with pytest.warns(HwbnnWarning, match=f"{expected}, {found}"):
        layer(x)
    with silent():
        layer(ON.to(torch.bfloat16).float())
        for _ in range(20):
            layer(ON)
    with pytest.raises(InputError, match="expected x ="):
        layer.eval()(x)


def test_data_that_goes_off_the_lattice_later_is_told_too() -> None:
    layer = BinaryLinear(6, 3, "bnn_ste", source=PIXELS).train()
    with silent():
        for _ in range(20):
            layer(ON)
    with pytest.warns(HwbnnWarning, match="in training"):
        [layer(ON + 0.02) for _ in range(20)]


def test_a_source_that_was_forgotten_is_told_where_data_enters() -> None:
    first = BinaryLinear(6, 3, "bnn_ste").train()
    with pytest.warns(HwbnnWarning, match=r"without a source: .* found x = 0\.[0-9]+; say"):
        first(ON)
    with silent():
        BinaryLinear(6, 3, "bnn_ste").train()(ON * 16)  # integers
        BinaryLinear(6, 3, "bnn_ste").train()(ON.clone().requires_grad_())  # of another layer
        BinaryLinear(6, 3, "bnn_ste").eval()(ON)


def stepped(model: nn.Module, rounds: int, after: Callable[[nn.Module], None] | None) -> None:
    optimiser = torch.optim.Adam(model.parameters(), 0.05)
    wanted = torch.arange(8) % 3
    for _ in range(rounds):
        optimiser.zero_grad()
        functional.cross_entropy(model(ON), wanted).backward()
        optimiser.step()
        if after is not None:
            after(model)


@pytest.mark.parametrize("name", METHODS)
def test_a_forgotten_after_step_is_told_once_where_a_method_needs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwbnn.methods.base._forgotten", set())
    with silent():
        stepped(mlp(PIXELS, (), 3, name), 8, after_step)
        model = mlp(PIXELS, (), 3, name)
        for _ in range(8):  # no step, so that nothing is forgotten
            model(ON)
        stepped(mlp(PIXELS, (), 3, name).eval(), 8, None)
    forgetful = mlp(PIXELS, (4, 4), 3, name)  # three layers, one warning
    if get(name).has_step_hook:
        with pytest.warns(HwbnnWarning, match=f"{name}: .*after_step") as told:
            stepped(forgetful, 8, None)
        assert len(told) == 1
    with silent():
        stepped(forgetful, 8, None)


def test_a_step_hook_that_is_called_late_is_no_fault() -> None:
    """With accumulated gradients the hook comes after several passes."""
    model = mlp(PIXELS, (), 3, "bnn_ste")
    with silent():
        stepped(model, 2, None)
        after_step(model)
        stepped(model, 8, None)


def test_a_method_may_be_its_name() -> None:
    assert BinaryLinear(6, 3, "rbnn").weight.method == get("rbnn")
    activation = BinaryActivation(6, "adabin")
    assert activation.quantizer.method == get("adabin")
    assert activation.form is activation.quantizer
    assert [n for n, _ in activation.named_modules()] == ["", "quantizer"]
    assert BinaryConv2d(1, 2, 3, "bi_real").weight.method == get("bi_real")
    assert mlp(PIXELS, (4,), 3, "ir_net").layers[0].weight.method == get("ir_net")
    images = Input("x", (12, 12, 1), 0, 16, scale=1 / 16)
    assert network("resnet20", images, 3, "rbnn").input == images


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: BinaryLinear(6, 3), "BinaryLinear: method: expected a method.*found nothing"),
        (lambda: BinaryLinear(6, 3, "bnn_st"), "method 'bnn_st': expected"),
        (lambda: BinaryLinear(6, 3, nn.ReLU()), r"method: expected .* found ReLU\(\)"),
        (lambda: BinaryActivation(6), "BinaryActivation: method: .*found nothing"),
        (lambda: BinaryActivation(0, "rbnn"), "BinaryActivation: expected a number of channels"),
        (lambda: BinaryConv2d(1, 3, 3), "BinaryConv2d: method: .*found nothing"),
        (lambda: BinaryLinear(6, 3, "rbnn", bias=True), "BinaryLinear: bias: .*BatchNorm.*leave"),
        (lambda: BinaryConv2d(1, 3, 3, "rbnn", bias=True), "BinaryConv2d: bias: .*leave"),
        (lambda: BinaryLinear(6.0, 3, "rbnn"), "BinaryLinear: expected sizes from 1, found 6.0"),
        (lambda: BinaryLinear(6, True, "rbnn"), "BinaryLinear: expected sizes from 1"),
        (
            lambda: BinaryConv2d(1, 3, 3, "rbnn", padding_mode="reflect"),
            "BinaryConv2d: padding_mode: expected 'zeros', found 'reflect'; pad=-1",
        ),
        (
            lambda: BinaryLinear(6, 3, "rbnn")(ON.numpy()),
            "BinaryLinear: expected a tensor of floats, found ndarray; torch.as_tensor",
        ),
        (lambda: BinaryConv2d(1, 3, 3, "rbnn")([[1.0]]), "BinaryConv2d: expected .* found list"),
        (lambda: BinaryActivation(6, "rbnn")(ON.numpy()), "BinaryActivation: .* found ndarray"),
        (
            lambda: BinaryLinear(6, 3, "rbnn", source="x"),
            "source: expected hwbnn.Input.*found str",
        ),
        (lambda: mlp(PIXELS, (4,), 3, None), "mlp: method: .*found nothing"),
        (
            lambda: BinaryLinear(6, 3, "rbnn")(torch.ones(2, 5)),
            r"BinaryLinear\(6, 3\): expected an input of shape \(batch, 6\), found \(2, 5\)",
        ),
        (
            lambda: BinaryLinear(6, 3, "rbnn").eval()(torch.ones(6)),
            r"expected an input of shape \(batch, 6\), found \(6,\)",
        ),
        (
            lambda: BinaryConv2d(3, 4, 3, "rbnn")(torch.ones(2, 8, 8, 3)),
            r"BinaryConv2d\(3, 4\): expected .*\(batch, 3, height, width\), found \(2, 8, 8, 3\)",
        ),
        (
            lambda: BinaryActivation(8, "rbnn")(torch.ones(2, 16)),
            r"BinaryActivation: was made for 8 channels, but reads 16, .*shape \(2, 16\); make",
        ),
    ],
)
def test_one_line_says_what_is_wrong(make: Callable[[], object], said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        make()
    assert "\n" not in str(error.value)


def test_sizes_may_be_integers_of_numpy() -> None:
    """As ``np.prod(shape)`` gives them."""
    six, three = np.int64(6), np.int32(3)
    assert BinaryLinear(six, three, "rbnn")(ON).shape == (8, 3)
    assert QuantLinear(six, three)(ON).shape == (8, 3)
    conv = BinaryConv2d(three, six, three, "rbnn", padding=(np.int64(1), 0), stride=np.int64(2))
    assert (conv.kernel, conv.padding, conv.stride) == ((3, 3), (1, 1, 0, 0), (2, 2))
    sizes = (conv.in_channels, conv.out_channels, *conv.kernel, *conv.padding, *conv.stride)
    assert {type(n) for n in (*sizes, BinaryActivation(six, "rbnn").channels)} == {int}


def test_bias_may_be_said_to_be_none() -> None:
    assert BinaryLinear(6, 3, "rbnn", bias=False).in_features == 6


@pytest.mark.parametrize("grad", [torch.no_grad, torch.inference_mode])
def test_accuracy_measured_in_training_mode_is_told_once(
    grad: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwbnn.nn.binary._evaluated_in_training", set())
    model = mlp(PIXELS, (4,), 3, "bnn_ste")
    with silent():
        model(ON)
        with grad():
            model.eval()(ON)
            reestimate(model.train(), [ON, ON])
    with grad(), pytest.warns(HwbnnWarning, match=r"^BinaryLinear: .*model\.eval\(\)") as told:
        model.train()(ON)
    assert len(told) == 1
    with silent(), grad():
        model(ON)
