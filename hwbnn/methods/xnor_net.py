"""XNOR-Net: weights with a scale that passes the gradient; without the inputs' scale K.

Forward: weights ``a[c] * sign(W[c])`` with ``a[c] = mean|W[c]|`` of each output channel,
activations ``sign(x)``.

Backward, with G the gradient of ``a * sign(W)`` and n the weights of a channel::

    dL/dW = a 1[|W| <= 1] G + sign(W) / n * sum(G * sign(W))

which is the derivative of ``mean|W| * sign(W)`` with a straight-through sign (the paper writes
``G / n`` for the second term: the gradient of one weight in place of the channel's sum);
activations ``1[|x| <= 1]``. After each step the latent weights are clipped to [-1, 1]. With
``centre``, each channel's mean over its inputs is subtracted before that.

Sources: Rastegari, Ordonez, Redmon, Farhadi, "XNOR-Net", ECCV 2016; the public PyTorch port of it,
from which the formula above was read (times ``n (1 - 1/inputs)`` there, a constant factor that Adam
divides out); the paper's own gradient from a summary of it.

Deviations: the paper also scales each output by K, the mean magnitude of the inputs under its
window. K depends on the data, so no constant threshold on the integer sum is equivalent; K is left
out, as in the port. Centring comes from the port and is off by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Method, SignActivation
from hwbnn.methods.checks import flag
from hwbnn.methods.estimators import ClipSTE, StraightThrough
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.latent import LatentWeight, clip

# Latent weights stay in [-1, 1], where the clipped estimator equals this one.
_WEIGHTS = StraightThrough()
_ACTIVATIONS = ClipSTE()


@dataclass(frozen=True)
class XnorNet(Method):
    """Weights ``mean|W| sign(W)`` with a gradient through the mean; latent weights clipped.

    Attributes:
        centre: subtract each channel's mean over its inputs from the latent weights after each
            step.
    """

    name: ClassVar[str] = "xnor_net"
    formulas: ClassVar[Formulas] = Formulas(formulas.one, formulas.clipped)
    colour: ClassVar[str] = "#ccaa00"
    dashed: ClassVar[bool] = True
    centre: bool = False

    def __post_init__(self) -> None:
        flag(self.name, "centre", self.centre)

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform, and the mean of their magnitudes in each channel."""
        return LatentWeight(self, shape, _WEIGHTS, scale=_mean_magnitude)

    def make_activation(self, channels: int) -> Activation:
        """The sign, with gradient 1 where ``|x| <= 1``."""
        return SignActivation(self, channels, _ACTIVATIONS)

    @torch.no_grad()
    def after_step(self, weights: Sequence[BinaryWeight]) -> None:
        """Centre, if asked for, and clip the latent weights to [-1, 1]."""
        if self.centre:
            for weight in weights:
                if isinstance(weight, LatentWeight) and weight.shape[1] > 1:
                    weight.latent.sub_(weight.latent.mean(dim=1, keepdim=True))
        clip(weights)


def _mean_magnitude(real: Tensor) -> Tensor:
    """``mean |w|`` of each channel; the gradient passes."""
    return real.abs().flatten(1).mean(dim=1)
