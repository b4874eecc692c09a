"""The closed formulas of the papers: values and gradients that every method must match.

They are written as published, for float64, and share no code with the estimators that training
uses; the contract tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hwbnn.methods.estimators import Settings

Formula = Callable[[Tensor, Settings], Tensor]
"""An elementwise function of real numbers and of the settings at one moment."""


def hard(x: Tensor, s: Settings) -> Tensor:
    """-1 or +1, +1 for zero of either sign."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


@dataclass(frozen=True)
class Formulas:
    """The closed formulas of a method.

    Attributes:
        weight: gradient of the binary weights, as a function of the real numbers behind their
            signs.
        activation: gradient of a newly made activation: dL/dx for dL/dy = 1.
        value: the binary weights.
    """

    weight: Formula
    activation: Formula
    value: Formula = hard


def one(x: Tensor, s: Settings) -> Tensor:
    """1: the plain straight-through gradient."""
    return torch.ones_like(x)


def clipped(x: Tensor, s: Settings) -> Tensor:
    """1 where ``|x| <= 1``, else 0."""
    return (x.abs() <= 1).to(x.dtype)


def polynomial(x: Tensor, s: Settings) -> Tensor:
    """``2 - 2|x|`` where ``|x| <= 1``, else 0."""
    return (2 - 2 * x.abs()).clamp(min=0)


def ede(x: Tensor, s: Settings) -> Tensor:
    """``k t (1 - tanh(t x)^2)``."""
    return s["k"] * s["t"] * (1 - torch.tanh(s["t"] * x) ** 2)


def triangle(t: str, k: str | None) -> Formula:
    """``k max(0, sqrt(2) t - t^2 |x|)``, with ``t`` and ``k`` by setting name; None is k = 1."""

    def formula(x: Tensor, s: Settings) -> Tensor:
        slope = s[t]
        return ((1 if k is None else s[k]) * (2**0.5 * slope - slope**2 * x.abs())).clamp(min=0)

    return formula


def sign_swish(x: Tensor, s: Settings) -> Tensor:
    """SignSwish as published, clipped to [-1, 1]; or the sign if the setting ``hard`` is set."""
    z = s["mu"] * x
    rise = torch.sigmoid(z)
    soft = (2 * rise * (1 + z * (1 - rise)) - 1).clamp(-1, 1)
    return hard(x, s) if s["hard"] else torch.where(x.isinf(), x.sign(), soft)


def swish_slope(x: Tensor, s: Settings) -> Tensor:
    """The derivative of SignSwish."""
    z = (s["mu"] * x).clamp(-300, 300)  # so that nothing overflows
    return s["mu"] * (2 - z * torch.tanh(z / 2)) / (1 + torch.cosh(z))


def swish_slope_above_zero(x: Tensor, s: Settings) -> Tensor:
    """The positive part of SignSwish's derivative, plus a thousandth of ``mu``."""
    return swish_slope(x, s).clamp(min=0) + s["mu"] / 1000


def within(high: float) -> Formula:
    """1 where ``0 < x < high``, else 0: the gradient of quantisation steps over that range."""

    def formula(x: Tensor, s: Settings) -> Tensor:
        return ((x > 0) & (x < high)).to(x.dtype)

    return formula
