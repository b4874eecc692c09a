"""RBNN: rotations of weights, their gate and their schedule."""

from __future__ import annotations

import copy
from math import asin, pi, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Input
from hwbnn.lowering import lower
from hwbnn.methods import sign
from hwbnn.methods.kronecker import haar, sides, transform
from hwbnn.methods.rbnn import RBNN, RotatedWeight, best_left, best_right, sign_agreement
from hwbnn.nn import mlp, parameter_groups, parts, start_epoch


def weight(shape: tuple[int, ...] = (7, 24), u: float = 0.4, **hyper: object) -> RotatedWeight:
    torch.manual_seed(0)
    made = RBNN(**hyper).make_weight(shape)  # type: ignore[arg-type]
    assert isinstance(made, RotatedWeight)
    made.set_progress(u)
    return made


def definition(w: RotatedWeight, latent: Tensor, phi: Tensor, *, detach: bool = False) -> Tensor:
    """The gated rotated weights by the paper's formulas, in float64."""
    flat = latent.flatten(1)
    x = (flat - flat.mean(dim=1, keepdim=True)) / flat.std(dim=1, keepdim=True)
    rotated = (x.detach() if detach else x) @ torch.kron(w.left, w.right).double()
    return (x + phi.sin().abs()[:, None] * (rotated - x)).view(latent.shape)


def triangle(x: Tensor, t: float, k: float) -> Tensor:
    return (k * (sqrt(2) * t - t * t * x.abs())).clamp_min(0)


@pytest.mark.parametrize("shape", [(7, 24), (4, 3, 3, 3), (5, 13)])
def test_real_weights_are_gated_rotations_of_standardised_ones(shape: tuple[int, ...]) -> None:
    w = weight(shape)
    w.phi.data.uniform_(-3, 3)
    expected = definition(w, w.latent.double(), w.phi.double())
    torch.testing.assert_close(w.real().double(), expected, rtol=1e-4, atol=1e-5)
    signs, scale = w.codes().integers, w.codes().scale
    assert torch.equal(signs, sign(w.real()))
    assert scale is w.alpha


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("u", [0.0, 0.4, 0.7, 1.0])
def test_gradients_are_the_closed_forms(u: float, detach: bool) -> None:
    w = weight(u=u, gate=0.7, detach_rotation=detach)
    upstream = torch.randn(w.shape)
    found = torch.autograd.grad(w.codes().integers, [w.latent, w.phi], upstream)
    latent, phi = w.latent.detach().double(), w.phi.detach().double()
    latent.requires_grad_()
    phi.requires_grad_()
    real = definition(w, latent, phi, detach=detach)
    through = triangle(real.detach(), w.settings["t"], w.settings["k"]) * upstream
    for a, b in zip(found, torch.autograd.grad(real, [latent, phi], through), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-4)


def test_a_closed_gate_leaves_the_weights_and_an_open_one_rotates_them() -> None:
    closed, opened = weight(gate=0.0), weight(gate=1.0)
    assert torch.equal(closed.real(), closed.standard())
    rotated = transform(opened.standard(), opened.left, opened.right)
    torch.testing.assert_close(opened.real(), rotated)


def test_the_authors_start_gets_no_gradient_and_the_default_does() -> None:
    for detach in (False, True):
        w = weight(detach_rotation=detach, gate=1.0)
        (gradient,) = torch.autograd.grad(w.codes().integers, w.latent, torch.randn(w.shape))
        assert bool((gradient == 0).all()) is detach


def test_the_schedule_is_the_papers() -> None:
    for u, t in ((0, 0.01), (1 / 3, 0.1), (2 / 3, 1), (1, 10)):
        found = RBNN(t_max=10.0).schedule(u)
        expected = {"t": t, "k": max(1 / t, 1), "t_activation": max(t, 1), "turns": float(u < 0.3)}
        assert found == pytest.approx(expected)


def test_the_rotation_rests_in_the_end() -> None:
    model = mlp(Input.bits(6), (4,), 3, RBNN(turn_until=0.5))
    for u, turns in ((0.0, True), (0.49, True), (0.5, False), (1.0, False)):
        before = [w.right.clone() for w in parts(model, RotatedWeight)]
        start_epoch(model, u)
        for a, w in zip(before, parts(model, RotatedWeight), strict=True):
            assert torch.equal(a, w.right) is not turns


@pytest.mark.parametrize(("u", "t"), [(0.0, 1.0), (1.0, 10.0)])
def test_activations_pass_a_triangle_that_narrows(u: float, t: float) -> None:
    form = RBNN(t_max=10.0).make_activation(1)
    form.set_progress(u)
    x = torch.linspace(-2, 2, 101, requires_grad=True)
    (gradient,) = torch.autograd.grad(form(x).sum(), x)
    torch.testing.assert_close(gradient, triangle(x.detach(), t, 1.0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(64, 96), (3, 40), (16, 13)])
def test_no_half_step_of_the_rotation_loses_agreement(shape: tuple[int, ...]) -> None:
    w = weight(shape)
    a, b = sides(shape[1])
    x = w.standard().detach().double().view(-1, a, b)
    left, right = w.left.double(), w.right.double()
    signs = sign(transform(x, left, right))
    reached = sign_agreement(signs, x, left, right)
    first = reached
    for _ in range(10):
        for half in ("left", "right", "signs"):
            if half == "left":
                left = best_left(signs, x, right)
            elif half == "right":
                right = best_right(signs, x, left)
            else:
                signs = sign(transform(x, left, right))
            now = sign_agreement(signs, x, left, right)
            assert now >= reached * (1 - 1e-12), half
            reached = now
    assert reached > first * 1.01


def test_half_steps_are_the_best_of_all_rotations() -> None:
    w = weight((16, 24))
    x = w.standard().detach().view(-1, 4, 6)
    signs = sign(transform(x, w.left, w.right))
    best = sign_agreement(signs, x, best_left(signs, x, w.right), w.right)
    assert all(best >= sign_agreement(signs, x, haar(4), w.right) for _ in range(100))
    best = sign_agreement(signs, x, w.left, best_right(signs, x, w.left))
    assert all(best >= sign_agreement(signs, x, w.left, haar(6)) for _ in range(100))


def test_the_rotation_stays_orthogonal_and_brings_weights_nearer_to_their_signs() -> None:
    w = weight((64, 784), u=0.0)

    def cosine() -> float:
        real = w.real().detach()
        return float((real.abs().sum(dim=1) / real.norm(dim=1)).mean()) / 784**0.5

    before = cosine()
    for _ in range(5):
        RBNN().on_epoch([w])
    for r in (w.left, w.right):
        assert (r @ r.t() - torch.eye(28)).abs().max() < 1e-5
    assert cosine() > before + 0.005


def test_only_an_epochs_start_turns_the_rotation() -> None:
    """So replicas on several devices hold the same one, and a checkpoint holds it all."""
    model = mlp(Input.bits(12), (9,), 3, RBNN())
    start_epoch(model, 0.0)
    before = copy.deepcopy(model.state_dict())
    replica = copy.deepcopy(model)
    model(torch.randn(8, 12).sign()).sum().backward()
    kept = [key for key in before if key.endswith(("left", "right"))]
    assert len(kept) == 4
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in kept)
    for m in (model, replica):
        start_epoch(m, 0.2)
    for key in kept:
        assert torch.equal(model.state_dict()[key], replica.state_dict()[key])
        assert not torch.equal(model.state_dict()[key], before[key])


def test_a_turn_flips_bits_long_after_the_first() -> None:
    """Why a run of few epochs loses by turning to the end, and by default does not."""
    w = weight((256, 256))
    bits = sign(w.real())
    for _ in range(8):
        w.refine(3)
        before, bits = bits, sign(w.real())
        assert 0.005 < (bits != before).float().mean() < 0.05


def test_channels_of_equal_weights_are_zeros_and_break_nothing() -> None:
    w = weight((3, 12))
    w.latent.data[0], w.latent.data[1] = 0.25, 0.0
    w.refine(3)
    assert w.real()[:2].abs().max() == 0
    assert (w.codes().integers[:2] == 1).all()
    (gradient,) = torch.autograd.grad(w.codes().integers, w.latent, torch.randn(w.shape))
    assert gradient.isfinite().all()
    alone = weight((4, 1))
    alone.refine(1)
    assert (alone.codes().integers == 1).all()
    for r in (w.left, w.right, alone.left, alone.right):
        assert (r @ r.t() - torch.eye(len(r))).abs().max() < 1e-5


def test_learned_scales_start_at_the_mean_magnitude_and_logits_have_none() -> None:
    w = weight()
    assert torch.equal(w.alpha, w.latent.abs().mean(dim=1))  # type: ignore[arg-type]
    assert [v.alpha is None for v in parts(mlp(Input.bits(6), (5,), 3, RBNN()), RotatedWeight)] == [
        False,
        True,
    ]
    assert weight(scale=False).codes().scale is None


def test_angles_do_not_decay() -> None:
    w = weight(lr_scale=3.0)
    options = w.options()
    assert (options["latent"].lr_scale, options["latent"].decay) == (3.0, True)
    assert not options["phi"].decay
    assert w.phi.tolist() == pytest.approx([asin(0.95)] * 7)
    assert weight(detach_rotation=True).options()["phi"].decay


def trained(method: RBNN, steps: int, decay: float = 0.0) -> tuple[Any, Any]:
    """The angles and bits of a small network's layers, at the start and after steps of SGD."""
    torch.manual_seed(0)
    model = mlp(Input.bits(24), (16,), 4, method)
    optimiser = torch.optim.SGD(parameter_groups(model, 0.1, decay), momentum=0.9)
    x = torch.randint(0, 2, (256, 24)) * 2.0 - 1
    y = (x @ torch.randn(24, 4)).argmax(dim=1)
    seen = []
    for step in range(steps + 1):
        if step in (0, steps):
            layers = parts(model, RotatedWeight)
            seen.append([(w.phi.detach().clone(), sign(w.real().detach())) for w in layers])
        optimiser.zero_grad()
        functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return seen[0], seen[1]


def test_the_gate_moves_in_training() -> None:
    """By its gradient alone, in every layer; from 1 exactly it would not."""
    start, end = trained(RBNN(), 40)
    for (phi, _), (after, _) in zip(start, end, strict=True):
        assert float((after - phi).abs().mean()) > 0.02
    start, end = trained(RBNN(gate=1.0), 40)
    for (phi, _), (after, _) in zip(start, end, strict=True):
        assert float((after - phi).abs().max()) < 1e-3


def test_a_cut_gradient_trains_as_weight_decay_opens_the_gate() -> None:
    """The authors' code: gate 1, no gradient through the rotation, decay on all parameters."""
    start, end = trained(RBNN(gate=1.0, detach_rotation=True), 60, decay=1e-2)
    for (phi, bits), (after, later) in zip(start, end, strict=True):
        assert (phi == pi / 2).all()
        assert float((1 - after.sin().abs()).mean()) > 0.005
        assert float((bits != later).float().mean()) > 0.005
    # Without decay on the angle nothing would ever reach the latent weights.
    _, held = trained(RBNN(gate=1.0, detach_rotation=True), 60)
    assert all(torch.equal(b, c) for (_, b), (_, c) in zip(start, held, strict=True))


def test_bits_of_centred_samples_are_right_and_refused_by_lowering() -> None:
    source = Input.bits(6)
    model = mlp(source, (5,), 3, RBNN(centre="sample"))
    form = RBNN(centre="sample").make_activation(4)
    x = torch.tensor([[1.0, 2.0, 3.0, 10.0], [-1.0, -1.0, -1.0, -1.0]])
    assert form.codes(x).tolist() == [[0, 0, 0, 1], [1, 1, 1, 1]]
    assert torch.equal(form(x), form.codes(x).float() * 2 - 1)
    with pytest.raises(CannotLower, match=r'mean of its sample.*train with centre = "none"'):
        lower(model, source)


def test_scales_of_any_sign_lower_exactly() -> None:
    torch.manual_seed(5)
    source = Input.bits(9)
    model = mlp(source, (12, 7), 3, RBNN())
    for w in parts(model, RotatedWeight):
        w.phi.data.uniform_(-2, 2)
        if w.alpha is not None:
            w.alpha.data.normal_()
            w.alpha.data[0] = 0
    for _ in range(20):
        model(torch.randn(64, 9).sign())
    lower(model, source)  # it compares all 512 inputs


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"t_min": 0.0}, "t_min: expected a number from 1e-06 to 1e\\+06, found 0.0"),
        ({"t_max": float("nan")}, "t_max: expected a number"),
        ({"gate": 1.5}, "gate: expected a number from 0 to 1, found 1.5"),
        ({"alternations": -1}, "alternations: expected an integer from 0 to 1000, found -1"),
        ({"alternations": 2.0}, "alternations: expected an integer from 0 to 1000, found 2.0"),
        ({"scale": 1}, "scale: expected true or false, found 1"),
        ({"detach_rotation": "no"}, "detach_rotation: expected true or false, found 'no'"),
        ({"centre": "batch"}, "centre: expected one of none, sample, found 'batch'"),
        ({"lr_scale": -1.0}, "lr_scale: expected a number from 0 to 1e\\+06, found -1.0"),
    ],
)
def test_wrong_hyper_parameters_are_refused(hyper: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"rbnn: {message}"):
        RBNN(**hyper)  # type: ignore[arg-type]
