"""Estimators: a function that binarises, and the gradient that replaces its derivative.

An :class:`Estimator` is a pair of functions (F, B): ``y = F(x)`` and ``dL/dx = B(x) * dL/dy``. F is
hard or soft, B smooth or clipped. If an estimator changes during training, it holds the *names* of
its settings and gets their values in each call, so that weights and activations of one layer can
follow different settings. :func:`sign` alone defines the sign of zero.

``backward`` computes in place if it can: on small layers most of a training step is memory traffic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import log10
from typing import Any, Literal

import torch
from torch import Tensor

from hwbnn.errors import InputError

_SQRT2 = 2.0**0.5
_FLAT = 20.0
"""tanh is 1 in float64 from here on; clipping to it avoids products of infinity and zero."""

Settings = Mapping[str, float]
"""The values of a schedule's settings at one moment, by name."""


def sign(x: Tensor) -> Tensor:
    """-1 or +1 for each element, and +1 for zero of either sign, in the whole package.

    Args:
        x: tensor of any shape and any real dtype.

    Returns:
        Tensor of the same shape, dtype and layout; no gradient passes.

    Raises:
        InputError: if an element is NaN, which has no sign. Under ``torch.compile`` it stays NaN.

    >>> sign(torch.tensor([-2.0, -0.0, 0.0, 1e-40])).tolist()
    [-1.0, 1.0, 1.0, 1.0]
    """
    x = x.detach()
    if torch.compiler.is_compiling():
        return torch.where(x >= 0, 1, torch.where(x < 0, -1, x)).to(x.dtype)
    refuse_nan("sign", x)
    # Writing the comparison as numbers is 14 times as fast as torch.where on a CPU; copysign would
    # be as fast, but wrong at -0.0.
    return torch.ge(x, 0, out=torch.empty_like(x)).mul_(2).sub_(1)


def refuse_nan(what: str, x: Tensor) -> None:
    """Raise if an element of ``x`` is NaN, which has no code.

    Compiled code does not check: a NaN then reaches the loss.

    Raises:
        InputError: if there is a NaN; the message begins with ``what``.
    """
    # The sum is NaN if an element is, and costs a fifth of isnan(). Infinities of both signs make
    # it NaN too, so isnan() decides then.
    if torch.compiler.is_compiling() or not x.is_floating_point() or not bool(x.sum().isnan()):
        return
    if bool(x.isnan().any()):
        raise InputError(
            f"{what}: found {int(x.isnan().sum())} NaN in a tensor of shape {tuple(x.shape)}; "
            "training has diverged or the input holds NaN: lower the learning rate or mend the data"
        )


class Estimator(ABC):
    """A pair of elementwise functions: F makes the value, B passes the gradient.

    ``y = F(x)`` and ``dL/dx = B(x) * dL/dy``. An estimator holds no state: everything that changes
    during training is in ``settings``.
    """

    def forward(self, x: Tensor, settings: Settings) -> Tensor:
        """F: by default the hard sign."""
        return sign(x)

    @abstractmethod
    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """B: the replacement for the derivative of F, of the shape of ``x``."""

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """``B(x) * grad``; an estimator overrides it where one kernel does both."""
        return self.surrogate(x, settings) * grad

    def is_hard(self, settings: Settings) -> bool:
        """Whether F now gives only -1 and +1, without which a network is not lowered."""
        return True


class _Quantize(torch.autograd.Function):
    """The autograd function of most methods; the estimator is an argument."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, estimator: Estimator, settings: Settings) -> Tensor:
        ctx.save_for_backward(x)
        ctx.estimator, ctx.settings = estimator, settings
        return estimator.forward(x, settings)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return ctx.estimator.backward(grad, x, ctx.settings), None, None


def quantize(x: Tensor, estimator: Estimator, settings: Settings) -> Tensor:
    """``F(x)``, with ``B(x)`` as its derivative.

    Args:
        x: tensor of any shape, floating point.
        estimator: F and B.
        settings: the current settings of the method's schedule.

    Returns:
        Tensor of the shape and dtype of ``x``.
    """
    out: Tensor = _Quantize.apply(x, estimator, settings)  # type: ignore[no-untyped-call]
    return out


@dataclass(frozen=True)
class StraightThrough(Estimator):
    """Straight through: ``F = sign``, ``B = 1``. Source: Courbariaux et al., "BinaryConnect"."""

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """1."""
        return torch.ones_like(x)

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """The gradient itself, without a pass over memory."""
        return grad


@dataclass(frozen=True)
class ClipSTE(Estimator):
    """Straight through within [-1, 1]: ``F = sign``, ``B(x) = 1 if |x| <= 1 else 0``.

    The bounds are included, so that a number clipped to 1 can still change. Source: Hubara et al.,
    "Binarized Neural Networks", NeurIPS 2016, equation 4.
    """

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """``1[|x| <= 1]``."""
        return (x.abs() <= 1).to(x.dtype)

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """``B(x) * grad`` in one pass; the kernel's interval is open, so it ends just above 1."""
        bound = 1 + torch.finfo(x.dtype).eps
        passed: Tensor = torch.ops.aten.hardtanh_backward(grad, x, -bound, bound)
        return passed


@dataclass(frozen=True)
class Polynomial(Estimator):
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
    """``t``, geometrically from ``first`` to ``last`` at progress ``u``; and ``k = max(1/t, 1)``.

    The peak ``k t`` of :class:`Ede` is thus 1 while ``t <= 1``, and ``t`` after that. IR-Net, RBNN
    and AdaBin use this schedule.
    """
    t = 10 ** (log10(first) + (log10(last) - log10(first)) * u)
    return {"t": t, "k": max(1 / t, 1.0)}


@dataclass(frozen=True)
class Ede(Estimator):
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
        """``B(x) * grad``, by torch's kernel for the derivative of tanh."""
        t, peak = settings[self.t], settings[self.k] * settings[self.t]
        passed: Tensor = torch.ops.aten.tanh_backward(grad, (x * t).tanh_())
        return passed if peak == 1 else passed.mul_(peak)


@dataclass(frozen=True)
class Triangle(Estimator):
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
    """``y = mu x / 2`` and ``tanh(y)``, from which SignSwish and its derivative are computed."""
    y = (x * (mu / 2)).clamp_(-_FLAT, _FLAT)
    return y, y.tanh()


def _slope(x: Tensor, mu: float) -> Tensor:
    """``SS'_mu(x)``; see :class:`SignSwish`."""
    y, h = _half(x, mu)
    slope: Tensor = torch.ops.aten.tanh_backward(y.mul_(h).mul_(-mu).add_(mu), h)
    return slope


@dataclass(frozen=True)
class SwishSign(Estimator):
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
class SignSwish(Estimator):
    """``F = SS_mu``, soft, and ``B = SS'_mu``; or, in a hard phase, ``F = sign``.

    ``SS_mu(x) = 2 s (1 + mu x (1 - s)) - 1`` with ``s = sigmoid(mu x)``. With ``y = mu x / 2`` and
    ``h = tanh(y)`` this is ``h + y (1 - h^2)``, and its derivative in x is
    ``mu (1 - h^2) (1 - y h)``; the code uses these forms. SS is 1 at ``mu x = 1.27846``, peaks at
    ``mu x = 2.39936`` with 1.19968, and falls back to 1 beyond.

    Source of the function: Darabi et al., "BNN+", 2018; of its use in both directions: Lu, Yu, Li,
    Partovi Nia, "Understanding Neural Network Binarization with Forward and Backward Proximal
    Quantizers" (BNN++), NeurIPS 2023.

    Attributes:
        mode: ``"raw"`` as above; ``"monotone"``: ``F = clip(SS, -1, 1)`` and
            ``B = max(SS', 0) + mu / 1000``, which keep the condition of ProxConnect++ (F does not
            decrease, B is positive) also beyond ``mu |x| = 2.39936``, where the raw pair violates
            it.
        mu: name of the setting that says how steep it is.
        hard: name of the setting that is nonzero in the hard phase.
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
        """``SS'_mu(x)``; in mode monotone its negative part is cut off and ``mu / 1000`` added."""
        mu = settings[self.mu]
        slope = _slope(x, mu)
        return slope.clamp_min_(0).add_(mu / 1000) if self.mode == "monotone" else slope

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """``B(x) * grad``."""
        return self.surrogate(x, settings).mul_(grad)

    def is_hard(self, settings: Settings) -> bool:
        """Whether the hard phase has begun."""
        return settings[self.hard] != 0
