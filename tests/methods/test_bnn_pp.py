"""BNN++: soft until the hard phase, SignSwish."""

from __future__ import annotations

import pytest
import torch

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Input
from hwbnn.lowering import lower
from hwbnn.methods import get
from hwbnn.methods.bnn_pp import BnnPP, by_deviation
from hwbnn.methods.latent import LatentWeight
from hwbnn.nn import mlp, parts, set_progress


def test_the_network_is_soft_until_the_hard_phase_and_refused_till_then() -> None:
    torch.manual_seed(0)
    source = Input.bits(9)
    model = mlp(source, (5,), 2, get("bnn_pp", hard=0.25))
    gaps = []
    for u in (0.0, 0.5, 0.74):
        set_progress(model, u)
        for weight in parts(model, LatentWeight):
            soft = weight.codes().integers
            assert soft.abs().max() <= 1
            gaps.append((soft - weight.real().sign()).abs().mean().item())
        with pytest.raises(CannotLower, match=r"layers.0.*its weights are still soft"):
            lower(model, source)
    assert gaps[0] > gaps[2] > gaps[4] > 0  # of the first layer: softness ends as mu grows
    set_progress(model, 0.75)
    assert all(
        set(w.codes().integers.unique().tolist()) <= {-1, 1} for w in parts(model, LatentWeight)
    )
    lower(model, source)


def test_steepness_does_not_depend_on_the_size_of_latent_weights() -> None:
    weight = BnnPP().make_weight((4, 50))
    assert isinstance(weight, LatentWeight)
    before = weight.codes().integers
    weight.latent.data *= 8
    assert torch.equal(weight.codes().integers, before)
    assert weight.real().std(correction=0).item() == pytest.approx(1)
    plain = BnnPP(scale="none").make_weight((4, 50))
    assert isinstance(plain, LatentWeight)
    assert plain.real() is plain.latent


def test_equal_numbers_have_no_deviation_and_stay_finite() -> None:
    for value in (0.0, 1.0, -0.5):
        found = by_deviation(torch.full((1, 1), value))
        assert found.isfinite().all()
        assert (found.item() >= 0) == (value >= 0)


def test_mu_grows_geometrically_to_the_hard_phase() -> None:
    method = BnnPP(mu_first=1.0, mu_last=100.0, hard=0.5)
    assert method.schedule(0.25)["mu"] == pytest.approx(10)
    assert method.schedule(0.5) == method.schedule(1.0) == {"mu": pytest.approx(100), "hard": 1}
    assert BnnPP(hard=1).schedule(0.0)["hard"] == 1


@pytest.mark.parametrize(("mu", "beyond"), [(1.0, 0.016), (4.0, 0.55), (50.0, 0.96)])
def test_a_steep_pair_leaves_most_latent_weights_where_they_are(mu: float, beyond: float) -> None:
    torch.manual_seed(0)
    weight = BnnPP(mu_first=mu, mu_last=mu).make_weight((50, 400))
    assert isinstance(weight, LatentWeight)
    weight.latent.data.normal_()
    slope = weight.estimator.surrogate(weight.real().detach(), weight.settings)
    floor = slope <= mu / 1000 * 1.001  # all that monotone mode leaves beyond mu |w| = 2.4
    assert floor.double().mean().item() == pytest.approx(beyond, abs=0.01)


def test_raw_is_the_published_pair() -> None:
    weight = BnnPP(mode="raw", scale="none", mu_first=1.0).make_weight((1, 2))
    assert isinstance(weight, LatentWeight)
    weight.latent.data = torch.tensor([[2.39936, 6.0]])
    signs = weight.codes().integers
    assert signs[0, 0].item() == pytest.approx(1.19968, abs=1e-5)
    (gradient,) = torch.autograd.grad(signs.sum(), weight.latent)
    assert gradient[0, 1] < 0


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"mode": "soft"}, "mode: expected one of monotone, raw, found 'soft'"),
        ({"scale": "max"}, "scale: expected one of std, none, found 'max'"),
        ({"mu_first": 9.0, "mu_last": 3.0}, r"mu_last: expected at least mu_first = 9\.0"),
        ({"hard": 0}, "hard: expected a number from 0.001 to 1, found 0"),
    ],
)
def test_wrong_hyper_parameters_are_refused(hyper: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"bnn_pp: {message}"):
        get("bnn_pp", **hyper)
