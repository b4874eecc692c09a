"""IR-Net: standardised weights, power-of-two scales, and an estimator that sharpens with time.

Forward: each output channel's latent weights are standardised, ``w = (W - mean W) / std W``; its
weights are ``2^round(log2 mean|w|) * sign(w)``. Activations are ``sign(x)``.

Backward, for weights and activations: ``k t (1 - tanh(t x)^2)`` with ``t`` growing geometrically
from ``t_first`` to ``t_last`` over the epochs and ``k = max(1/t, 1)``. The gradient passes through
the standardisation; the scale is constant to it.

Source: Qin et al., "Forward and Backward Information Retention for Accurate Binary Neural
Networks", CVPR 2020, and its published code, which takes t from 0.001 to 10 for ResNet-20. (For
VGG-small we recall a start of 0.1; we did not have the paper's text.)

Deviations: ``std`` divides by the number n of weights, not by n - 1, which is a factor of about
``1 - 1/(2n)``. It is never zero: a channel of equal weights becomes all +1. Shortcuts belong to the
network, and chains have none. t starts at 1. With a smaller t the gradient is nearly that of the
identity for all numbers up to ``1 / t``, and runs of tens of epochs then begin too slowly, measured
by the accuracy on held-out images; the published starts are for hundreds of epochs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Method, SignActivation
from hwbnn.methods.checks import at_least, number
from hwbnn.methods.estimators import Ede, Settings, sharpening
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.latent import LatentWeight, mean_magnitude, standardize

_PAIR = Ede()


@dataclass(frozen=True)
class IrNet(Method):
    """Standardised weights with power-of-two scales; the derivative of a sharpening tanh.

    Attributes:
        t_first: steepness in the first epoch.
        t_last: steepness at the end of training; the last epoch comes close to it.
    """

    name: ClassVar[str] = "ir_net"
    formulas: ClassVar[Formulas] = Formulas(formulas.ede, formulas.ede)
    colour: ClassVar[str] = "#882255"
    dashed: ClassVar[bool] = True
    t_first: float = 1.0
    t_last: float = 10.0

    def __post_init__(self) -> None:
        number(self.name, "t_first", self.t_first, 1e-4, 1e4)
        number(self.name, "t_last", self.t_last, 1e-4, 1e4)
        at_least(self.name, "t_last", self.t_last, "t_first", self.t_first)

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform, standardised channel by channel."""
        return LatentWeight(self, shape, _PAIR, transform=standardize, scale=power_of_two)

    def make_activation(self, channels: int) -> Activation:
        """The sign, with the same derivative as the weights'."""
        return SignActivation(self, channels, _PAIR)

    def schedule(self, u: float) -> Settings:
        """``t`` and ``k``."""
        return sharpening(u, self.t_first, self.t_last)


def power_of_two(real: Tensor) -> Tensor:
    """The power of two nearest to ``mean |w|`` of each channel, by its logarithm; 0 for 0."""
    return mean_magnitude(real).log2_().round_().exp2_()
