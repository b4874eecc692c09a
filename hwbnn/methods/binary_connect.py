"""BinaryConnect: binary weights, and activations that are not binary.

Forward: weights ``sign(W)``; activations as published ``max(x, 0)`` in real numbers, or by default
unsigned integers of a few bits (:class:`~hwbnn.methods.multibit.UnsignedSteps`).

Backward: 1 for weights, whose latent numbers are clipped to [-1, 1] after each step; for the
integers ``1[0 < x < high]``.

Source: Courbariaux, Bengio, David, "BinaryConnect", NeurIPS 2015, deterministic form, and its
published code. The option ``glorot_lr``, a factor ``sqrt((in + out) / 1.5)`` on the learning rate
of a layer's latent weights, is theirs.

Deviations: the integer activations, which lowering needs: a network with ``activation = "relu"`` is
trained as published and refused by lowering. The code evaluates its stochastic form with *real*
weights; here evaluation is always with the signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Method
from hwbnn.methods.checks import flag, one_of
from hwbnn.methods.estimators import StraightThrough
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.latent import LatentWeight, clip, glorot_rate
from hwbnn.methods.multibit import ReluActivation, UnsignedActivation, check_bits

_WEIGHTS = StraightThrough()  # exact within [-1, 1], which they never leave


@dataclass(frozen=True)
class BinaryConnect(Method):
    """Weights ``sign(W)``, latents clipped to [-1, 1]; activations of several bits, or real.

    Attributes:
        activation: ``"unsigned"``: integers of ``bits`` bits; ``"relu"``: real, never lowered.
        bits: of an activation, 2 to 8.
        high: end of the activations' range, a power of two.
        glorot_lr: multiply the learning rate of a layer's latent weights by
            ``sqrt((fan_in + fan_out) / 1.5)``.
    """

    name: ClassVar[str] = "binary_connect"
    formulas: ClassVar[Formulas] = Formulas(formulas.one, formulas.within(2.0))
    colour: ClassVar[str] = "#aaaaaa"
    dashed: ClassVar[bool] = True
    activations: ClassVar[tuple[str, ...]] = ("unsigned", "relu")
    activation: str = "unsigned"
    bits: int = 4
    high: float = 2.0
    glorot_lr: bool = False

    def __post_init__(self) -> None:
        one_of(self.name, "activation", self.activation, self.activations)
        check_bits(self.name, self.bits, self.high)
        flag(self.name, "glorot_lr", self.glorot_lr)

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform."""
        lr_scale = glorot_rate(shape) if self.glorot_lr else 1.0
        return LatentWeight(self, shape, _WEIGHTS, lr_scale=lr_scale)

    def make_activation(self, channels: int) -> Activation:
        """Unsigned integers in equal steps, or the real ReLU."""
        if self.activation == "relu":
            return ReluActivation(self, channels)
        return UnsignedActivation(self, channels, self.bits, high=self.high)

    def after_step(self, weights: Sequence[BinaryWeight]) -> None:
        """Clip the latent weights to [-1, 1]."""
        clip(weights)
