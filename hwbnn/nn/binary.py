"""Layers with binary weights, whose evaluation is integer arithmetic: what dense and conv share.

In training a layer computes with the method's codes. In evaluation it first computes the integers
``D = sum_i (+-1) * u_i`` (float32 holds them exactly: their magnitude stays below 2^24, which is
checked here for the first layer and by lowering for all) and then applies every scale and offset to
``D``. This is the order of the hardware, where ``D`` is compared with an integer; the other order,
scaled weights or normalised inputs inside the sum, rounds differently and flips bits at ties.

Three forms of weights end in three integers. Weights ``scale * (+-1)`` need ``D`` alone. Weights of
two numbers a channel, ``scale * (+-1) + offset``, need ``scale * D + offset * S`` with
``S = sum_i u_i`` too: where the offset is a fraction of the scale (``Codes.ratio``) that is one
integer, ``2^fraction * D + ratio * S``; where both are any real numbers the pair ``(D, S)`` is
finished in float64, whose products are exact here and whose one rounding keeps the order, so that
what follows is monotone along ``scale * D + offset * S``.

Inputs that stand for ``scale * u + offset`` add ``offset * sum(w)`` to a layer's output. For a
dense layer that is one number a channel. For a convolution whose border counts nothing it depends
on the taps that are inside, so on the place: what a subclass tells by :class:`Taps`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from hwbnn.errors import InputError
from hwbnn.methods import Codes, Method
from hwbnn.methods.nonlinear import along_channels
from hwbnn.nn import source as sources
from hwbnn.nn.source import Source

EXACT = 1 << 24
"""float32 holds every integer below this magnitude, so no sum below it is ever rounded."""


@dataclass(frozen=True, eq=False)
class Taps:
    """Which of a layer's weights outputs are sums over, as the constant behind them needs it.

    Attributes:
        row: sum of the signs over the taps inside, shaped to be broadcast over the sums.
        count: how many taps are inside, shaped in the same way where it is not one number.
    """

    row: Tensor
    count: Tensor | int


class BinaryLayer(nn.Module, ABC):
    """A layer of weights -1 and +1; channels are the second axis of what it returns.

    Args:
        shape: of the weights, output channels first.
        method: makes the weights.
        source: what arrives, where that is not integers (or -1 and +1) themselves: for the layer
            that reads the network's input, the ``Input``; for a layer that reads activations whose
            codes stand for ``scale * u + centre``, that activation, which the layer refers to and
            does not own. The layer takes the floats ``x = scale * u + offset`` that the network is
            trained on; in evaluation it finds the integers ``u`` again, sums these, and applies the
            map to the sums: ``y = scale * D + offset * sum(w)``. Without a source what arrives is
            summed as it is: integers exactly, real numbers as float32 rounds.

    Attributes:
        weight: the method's part, see :meth:`hwbnn.methods.BinaryWeight.codes`.
        inputs: weights of a channel.

    Raises:
        InputError: if sums can grow beyond what float32 holds exactly.
    """

    def __init__(self, shape: tuple[int, ...], method: Method, source: Source) -> None:
        super().__init__()
        self.source = source
        self.inputs = prod(shape[1:])
        largest = sources.largest(source)
        if self.inputs * largest >= EXACT:
            raise InputError(
                f"{type(self).__name__}: sums of {self.inputs} integers up to {largest} reach "
                "2^24, which float32 does not hold exactly; use a smaller input range or fewer "
                "inputs"
            )
        self.weight = method.make_weight(shape)

    def __setattr__(self, name: str, value: Any) -> None:
        """As in any module, but the source stays a reference: its parameters are not this one's.

        A copy of a network refers to the copy of the activation, as ``deepcopy`` knows both.
        """
        if name == "source":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def product(self, u: Tensor, signs: Tensor) -> Tensor:
        """``D``: the sums of ``u`` times the signs."""

    @abstractmethod
    def total(self, u: Tensor) -> Tensor:
        """``S``: the sums of ``u`` over what each output reads, to be broadcast over ``D``."""

    def integers(self, x: Tensor) -> Tensor:
        """The integers (for bits: -1 and +1) that stand behind the floats ``x``, as float32.

        Raises:
            InputError: if ``x`` is not on the lattice of ``source``; says where it is not.
        """
        return sources.integers(self.source, x)

    def sums(self, u: Tensor, codes: Codes | None = None) -> tuple[Tensor, Tensor | None]:
        """What the hardware sums: ``D``; with ``Codes.ratio`` ``2^fraction * D + ratio * S``.

        Args:
            u: integers as float32, of the shape of the layer's input.
            codes: the weights' codes, where they are at hand.

        Returns:
            The sums, of the shape of the layer's output; and, where the weights have an offset
            without a ratio, ``S = sum_i u_i``, to be broadcast over them, else None. All are
            integers as float32.
        """
        # Under autocast the sums would be bfloat16, which does not hold 257.
        with torch.autocast(u.device.type, enabled=False):
            codes = codes or self.weight.codes()
            sums = self.product(u, codes.signs.float())
            if codes.offset is None:
                return sums, None
            total = self.total(u)
            if codes.ratio is None:
                return sums, total
            # float64, so that no term is rounded where the terms are larger than their sum.
            ratio = along_channels(codes.ratio, sums)
            return (sums.double() * codes.unit + ratio * total.double()).float(), None

    def _finish(
        self, sums: Tensor, total: Tensor | None, codes: Codes, taps: Callable[[], Taps]
    ) -> Tensor:
        """The layer's output from its integer sums: all scales and offsets, channel by channel.

        Args:
            sums: what :meth:`sums` returns first.
            total: what it returns second.
            codes: the weights' codes.
            taps: says what the sums are over, where that plays a part.

        Returns:
            float32, of the shape of the sums.
        """
        with torch.autocast(sums.device.type, enabled=False):
            if total is not None and codes.offset is not None and codes.ratio is None:
                return self._finish_pair(sums, total, codes, taps)
            y = sums
            if self.is_mapped:
                scale, offset = sources.affine(self.source)
                y = y * scale
                if offset:
                    here = taps()
                    row = here.row
                    if codes.ratio is not None:
                        row = row * codes.unit + along_channels(codes.ratio, row) * here.count
                    y = y + offset * row
            if codes.scale is not None:
                y = y * along_channels(codes.scale / codes.unit, y)
            elif codes.ratio is not None:
                y = y / codes.unit
            return y

    def _finish_pair(
        self, sums: Tensor, total: Tensor, codes: Codes, taps: Callable[[], Taps]
    ) -> Tensor:
        """``scale * D + offset * S`` with one rounding to float64, the source's map, float32.

        Scale and offset have 24 significant bits and the sums have 24, so float64 holds the
        products exactly. Every later rounding is of one number a channel and keeps order.
        """
        assert codes.offset is not None
        unit = torch.ones_like(codes.offset) if codes.scale is None else codes.scale
        wide = sums.double()
        scale, offset = along_channels(unit, wide), along_channels(codes.offset, wide)
        y = scale * wide + offset * total.double()
        if self.is_mapped:
            gain, centre = sources.affine(self.source)
            y = y * gain
            if centre:
                here = taps()
                y = y + centre * (scale * here.row.double() + offset * here.count)
        return y.float()

    @property
    def is_mapped(self) -> bool:
        """Whether the integers that are summed stand for other numbers."""
        return not sources.is_bits(self.source)

    def _said(self) -> str:
        """The source, for ``print(model)``."""
        if self.source is None:
            return ""
        return f", source={getattr(self.source, 'name', 'activation')}"
