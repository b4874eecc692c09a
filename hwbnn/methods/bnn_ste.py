"""BNN: signs of clipped latent weights, straight-through gradients.

Sources: Courbariaux, Bengio, David, "BinaryConnect", NeurIPS 2015 (latent weights, clipping, the
Glorot scale of the learning rate); Hubara, Courbariaux, Soudry, El-Yaniv, Bengio, "Binarized Neural
Networks", NeurIPS 2016 (binary activations).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor, nn

from hwbnn.errors import InputError
from hwbnn.methods.base import (
    Activation,
    BinaryWeight,
    ClipSTE,
    Codes,
    Method,
    Options,
    SignActivation,
    StraightThrough,
    quantize,
)

# Latent weights never leave [-1, 1], where the clipped estimator is the plain one, which costs
# nothing.
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
    glorot_lr: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.glorot_lr, bool):
            raise InputError(f"bnn_ste: glorot_lr: expected true or false, found {self.glorot_lr}")

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform: between -b and b with b = sqrt(6 / (in + out))."""
        return LatentWeight(self, shape)

    def make_activation(self, channels: int) -> Activation:
        """The sign, with gradient 1 where ``|x| <= 1``."""
        return SignActivation(self, channels, _ACTIVATIONS)

    @torch.no_grad()
    def after_step(self, weights: Sequence[BinaryWeight]) -> None:
        """Clip the latent weights to [-1, 1]."""
        latent = [w.latent.data for w in weights if isinstance(w, LatentWeight)]
        if not latent:
            return
        # One call for all layers: a network of many small ones would else spend its time in calls.
        torch._foreach_clamp_min_(latent, -1.0)
        torch._foreach_clamp_max_(latent, 1.0)


class LatentWeight(BinaryWeight):
    """One latent number a weight, whose sign is the weight."""

    def __init__(self, method: BnnSTE, shape: tuple[int, ...]) -> None:
        super().__init__(method)
        self.shape = tuple(shape)
        area = prod(self.shape[2:])
        fans = (self.shape[0] + self.shape[1]) * area
        bound = (6 / fans) ** 0.5
        self.latent = nn.Parameter(torch.empty(self.shape).uniform_(-bound, bound))
        self._lr_scale = (fans / 1.5) ** 0.5 if method.glorot_lr else 1.0

    def real(self) -> Tensor:
        """The latent weights."""
        return self.latent

    def codes(self) -> Codes:
        """The signs of the latent weights."""
        return Codes(quantize(self.latent, _WEIGHTS, self.settings))

    def options(self) -> Mapping[str, Options]:
        """The latent weights' learning rate, and no decay: they are clipped instead."""
        return {"latent": Options(self._lr_scale, decay=False)}
