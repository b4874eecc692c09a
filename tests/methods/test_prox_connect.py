"""ProxConnect++: pairs of forward and backward, and their condition."""

from __future__ import annotations

from math import inf

import pytest
import torch

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.methods import Estimator, get, sign
from hwbnn.methods.estimators import ClipSTE, Settings, SignSwish, StraightThrough, SwishSign
from hwbnn.methods.latent import LatentWeight
from hwbnn.methods.prox_connect import PAIRS, ProxConnect, Ramp, broken
from hwbnn.nn import mlp, parts
from tests.methods.test_contract import Run


@pytest.mark.parametrize("pair", PAIRS)
def test_each_special_case_keeps_the_condition_at_every_moment(pair: str) -> None:
    method = ProxConnect(pair=pair)
    for i in range(41):
        settings = method.schedule(i / 40)
        assert broken(method.instance.pair, settings, method.instance.bound(settings)) is None


@pytest.mark.parametrize("pair", [name for name, case in PAIRS.items() if case.reach < inf])
def test_beyond_its_reach_a_pair_breaks_the_condition(pair: str) -> None:
    case, settings = PAIRS[pair], ProxConnect(pair=pair).schedule(0.5)
    steepness = 1.0 if case.steep is None else settings[case.steep]
    beyond = case.reach / steepness * 1.5
    assert "B is " in (broken(case.pair, settings, beyond) or "")
    with pytest.raises(
        InputError,
        match=rf"prox_connect: pair '{pair}': B is .* at 50% of the training|at 0% of the training",
    ):
        ProxConnect(pair=pair, bound=beyond)


def test_pairs_that_break_the_condition_are_found() -> None:
    assert broken(StraightThrough(), {}, inf) is None
    assert "B is 0 at" in (broken(ClipSTE(), {}, 1.1) or "")
    assert "B is -" in (broken(SwishSign(), {"mu": 1.0}, 3.0) or "")
    assert "F falls beyond" in (broken(SignSwish("raw"), {"mu": 1.0, "hard": 0.0}, 3.0) or "")

    class Turned(Estimator):
        def forward(self, x: torch.Tensor, settings: Settings) -> torch.Tensor:
            return -sign(x)

        def surrogate(self, x: torch.Tensor, settings: Settings) -> torch.Tensor:
            return torch.full_like(x, torch.nan)

    assert "F falls beyond" in (broken(Turned(), {}, 1.0) or "")


def test_not_a_number_is_not_positive() -> None:
    class Nowhere(StraightThrough):
        def surrogate(self, x: torch.Tensor, settings: Settings) -> torch.Tensor:
            return torch.full_like(x, torch.nan)

    assert "B is nan" in (broken(Nowhere(), {}, 1.0) or "")


@pytest.mark.parametrize("pair", PAIRS)
def test_latent_weights_stay_where_the_condition_holds(pair: str) -> None:
    source = Input.bits(12)
    torch.manual_seed(0)
    model = mlp(source, (8,), 2, get("prox_connect", pair=pair))
    u = torch.randint(0, 2, (64, 12))
    run = Run(model, source, u, u[:, 0], total=4)
    weights = parts(model, LatentWeight)
    for epoch in range(4):
        run.epochs(epoch, epoch + 1)
        for weight in weights:
            case = PAIRS[pair]
            bound = case.bound(weight.settings)
            assert weight.latent.abs().max() <= bound
            own = weight.latent.detach().flatten()
            assert (case.pair.surrogate(own, weight.settings) > 0).all()


def test_the_interval_is_entered_before_the_first_step_of_an_epoch() -> None:
    method = ProxConnect(pair="rbnn")
    weight = method.make_weight((1, 3))
    assert isinstance(weight, LatentWeight)
    weight.latent.data = torch.tensor([[5.0, -5.0, 0.01]])
    weight.set_progress(1.0)
    method.on_epoch([weight])
    assert weight.latent.abs().max().item() == pytest.approx(2**0.5 / 10, rel=0.01)


def test_the_case_bnn_steps_as_binary_connect_does_within_the_bounds() -> None:
    latents = []
    for pair in ("bnn", "binary_connect"):
        torch.manual_seed(0)
        model = mlp(Input.bits(12), (8,), 2, get("prox_connect", pair=pair))
        u = torch.randint(0, 2, (64, 12))
        Run(model, Input.bits(12), u, u[:, 0], total=2).epochs(0, 2)
        latents.append([w.latent for w in parts(model, LatentWeight)])
    assert all(torch.equal(a, b) for a, b in zip(*latents, strict=True))


def test_the_ramp_is_a_proximal_map_that_becomes_the_sign() -> None:
    x = torch.tensor([-3.0, -0.25, -0.0, 0.25, 3.0])
    assert Ramp().forward(x, {"mu": 2.0, "hard": 0.0}).tolist() == [-1, -0.5, 0, 0.5, 1]
    assert Ramp().forward(x, {"mu": 2.0, "hard": 1.0}).tolist() == [-1, -1, 1, 1, 1]


def test_steepness_grows_to_the_hard_phase_and_rests() -> None:
    method = ProxConnect(pair="prox_connect", first=2.0, last=50.0, hard=0.2)
    at = {u: method.schedule(u) for u in (0.0, 0.4, 0.79, 0.8, 0.95)}
    assert at[0.0]["mu"] == 2
    assert at[0.4]["mu"] == pytest.approx(10)
    assert at[0.79]["hard"] == 0
    assert at[0.8] == at[0.95]
    assert at[0.8]["hard"] == 1
    assert at[0.8]["mu"] == pytest.approx(50)


def test_the_last_epoch_of_ten_is_hard() -> None:
    assert [ProxConnect().schedule(epoch / 10)["hard"] for epoch in (8, 9)] == [0, 1]


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"pair": "xyz"}, "pair: expected one of binary_connect, bnn, .*found 'xyz'"),
        ({"first": 3.0, "last": 2.0}, r"last: expected at least first = 3\.0, found 2\.0"),
        ({"first": 0.0}, "first: expected a number from 1e-06 to 1e"),
        ({"hard": 0}, "hard: expected a number from 0.001 to 1, found 0"),
    ],
)
def test_wrong_hyper_parameters_are_refused(hyper: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"prox_connect: {message}"):
        get("prox_connect", **hyper)
