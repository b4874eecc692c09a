"""BNN with straight-through gradients: clipped latent weights."""

from __future__ import annotations

import pytest
import torch

from hwbnn.errors import InputError
from hwbnn.methods import get


def test_latent_weights_are_clipped_after_a_step() -> None:
    method = get("bnn_ste")
    weights = [method.make_weight((2, 3)), method.make_weight((1, 2))]
    with torch.no_grad():
        weights[0].latent.copy_(torch.tensor([[-5.0, -1.0, -0.0], [0.5, 1.0, 1.5]]))  # type: ignore[operator]
    method.after_step(weights)
    assert weights[0].latent.tolist() == [[-1, -1, 0], [0.5, 1, 1]]  # type: ignore[union-attr]
    method.after_step([])


def test_a_weight_clipped_to_its_bound_can_come_back() -> None:
    weight = get("bnn_ste").make_weight((1, 2))
    weight.latent.data = torch.tensor([[1.0, -1.0]])  # type: ignore[union-attr]
    (gradient,) = torch.autograd.grad(weight.codes().integers.sum(), weight.latent)  # type: ignore[arg-type]
    assert gradient.tolist() == [[1, 1]]


def test_zeros_of_both_signs_are_plus_one() -> None:
    weight = get("bnn_ste").make_weight((1, 3))
    weight.latent.data = torch.tensor([[0.0, -0.0, -1e-45]])  # type: ignore[union-attr]
    for training in (True, False):
        assert weight.train(training).codes().integers.tolist() == [[1, 1, -1]]


def test_latent_weights_do_not_decay_and_may_have_glorots_rate() -> None:
    plain = get("bnn_ste").make_weight((30, 20)).options()["latent"]
    assert (plain.lr_scale, plain.decay) == (1.0, False)
    scaled = get("bnn_ste", glorot_lr=True).make_weight((30, 20)).options()["latent"]
    assert scaled.lr_scale == pytest.approx((50 / 1.5) ** 0.5)


def test_a_hyper_parameter_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(InputError, match="bnn_ste: glorot_lr: expected true or false, found 3"):
        get("bnn_ste", glorot_lr=3)
