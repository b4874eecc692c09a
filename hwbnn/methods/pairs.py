"""Pairs (F, B) that several methods share: hard or soft forward, smooth or clipped backward.

Each class gives ``y = F(x)`` and ``dL/dx = B(x) * dL/dy``
(:class:`~hwbnn.methods.quantizer.Quantizer`). Where a pair changes in the course of training, its
numbers arrive as the settings whose *names* the pair holds, so that weights and activations of one
layer may follow different ones.

``backward`` computes in place wherever it can: on small layers a training step is mostly passes
over memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import Literal

import torch
from torch import Tensor

from hwbnn.errors import InputError
from hwbnn.methods.quantizer import Quantizer, Settings, sign

_SQRT2 = 2.0**0.5
_FLAT = 20.0
"""tanh of it is 1 in float64, so nothing changes beyond; and no infinity meets a zero there."""


@dataclass(frozen=True)
class StraightThrough(Quantizer):
    """Straight through: ``F = sign``, ``B = 1``. Source: Courbariaux et al., "BinaryConnect"."""

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """1."""
        return torch.ones_like(x)

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """The gradient itself, without a pass over memory."""
        return grad


@dataclass(frozen=True)
class ClipSTE(Quantizer):
    """Straight through within [-1, 1]: ``F = sign``, ``B(x) = 1 if |x| <= 1 else 0``.

    The bounds count as within, so that a number clipped to 1 can come back. Source: Hubara et al.,
    "Binarized Neural Networks", NeurIPS 2016, equation 4.
    """

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """``1[|x| <= 1]``."""
        return (x.abs() <= 1).to(x.dtype)

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """One pass over memory; the kernel's interval is open, hence the next number above 1."""
        bound = 1 + torch.finfo(x.dtype).eps
        passed: Tensor = torch.ops.aten.hardtanh_backward(grad, x, -bound, bound)
        return passed


@dataclass(frozen=True)
class Polynomial(Quantizer):
    """``F = sign``, ``B(x) = max(2 - 2|x|, 0)``: the derivative of a piecewise polynomial.

    Peak 2 at 0, support ``|x| < 1``, area 2. Source: Liu et al., "Bi-Real Net", ECCV 2018 (for
    activations; its code).
    """

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """``max(2 - 2|x|, 0)``."""
        return x.abs().mul_(-2).add_(2).clamp_min_(0)

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """``B(x) * grad``, in one temporary."""
        return self.surrogate(x, settings).mul_(grad)


def sharpening(u: float, first: float, last: float) -> Settings:
    """``t`` geometrically from ``first`` to ``last`` at progress ``u``, and ``k = max(1/t, 1)``.

    So the peak ``k t`` of :class:`Ede` is 1 until ``t`` is, then ``t``; IR-Net, RBNN and AdaBin
    share it.
    """
    t = 10 ** (log10(first) + (log10(last) - log10(first)) * u)
    return {"t": t, "k": max(1 / t, 1.0)}


@dataclass(frozen=True)
class Ede(Quantizer):
    """``F = sign``, ``B(x) = k t (1 - tanh(t x)^2)``: the derivative of ``k tanh(t x)``.

    Peak ``k t`` at 0. Source: Qin et al., "Forward and Backward Information Retention" (IR-Net),
    CVPR 2020, error decay estimator; its code. AdaBin uses it too.

    Attributes:
        t: name of the setting that says how steep it is.
        k: name of the setting that says how high.
    """

    t: str = "t"
    k: str = "k"

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """``k t (1 - tanh(t x)^2)``."""
        return self.backward(torch.ones_like(x), x, settings)

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """``B(x) * grad``, by the kernel that is the derivative of tanh."""
        t, peak = settings[self.t], settings[self.k] * settings[self.t]
        passed: Tensor = torch.ops.aten.tanh_backward(grad, (x * t).tanh_())
        return passed if peak == 1 else passed.mul_(peak)


@dataclass(frozen=True)
class Triangle(Quantizer):
    """``F = sign``, ``B(x) = max(k (sqrt(2) t - t^2 |x|), 0)``.

    Peak ``sqrt(2) k t`` at 0, support ``|x| < sqrt(2) / t``, area ``2 k``. Source: Lin et al.,
    "Rotated Binary Neural Network", NeurIPS 2020, training-aware approximation; its code.

    Attributes:
        t: name of the setting that says how steep it is.
        k: name of the setting that says how high; None for 1.
    """

    t: str = "t"
    k: str | None = "k"

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """``max(k (sqrt(2) t - t^2 |x|), 0)``."""
        t, k = settings[self.t], 1.0 if self.k is None else settings[self.k]
        return x.abs().mul_(-k * t * t).add_(k * _SQRT2 * t).clamp_min_(0)

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """``B(x) * grad``, in one temporary."""
        return self.surrogate(x, settings).mul_(grad)


def _half(x: Tensor, mu: float) -> tuple[Tensor, Tensor]:
    """``y = mu x / 2`` and ``tanh(y)``, from which SignSwish and its derivative are made."""
    y = (x * (mu / 2)).clamp_(-_FLAT, _FLAT)
    return y, y.tanh()


def _slope(x: Tensor, mu: float) -> Tensor:
    """``SS'_mu(x)``; see :class:`SignSwish`."""
    y, h = _half(x, mu)
    slope: Tensor = torch.ops.aten.tanh_backward(y.mul_(h).mul_(-mu).add_(mu), h)
    return slope


@dataclass(frozen=True)
class SwishSign(Quantizer):
    """``F = sign``, ``B = SS'_mu``: the derivative of SignSwish behind a hard sign.

    ``B(x) = mu (2 - mu x tanh(mu x / 2)) / (1 + cosh(mu x))``, which is negative beyond
    ``mu |x| = 2.39936``. Source: Darabi et al., "BNN+: Improved Binary Network Training", 2018, as
    the documentation of Larq states it.

    Attributes:
        mu: name of the setting that says how steep it is.
    """

    mu: str = "mu"

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """``SS'_mu(x)``."""
        return _slope(x, settings[self.mu])

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """``B(x) * grad``."""
        return self.surrogate(x, settings).mul_(grad)


@dataclass(frozen=True)
class SignSwish(Quantizer):
    """``F = SS_mu``, soft, and ``B = SS'_mu``; or, in a hard phase, ``F = sign``.

    ``SS_mu(x) = 2 s (1 + mu x (1 - s)) - 1`` with ``s = sigmoid(mu x)``. With ``y = mu x / 2`` and
    ``h = tanh(y)`` this is ``h + y (1 - h^2)``, and its derivative in x is
    ``mu (1 - h^2) (1 - y h)``; so it is computed. It is 1 at ``mu x = 1.27846``, peaks at
    ``mu x = 2.39936`` with 1.19968, and falls back to 1 beyond.

    Source of the function: Darabi et al., "BNN+", 2018; of its use in both directions: Lu, Yu, Li,
    Partovi Nia, "Understanding Neural Network Binarization with Forward and Backward Proximal
    Quantizers" (BNN++), NeurIPS 2023.

    Attributes:
        mode: ``"raw"`` as above; ``"monotone"``: ``F = clip(SS, -1, 1)`` and
            ``B = max(SS', 0) + mu / 1000``, which keep what ProxConnect++ asks of a pair, F not
            decreasing and B positive, where the raw pair breaks it (beyond 2.39936).
        mu: name of the setting that says how steep it is.
        hard: name of the setting that is not 0 in the hard phase.
    """

    mode: Literal["monotone", "raw"] = "monotone"
    mu: str = "mu"
    hard: str = "hard"

    def __post_init__(self) -> None:
        if self.mode not in ("monotone", "raw"):
            raise InputError(f"SignSwish: mode: expected 'monotone' or 'raw', found {self.mode!r}")

    def forward(self, x: Tensor, settings: Settings) -> Tensor:
        """``SS_mu(x)``, or the sign in the hard phase."""
        if self.is_hard(settings):
            return sign(x)
        y, h = _half(x.detach(), settings[self.mu])
        soft: Tensor = torch.ops.aten.tanh_backward(y, h).add_(h)
        return soft.clamp_(-1, 1) if self.mode == "monotone" else soft

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """``SS'_mu(x)``, in mode monotone with its negative part cut off and a floor."""
        mu = settings[self.mu]
        slope = _slope(x, mu)
        return slope.clamp_min_(0).add_(mu / 1000) if self.mode == "monotone" else slope

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """``B(x) * grad``."""
        return self.surrogate(x, settings).mul_(grad)

    def is_hard(self, settings: Settings) -> bool:
        """Whether the hard phase has begun."""
        return settings[self.hard] != 0
