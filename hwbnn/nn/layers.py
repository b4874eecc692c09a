"""Layers with binary weights and activations, whose evaluation is integer arithmetic.

In training a :class:`BinaryLinear` is a linear layer over the method's codes. In evaluation it
first computes the integers ``D = sum_i (+-1) * u_i`` (float32 holds them exactly: their magnitude
stays below 2^24, which the first layer checks here and lowering checks for all) and then applies
every scale and offset to ``D``. This is the order of the hardware, where ``D`` is compared with an
integer; the other order, scaled weights or normalised inputs inside the sum, rounds differently and
flips bits at ties.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.methods import Activation, Codes, Method

EXACT = 1 << 24
"""float32 holds every integer below this magnitude, so no sum below it is ever rounded."""

_LATTICE = 1 / 16
"""How far, in steps, an input may lie from an integer: room for its rounding to float32 alone."""


class BinaryLinear(nn.Module):
    """A dense layer of weights -1 and +1.

    Args:
        in_features: length of its input.
        out_features: number of its channels.
        method: makes the weights.
        source: for the layer that reads the network's input: what arrives there. The layer takes
            the floats ``x = scale * u + offset`` that the network is trained on; in evaluation it
            finds the integers ``u`` again, sums these, and applies the map to the sums:
            ``y = scale * D + offset * sum(w)``. Without it the input must be -1 and +1, or
            integers.

    Raises:
        InputError: if a size is not positive, or sums can grow beyond what float32 holds exactly.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        method: Method,
        *,
        source: Input | None = None,
    ) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise InputError(
                f"BinaryLinear: expected sizes from 1, found {in_features} and {out_features}"
            )
        self.in_features = in_features
        self.out_features = out_features
        self.source = source
        self.weight = method.make_weight((out_features, in_features))
        largest = 1 if source is None or source.bit else max(abs(source.low), abs(source.high))
        if in_features * largest >= EXACT:
            raise InputError(
                f"BinaryLinear: sums of {in_features} integers up to {largest} reach 2^24, which "
                "float32 does not hold exactly; use a smaller input range or fewer inputs"
            )

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output.

        Args:
            x: floats ``(batch, in_features)``.

        Returns:
            ``(batch, out_features)``; in evaluation float32.

        Raises:
            InputError: in evaluation, if ``source`` is given and ``x`` is not on its lattice.
        """
        codes = self.weight.codes()
        if not self.training:
            return self.finish(*self.sums(self.integers(x), codes), codes)
        y = functional.linear(x, codes.signs)
        if codes.scale is not None:
            y = y * codes.scale
        if codes.offset is not None:
            y = y + codes.offset * x.sum(dim=-1, keepdim=True)
        return y

    def integers(self, x: Tensor) -> Tensor:
        """The integers (for bits: -1 and +1) that stand behind the floats ``x``, as float32.

        Raises:
            InputError: if ``x`` is not on the lattice of ``source``; says where it is not.
        """
        x = x.float()
        source = self.source
        if source is None:
            return x
        u = (x - source.offset) / source.scale
        nearest = u.round()
        good = (
            ((u - nearest).abs() <= _LATTICE) & (nearest >= source.low) & (nearest <= source.high)
        )
        if not bool(good.all()):
            worst = x[~good][0].item()
            raise InputError(
                f"input '{source.name}': expected x = {source.scale:g} * u + {source.offset:g} "
                f"with integers u from {source.low} to {source.high}, found x = {worst:g}; bring "
                "the data to this lattice, or describe it by another Input"
            )
        return nearest * 2 - 1 if source.bit else nearest

    def sums(self, u: Tensor, codes: Codes | None = None) -> tuple[Tensor, Tensor | None]:
        """What the hardware sums: ``D``, and ``S = sum_i u_i`` where the weights have an offset.

        Args:
            u: integers as float32 ``(batch, in_features)``.
            codes: the weights' codes, where they are at hand.

        Returns:
            ``D`` of shape ``(batch, out_features)`` and ``S`` of shape ``(batch, 1)`` or None, both
            integers as float32.
        """
        # Under autocast the sums would be bfloat16, which does not hold 257.
        with torch.autocast(u.device.type, enabled=False):
            codes = codes or self.weight.codes()
            total = None if codes.offset is None else u.sum(dim=-1, keepdim=True)
            return functional.linear(u, codes.signs.float()), total

    def finish(
        self, sums: Tensor, total: Tensor | None = None, codes: Codes | None = None
    ) -> Tensor:
        """The layer's output from its integer sums: all scales and offsets, channel by channel.

        Args:
            sums: ``D`` as float32 ``(batch, out_features)``.
            total: ``S`` as float32 ``(batch, 1)``, where the weights have an offset.
            codes: the weights' codes, where they are at hand.

        Returns:
            float32 ``(batch, out_features)``.
        """
        with torch.autocast(sums.device.type, enabled=False):
            codes = codes or self.weight.codes()
            y = sums
            if self.source is not None and not self.source.bit:
                scale, offset = self.source.scale, self.source.offset
                y = y * scale
                if offset:
                    y = y + offset * codes.signs.sum(dim=1)
                if total is not None:
                    total = total * scale + offset * self.in_features
            if codes.scale is not None:
                y = y * codes.scale
            if codes.offset is not None and total is not None:
                y = y + codes.offset * total
            return y

    def extra_repr(self) -> str:
        """Sizes and source, for ``print(model)``."""
        source = "" if self.source is None else f", source={self.source.name}"
        return f"{self.in_features}, {self.out_features}{source}"


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
