"""ReActNet: signs and nonlinearities with learned shifts per channel.

Forward: weights ``mean|W[c]| * sign(W[c])``; between BatchNorm and activation RPReLU,
``f(x) = PReLU_a(x + p) + q``; activations RSign, ``sign(x + s)``. Each channel learns p, q, s and
the slope a.

Backward: ``1[|W| <= 1]`` for weights, with no gradient through the scale; ``max(2 - 2|x + s|, 0)``
for activations, and the sum of these gradients for s; the true derivative for RPReLU.

Source: Liu, Shen, Savvides, Cheng, "ReActNet", ECCV 2020, and its published code, which also gives
the start values: 0 for p, q and s, 1/4 for the slopes.

Deviations: in chains, without shortcuts, q and s act only as their sum. As in
:mod:`~hwbnn.methods.bi_real` the weights' gradient contains the factor ``mean|W|``, which the code
leaves out. Training in two steps (first with real weights) and a teacher network belong to the
recipe, and ours has neither. Weight decay acts on the latent weights alone.

A network lowers exactly for all learned values: with positive slopes RPReLU and BatchNorm fold into
one threshold per channel, and a channel with a negative slope becomes a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Method, Nonlinearity, Options
from hwbnn.methods.estimators import Polynomial, quantize, sign
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.latent import scaled_signs
from hwbnn.methods.nonlinear import RPReLU, along_channels

_ACTIVATIONS = Polynomial()


@dataclass(frozen=True)
class ReactNet(Method):
    """Weights ``mean|W| sign(W)``, RPReLU, and activations with a learned shift per channel."""

    name: ClassVar[str] = "react_net"
    formulas: ClassVar[Formulas] = Formulas(formulas.clipped, formulas.polynomial)
    colour: ClassVar[str] = "#0077bb"
    dashed: ClassVar[bool] = True

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform, and the mean of their magnitudes in each channel."""
        return scaled_signs(self, shape)

    def make_nonlinearity(self, channels: int) -> Nonlinearity:
        """RPReLU, initially a PReLU of slope 1/4."""
        return RPReLU(self, channels)

    def make_activation(self, channels: int) -> Activation:
        """RSign, initially the sign."""
        return RSign(self, channels)


class RSign(Activation):
    """``sign(x + shift)``, one learned shift per channel; gradient ``max(2 - 2|x + shift|, 0)``."""

    def __init__(self, method: Method, channels: int) -> None:
        super().__init__(method)
        self.channels = channels
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """-1 or +1 for each element of ``x``, of its shape and dtype."""
        return quantize(self._moved(x), _ACTIVATIONS, self.settings)

    def codes(self, x: Tensor) -> Tensor:
        """``[x + shift >= 0]``."""
        return (sign(self._moved(x)) > 0).byte()

    def options(self) -> Mapping[str, Options]:
        """The shift does not decay."""
        return {"shift": Options(decay=False)}

    def _moved(self, x: Tensor) -> Tensor:
        return x + along_channels(self.shift, x)
