"""Quantizers and layers of another framework, in the form in which the walk lowers them.

The reader of a framework (:mod:`hwbnn.lowering.from_torch.brevitas`) replaces calls of the
framework's modules by calls of these. Between them flow integers: a quantizer gives its integers,
and its scale is multiplied where something reads real numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.errors import CannotLower
from hwbnn.lowering.from_torch.real_weights import PlainWeights

MOST_LEVELS = 256
"""Most levels of a quantizer of activations."""
_FAR = 1e20
"""A number beyond the range of every quantizer."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """A result of a quantizer.

    Attributes:
        value: real numbers, float32.
        scale: ``value`` is this times integers: one number, or one for each channel.
        bits: the width of the integers; one bit stands for -1 and +1 if they are signed.
    """

    value: Tensor
    scale: Tensor
    bits: int


class CodedActivation(nn.Module):
    """A quantizer as a function from real numbers to its integers, evaluated by itself.

    Args:
        label: the layer, for messages.
        kind: the layer's class in its framework.
        quantizer: the trained quantizer; a module, or a function that calls one.
        shape: of a batch that it reads, channels second.

    Attributes:
        low: its lowest integer.
        high: its highest integer.
        scale: float32, ``()`` or ``(channels,)``.
        is_bit: whether its integers are -1 and +1.

    Raises:
        CannotLower: if its scale depends on the input, it is random, or takes too many integers.
    """

    def __init__(
        self,
        label: str,
        kind: str,
        quantizer: Callable[[Tensor], Quantized],
        shape: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.label, self.kind = label, kind
        self.quantizer = quantizer
        ends = [self._run(torch.full((1, *shape[1:]), sign * _FAR)) for sign in (-1, 1)]
        self.scale = _of_channels(label, ends[0].scale, shape)
        noise = torch.linspace(-1, 1, shape[1]).reshape(1, -1, *(1,) * (len(shape) - 2))
        again = [self._run(noise.expand(1, *shape[1:])) for _ in range(2)]
        if not torch.equal(again[0].value, again[1].value):
            raise CannotLower(
                f"{label}: gives other numbers for the same input in evaluation; use a rounding "
                "that is not random"
            )
        if not all(torch.equal(other.scale, ends[0].scale) for other in (*ends, *again)):
            raise CannotLower(
                f"{label}: its scale depends on the input, which no fixed circuit can follow; use "
                "a scale that is learned, or taken from statistics and then kept"
            )
        low, high = (self._integers(end) for end in ends)
        self.low, self.high = int(low.min()), int(high.max())
        self.is_bit = ends[0].bits == 1 and (self.low, self.high) == (-1, 1)
        if self.high - self.low >= MOST_LEVELS:
            raise CannotLower(
                f"{label}: takes {self.high - self.low + 1} integers, {self.low} to {self.high}; "
                f"expected at most {MOST_LEVELS}: quantize it to 8 bits"
            )
        if self.high <= self.low:
            raise CannotLower(f"{label}: gives {self.low} times its scale for every input")

    def forward(self, x: Tensor) -> Tensor:
        """The integers, as float32, in the shape of ``x``."""
        result = self._run(x)
        codes = self._integers(result)
        good = (codes >= self.low) & (codes <= self.high)
        good = good & (codes != 0) if self.is_bit else good
        if not bool(good.all()):
            raise CannotLower(
                f"{self.label}: gives {codes[~good][0].item():g}, which is not one of its integers "
                f"{self.low} to {self.high} of {'one bit' if self.is_bit else 'a rising quantizer'}"
            )
        return codes

    def _run(self, x: Tensor) -> Quantized:
        with torch.no_grad():
            return self.quantizer(x)

    def _integers(self, result: Quantized) -> Tensor:
        codes = torch.round(result.value / result.scale)
        if not torch.equal(codes * result.scale, result.value.float()):
            raise CannotLower(f"{self.label}: its results are not integers times its scale")
        return codes


def _of_channels(label: str, scale: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A scale as one number, or one for each channel."""
    if not bool(torch.isfinite(scale).all()) or not bool((scale > 0).all()):
        raise CannotLower(f"{label}: its scale is not a number above 0; look at its training")
    if scale.numel() == 1:
        return scale.reshape(()).float()
    if scale.numel() == shape[1] and scale.ndim > 1 and scale.shape[1] == shape[1]:
        return scale.reshape(-1).float()
    raise CannotLower(
        f"{label}: its scale has shape {tuple(scale.shape)}; expected one number, or one for each "
        "channel"
    )


class CodedSum(nn.Module):
    """A layer whose weights are known integers times scales.

    Args:
        kind: the layer's class in its framework.
        plain: its weights.
    """

    def __init__(self, kind: str, plain: PlainWeights) -> None:
        super().__init__()
        self.kind, self.plain = kind, plain

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output."""
        weight, bias, window = self.plain.weight, self.plain.bias, self.plain.window
        if window is None:
            return functional.linear(x, weight, bias)
        top, bottom, left, right = window.padding
        if window.is_sequence:
            x = functional.pad(x, (left, right))
            moves = window.stride[1], 0, 1, window.groups
            return functional.conv1d(x, weight[:, :, 0], bias, *moves)
        x = functional.pad(x, (left, right, top, bottom))
        return functional.conv2d(x, weight, bias, window.stride, 0, 1, window.groups)
