"""BinaryL2: the penalty term and its schedule."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Input
from hwbnn.lowering import lower
from hwbnn.methods import sign
from hwbnn.methods.binary_l2 import FORMS, BinaryL2, PenaltyForm, binary_penalty
from hwbnn.methods.latent import LatentWeight
from hwbnn.nn import after_step, mlp, parameter_groups, parts, penalty, start_epoch


def term(w: Tensor, form: str, strength: float) -> Tensor:
    """The definition, in torch's own operations."""
    each = {
        "l2": (1 - w.abs()) ** 2 / 2,
        "quartic": (1 - w**2) ** 2 / 8,
        "1-w2": (1 - w**2) / 2,
    }[form]
    return strength * each.sum()


@pytest.mark.parametrize("form", FORMS)
def test_value_and_gradient_are_the_forms(form: PenaltyForm) -> None:
    torch.manual_seed(0)
    latent = [torch.rand(shape, dtype=torch.float64) * 2.4 - 1.2 for shape in ((7, 5), (3, 2, 2))]
    for w in latent:
        w.requires_grad_()
    found = binary_penalty(latent, form, 0.3)
    expected = sum((term(w, form, 0.3) for w in latent[1:]), term(latent[0], form, 0.3))
    torch.testing.assert_close(found, expected)
    for a, b in zip(
        torch.autograd.grad(2 * found, latent),
        torch.autograd.grad(2 * expected, latent),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_the_l2_form_pulls_zeros_of_both_signs_to_plus_one() -> None:
    w = torch.tensor([0.0, -0.0, -1e-45, 0.25, -0.25, 1.0, -1.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(binary_penalty([w], "l2", 2.0), w)
    assert torch.equal(gradient, 2.0 * (w - sign(w)).detach())
    assert gradient[:3].tolist() == [-2, -2, 2]


def test_forms_of_equal_strength_are_equally_curved_at_the_ends() -> None:
    w = torch.tensor([0.999], dtype=torch.float64, requires_grad=True)
    slopes = [torch.autograd.grad(binary_penalty([w], f, 1.0), w)[0].item() for f in FORMS]
    assert slopes[0] == pytest.approx(-0.001)
    assert slopes[1] == pytest.approx(slopes[0], rel=0.01)
    assert slopes[2] == pytest.approx(-0.999)


def test_the_strength_is_ramped_linearly_and_then_held() -> None:
    method = BinaryL2(strength=0.8, ramp=0.5)
    found = [method.schedule(u)["strength"] for u in (0, 0.125, 0.25, 0.5, 0.75, 1)]
    assert found == pytest.approx([0, 0.2, 0.4, 0.8, 0.8, 0.8])
    assert BinaryL2(strength=0.8, ramp=0).schedule(0) == {"strength": 0.8}


def test_the_models_penalty_is_the_term_over_all_layers() -> None:
    model = mlp(Input.bits(6), (5,), 3, BinaryL2(strength=0.1))
    start_epoch(model, 0.0)
    assert penalty(model) is None
    start_epoch(model, 0.25)
    found = penalty(model)
    assert found is not None
    latent = [w.latent for w in parts(model, LatentWeight)]
    torch.testing.assert_close(found, sum(term(w, "l2", 0.05) for w in latent))
    assert penalty(mlp(Input.bits(6), (5,), 3, BinaryL2(strength=0.0))) is None


def test_the_term_alone_brings_the_weights_to_their_signs() -> None:
    torch.manual_seed(0)
    for form in FORMS:
        model = mlp(Input.bits(6), (5,), 3, BinaryL2(form=form, strength=1.0, ramp=0))
        latent = [w.latent for w in parts(model, LatentWeight)]
        before = [sign(w) for w in latent]
        optimiser = torch.optim.SGD(latent, lr=0.2)
        for _ in range(100):
            optimiser.zero_grad()
            penalty(model).backward()  # type: ignore[union-attr]
            optimiser.step()
            after_step(model)
        for w, signs in zip(latent, before, strict=True):
            torch.testing.assert_close(w.detach(), signs, rtol=0, atol=1e-3)


@pytest.mark.parametrize("bits", [2, 8])
def test_activations_of_several_bits_lower_exactly(bits: int) -> None:
    torch.manual_seed(bits)
    source = Input("x", (4,), 0, 3, scale=0.25)
    model = mlp(source, (7, 6), 3, BinaryL2(bits=bits))
    for _ in range(20):  # BatchNorm's statistics, so that codes are of all sizes
        model(torch.rand(64, 4))
    graph = lower(model, source)  # it compares all 256 inputs
    assert {t.high for name, t in graph.types.items() if "threshold" in name} == {(1 << bits) - 1}


def test_real_activations_are_trained_and_refused() -> None:
    source = Input.bits(6)
    model = mlp(source, (5,), 3, BinaryL2(activation="relu"))
    assert model(torch.ones(4, 6)).shape == (4, 3)
    assert model.eval()(torch.ones(4, 6)).shape == (4, 3)
    with pytest.raises(CannotLower, match=r"layer 'layers\.2'.*real numbers, as published"):
        lower(model, source)


def test_bits_throughout_lower_to_bits() -> None:
    source = Input.bits(6)
    graph = lower(mlp(source, (5,), 3, BinaryL2(activation="sign")), source)
    assert graph.types["threshold_1"].bit


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"form": "l3"}, "form: expected one of l2, quartic, 1-w2, found 'l3'"),
        ({"activation": "tanh"}, "activation: expected one of unsigned, relu, sign, found 'tanh'"),
        ({"strength": -1.0}, "strength: expected a number from 0 to 1000, found -1.0"),
        ({"strength": float("nan")}, "strength: expected a number from 0 to 1000, found nan"),
        ({"ramp": 1.5}, "ramp: expected a number from 0 to 1, found 1.5"),
        ({"bits": 1}, "bits: expected an integer from 2 to 8, found 1"),
        ({"high": 3.0}, "high: expected a power of two, which keeps"),
        ({"glorot_lr": 3}, "glorot_lr: expected true or false, found 3"),
    ],
)
def test_wrong_hyper_parameters_are_refused(hyper: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"binary_l2: {message}"):
        BinaryL2(**hyper)  # type: ignore[arg-type]


def distances(strength: float) -> list[float]:
    """The mean of ``1 - |W|`` in each layer of a small network after a hundred steps of Adam."""
    torch.manual_seed(0)
    model = mlp(Input.bits(32), (48, 48), 4, BinaryL2(strength=strength, ramp=0.5))
    optimiser = torch.optim.Adam(parameter_groups(model, 0.01))
    x = torch.randint(0, 2, (256, 32)) * 2.0 - 1
    y = (x @ torch.randn(32, 4)).argmax(dim=1)
    for step in range(100):
        start_epoch(model, step / 100)
        loss = functional.cross_entropy(model(x), y)
        extra = penalty(model)
        optimiser.zero_grad()
        (loss if extra is None else loss + extra).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        after_step(model)
    layers = parts(model, LatentWeight)
    return [float((1 - w.latent.detach().abs()).mean()) for w in layers]


def test_the_default_strength_moves_margins_in_every_layer() -> None:
    """Against the same training without the term, which is BinaryConnect's."""
    without, default, weak = (distances(s) for s in (0.0, BinaryL2().strength, 1e-6))
    assert len(default) == 3
    assert all(none - some > 0.002 for none, some in zip(without, default, strict=True))
    # A tenth of it does not: the test can fail.
    assert not all(none - some > 0.002 for none, some in zip(without, weak, strict=True))
