"""Activations of several bits: codes and gradients."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import CannotLower, InputError
from hwbnn.methods import get
from hwbnn.methods.estimators import quantize
from hwbnn.methods.multibit import ReluActivation, UnsignedActivation, UnsignedSteps

METHOD = get("bnn_ste")
BITS = range(2, 9)


def nearest(x: float, pair: UnsignedSteps) -> int:
    """The code of ``x`` in rational numbers: nearest, ties to even, held within the range."""
    return min(max(round(Fraction(x) / Fraction(pair.step)), 0), pair.levels)


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1),
    st.integers(2, 8),
    st.integers(-8, 8),
)
def test_codes_are_the_nearest_integers(values: list[float], bits: int, power: int) -> None:
    pair = UnsignedSteps(bits, 2.0**power)
    x = torch.tensor(values)
    assert pair.integers(x).tolist() == [nearest(v, pair) for v in values]


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_ties_and_their_neighbours_in_every_dtype(bits: int, dtype: torch.dtype) -> None:
    form = UnsignedActivation(METHOD, 1, bits)
    pair = form.estimator
    ties = ((torch.arange(-2, pair.levels + 2) + 0.5) * pair.step).to(dtype)
    around = torch.cat((ties, ties.nextafter(ties + 1), ties.nextafter(ties - 1)))[:, None]
    expected = [nearest(v, pair) for v in around[:, 0].tolist()]
    assert form.codes(around)[:, 0].tolist() == expected
    assert len(set(expected)) == pair.levels + 1
    found = form(around)
    assert found.dtype == dtype
    assert torch.equal(found.double(), form.codes(around).double() * pair.step)


def test_even_ties_by_hand() -> None:
    form = UnsignedActivation(METHOD, 1, 2)  # steps of 1/2
    x = torch.tensor([[-0.0, 0.25, 0.75, 1.25, 1.75, math.inf, -math.inf, 1e-45]])
    assert form.codes(x).tolist() == [[0, 0, 2, 2, 3, 3, 0, 0]]
    assert form(x).tolist() == [[0, 0, 1, 1, 1.5, 1.5, 0, 0]]


def test_gradient_passes_within_the_range_alone() -> None:
    pair = UnsignedSteps(3, 4.0)
    x = torch.tensor([-1.0, -0.0, 0.0, 1e-45, 3.9999998, 4.0, 5.0, math.inf], requires_grad=True)
    upstream = torch.arange(1.0, 9.0)
    (found,) = torch.autograd.grad(quantize(x, pair, {}), x, upstream)
    assert found.tolist() == [0, 0, 0, 4, 5, 0, 0, 0]
    assert torch.equal(found, pair.surrogate(x.detach(), {}) * upstream)


def test_nan_is_refused_and_infinities_are_not() -> None:
    form = UnsignedActivation(METHOD, 2, 4)
    x = torch.tensor([[math.inf, -math.inf]])
    assert form.codes(x).tolist() == [[15, 0]]
    x[0, 1] = math.nan
    for call in (form, form.codes):
        with pytest.raises(InputError, match=r"found 1 NaN in a tensor of shape \(1, 2\)"):
            call(x)


@pytest.mark.parametrize("bits", [1, 9, True, 2.0, "4"])
def test_other_numbers_of_bits_are_refused(bits: object) -> None:
    with pytest.raises(InputError, match="bits: expected an integer from 2 to 8, found"):
        UnsignedActivation(METHOD, 1, bits)  # type: ignore[arg-type]


@pytest.mark.parametrize("high", [3.0, 0.3, 0.0, -2.0, 512, math.inf, math.nan, True, "2"])
def test_ranges_that_would_round_are_refused(high: object) -> None:
    with pytest.raises(InputError, match=r"high: expected a (power of two|number from 0\.0039)"):
        UnsignedActivation(METHOD, 1, 4, high=high)  # type: ignore[arg-type]


def test_real_activations_say_why_they_are_not_lowered() -> None:
    form = ReluActivation(METHOD, 2)
    x = torch.tensor([[-1.5, 0.3]])
    assert torch.equal(form(x), torch.tensor([[0.0, 0.3]]))
    with pytest.raises(CannotLower, match='train with activation = "unsigned"'):
        form.codes(x)
