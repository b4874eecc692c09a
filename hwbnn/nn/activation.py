"""Activations of a few levels, and the one learned factor in front of a loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hwbnn.methods import Activation, Method


class BinaryActivation(nn.Module):
    """Activations of a few levels, by default the sign: -1 or +1.

    Args:
        channels: length of its input's channel axis, the second.
        method: makes the activation.
    """

    def __init__(self, channels: int, method: Method) -> None:
        super().__init__()
        self.channels = channels
        self.form: Activation = method.make_activation(channels)

    def forward(self, x: Tensor) -> Tensor:
        """What the codes of ``x`` stand for, of its shape."""
        out: Tensor = self.form(x)
        return out

    def codes(self, x: Tensor) -> Tensor:
        """The integer codes of ``x``, see :meth:`hwbnn.methods.Activation.codes`."""
        return self.form.codes(x)

    def extra_repr(self) -> str:
        """Channels, for ``print(model)``."""
        return f"{self.channels}"


class Scale(nn.Module):
    """One learned factor for all channels: brings a last layer's sums to the size of logits.

    Unlike a BatchNorm it keeps the order of the sums, so that hardware can compare the integers
    themselves.

    Args:
        initial: the factor at the start, positive.
    """

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(float(initial)))

    def forward(self, x: Tensor) -> Tensor:
        """``factor * x``."""
        return x * self.factor
