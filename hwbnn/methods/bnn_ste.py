"""BNN: signs of clipped latent weights, straight-through gradients.

Sources: Courbariaux, Bengio, David, "BinaryConnect", NeurIPS 2015 (latent weights, clipping, the
Glorot scale of the learning rate); Hubara, Courbariaux, Soudry, El-Yaniv, Bengio, "Binarized Neural
Networks", NeurIPS 2016 (binary activations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Method, SignActivation
from hwbnn.methods.checks import flag
from hwbnn.methods.estimators import ClipSTE, StraightThrough
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.latent import LatentWeight, clip, glorot_rate

# Latent weights stay in [-1, 1], where the clipped estimator equals this one, which costs nothing.
_WEIGHTS = StraightThrough()
_ACTIVATIONS = ClipSTE()


@dataclass(frozen=True)
class BnnSTE(Method):
    """Weights ``sign(W)`` and activations ``sign(x)``, gradients straight through within [-1, 1].

    After each step the latent weights are clipped to [-1, 1].

    Attributes:
        glorot_lr: multiply the learning rate of a layer's latent weights by
            ``sqrt((fan_in + fan_out) / 1.5)``, as BinaryConnect does.
    """

    name: ClassVar[str] = "bnn_ste"
    formulas: ClassVar[Formulas] = Formulas(formulas.one, formulas.clipped)
    colour: ClassVar[str] = "#000000"
    glorot_lr: bool = False

    def __post_init__(self) -> None:
        flag(self.name, "glorot_lr", self.glorot_lr)

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform: between -b and b with b = sqrt(6 / (in + out))."""
        lr_scale = glorot_rate(shape) if self.glorot_lr else 1.0
        return LatentWeight(self, shape, _WEIGHTS, lr_scale=lr_scale)

    def make_activation(self, channels: int) -> Activation:
        """The sign, with gradient 1 where ``|x| <= 1``."""
        return SignActivation(self, channels, _ACTIVATIONS)

    def after_step(self, weights: Sequence[BinaryWeight]) -> None:
        """Clip the latent weights to [-1, 1]."""
        clip(weights)
