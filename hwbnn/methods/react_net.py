"""ReActNet: signs and nonlinearities whose places are learned, channel by channel.

Forward: weights ``mean|W[c]| * sign(W[c])``; between BatchNorm and activation RPReLU,
``f(x) = PReLU_a(x + p) + q``; activations RSign, ``sign(x + s)``. Each channel learns p, q, s and
the slope a.

Backward: ``1[|W| <= 1]`` for weights, the scale constant to it; ``max(2 - 2|x + s|, 0)`` for
activations, and its sum for s; RPReLU's own derivative.

Source: Liu, Shen, Savvides, Cheng, "ReActNet", ECCV 2020, and its published code, from which the
starts are: 0 for p, q and s, 1/4 for the slopes.

What deviates: in chains, without shortcuts, q and s only ever act as their sum. As in
:mod:`~hwbnn.methods.bi_real` the factor ``mean|W|`` stays in the weights' gradient, from which the
code leaves it out. Training in two steps (first with real weights) and a teacher are matters of the
recipe, and ours has neither. Weight decay acts on the latent weights alone.

A network lowers exactly, whatever was learned: where a slope is positive, RPReLU and BatchNorm fold
into one threshold a channel; a channel with a negative slope becomes a table.
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
    """Weights ``mean|W| sign(W)``, RPReLU, and activations with a learned threshold a channel."""

    name: ClassVar[str] = "react_net"
    formulas: ClassVar[Formulas] = Formulas(formulas.clipped, formulas.polynomial)
    colour: ClassVar[str] = "#0077bb"
    dashed: ClassVar[bool] = True

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform, and the mean of their magnitudes in each channel."""
        return scaled_signs(self, shape)

    def make_nonlinearity(self, channels: int) -> Nonlinearity:
        """RPReLU, at the start a PReLU of slope 1/4."""
        return RPReLU(self, channels)

    def make_activation(self, channels: int) -> Activation:
        """RSign, at the start the sign."""
        return RSign(self, channels)


class RSign(Activation):
    """``sign(x + shift)``, one learned shift a channel; backward ``max(2 - 2|x + shift|, 0)``."""

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
