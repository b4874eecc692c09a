"""What each of the short baselines promises beside the contract of all methods."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import ArgMax, Dot, Input, Lookup, Node, Output, Threshold
from hwbnn.lowering import lower
from hwbnn.methods import get
from hwbnn.methods.binary_connect import BinaryConnect
from hwbnn.methods.ir_net import IrNet, power_of_two
from hwbnn.methods.latent import LatentWeight
from hwbnn.methods.nonlinear import RPReLU
from hwbnn.methods.react_net import RSign
from hwbnn.nn import mlp, parts


def latent(name: str, rows: list[list[float]], **hyper: object) -> LatentWeight:
    weight = get(name, **hyper).make_weight((len(rows), len(rows[0])))
    assert isinstance(weight, LatentWeight)
    weight.latent.data = torch.tensor(rows, dtype=torch.float64)
    return weight


def effective(weight: LatentWeight) -> Tensor:
    codes = weight.codes()
    assert codes.scale is not None
    return codes.integers * codes.scale[:, None]


ROWS = [[0.5, -0.25, 0.75], [-1.0, 0.0, 0.125]]
UPSTREAM = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]], dtype=torch.float64)


class TestXnorNet:
    def test_the_gradient_is_the_published_one(self) -> None:
        weight = latent("xnor_net", ROWS)
        (found,) = torch.autograd.grad(effective(weight), weight.latent, UPSTREAM)
        w = torch.tensor(ROWS, dtype=torch.float64)
        signs = torch.where(w >= 0, 1.0, -1.0).double()
        scale = w.abs().mean(1, keepdim=True)
        through_scale = torch.sign(w) / 3 * (UPSTREAM * signs).sum(1, keepdim=True)
        torch.testing.assert_close(found, scale * UPSTREAM + through_scale)

    def test_centred_channels_have_mean_zero_and_stay_within_the_bounds(self) -> None:
        weight = latent("xnor_net", [[0.5, -0.25, 0.75], [3.0, 0.0, 0.0]], centre=True)
        weight.method.after_step([weight])
        assert weight.latent[0].mean().item() == pytest.approx(0, abs=1e-12)
        assert weight.latent[1].tolist() == [1, -1, -1]

    def test_a_single_input_is_not_centred_away(self) -> None:
        weight = latent("xnor_net", [[0.5], [-0.5]], centre=True)
        weight.method.after_step([weight])
        assert weight.latent.tolist() == [[0.5], [-0.5]]


class TestBiReal:
    def test_the_scale_is_constant_to_the_gradient(self) -> None:
        weight = latent("bi_real", [*ROWS, [2.0, -0.5, 0.5]])
        upstream = torch.cat([UPSTREAM, torch.ones(1, 3, dtype=torch.float64)])
        (found,) = torch.autograd.grad(effective(weight), weight.latent, upstream)
        w = weight.latent.detach()
        torch.testing.assert_close(
            found, upstream * w.abs().mean(1, keepdim=True) * (w.abs() <= 1).double()
        )


class TestIrNet:
    def test_scales_are_powers_of_two(self) -> None:
        magnitudes = torch.tensor([0.0, 0.7, 0.72, 1.0, 1.42, 5.0])
        found = power_of_two(magnitudes[:, None] * torch.tensor([1.0, -1.0]))
        assert found.tolist() == [0, 0.5, 1, 1, 2, 4]

    def test_real_weights_are_standardised_and_their_scale_is_of_them(self) -> None:
        weight = latent("ir_net", [[5.0, 6.0, 7.0, 8.0]])
        assert weight.codes().integers.tolist() == [[-1, -1, 1, 1]]
        assert weight.real().std(correction=0).item() == pytest.approx(1)
        assert weight.codes().scale.tolist() == [1]  # type: ignore[union-attr]

    def test_the_peak_is_one_and_then_grows(self) -> None:
        method = IrNet(t_first=0.1, t_last=10.0)
        settings = [method.schedule(u) for u in (0.0, 0.5, 1.0)]
        assert [s["t"] for s in settings] == pytest.approx([0.1, 1, 10])
        assert [s["k"] * s["t"] for s in settings] == pytest.approx([1, 1, 10])

    def test_in_the_end_most_weights_are_out_of_reach_of_the_gradient(self) -> None:
        torch.manual_seed(0)
        weight = IrNet().make_weight((50, 400))
        assert isinstance(weight, LatentWeight)
        weight.latent.data.normal_()
        shares = []
        for u in (0.0, 0.5, 1.0):
            weight.set_progress(u)
            slope = weight.estimator.surrogate(weight.real().detach(), weight.settings)
            shares.append((slope < 0.01 * slope.max()).double().mean().item())
        # B falls to a hundredth of its peak at t |w| = 3; of normal numbers that many lie beyond.
        assert shares[0] < 0.01
        assert shares[2] == pytest.approx(0.76, abs=0.02)
        assert shares == sorted(shares)

    def test_steepness_does_not_fall(self) -> None:
        with pytest.raises(InputError, match=r"t_last: expected at least t_first = 2\.0"):
            IrNet(t_first=2.0, t_last=1.0)


class TestReactNet:
    def test_parts_are_the_identity_bent_at_the_start(self) -> None:
        x = torch.tensor([[-4.0, 0.0, 2.0]])
        method = get("react_net")
        assert RPReLU(method, 3)(x).tolist() == [[-1, 0, 2]]
        assert RSign(method, 3)(x).tolist() == [[-1, 1, 1]]

    def test_learned_shifts_move_bend_and_threshold_channel_by_channel(self) -> None:
        method = get("react_net")
        bent, signs = RPReLU(method, 2), RSign(method, 2)
        bent.before.data = torch.tensor([1.0, 0.0])
        bent.slope.data = torch.tensor([0.5, -2.0])
        bent.after.data = torch.tensor([0.0, 10.0])
        assert bent(torch.full((1, 2), -3.0)).tolist() == [[-1, 16]]
        signs.shift.data = torch.tensor([3.0, 2.0])
        assert signs(torch.full((1, 2), -3.0)).tolist() == [[1, -1]]
        assert signs.codes(torch.full((1, 2), -3.0)).tolist() == [[1, 0]]

    def test_all_learned_parts_get_their_gradients(self) -> None:
        method = get("react_net")
        bent, signs = RPReLU(method, 2), RSign(method, 2)
        x = torch.tensor([[-0.5, 0.25], [0.5, -2.0]])
        signs(bent(x)).sum().backward()
        # Behind the bend -0.125, 0.25, 0.5, -0.5; there B is 1.75, 1.5, 1 and 1.
        assert signs.shift.grad is not None
        assert signs.shift.grad.tolist() == [2.75, 2.5]
        assert bent.after.grad is not None
        assert bent.after.grad.tolist() == [2.75, 2.5]
        assert bent.slope.grad is not None
        assert bent.slope.grad.tolist() == [-0.5 * 1.75, -2.0]
        assert bent.before.grad is not None
        assert bent.before.grad.tolist() == [0.25 * 1.75 + 1, 1.5 + 0.25]

    def test_positive_slopes_fold_into_thresholds_and_negative_ones_into_tables(self) -> None:
        torch.manual_seed(0)
        source = Input.bits(9)
        model = mlp(source, (6,), 2, get("react_net"), last="scale").eval()
        assert kinds(model, source) == [Input, Dot, Threshold, Dot, Lookup, ArgMax, Output]
        (bent,) = parts(model, RPReLU)
        with torch.no_grad():
            bent.slope[2] = -1.0
            bent.before[2], bent.after[2] = 1.0, -0.5
        assert kinds(model, source)[2] is Lookup


class TestBinaryConnect:
    def test_real_activations_are_trained_and_refused_in_one_line(self) -> None:
        source = Input.bits(9)
        model = mlp(source, (6,), 2, get("binary_connect", activation="relu"))
        x = torch.ones(2, 9)
        assert model(x).requires_grad
        with pytest.raises(CannotLower, match=r"layers\.2.*activations are real numbers") as caught:
            lower(model, source)
        assert "\n" not in str(caught.value)

    def test_the_rate_may_be_glorots(self) -> None:
        weight = BinaryConnect(glorot_lr=True).make_weight((30, 20))
        assert weight.options()["latent"].lr_scale == pytest.approx((50 / 1.5) ** 0.5)
        assert BinaryConnect().make_weight((30, 20)).options()["latent"].lr_scale == 1

    def test_kinds_of_activation_are_named(self) -> None:
        with pytest.raises(InputError, match="activation: expected one of unsigned, relu, found"):
            get("binary_connect", activation="sign")


def kinds(model: torch.nn.Module, source: Input) -> list[type[Node]]:
    return [type(node) for node in lower(model, source).nodes]
