"""Learned functions between BatchNorm and activation, channel by channel.

Each belongs to one method, whose file names the source. They have in common that a parameter is one
number per channel and that weight decay does not act on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.methods.base import Method, Nonlinearity, Options


class RPReLU(Nonlinearity):
    """``PReLU(x + before) + after``: one learned slope and two learned shifts per channel."""

    def __init__(self, method: Method, channels: int) -> None:
        super().__init__(method)
        self.channels = channels
        self.before = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))
        self.after = nn.Parameter(torch.zeros(channels))

    @property
    def is_monotone(self) -> bool:
        """Whether no slope is below 0."""
        return bool((self.slope >= 0).all())

    @property
    def has_few_lines(self) -> bool:
        """Two lines that meet, whatever their slopes."""
        return True

    def forward(self, x: Tensor) -> Tensor:
        """The function of ``x``, floats ``(batch, channels, ...)``, of its shape and dtype."""
        bent = functional.prelu(x + along_channels(self.before, x), self.slope.to(x.dtype))
        return bent + along_channels(self.after, x)

    def options(self) -> Mapping[str, Options]:
        """Nothing of it decays."""
        return {name: Options(decay=False) for name in ("before", "slope", "after")}


class Maxout(Nonlinearity):
    """``p max(x, 0) + n min(x, 0)`` with two learned slopes for each channel.

    Args:
        method: the method that makes it.
        channels: length of its input's channel axis.
        is_free: whether slopes may be negative; else their magnitudes are used, so that the
            function never falls.
    """

    def __init__(self, method: Method, channels: int, *, is_free: bool) -> None:
        super().__init__(method)
        self._is_free = is_free
        self.positive = nn.Parameter(torch.ones(channels))
        self.negative = nn.Parameter(torch.full((channels,), 0.25))

    @property
    def is_monotone(self) -> bool:
        """Whether no slope is below 0, or only the magnitudes are used."""
        slopes = torch.stack([self.positive, self.negative])
        return not self._is_free or bool((slopes >= 0).all())

    @property
    def has_few_lines(self) -> bool:
        """Two lines that meet, whatever their slopes."""
        return True

    def forward(self, x: Tensor) -> Tensor:
        """The function of ``x``, floats ``(batch, channels, ...)``, of its shape and dtype."""
        slopes: list[Tensor] = [self.positive, self.negative]
        if not self._is_free:
            slopes = [magnitude(slope) for slope in slopes]
        out: Tensor = _TwoSlopes.apply(x, *slopes)  # type: ignore[no-untyped-call]
        return out

    def options(self) -> Mapping[str, Options]:
        """Nothing of it decays."""
        return {"positive": Options(decay=False), "negative": Options(decay=False)}


class _TwoSlopes(torch.autograd.Function):
    """Maxout as one function: autograd would compute each half's mask again by slow kernels."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        rising, falling = (along_channels(slope, x) for slope in (positive, negative))
        above, below = x.clamp(min=0), x.clamp(max=0)
        ctx.save_for_backward(x, above, below, positive, negative)
        # One of the products is 0, so nothing is rounded twice and the order of x is kept.
        return torch.addcmul(above * rising, below, falling)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, above, below, positive, negative = ctx.saved_tensors
        rising, falling = (along_channels(slope, x) for slope in (positive, negative))
        # Writing the comparison as numbers is many times as fast as torch.where on a CPU.
        slope = torch.ge(x, 0, out=torch.empty_like(x)).mul_(rising - falling).add_(falling)
        others = [axis for axis in range(x.ndim) if axis != 1]
        of_positive = (above * grad).sum(dim=others, dtype=positive.dtype)
        of_negative = (below * grad).sum(dim=others, dtype=negative.dtype)
        return slope.mul_(grad), of_positive, of_negative


def magnitude(x: Tensor) -> Tensor:
    """``|x|`` with derivative 1 at 0; with the 0 of ``abs``, x would stay at 0 for ever."""
    return x * torch.where(x < 0, -1.0, 1.0)


def along_channels(parameter: Tensor, x: Tensor) -> Tensor:
    """A parameter ``(channels,)`` in the dtype of ``x``, to broadcast along its second axis."""
    return parameter.to(x.dtype).view(-1, *(1,) * (x.ndim - 2))
