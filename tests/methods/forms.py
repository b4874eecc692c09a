"""Methods for tests: forms of weights and activations that no method of the project has alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from hwbnn.methods import Activation, BinaryWeight, Method, get


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
