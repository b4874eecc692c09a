"""ProxyBNN: weights as coefficients times a basis."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.lowering import lower
from hwbnn.methods import Method, get, sign
from hwbnn.methods.proxy_bnn import FULL_LIMIT, ProxyBNN, ProxyWeight
from hwbnn.nn import after_step, mlp, parameter_groups, parts, penalty, start_epoch

FORMS = ("full", "kronecker")


def weight(shape: tuple[int, ...] = (7, 24), **hyper: object) -> ProxyWeight:
    torch.manual_seed(0)
    made = ProxyBNN(**hyper).make_weight(shape)  # type: ignore[arg-type]
    assert isinstance(made, ProxyWeight)
    return made


def random_basis(w: ProxyWeight) -> ProxyWeight:
    for basis in w.bases():
        basis.data.normal_()
    return w


def full(bases: Sequence[Tensor]) -> Tensor:
    """The basis as one matrix."""
    return bases[0] if len(bases) == 1 else torch.kron(bases[0], bases[1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(7, 24), (4, 3, 3, 3), (5, 13)])
def test_weights_are_coefficients_times_basis(form: str, shape: tuple[int, ...]) -> None:
    w = random_basis(weight(shape, form=form))
    expected = (w.latent.flatten(1).double() @ full(w.bases()).double()).view(shape)
    torch.testing.assert_close(w.real().double(), expected, rtol=1e-4, atol=1e-4)
    codes = w.codes()
    assert torch.equal(codes.integers, sign(w.real()))
    assert codes.scale is not None
    assert not codes.scale.requires_grad
    torch.testing.assert_close(codes.scale, w.real().abs().flatten(1).mean(dim=1))


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_the_closed_forms(form: str) -> None:
    w = random_basis(weight(form=form))
    upstream = torch.randn(w.shape)
    found = torch.autograd.grad(w.codes().integers, [w.latent, *w.bases()], upstream)
    z = w.latent.detach()
    bases = [basis.detach() for basis in w.bases()]
    passed = upstream * (z @ full(bases)).abs().le(1)
    assert 0 < (passed == 0).sum() < passed.numel()
    torch.testing.assert_close(found[0], passed @ full(bases).t())
    if form == "full":
        torch.testing.assert_close(found[1], z.t() @ passed)
        return
    a, b = bases
    zs, gs = z.view(-1, 4, 6), passed.view(-1, 4, 6)
    torch.testing.assert_close(found[1], torch.einsum("cij,jl,ckl->ik", zs, b, gs))
    torch.testing.assert_close(found[2], torch.einsum("cij,ik,ckl->jl", zs, a, gs))


def test_the_form_follows_the_number_of_inputs() -> None:
    for n, is_full in ((FULL_LIMIT, True), (FULL_LIMIT + 1, False), (24, True)):
        assert (weight((2, n)).left is None) is is_full
    assert weight((2, 24), form="kronecker").left is not None
    assert weight((2, 13), form="kronecker").left is None  # 13 has no sides


def steps(method: Method, count: int, shape: tuple[int, ...] = (9, 8)) -> nn.Module:
    """A network after some epochs of one step of Adam each, with every hook called."""
    torch.manual_seed(4)
    source = Input.bits(24)
    model = mlp(source, shape, 3, method)
    x, y = torch.randn(40, 24).sign(), torch.randint(0, 3, (40,))
    optimiser = torch.optim.Adam(parameter_groups(model, lr=0.1))
    for step in range(count):
        start_epoch(model, step / count)
        optimiser.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimiser.step()
        after_step(model)
    return model


@pytest.mark.parametrize("form", FORMS)
def test_an_identity_that_is_held_is_the_baseline_step_for_step(form: str) -> None:
    for count in (1, 2, 12):
        plain = steps(get("bnn_ste"), count).state_dict()
        held = ProxyBNN(form=form, basis_lr=0.0, scale="none")  # type: ignore[arg-type]
        proxy = steps(held, count).state_dict()
        assert set(plain) <= set(proxy)
        for key, value in plain.items():
            assert torch.equal(value, proxy[key]), (count, key)
    clipped = [v for k, v in plain.items() if k.endswith("latent")]
    assert any(bool((v.abs() == 1).any()) for v in clipped)  # the bounds were met


def test_the_first_step_is_the_baselines_and_the_second_is_not() -> None:
    learned = ProxyBNN(scale="none")
    for count, same in ((1, True), (2, False)):
        plain, proxy = steps(get("bnn_ste"), count), steps(learned, count)
        assert torch.equal(plain.layers[0].weight.latent, proxy.layers[0].weight.latent) is same  # type: ignore[index,union-attr]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(7, 24), (4, 3, 3, 3)])
def test_renormalising_moves_lengths_and_changes_no_weight(
    form: str, shape: tuple[int, ...]
) -> None:
    w = random_basis(weight(shape, form=form))
    before = w.real().detach().clone()
    ProxyBNN().on_epoch([w])
    torch.testing.assert_close(w.real().detach(), before, rtol=1e-4, atol=1e-5)
    for basis in w.bases():
        torch.testing.assert_close(basis.norm(dim=1), torch.ones(len(basis)))


def test_renormalising_keeps_the_identity_and_survives_rows_of_zeros() -> None:
    w = weight()
    before = copy.deepcopy(w.state_dict())
    w.renormalise()
    assert all(torch.equal(v, before[k]) for k, v in w.state_dict().items())
    w.right.data[3] = 0
    w.renormalise()
    assert w.real().isfinite().all()
    left_alone = random_basis(weight())
    before = copy.deepcopy(left_alone.state_dict())
    ProxyBNN(renormalise=False).on_epoch([left_alone])
    assert all(torch.equal(v, before[k]) for k, v in left_alone.state_dict().items())


@pytest.mark.parametrize("form", FORMS)
def test_soft_orthogonality_is_the_distance_of_the_gram_matrix(form: str) -> None:
    method = ProxyBNN(form=form, orthogonality=0.3)  # type: ignore[arg-type]
    model = mlp(Input.bits(6), (4,), 3, method)
    start = penalty(model)
    assert start is not None
    assert start.item() == 0  # the identity
    weights = [random_basis(w) for w in parts(model, ProxyWeight)]
    expected = sum(
        0.3 * (p.t() @ p - torch.eye(len(p))).square().sum().item()
        for w in weights
        for p in w.bases()
    )
    found = penalty(model)
    assert found is not None
    assert found.item() == pytest.approx(expected, rel=1e-5)
    found.backward()
    assert all(p.grad is not None for w in weights for p in w.bases())
    assert penalty(mlp(Input.bits(6), (4,), 3, ProxyBNN())) is None


@pytest.mark.parametrize("form", FORMS)
def test_a_random_start_is_orthogonal(form: str) -> None:
    w = weight(form=form, start="haar")
    for p in w.bases():
        assert (p @ p.t() - torch.eye(len(p))).abs().max() < 1e-6
        assert not torch.equal(p, torch.eye(len(p)))


def test_the_basis_has_its_own_rate_and_never_decays() -> None:
    options = weight(form="kronecker", basis_lr=0.3).options()
    assert {k: (o.lr_scale, o.decay) for k, o in options.items()} == {
        "latent": (1.0, False),
        "left": (0.3, False),
        "right": (0.3, False),
    }
    assert set(weight(form="full").options()) == {"latent", "right"}


@pytest.mark.parametrize("form", FORMS)
def test_a_step_of_the_basis_flips_more_bits_than_one_of_the_coefficients(form: str) -> None:
    """Why the basis has a lower rate: Adam's first step moves every number by the rate itself."""
    w = weight((64, 256), form=form)
    w.latent.data.uniform_(-1, 1)
    bits, rate = sign(w.real()), 0.005
    parts = [w.latent, *w.bases()]
    gradients = torch.autograd.grad(w.codes().integers, parts, torch.randn(w.shape))
    flips = []
    for moved, gradient in zip((w.latent, w.right), (gradients[0], gradients[-1]), strict=True):
        before = moved.data.clone()
        moved.data -= rate * gradient.sign()
        flips.append(float((sign(w.real()) != bits).float().mean()))
        moved.data = before
    assert flips[1] > 2 * flips[0] > 0


def test_logits_have_no_scale() -> None:
    codes = [w.codes() for w in parts(mlp(Input.bits(6), (4,), 3, ProxyBNN()), ProxyWeight)]
    assert [c.scale is None for c in codes] == [False, True]
    assert weight(scale="none").codes().scale is None


@pytest.mark.parametrize("form", FORMS)
def test_trained_networks_lower_to_the_same_bits_and_no_float_is_left(form: str) -> None:
    method = ProxyBNN(form=form, start="haar")  # type: ignore[arg-type]
    torch.manual_seed(7)
    source = Input.bits(9)
    model = mlp(source, (12, 8), 3, method)
    optimiser = torch.optim.Adam(parameter_groups(model, lr=0.05))
    for step in range(10):
        start_epoch(model, step / 10)
        optimiser.zero_grad()
        model(torch.randn(64, 9).sign()).square().mean().backward()
        optimiser.step()
        after_step(model)
    graph = lower(model, source)  # it compares all 512 inputs
    bits = [dot.signs for dot in graph.nodes if hasattr(dot, "weights")]
    real = [w.real() for w in parts(model, ProxyWeight)]
    assert len(bits) == 3
    for b, r in zip(bits, real, strict=True):
        assert torch.equal(torch.from_numpy(b.copy()), r >= 0)


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"form": "group"}, "form: expected one of auto, full, kronecker, found 'group'"),
        ({"start": "zero"}, "start: expected one of identity, haar, found 'zero'"),
        ({"scale": "learned"}, "scale: expected one of mean, none, found 'learned'"),
        ({"basis_lr": -1.0}, "basis_lr: expected a number from 0 to 1e\\+06, found -1.0"),
        (
            {"orthogonality": float("nan")},
            "orthogonality: expected a number from 0 to 1e\\+06, found nan",
        ),
        ({"renormalise": 1}, "renormalise: expected true or false, found 1"),
    ],
)
def test_wrong_hyper_parameters_are_refused(hyper: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"proxy_bnn: {message}"):
        ProxyBNN(**hyper)  # type: ignore[arg-type]


def trained(steps: int, **hyper: object) -> tuple[list[ProxyWeight], list[dict[str, Tensor]]]:
    """The layers of a small network after steps of Adam, and what they were at the start."""
    torch.manual_seed(0)
    model = mlp(Input.bits(24), (32, 32), 4, ProxyBNN(**hyper))  # type: ignore[arg-type]
    layers = [w for w in parts(model, ProxyWeight) if isinstance(w, ProxyWeight)]
    start = [{name: p.detach().clone() for name, p in w.named_parameters()} for w in layers]
    optimiser = torch.optim.Adam(parameter_groups(model, 0.01))
    x = torch.randint(0, 2, (256, 24)) * 2.0 - 1
    y = (x @ torch.randn(24, 4)).argmax(dim=1)
    for step in range(steps):
        start_epoch(model, step / steps)
        optimiser.zero_grad()
        functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        after_step(model)
    return layers, start


def moved(w: Tensor, start: Tensor) -> float:
    """How far a parameter is from its start, over the size of the start."""
    return float((w.detach() - start).norm() / start.norm())


def test_coefficients_and_basis_both_move_in_training() -> None:
    """By the default rate, in every layer: enough for signs to differ from the coefficients'."""
    layers, start = trained(80)
    assert len(layers) == 3
    for w, before in zip(layers, start, strict=True):
        assert moved(w.latent, before["latent"]) > 0.3
        assert moved(w.right, before["right"]) > 0.04
        real, coefficients = sign(w.real().detach()), sign(w.latent.detach())
        assert float((real != coefficients).float().mean()) > 0.02
    # Held, the basis is the identity, and the method the baseline.
    layers, start = trained(80, basis_lr=0.0)
    for w, before in zip(layers, start, strict=True):
        assert torch.equal(w.right, before["right"])
        assert torch.equal(sign(w.real().detach()), sign(w.latent.detach()))
