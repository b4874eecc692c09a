"""Layers with binary weights and activations, whose evaluation is integer arithmetic.

In training a :class:`BinaryLinear` is a linear layer over the method's codes. In evaluation it
first computes the integers ``D = sum_i (+-1) * u_i`` (float32 holds them exactly: their magnitude
stays below 2^24, which the first layer checks here and lowering checks for all) and then applies
every scale and offset to ``D``. This is the order of the hardware, where ``D`` is compared with an
integer; the other order, scaled weights or normalised inputs inside the sum, rounds differently and
flips bits at ties.

Three forms of weights end in three integers. Weights ``scale * (+-1)`` need ``D`` alone. Weights of
two numbers a channel, ``scale * (+-1) + offset``, need ``scale * D + offset * S`` with
``S = sum_i u_i`` too: where the offset is a fraction of the scale (``Codes.ratio``) that is one
integer, ``2^fraction * D + ratio * S``; where both are any real numbers the pair ``(D, S)`` is
finished in float64, whose products are exact here and whose one rounding keeps the order, so that
what follows is monotone along ``scale * D + offset * S``.
"""

from __future__ import annotations

from typing import Any

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
        source: what arrives, where that is not integers (or -1 and +1) themselves: for the layer
            that reads the network's input, the ``Input``; for a layer that reads activations whose
            codes stand for ``scale * u + centre``, that activation, which the layer refers to and
            does not own. The layer takes the floats ``x = scale * u + offset`` that the network is
            trained on; in evaluation it finds the integers ``u`` again, sums these, and applies the
            map to the sums: ``y = scale * D + offset * sum(w)``.

    Raises:
        InputError: if a size is not positive, or sums can grow beyond what float32 holds exactly.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        method: Method,
        *,
        source: Input | BinaryActivation | None = None,
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
        largest = 1
        if isinstance(source, BinaryActivation):
            largest = source.form.levels
        elif source is not None and not source.bit:
            largest = max(abs(source.low), abs(source.high))
        if in_features * largest >= EXACT:
            raise InputError(
                f"BinaryLinear: sums of {in_features} integers up to {largest} reach 2^24, which "
                "float32 does not hold exactly; use a smaller input range or fewer inputs"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        """As in any module, but the source stays a reference: its parameters are not this one's.

        A copy of a network refers to the copy of the activation, as ``deepcopy`` knows both.
        """
        if name == "source":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

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
        scale, offset = _map(source)
        u = (x - offset) / scale
        nearest = u.round()
        if isinstance(source, BinaryActivation):
            levels = source.form.levels
            within = nearest.abs() == 1 if levels == 1 else (nearest >= 0) & (nearest <= levels)
        else:
            within = (nearest >= source.low) & (nearest <= source.high)
        good = within & ((u - nearest).abs() <= _LATTICE)
        if not bool(good.all()):
            raise InputError(_off_lattice(source, x[~good][0].item()))
        is_code = isinstance(source, Input) and source.bit
        return nearest * 2 - 1 if is_code else nearest

    def sums(self, u: Tensor, codes: Codes | None = None) -> tuple[Tensor, Tensor | None]:
        """What the hardware sums: ``D``; with ``Codes.ratio`` ``2^fraction * D + ratio * S``.

        Args:
            u: integers as float32 ``(batch, in_features)``.
            codes: the weights' codes, where they are at hand.

        Returns:
            The sums, of shape ``(batch, out_features)``; and, where the weights have an offset
            without a ratio, ``S = sum_i u_i`` of shape ``(batch, 1)``, else None. All are integers
            as float32.
        """
        # Under autocast the sums would be bfloat16, which does not hold 257.
        with torch.autocast(u.device.type, enabled=False):
            codes = codes or self.weight.codes()
            sums = functional.linear(u, codes.signs.float())
            if codes.offset is None:
                return sums, None
            total = u.sum(dim=-1, keepdim=True)
            if codes.ratio is None:
                return sums, total
            # float64, so that no term is rounded where the terms are larger than their sum.
            return (sums.double() * codes.unit + codes.ratio * total.double()).float(), None

    def finish(
        self, sums: Tensor, total: Tensor | None = None, codes: Codes | None = None
    ) -> Tensor:
        """The layer's output from its integer sums: all scales and offsets, channel by channel.

        Args:
            sums: what :meth:`sums` returns first, float32 ``(batch, out_features)``.
            total: what it returns second.
            codes: the weights' codes, where they are at hand.

        Returns:
            float32 ``(batch, out_features)``.
        """
        with torch.autocast(sums.device.type, enabled=False):
            codes = codes or self.weight.codes()
            if total is not None and codes.offset is not None and codes.ratio is None:
                return self._finish_pair(sums, total, codes)
            y = sums
            if self._is_mapped:
                scale, offset = _map(self.source)
                y = y * scale
                if offset:
                    row = codes.signs.sum(dim=1)
                    if codes.ratio is not None:
                        row = row * codes.unit + codes.ratio * self.in_features
                    y = y + offset * row
            if codes.scale is not None:
                y = y * (codes.scale / codes.unit)
            elif codes.ratio is not None:
                y = y / codes.unit
            return y

    def _finish_pair(self, sums: Tensor, total: Tensor, codes: Codes) -> Tensor:
        """``scale * D + offset * S`` with one rounding to float64, the source's map, float32.

        Scale and offset have 24 significant bits and the sums have 24, so float64 holds the
        products exactly. Every later rounding is of one number a channel and keeps order.
        """
        assert codes.offset is not None
        unit = torch.ones_like(codes.offset) if codes.scale is None else codes.scale
        scale, offset = unit.double(), codes.offset.double()
        y = scale * sums.double() + offset * total.double()
        if self._is_mapped:
            gain, centre = _map(self.source)
            row = scale * codes.signs.sum(dim=1).double() + offset * self.in_features
            y = y * gain + centre * row
        return y.float()

    @property
    def _is_mapped(self) -> bool:
        """Whether the integers that are summed stand for other numbers."""
        return self.source is not None and not (isinstance(self.source, Input) and self.source.bit)

    def extra_repr(self) -> str:
        """Sizes and source, for ``print(model)``."""
        name = self.source.name if isinstance(self.source, Input) else "activation"
        source = "" if self.source is None else f", source={name}"
        return f"{self.in_features}, {self.out_features}{source}"


def _map(source: Input | BinaryActivation | None) -> tuple[float, float]:
    """Scale and offset from the integers of a source to its floats."""
    if isinstance(source, BinaryActivation):
        return source.form.affine()
    return (1.0, 0.0) if source is None else (source.scale, source.offset)


def _off_lattice(source: Input | BinaryActivation, found: float) -> str:
    """What to say where a float is not one that the source gives."""
    scale, offset = _map(source)
    if isinstance(source, BinaryActivation):
        levels = source.form.levels
        codes = "-1 and +1" if levels == 1 else f"integers u from 0 to {levels}"
        return (
            f"BinaryLinear: expected x = {scale:g} * u + {offset:g} with {codes}, as the "
            f"activation that is its source gives, found x = {found:g}; put nothing between the "
            "two, and keep the activation's scale well above 0"
        )
    return (
        f"input '{source.name}': expected x = {scale:g} * u + {offset:g} "
        f"with integers u from {source.low} to {source.high}, found x = {found:g}; bring "
        "the data to this lattice, or describe it by another Input"
    )


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
