"""Estimators: forward and backward functions at their edges."""

from __future__ import annotations

import math

import pytest
import torch

from hwbnn.errors import InputError
from hwbnn.methods import Estimator
from hwbnn.methods.estimators import (
    ClipSTE,
    Ede,
    Polynomial,
    SignSwish,
    StraightThrough,
    SwishSign,
    Triangle,
)

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SETTINGS = {"t": 0.7, "k": 2.0, "mu": 1.7, "hard": 0.0}
PAIRS: tuple[Estimator, ...] = (
    StraightThrough(),
    ClipSTE(),
    Polynomial(),
    Ede(),
    Triangle(),
    Triangle(k=None),
    SwishSign(),
    SignSwish("monotone"),
    SignSwish("raw"),
)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_clipped_estimator_counts_its_bounds_as_within(dtype: torch.dtype) -> None:
    eps = torch.finfo(dtype).eps
    x = torch.tensor([1.0, -1.0, 1 + eps, -1 - eps, 0.0, -0.0, 1 - eps], dtype=dtype)
    grad = torch.arange(1, 8).to(dtype)
    passed = ClipSTE().backward(grad, x, {})
    assert passed.tolist() == [1, 2, 0, 0, 5, 6, 7]
    assert passed.dtype == dtype


@pytest.mark.parametrize("pair", PAIRS)
def test_quick_backward_passes_are_the_surrogate_times_the_gradient(pair: Estimator) -> None:
    generator = torch.Generator().manual_seed(0)
    x, grad = torch.randn(2, 50, 40, generator=generator)
    x[0, :4] = torch.tensor([1.0, -1.0, 0.0, -0.0])
    for a, g in ((x, grad), (x.t(), grad.t()), (x, grad.t().contiguous().t())):
        wanted = pair.surrogate(a, SETTINGS) * g
        torch.testing.assert_close(pair.backward(g, a, SETTINGS), wanted, atol=0, rtol=1e-6)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_overflows_and_the_dtype_stays(pair: Estimator, dtype: torch.dtype) -> None:
    x = torch.tensor([0.0, -0.0, 1e4, -1e4, math.inf, -math.inf], dtype=dtype)
    before = x.clone()
    for found in (
        pair.forward(x, SETTINGS),
        pair.surrogate(x, SETTINGS),
        pair.backward(torch.ones_like(x), x, SETTINGS),
    ):
        assert found.dtype == dtype
        assert found.isfinite().all()
    assert torch.equal(x, before)  # kernels in place work on their own memory


def area(pair: Estimator, settings: dict[str, float]) -> float:
    x = torch.linspace(-30, 30, 600_001, dtype=torch.float64)
    return torch.trapezoid(pair.surrogate(x, settings), x).item()


@pytest.mark.parametrize("t", [0.2, 1.0, 7.0])
def test_areas_are_those_of_the_jump_times_the_gain(t: float) -> None:
    settings = {"t": t, "k": max(1 / t, 1.0), "mu": t}
    assert area(Polynomial(), settings) == pytest.approx(2, abs=1e-6)
    assert area(Triangle(), settings) == pytest.approx(2 * settings["k"], abs=1e-6)
    assert area(Ede(), settings) == pytest.approx(2 * settings["k"] * math.tanh(30 * t), abs=1e-6)
    if t >= 1:
        # The negative lobes take back what is too much.
        assert area(SwishSign(), settings) == pytest.approx(2, abs=1e-6)


def test_the_triangle_ends_where_it_says() -> None:
    t = 2.0
    x = torch.tensor([0.0, 2**0.5 / t * 0.999, 2**0.5 / t * 1.001], dtype=torch.float64)
    peak, inside, outside = Triangle().surrogate(x, {"t": t, "k": 3.0}).tolist()
    assert peak == pytest.approx(3 * 2**0.5 * t)
    assert inside > 0 == outside


@pytest.mark.parametrize("mu", [0.3, 1.0, 40.0])
def test_sign_swish_meets_one_and_turns_where_it_should(mu: float) -> None:
    settings, pair = {"mu": mu, "hard": 0.0}, SignSwish("raw")
    one, top = (torch.tensor([z / mu], dtype=torch.float64) for z in (1.27846, 2.39936))
    assert pair.forward(one, settings).item() == pytest.approx(1, abs=1e-5)
    assert pair.forward(top, settings).item() == pytest.approx(1.19968, abs=1e-5)
    around = torch.cat([top * (1 - 1e-5), top * (1 + 1e-5)])
    before, behind = pair.surrogate(around, settings).tolist()
    assert before > 0 > behind
    far = torch.tensor([50 / mu], dtype=torch.float64)
    assert pair.forward(far, settings).item() == 1


def test_sign_swish_is_odd_and_its_backward_is_its_derivative() -> None:
    x = torch.linspace(-4, 4, 101, dtype=torch.float64, requires_grad=True)
    settings, raw = {"mu": 1.7, "hard": 0.0}, SignSwish("raw")
    assert torch.equal(raw.forward(-x, settings), -raw.forward(x, settings))
    z = 1.7 * x
    written = 2 * torch.sigmoid(z) * (1 + z * (1 - torch.sigmoid(z))) - 1
    torch.testing.assert_close(raw.forward(x, settings), written.detach())
    (slope,) = torch.autograd.grad(written.sum(), x)
    torch.testing.assert_close(raw.surrogate(x.detach(), settings), slope)
    torch.testing.assert_close(SwishSign().surrogate(x.detach(), settings), slope)


def test_the_monotone_mode_mends_what_the_raw_one_breaks() -> None:
    x = torch.linspace(-40, 40, 4001)
    settings = {"mu": 1.0, "hard": 0.0}
    raw, mended = SignSwish("raw"), SignSwish("monotone")
    assert (raw.forward(x, settings).diff() < 0).any()
    assert (raw.surrogate(x, settings) < 0).any()
    assert (mended.forward(x, settings).diff() >= 0).all()
    assert (mended.surrogate(x, settings) > 0).all()


def test_sign_swish_is_hard_when_the_settings_say_so() -> None:
    x = torch.tensor([-0.1, -0.0, 0.0, 0.2])
    pair = SignSwish()
    assert not pair.is_hard({"mu": 1.0, "hard": 0.0})
    assert pair.is_hard({"mu": 1.0, "hard": 1.0})
    assert pair.forward(x, {"mu": 1.0, "hard": 1.0}).tolist() == [-1, 1, 1, 1]
    with pytest.raises(InputError, match="SignSwish: mode: expected 'monotone' or 'raw', found"):
        SignSwish("soft")  # type: ignore[arg-type]
