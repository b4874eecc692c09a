"""RBNN: weights rotated towards their signs before they are binarised.

Source: Lin et al., "Rotated Binary Neural Network", NeurIPS 2020, and its authors' code.

- What paper and code state: a bi-rotation with two small orthogonal matrices per layer, computed
  once per epoch by alternating singular value decompositions; an adjustable rotated weight with a
  learned gate per channel; a surrogate gradient that narrows during training; a learned scale per
  channel.
- Our reading: the gradient passes through the rotation. The authors' code cuts it there, and its
  gate starts at exactly 1, so that no gradient at all reaches the latent weights until weight decay
  has moved it; ``detach_rotation = True`` with ``gate = 1`` behaves as that code. Channels of equal
  weights, whose standard deviation is 0 and which become NaN there, become zeros.
- Deviations: the code also standardises the activations of every sample, in evaluation too. Each
  activation is then compared with the mean of its sample, which is not a constant threshold. The
  default is no standardisation (as in ReCU, by the same group), and lowering refuses
  ``centre = "sample"``. The layer of logits, real in the paper, is binary here and has no learned
  scale, so that hardware compares its sums directly. The rotation is refined at an epoch's start
  and not within its first ``forward``, so it is the same on every device. The defaults of
  ``turn_until`` and ``t_max`` are for runs of tens of epochs, chosen by the accuracy on held-out
  images; the code has 1 and 10, for hundreds of epochs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import asin, sqrt
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Codes, Method, Options, SignActivation
from hwbnn.methods.checks import at_least, flag, integer, number, one_of
from hwbnn.methods.estimators import Settings, Triangle, sharpening, sign
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.kronecker import haar, inputs, sides, transform
from hwbnn.methods.latent import LatentWeight, mean_magnitude

_WEIGHTS = Triangle("t", "k")
_ACTIVATIONS = Triangle("t_activation", None)
_EPS = 1e-8
"""Added to variances: constant inputs become 0 and not NaN; other effects are negligible."""


@dataclass(frozen=True)
class RBNN(Method):
    """Weights ``sign(w)`` of gated rotated weights ``w``, activations ``sign(x)``.

    Forward, for the latent weights ``W_c`` of channel c as an ``(a, b)`` matrix
    (:func:`~hwbnn.methods.kronecker.sides`): ``X_c = (W_c - mean) / std``,
    ``w_c = X_c + |sin(phi_c)| (R1^T X_c R2 - X_c)``, and the layer's weight is
    ``alpha_c sign(w_c)``, with ``phi`` and ``alpha`` learned.

    Backward, at progress u: ``t = t_min (t_max / t_min)^u``, ``k = max(1 / t, 1)``, and the
    gradient of the weights' signs is ``max(k (sqrt(2) t - t^2 |w|), 0)``; that of the activations'
    signs is the same with ``max(t, 1)`` for ``t`` and with ``k = 1``. Everything else has its true
    derivative.

    Once per epoch and ``alternations`` times, ``B_c = sign(R1^T X_c R2)``, ``R1`` and ``R2`` are
    set in turn, each to maximise ``sum_c tr(B_c^T R1^T X_c R2)``.

    Attributes:
        t_min: steepness at the start.
        t_max: steepness at the end; 10 in the code, which trains for hundreds of epochs.
        alternations: number per epoch; 0 keeps the initial random rotation.
        turn_until: share of training after which the rotation stays fixed. An update of three
            alternations flips 1 to 3 % of the bits, and the small learning rates of late epochs
            cannot recover from that; the code updates to the end, over hundreds of epochs.
        gate: ``|sin(phi)|`` at the start, 0 to 1. At exactly 1, the authors' start, ``phi`` is at a
            maximum, and the gradient of the gate is only a rounding error. The gate then changes by
            weight decay alone, which acts on ``phi`` only with ``detach_rotation``. The default is
            below 1, so that the gradient itself changes the gate.
        scale: whether ``alpha`` is learned, or 1.
        detach_rotation: cut the gradient at ``R1^T X_c R2``, as the authors' code does. Latent
            weights then get ``1 - |sin(phi)|`` of their gradient, and weight decay acts on ``phi``,
            too; with ``gate = 1`` that is the authors' training.
        centre: ``"none"``, or ``"sample"``: standardise each sample's activations before the sign.
        lr_scale: factor on the learning rate of the latent weights, which are never clipped.
    """

    name: ClassVar[str] = "rbnn"
    formulas: ClassVar[Formulas] = Formulas(
        formulas.triangle("t", "k"), formulas.triangle("t_activation", None)
    )
    colour: ClassVar[str] = "#118844"
    t_min: float = 1e-2
    t_max: float = 2.0
    alternations: int = 3
    turn_until: float = 0.3
    gate: float = 0.95
    scale: bool = True
    detach_rotation: bool = False
    centre: Literal["none", "sample"] = "none"
    lr_scale: float = 1.0

    def __post_init__(self) -> None:
        number(self.name, "t_min", self.t_min, 1e-6, 1e6)
        number(self.name, "t_max", self.t_max, 1e-6, 1e6)
        at_least(self.name, "t_max", self.t_max, "t_min", self.t_min)
        integer(self.name, "alternations", self.alternations, 0, 1000)
        number(self.name, "turn_until", self.turn_until, 0, 1)
        number(self.name, "gate", self.gate, 0, 1)
        flag(self.name, "scale", self.scale)
        flag(self.name, "detach_rotation", self.detach_rotation)
        one_of(self.name, "centre", self.centre, ("none", "sample"))
        number(self.name, "lr_scale", self.lr_scale, 0, 1e6)

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform, and two random orthogonal matrices."""
        return RotatedWeight(self, shape)

    def make_activation(self, channels: int) -> Activation:
        """The sign, of standardised samples if ``centre`` is ``"sample"``."""
        kind = SignActivation if self.centre == "none" else CentredActivation
        return kind(self, channels, _ACTIVATIONS)

    def logits(self) -> Method:
        """The method without a learned scale."""
        return replace(self, scale=False)

    def schedule(self, u: float) -> Settings:
        """``t`` and ``k`` of weights, ``t_activation``, and ``turns``: 1 while rotations change."""
        weights = sharpening(u, self.t_min, self.t_max)
        turns = float(u < self.turn_until)
        return {**weights, "t_activation": max(weights["t"], 1.0), "turns": turns}

    def on_epoch(self, weights: Sequence[BinaryWeight]) -> None:
        """Refine the rotations from latent weights and rotations alone, without data.

        A checkpoint holds both, so a resumed run refines as an uninterrupted one does.
        """
        for weight in weights:
            if isinstance(weight, RotatedWeight) and weight.settings["turns"]:
                weight.refine(self.alternations)


class RotatedWeight(LatentWeight):
    """Latent weights with a gated rotation before the sign.

    Attributes:
        left: ``R1``, ``(a, a)``, a buffer.
        right: ``R2``, ``(b, b)``, a buffer.
        phi: angle of each channel's gate.
        alpha: scale of each channel, or None.
    """

    left: Tensor
    right: Tensor

    def __init__(self, method: RBNN, shape: tuple[int, ...]) -> None:
        super().__init__(method, shape, _WEIGHTS, lr_scale=method.lr_scale, decay=True)
        self._detach = method.detach_rotation
        a, b = sides(inputs(self.shape))
        self.register_buffer("left", haar(a))
        self.register_buffer("right", haar(b))
        self.phi = nn.Parameter(torch.full(self.shape[:1], asin(method.gate)))
        self.alpha = nn.Parameter(mean_magnitude(self.latent)) if method.scale else None

    def standard(self) -> Tensor:
        """The latent weights ``(channels, n)``, each channel with mean 0 and unbiased variance 1.

        A channel of equal weights, or of a single weight, becomes zeros.
        """
        n = inputs(self.shape)
        # The kernel divides by the biased standard deviation.
        unbiased = self.latent.new_full((n,), sqrt((n - 1) / n))
        return functional.layer_norm(self.latent.flatten(1), (n,), weight=unbiased, eps=_EPS)

    def real(self) -> Tensor:
        """The gated rotated weights."""
        # Weights are few and their signs all that counts: never in half precision.
        with torch.autocast(self.latent.device.type, enabled=False):
            x = self.standard()
            rotated = transform(x.detach() if self._detach else x, self.left, self.right)
            gate = self.phi.sin().abs()[:, None]
            return torch.lerp(x, rotated, gate).view(self.shape)

    def codes(self) -> Codes:
        """Signs of the gated rotated weights, and the learned scale."""
        return replace(super().codes(), scale=self.alpha)

    def options(self) -> Mapping[str, Options]:
        """Weight decay acts on the angles only with ``detach_rotation``, as in the authors' code.

        Decay changes the gates independently of the loss.
        """
        return {**super().options(), "phi": Options(decay=self._detach)}

    @torch.no_grad()
    def refine(self, alternations: int) -> None:
        """Rotate the weights closer to their signs: update ``left`` and ``right`` in place."""
        a, b = len(self.left), len(self.right)
        x = self.standard().view(-1, a, b)
        for _ in range(alternations):
            signs = sign(transform(x, self.left, self.right))
            self.left.copy_(best_left(signs, x, self.right))
            self.right.copy_(best_right(signs, x, self.left))


def sign_agreement(signs: Tensor, x: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``sum_c tr(B_c^T R1^T X_c R2)``, which the rotation maximises.

    Args:
        signs: ``B``, ``(channels, a, b)``.
        x: ``X``, of the same shape.
        left: ``R1``.
        right: ``R2``.
    """
    return (signs * transform(x, left, right)).sum()


def best_left(signs: Tensor, x: Tensor, right: Tensor) -> Tensor:
    """The orthogonal ``R1`` that maximises :func:`sign_agreement` for the other arguments."""
    u, vh = _bases(torch.tensordot(signs @ right.t(), x, dims=([0, 2], [0, 2])))
    return (u @ vh).t().to(x)


def best_right(signs: Tensor, x: Tensor, left: Tensor) -> Tensor:
    """The orthogonal ``R2`` that maximises :func:`sign_agreement` for the other arguments."""
    u, vh = _bases(torch.tensordot(x, left @ signs, dims=([0, 1], [0, 1])))
    return (u @ vh).to(x)


def _bases(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """``U`` and ``V^T`` of a small matrix, in float64 on the CPU: equal for all devices."""
    u, _, vh = torch.linalg.svd(matrix.to("cpu", torch.float64))
    return u, vh


class CentredActivation(SignActivation):
    """The sign of activations standardised over each sample, as in the authors' code."""

    def forward(self, x: Tensor) -> Tensor:
        """-1 or +1 for each element of ``x``, of its shape and dtype."""
        return super().forward(_standardise(x))

    def codes(self, x: Tensor) -> Tensor:
        """``[x >= mean of its sample]``."""
        return super().codes(_standardise(x))

    def why_not_exact(self) -> str:
        """The reason: a threshold that depends on the data."""
        return (
            "each bit is compared with the mean of its sample, which is no constant threshold; "
            'train with centre = "none"'
        )


def _standardise(x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[1:], eps=_EPS).to(x.dtype)
