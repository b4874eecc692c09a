"""Latent weights: starts, scales, standardisation, clipping."""

from __future__ import annotations

import copy

import pytest
import torch

from hwbnn.methods import get, sign
from hwbnn.methods.estimators import ClipSTE, SignSwish, StraightThrough
from hwbnn.methods.latent import LatentWeight, clip, fans, mean_magnitude, standardize

METHOD = get("bnn_ste")


def made(rows: list[list[float]], **options: object) -> LatentWeight:
    weight = LatentWeight(METHOD, (len(rows), len(rows[0])), ClipSTE(), **options)  # type: ignore[arg-type]
    weight.latent.data = torch.tensor(rows)
    return weight


def test_starts_are_glorot_uniform() -> None:
    torch.manual_seed(0)
    latent = LatentWeight(METHOD, (30, 20, 3, 3), StraightThrough()).latent
    bound = (6 / (50 * 9)) ** 0.5
    assert fans((30, 20, 3, 3)) == 450
    assert 0.98 * bound < latent.abs().max() <= bound
    assert abs(latent.mean()) < 0.05 * bound


def test_the_scale_is_of_the_transformed_numbers() -> None:
    weight = made([[1.0, -3.0], [0.0, 0.5]], transform=lambda w: 2 * w, scale=mean_magnitude)
    assert weight.real().tolist() == [[2, -6], [0, 1]]
    for training in (True, False):
        codes = weight.train(training).codes()
        assert codes.integers.tolist() == [[1, -1], [1, 1]]
        assert codes.scale is not None
        assert codes.scale.tolist() == [4, 0.5]
        assert not codes.scale.requires_grad


def test_standardized_channels_have_mean_zero_and_deviation_one() -> None:
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(4, 5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    rows = latent.flatten(1)
    written = (rows - rows.mean(1, keepdim=True)) / rows.std(1, correction=0, keepdim=True)
    torch.testing.assert_close(standardize(latent), written.view_as(latent))
    upstream = torch.randn(4, 5, 3, generator=generator, dtype=torch.float64)
    (found,) = torch.autograd.grad(standardize(latent), latent, upstream)
    (wanted,) = torch.autograd.grad(written.view_as(latent), latent, upstream)
    torch.testing.assert_close(found, wanted)


def test_equal_numbers_are_standardized_to_zeros() -> None:
    for value in (0.0, 0.3, -1e-30):
        found = standardize(torch.full((2, 7), value))
        assert sign(found).tolist() == [[1.0] * 7] * 2
        assert (found.abs() < 1e-3).all()


def test_clipping_reaches_latent_weights_alone() -> None:
    weights = [made([[-5.0, 0.2]]), made([[0.75, -0.5]])]
    clip(weights, 0.5)
    assert [w.latent.tolist() for w in weights] == [[[-0.5, pytest.approx(0.2)]], [[0.5, -0.5]]]
    clip([])


def test_soft_weights_are_signs_in_evaluation_and_not_exact() -> None:
    weight = LatentWeight(get("bnn_pp"), (1, 2), SignSwish())
    weight.latent.data = torch.tensor([[0.1, -0.2]])
    assert (weight.codes().integers.abs() < 0.5).all()
    assert weight.eval().codes().integers.tolist() == [[1, -1]]
    assert "still soft" in (weight.why_not_exact() or "")
    weight.set_progress(1.0)
    assert weight.train().codes().integers.tolist() == [[1, -1]]
    assert weight.why_not_exact() is None


def test_a_copy_has_its_own_numbers() -> None:
    weight = made([[1.0, 2.0]], transform=standardize, scale=mean_magnitude)
    twin = copy.deepcopy(weight)
    weight.latent.data.neg_()
    assert twin.latent.tolist() == [[1, 2]]
    assert twin.codes().integers.tolist() == [[-1, 1]]
