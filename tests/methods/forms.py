"""Methods for tests: forms of weights and activations that no method of the project has alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from hwbnn.methods import Activation, BinaryWeight, ClipSTE, Codes, Method, SignActivation, get


@dataclass(frozen=True)
class Mapped(Method):
    """Signs or levels that stand for ``scale * u + centre``, with a learned scale."""

    name: ClassVar[str] = "mapped"
    levels: int = 1

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        return get("bnn_ste").make_weight(shape)

    def make_activation(self, channels: int) -> Activation:
        return _MappedActivation(self, self.levels)


class _MappedActivation(Activation):
    def __init__(self, method: Method, levels: int) -> None:
        super().__init__(method)
        self.levels = levels
        self.scale = nn.Parameter(torch.rand(()) + 0.1)
        self.centre = nn.Parameter(torch.randn(()))

    def codes(self, x: Tensor) -> Tensor:
        edges = torch.arange(self.levels) - (self.levels - 1) / 2
        return (x[..., None] >= edges).sum(dim=-1).byte()

    def forward(self, x: Tensor) -> Tensor:
        codes = self.codes(x).to(x.dtype)
        return (codes * 2 - 1 if self.levels == 1 else codes) * self.scale + self.centre

    def affine(self) -> tuple[float, float]:
        return self.scale.item(), self.centre.item()


@dataclass(frozen=True)
class RealSets(Method):
    """Weights ``scale * (+-1) + offset`` with any real numbers, scales of both signs."""

    name: ClassVar[str] = "real_sets"

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        return _RealSetsWeight(self, shape)

    def make_activation(self, channels: int) -> Activation:
        return SignActivation(self, channels, ClipSTE())

    def logits(self) -> Method:
        return get("bnn_ste")


class _RealSetsWeight(BinaryWeight):
    def __init__(self, method: Method, shape: tuple[int, ...]) -> None:
        super().__init__(method)
        self.shape = shape
        self.latent = nn.Parameter(torch.randn(shape))
        self.scale = nn.Parameter(torch.randn(shape[:1]))
        self.offset = nn.Parameter(torch.randn(shape[:1]) * 0.3)

    def real(self) -> Tensor:
        return self.latent

    def codes(self) -> Codes:
        return Codes(torch.where(self.latent >= 0, 1.0, -1.0), self.scale, self.offset)
