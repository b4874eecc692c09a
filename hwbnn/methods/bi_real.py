"""Bi-Real Net: a smoother gradient for the sign of activations, and weights with a scale.

Forward: weights ``mean|W[c]| * sign(W[c])`` for each output channel c, activations ``sign(x)``.

Backward: ``1[|W| <= 1]`` for weights, ``max(2 - 2|x|, 0)`` for activations; the scale is constant
to the gradient.

Source: Liu, Wu, Luo, Yang, Liu, Cheng, "Bi-Real Net", ECCV 2018, and its published code.

Deviations: a method consists of its quantizers only. The paper's shortcuts around each convolution
belong to the network (``resnet18_conv``), and chains have none. The code passes
``dL/d(scale * sign)`` to the latent weights without the factor ``scale``; here the chain rule keeps
this factor per channel, which Adam divides out again. Before a BatchNorm the scale changes only the
size of gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Method, SignActivation
from hwbnn.methods.estimators import Polynomial
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.latent import scaled_signs

_ACTIVATIONS = Polynomial()


@dataclass(frozen=True)
class BiReal(Method):
    """Weights ``mean|W| sign(W)``, activations with the piecewise polynomial's derivative."""

    name: ClassVar[str] = "bi_real"
    formulas: ClassVar[Formulas] = Formulas(formulas.clipped, formulas.polynomial)
    colour: ClassVar[str] = "#ee7733"
    dashed: ClassVar[bool] = True

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform, and the mean of their magnitudes in each channel."""
        return scaled_signs(self, shape)

    def make_activation(self, channels: int) -> Activation:
        """The sign, with gradient ``max(2 - 2|x|, 0)``."""
        return SignActivation(self, channels, _ACTIVATIONS)
