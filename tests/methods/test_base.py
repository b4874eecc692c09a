"""The sign function, and what all methods share."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import InputError
from hwbnn.methods import Estimator, get, quantize, sign
from hwbnn.methods.estimators import Settings

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_sign_is_plus_one_from_zero_up(values: list[float]) -> None:
    expected = [1.0 if v >= 0 else -1.0 for v in values]
    assert sign(torch.tensor(values, dtype=torch.float32)).tolist() == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_sign_of_edges_in_every_dtype(dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps  # the least subnormal
    x = torch.tensor([0.0, -0.0, tiny, -tiny, math.inf, -math.inf], dtype=dtype)
    assert x[3] < 0
    assert sign(x).tolist() == [1, 1, 1, -1, 1, -1]
    assert sign(x).dtype == dtype


def test_sign_of_integers_and_of_nothing() -> None:
    assert sign(torch.tensor([-3, 0, 2])).tolist() == [-1, 1, 1]
    assert sign(torch.empty(0, 4)).shape == (0, 4)


def test_sign_refuses_nan_but_takes_infinities_that_cancel() -> None:
    x = torch.zeros(3, 2)
    x[0, 0], x[1, 1] = math.inf, -math.inf
    assert sign(x)[1, 1] == -1
    x[2, 0] = math.nan
    with pytest.raises(InputError, match=r"sign: found 1 NaN in a tensor of shape \(3, 2\)"):
        sign(x)


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
def test_compiled_sign_agrees_and_leaves_nan_as_it_is() -> None:
    torch.compiler.reset()
    compiled = torch.compile(sign, backend="aot_eager", fullgraph=True)
    x = torch.tensor([0.0, -0.0, 1e-45, -1e-45, math.inf, -math.inf, math.nan])
    found = compiled(x)
    assert found[:-1].tolist() == sign(x[:-1]).tolist()
    assert found[-1].isnan()
    assert found.dtype == x.dtype
    torch.compiler.reset()


def test_sign_passes_no_gradient_and_changes_nothing() -> None:
    x = torch.tensor([-0.5, 2.0], requires_grad=True)
    assert not sign(x).requires_grad
    assert x.tolist() == [-0.5, 2.0]


def test_a_pair_may_be_soft_and_follow_settings() -> None:
    class Soft(Estimator):
        def forward(self, x: torch.Tensor, settings: Settings) -> torch.Tensor:
            return torch.tanh(settings["mu"] * x)

        def surrogate(self, x: torch.Tensor, settings: Settings) -> torch.Tensor:
            mu = settings["mu"]
            return mu * (1 - torch.tanh(mu * x) ** 2)

    x = torch.randn(20, dtype=torch.float64, requires_grad=True)
    y = quantize(x, Soft(), {"mu": 3.0})
    assert torch.equal(y.detach(), torch.tanh(3 * x.detach()))
    assert torch.autograd.gradcheck(lambda v: quantize(v, Soft(), {"mu": 3.0}), (x,))


def test_an_unknown_method_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match="method 'xyz': expected one of bnn_ste"):
        get("xyz")
