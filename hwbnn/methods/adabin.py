"""AdaBin: weights and activations take two learned values each.

Source: Tu, Chen, Ren, Wang, "AdaBin: Improving Binary Neural Networks with Adaptive Binary Sets",
ECCV 2022, and its two reference implementations (PyTorch, MindSpore). The values of weights follow
from the latent weights (equalization), those of activations are learned by gradients. The paper
states the idea and the formulas; the constants of the schedules come from the code.

Weights, for each channel of N latent numbers W::

    beta = mean(W)    alpha = sqrt(mean((W - beta)^2))    x = (W - beta) / alpha
    w = alpha * sign(x) + beta

    backward: dsign/dx = k t (1 - tanh(t x)^2); x, alpha and beta pass their own gradients
    t = 10^(-3 + 4 u) and k = max(1 / t, 1) at progress u

Activations, with the layer's learned alpha and beta (initially 1 and 0), ``A = |alpha|``::

    x^ = (x - beta) / A    s = sign(x^)    h = max(2 - 2 |x^|, 0)
    form "paper":  a = A s + beta      da/dA = s - x^ h           da/dbeta = 1 - h    da/dx = h
    form "code":   a = A (s + beta)    da/dA = s + beta - x^ h    da/dbeta = A - h    da/dx = h

Before each activation comes Maxout, ``f(x) = p max(x, 0) + n min(x, 0)`` with p and n learned for
each channel, initially 1 and 0.25; at x = 0 the derivative is p.

Our own part: the offset beta of the weights is multiplied by ``S``, the sum of a layer's inputs, so
a neuron in integers is ``D + rho S >= tau`` with ``rho = beta / alpha``. ``mode`` selects how rho
becomes an integer:

* ``"qat"``: the model itself uses ``rho = R / 2^fraction`` with an integer R, rounded and clipped
  to ``|rho| <= 1``; gradients pass straight through the rounding. The sums ``2^fraction D + R S``
  are then integers.
* ``"exact"``: rho stays a real number. For each channel lowering looks for integers that decide
  every possible sum as the float network does, and refuses if there are none or if there are too
  many sums.
* ``"drop"``: ``beta = 0`` after the sign, an ablation: all weights are -1 and +1 times a scale.

Other deviations. ``alpha`` of a channel is ``sqrt(variance + 1e-12)``: the code divides by zero for
equal weights. An activation uses ``|alpha|``, at least 2^-10, so that nothing is divided by zero
when alpha crosses 0. In form "paper" a negative alpha then gives the same function (it flips the
sign twice) except at ``x = beta``; in form "code" the centre becomes ``-alpha beta``. Maxout uses
the magnitudes of its slopes as well. With a negative slope the function would be non-monotone, the
neuron would have two thresholds, and hardware would need a table of all sums for the whole layer
(in a network of 784-256-256-256-10 on MNIST 11 of 768 channels had one). ``maxout = "free"`` allows
negative slopes. Weight decay excludes alpha, beta and the slopes; the code decays them. The layer
that makes logits has no offset (the paper keeps this layer real): logits are compared across
classes, and one integer D per class can be ranked by a small table. The first layer is binary like
the others (the paper keeps it real, too) and reads integers or bits directly; with 8-bit pixels
mode ``"exact"`` has too many sums and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Codes, Method, Nonlinearity, Options
from hwbnn.methods.checks import integer, one_of
from hwbnn.methods.estimators import Ede, Estimator, Polynomial, Settings, sharpening, sign
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.latent import LatentWeight, standardize, standardized_rows
from hwbnn.methods.nonlinear import Maxout, magnitude

Mode = Literal["qat", "exact", "drop"]
SetForm = Literal["paper", "code"]
Slopes = Literal["monotone", "free", "none"]

MAX_FRACTION = 12
"""Most fractional bits of rho in mode ``"qat"``."""
_SMALLEST = 2.0**-10
"""Smallest magnitude of an activation's alpha, so that its two values differ in float32."""
_WEIGHTS = Ede()
_ACTIVATIONS = Polynomial()


@dataclass(frozen=True)
class AdaBin(Method):
    """Weights ``alpha s + beta`` for each channel, activations ``alpha s + beta`` for each layer.

    Attributes:
        mode: how the offsets of weights become integers: ``"qat"``, ``"exact"`` or ``"drop"``.
        fraction: fractional bits of ``rho = beta / alpha`` in mode ``"qat"``, 0 to 12.
        form: formula of the activations, of the paper (``"paper"``) or of its code (``"code"``).
        maxout: function before the activations: Maxout with slopes from 0, ``"monotone"``; with
            slopes of any sign, ``"free"``; or none, ``"none"``.
    """

    name: ClassVar[str] = "adabin"
    formulas: ClassVar[Formulas] = Formulas(formulas.ede, formulas.polynomial)
    colour: ClassVar[str] = "#dd2211"
    mode: Mode = "qat"
    fraction: int = 4
    form: SetForm = "paper"
    maxout: Slopes = "monotone"

    def __post_init__(self) -> None:
        one_of(self.name, "mode", self.mode, ("qat", "exact", "drop"))
        one_of(self.name, "form", self.form, ("paper", "code"))
        one_of(self.name, "maxout", self.maxout, ("monotone", "free", "none"))
        integer(self.name, "fraction", self.fraction, 0, MAX_FRACTION)

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent numbers, Glorot uniform: between -b and b with b = sqrt(6 / (in + out))."""
        return EqualizedWeight(self, shape)

    def make_activation(self, channels: int) -> Activation:
        """Two learned values for all channels, initially -1 and +1."""
        return LearnedSet(self)

    def make_nonlinearity(self, channels: int) -> Nonlinearity | None:
        """Maxout, unless it is switched off."""
        if self.maxout == "none":
            return None
        return Maxout(self, channels, is_free=self.maxout == "free")

    def logits(self) -> AdaBin:
        """The method without offsets: a class's logit is then a function of one small integer."""
        return replace(self, mode="drop")

    def schedule(self, u: float) -> Settings:
        """``t`` from 1e-3 to 10 and ``k = max(1 / t, 1)``, so that the peak ``k t`` is 1 or t."""
        return sharpening(u, 1e-3, 10)


class EqualizedWeight(LatentWeight):
    """Latent weights; each channel's mean and standard deviation give the two weight values."""

    def __init__(self, method: AdaBin, shape: tuple[int, ...]) -> None:
        super().__init__(method, shape, _WEIGHTS, transform=standardize, decay=True)
        self._mode, self._fraction = method.mode, method.fraction

    def codes(self) -> Codes:
        """Signs, standard deviation and mean of each channel; the mode decides about the mean."""
        signs, scale, centre = _equalize(self.latent, self.settings)
        if self._mode == "drop":
            return Codes(signs, scale)
        if self._mode == "exact":
            return Codes(signs, scale, centre)
        unit = float(1 << self._fraction)
        wanted = (centre / scale * unit).clamp(-unit, unit)
        ratio = wanted.detach().round()
        offset = scale * (wanted + (ratio - wanted.detach())) / unit
        return Codes(signs, scale, offset, ratio, self._fraction)


class LearnedSet(Activation):
    """Bits that stand for two learned numbers: ``scale * s + centre`` with ``s = sign(x - beta)``.

    The learned parameters are ``alpha`` and ``beta``, one each for the layer.
    """

    def __init__(self, method: AdaBin) -> None:
        super().__init__(method)
        self._form = method.form
        self.alpha = nn.Parameter(torch.ones(()))
        self.beta = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """The numbers that the bits of ``x`` stand for, of its shape and dtype."""
        size = magnitude(self.alpha)
        scale = size + (size.detach().clamp_min(_SMALLEST) - size.detach())
        out: Tensor = _Set.apply(  # type: ignore[no-untyped-call]
            x, scale, self.beta, self._form, self.settings
        )
        return out

    def codes(self, x: Tensor) -> Tensor:
        """``[x >= beta]``."""
        return (_bits(x, self.beta) > 0).byte()

    def affine(self) -> tuple[float, float]:
        """``(A, beta)``, in form ``"code"`` ``(A, A beta)``; both as float32 holds them."""
        scale = self.alpha.detach().abs().clamp_min(_SMALLEST)
        return scale.item(), _centre(scale, self.beta.detach(), self._form).item()

    def options(self) -> Mapping[str, Options]:
        """No decay: there is no reason to pull these values to 0."""
        return {"alpha": Options(decay=False), "beta": Options(decay=False)}


def _equalize(latent: Tensor, settings: Settings) -> tuple[Tensor, Tensor, Tensor]:
    """Signs of the standardised latent numbers, standard deviations and means, differentiable."""
    out: tuple[Tensor, Tensor, Tensor] = _Equalize.apply(latent, _WEIGHTS, settings)  # type: ignore[no-untyped-call]
    return out


class _Equalize(torch.autograd.Function):
    """Equalization as one function: about four passes over the weights each way, not eight."""

    @staticmethod
    def forward(
        ctx: Any, latent: Tensor, estimator: Estimator, settings: Settings
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, mean, inverse = standardized_rows(latent)
        ctx.save_for_backward(latent, x, mean, inverse)
        ctx.estimator, ctx.settings = estimator, settings
        signs = estimator.forward(x, settings).view_as(latent)
        return signs, inverse.reciprocal().flatten(), mean.flatten()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, of_signs: Tensor, of_scale: Tensor, of_centre: Tensor
    ) -> tuple[Tensor, None, None]:
        latent, x, mean, inverse = ctx.saved_tensors
        rows = latent.flatten(1)
        passed = ctx.estimator.backward(of_signs.flatten(1), x, ctx.settings)
        grad = torch.ops.aten.native_layer_norm_backward(
            passed, rows, rows.shape[1:], mean, inverse, None, None, [True, False, False]
        )[0]
        # d scale / dW = x / N and d centre / dW = 1 / N.
        count = rows.shape[1]
        grad.addcmul_(x, (of_scale / count)[:, None]).add_((of_centre / count)[:, None])
        return grad.view_as(latent), None, None


def _bits(x: Tensor, beta: Tensor) -> Tensor:
    """``sign(x - beta)``; a difference of floats has the sign of the exact difference."""
    return sign(x.detach() - beta.detach())


def _centre(scale: Tensor, beta: Tensor, form: SetForm) -> Tensor:
    return beta if form == "paper" else scale * beta


class _Set(torch.autograd.Function):
    """A learned set as one function; see the formulas at the top of this file."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, beta: Tensor, form: SetForm, settings: Settings
    ) -> Tensor:
        signs = _bits(x, beta)
        ctx.save_for_backward(x, signs, scale, beta)
        ctx.form, ctx.settings = form, settings
        return (signs * scale).add_(_centre(scale, beta, form))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, signs, scale, beta = ctx.saved_tensors
        near = (x - beta).div_(scale)
        passed = _ACTIVATIONS.backward(grad, near, ctx.settings)
        # Beyond 1 no gradient passes; clipping avoids the product of an infinity and that zero.
        of_scale = _dot(grad, signs) - _dot(near.clamp_(-1, 1), passed)
        total, through = grad.sum(dtype=torch.float32), passed.sum(dtype=torch.float32)
        if ctx.form == "code":
            of_scale, total = of_scale + beta * total, scale * total
        return passed, of_scale, total - through, None, None


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """``sum(a b)`` over all elements in one pass, as float32."""
    if a.stride() == b.stride() and a.is_contiguous(memory_format=torch.channels_last):
        # Read in memory order: flattening images of this layout would copy them, which is slow.
        a, b = (x.as_strided((x.numel(),), (1,)) for x in (a, b))
    return torch.dot(a.flatten().float(), b.flatten().float())
