"""Rotations as Kronecker products."""

from __future__ import annotations

import pytest
import torch

from hwbnn.methods.kronecker import haar, inputs, sides, transform


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, (1, 1)), (13, (1, 13)), (27, (3, 9)), (288, (16, 18)), (784, (28, 28)), (4608, (64, 72))],
)
def test_sides_are_as_square_as_can_be(n: int, expected: tuple[int, int]) -> None:
    assert sides(n) == expected


def test_inputs_are_all_but_the_channels() -> None:
    assert [inputs(s) for s in ((5,), (5, 7), (5, 7, 3, 3))] == [1, 7, 63]


@pytest.mark.parametrize("n", [1, 6, 13, 24])
def test_the_transform_is_the_kronecker_product_on_the_weights_in_order(n: int) -> None:
    torch.manual_seed(n)
    a, b = sides(n)
    x, left, right = (torch.randn(s, dtype=torch.float64) for s in ((5, n), (a, a), (b, b)))
    expected = x @ torch.kron(left, right)
    torch.testing.assert_close(transform(x, left, right), expected)
    torch.testing.assert_close(transform(x.view(5, a, b), left, right).view(5, n), expected)
    assert torch.autograd.gradcheck(
        transform, [t.requires_grad_() for t in (x[:2].clone(), left, right)]
    )


def test_identities_change_no_bit() -> None:
    x = torch.randn(9, 12)
    assert torch.equal(transform(x, torch.eye(3), torch.eye(4)), x)


def test_random_rotations_are_orthogonal_and_favour_no_sign() -> None:
    torch.manual_seed(0)
    drawn = torch.stack([haar(6) for _ in range(400)])
    gram = drawn @ drawn.transpose(1, 2)
    assert (gram - torch.eye(6)).abs().max() < 1e-6
    # Uniform: every element has mean 0 and variance 1/6, here within five standard errors.
    assert drawn.mean(dim=0).abs().max() < 5 / (400 * 6) ** 0.5
    assert (drawn.square().mean(dim=0) - 1 / 6).abs().max() < 5 * 0.2 / 400**0.5
    assert set(torch.linalg.det(drawn).round().tolist()) == {-1, 1}


def test_random_rotations_come_from_torchs_generator() -> None:
    torch.manual_seed(1)
    first = haar(5)
    assert not torch.equal(first, haar(5))
    torch.manual_seed(1)
    assert torch.equal(first, haar(5))
