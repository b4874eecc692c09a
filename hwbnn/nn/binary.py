"""Layers of weighted sums: activations, what a layer reads, and what dense and conv share.

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
dense layer that is one number a channel. For a convolution with zero padding it depends on which
taps are inside the image, so on the position; :class:`Taps` tells which.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hwbnn.errors import HwbnnWarning, InputError
from hwbnn.graph import Input
from hwbnn.methods import Activation, BinaryWeight, Codes, Method, resolve
from hwbnn.methods.nonlinear import along_channels

EXACT = 1 << 24
"""float32 holds every integer below this magnitude, so no sum below it is ever rounded."""
_LATTICE = 1 / 16
"""How far, in steps, an input may lie from an integer: room for its rounding to float32 alone."""
_evaluated_in_training: set[str] = set()
"""Kinds of layers that were run in training mode without gradients: told once, not for each."""


class BinaryActivation(nn.Module):
    """Activations of a few levels, by default the sign: -1 or +1.

    Args:
        channels: length of its input's channel axis, the second.
        method: makes the activation; a :class:`~hwbnn.methods.Method` or the name of one.

    Raises:
        InputError: if ``channels`` is no size or ``method`` none.
    """

    def __init__(self, channels: int, method: Method | str | None = None) -> None:
        super().__init__()
        if not is_size(channels):
            raise InputError(
                f"BinaryActivation: expected a number of channels from 1, found {channels!r}"
            )
        method = resolve(method, "BinaryActivation")
        self.channels = int(channels)
        self.quantizer: Activation = method.make_activation(self.channels)
        self.register_load_state_dict_pre_hook(_renamed)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """The numbers that the codes of ``x`` stand for, of its shape.

        Raises:
            InputError: if ``x`` has another number of channels, or holds NaN.
        """
        expect_tensor("BinaryActivation", x)
        if x.ndim < 2 or x.shape[1] != self.channels:
            raise InputError(
                f"BinaryActivation: was made for {self.channels} channels, but reads "
                f"{x.shape[1] if x.ndim > 1 else 'none'}, of an input of shape {tuple(x.shape)}; "
                "make it with the number of channels that arrive in the second axis"
            )
        out: Tensor = self.quantizer(x)
        return out

    @property
    def form(self) -> Activation:
        """The quantizer, by the name that it had in 0.1: people's own models ask for it."""
        return self.quantizer

    def codes(self, x: Tensor) -> Tensor:
        """The integer codes of ``x``, see :meth:`hwbnn.methods.Activation.codes`."""
        return self.quantizer.codes(x)

    def extra_repr(self) -> str:
        """Channels, for ``print(model)``."""
        return f"{self.channels}"


def _renamed(layer: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Load what was saved when the part was called ``form``."""
    old = f"{prefix}form."
    for key in [key for key in state if key.startswith(old)]:
        state[f"{prefix}quantizer.{key.removeprefix(old)}"] = state.pop(key)


@dataclass(frozen=True, eq=False)
class Lattice:
    """Integers ``low`` to ``high`` (or bits) that stand for ``scale[k] * u + offset[k]``.

    Attributes:
        name: what they are, for messages.
        low: smallest integer.
        high: largest integer.
        scale: of each channel (of a row: each element), float32 ``(channels,)``; none is 0.
        offset: of each channel, float32 ``(channels,)``.
        bit: whether the integers are -1 and +1 alone.
    """

    name: str
    low: int
    high: int
    scale: Tensor
    offset: Tensor
    bit: bool = False

    @classmethod
    def of(cls, source: Input) -> Lattice:
        """The lattice of an input whose channels have scales or offsets of their own."""
        scale, offset = (
            torch.tensor(part, dtype=torch.float32).expand(source.shape[-1]).clone()
            for part in (source.scale, source.offset)
        )
        return cls(f"input '{source.name}'", source.low, source.high, scale, offset)


class ScaledIntegers(Input):
    """Integers that stand for ``scale * u + offset``, found behind the numbers that arrive."""

    __slots__ = ()


Source = Input | BinaryActivation | Lattice | None
"""The network's input, an activation whose codes stand for other numbers, integers that stand for
other numbers channel by channel, or integers as such."""


def largest(source: Source) -> int:
    """The largest magnitude of the integers of a source."""
    if isinstance(source, BinaryActivation):
        return source.quantizer.levels
    if source is None or source.bit:
        return 1
    return max(abs(source.low), abs(source.high))


def by_channel(source: Source) -> Source:
    """A source; an input whose channels have scales of their own as the lattice of these."""
    if isinstance(source, Input) and not source.is_uniform:
        return Lattice.of(source)
    return source


def is_bits(source: Source) -> bool:
    """Whether the numbers that arrive are -1 and +1 themselves."""
    return source is None or (isinstance(source, Input) and source.bit)


def affine(source: Input | BinaryActivation | None) -> tuple[float, float]:
    """Scale and offset from the integers of a source to its floats, one for all channels."""
    if isinstance(source, BinaryActivation):
        return source.quantizer.affine()
    if source is None:
        return 1.0, 0.0
    assert isinstance(source.scale, float)
    assert isinstance(source.offset, float)
    return source.scale, source.offset


def integers(source: Source, x: Tensor) -> Tensor:
    """The integers (for bits: -1 and +1) that stand behind the floats ``x``, as float32.

    Raises:
        InputError: if ``x`` is not on the lattice of ``source``; says where it is not.
    """
    x = x.float()
    if source is None:
        return x
    if isinstance(source, Lattice):
        return _of_lattice(source, x)
    nearest, good = _nearest(source, x)
    if not bool(good.all()):
        raise InputError(_off_lattice(source, x[~good][0].item()))
    is_code = isinstance(source, Input) and source.bit
    return nearest * 2 - 1 if is_code else nearest


def _of_lattice(source: Lattice, x: Tensor) -> Tensor:
    """The integers of a lattice of channels behind ``(batch, channels, ...)``."""
    scale, offset = along_channels(source.scale, x), along_channels(source.offset, x)
    u = (x.double() - offset.double()) / scale.double()
    nearest = u.round()
    good = (u - nearest).abs() <= _LATTICE
    if source.bit:
        good &= nearest.abs() == 1
    else:
        good &= (nearest >= source.low) & (nearest <= source.high)
    if not bool(good.all()):
        channel = (
            int((~good).flatten(2).any(dim=2).any(dim=0).int().argmax())
            if x.ndim > 2
            else (int((~good).any(dim=0).int().argmax()))
        )
        raise InputError(
            f"{source.name}: channel {channel}: expected x = {source.scale[channel]:g} * u + "
            f"{source.offset[channel]:g} with integers u from {source.low} to {source.high}, found "
            f"x = {x[~good][0].item():g}; bring the data to this lattice"
        )
    return nearest.float()


def _nearest(source: Input | BinaryActivation, x: Tensor) -> tuple[Tensor, Tensor]:
    """The integers nearest to what stands behind ``x``, and where ``x`` is on the lattice."""
    scale, offset = affine(source)
    u = (x - offset) / scale
    nearest = u.round()
    if isinstance(source, BinaryActivation):
        levels = source.quantizer.levels
        within = nearest.abs() == 1 if levels == 1 else (nearest >= 0) & (nearest <= levels)
    else:
        within = (nearest >= source.low) & (nearest <= source.high)
    return nearest, within & ((u - nearest).abs() <= _LATTICE)


def _off_lattice_in_training(source: Source, x: Tensor) -> str | None:
    """The message for a batch of training data that evaluation would refuse; None if it is good.

    Data is told from what other layers computed by having no gradient. Half precision rounds off
    the lattice, so it is not looked at.
    """
    if x.requires_grad or x.dtype not in (torch.float32, torch.float64):
        return None
    if isinstance(source, Lattice):
        return None
    if isinstance(source, Input):
        good = _nearest(source, x)[1]
        return None if bool(good.all()) else _off_lattice(source, x[~good][0].item())
    whole = x == x.round()
    if source is not None or bool(whole.all()):
        return None
    return (
        f"binary layer without a source: expected integers, or -1 and +1, found x = "
        f"{x[~whole][0].item():g}; say by source=hwbnn.Input(...) which integers stand behind "
        "these numbers"
    )


def _off_lattice(source: Input | BinaryActivation, found: float) -> str:
    """The message for a float that the source cannot give."""
    scale, offset = affine(source)
    if isinstance(source, BinaryActivation):
        levels = source.quantizer.levels
        codes = "-1 and +1" if levels == 1 else f"integers u from 0 to {levels}"
        return (
            f"binary layer: expected x = {scale:g} * u + {offset:g} with {codes}, as the "
            f"activation that is its source gives, found x = {found:g}; put nothing between the "
            "two, and keep the activation's scale well above 0"
        )
    return (
        f"input '{source.name}': expected x = {scale:g} * u + {offset:g} "
        f"with integers u from {source.low} to {source.high}, found x = {found:g}; bring "
        "the data to this lattice, or describe it by another Input"
    )


@dataclass(frozen=True, eq=False)
class Taps:
    """Which of a layer's weights outputs are sums over, as the constant behind them needs it.

    Attributes:
        row: sum of the weights' integers over the taps inside, each times ``offset / scale`` of its
            input where the source is a :class:`Lattice`; shaped to be broadcast over the sums.
        count: how many taps are inside, shaped in the same way where it is not one number.
    """

    row: Tensor
    count: Tensor | int


class SumLayer(nn.Module, ABC):
    """A layer of weighted sums; channels are the second axis of what it returns.

    Args:
        weight: makes the weights' codes: a method's part, or one of :mod:`hwbnn.nn.quant`.
        shape: of the weights, output channels first.
        largest_weight: the largest magnitude of the weights' integers.
        source: what arrives, where that is not integers (or -1 and +1) themselves: for the layer
            that reads the network's input, the ``Input``; for a layer that reads activations whose
            codes stand for ``scale * u + centre``, that activation, which the layer refers to and
            does not own. The layer takes the floats ``x = scale * u + offset`` that the network is
            trained on; in evaluation it finds the integers ``u`` again, sums these, and applies the
            map to the sums: ``y = scale * D + offset * sum(w)``. Without a source what arrives is
            summed as it is: integers exactly, real numbers as float32 rounds.

    Attributes:
        weight: see ``weight``.
        inputs: weights of a channel.
        bias: of a quantised layer, ``(channels,)``; None for none.
    """

    bias: nn.Parameter | None

    def __init__(
        self, weight: nn.Module, shape: tuple[int, ...], largest_weight: int, source: Source
    ) -> None:
        super().__init__()
        self.source = by_channel(source)
        self._passes = 0
        """Forward passes in training so far."""
        self.inputs = prod(shape[1:])
        # Sums that float32 might round are taken in float64.
        self._is_wide = self.inputs * largest(source) * largest_weight >= EXACT
        self.weight: Any = weight
        self.bias = None

    def in_training(self, x: Tensor) -> Codes:
        """The weights' codes for a pass of training, whose data and hooks are looked at.

        The data is looked at in pass 1, 2, 4, 8, ...: for nothing, in the long run.

        Args:
            x: what arrives.

        Warns:
            HwbnnWarning: if ``x`` is training data that evaluation and hardware would refuse; if
                the weights were stepped several times and :func:`hwbnn.nn.after_step` was never
                called, which their method needs; once, if gradients are off, as where accuracy is
                measured and ``model.eval()`` was forgotten.
        """
        if not torch.compiler.is_compiling():
            if not torch.is_grad_enabled() and not _evaluated_in_training:
                _evaluated_in_training.add(type(self).__name__)
                warnings.warn(
                    f"{type(self).__name__}: runs in training mode, but without gradients; call "
                    "model.eval() before you measure accuracy, as BatchNorm takes its statistics "
                    "from each batch in training mode and hardware cannot (go on if these "
                    "statistics are what you want to estimate anew)",
                    HwbnnWarning,
                    stacklevel=5,
                )
            self._passes += 1
            if not self._passes & (self._passes - 1):
                told = self._look(x)
                if told is not None:
                    warnings.warn(f"in training: {told}", HwbnnWarning, stacklevel=5)
            self.weight.watch()
        codes: Codes = self.weight.codes()
        return codes

    def _look(self, x: Tensor) -> str | None:
        """The warning for a batch of training data that evaluation would refuse; None if good."""
        return _off_lattice_in_training(self.source, x)

    def __setattr__(self, name: str, value: Any) -> None:
        """As in any module, but the source stays a reference: its parameters are not this one's.

        A copy of a network refers to the copy of the activation, as ``deepcopy`` knows both.
        """
        if name == "source":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def product(self, u: Tensor, integers: Tensor) -> Tensor:
        """``D``: the sums of ``u`` times the weights' integers."""

    @abstractmethod
    def total(self, u: Tensor) -> Tensor:
        """``S``: the sums of ``u`` over what each output reads, to be broadcast over ``D``."""

    def integers(self, x: Tensor) -> Tensor:
        """The integers (for bits: -1 and +1) that stand behind the floats ``x``, as float32.

        Raises:
            InputError: if ``x`` is not on the lattice of ``source``; says where it is not.
        """
        return integers(self.source, x)

    def sums(self, u: Tensor, codes: Codes | None = None) -> tuple[Tensor, Tensor | None]:
        """The sums of the hardware: ``D``; with ``Codes.ratio`` ``2^fraction * D + ratio * S``.

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
            if self._is_wide and codes.offset is None:
                return self.product(u.double(), codes.integers.double()).float(), None
            sums = self.product(u, codes.integers.float())
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
                y = self._finish_pair(sums, total, codes, taps)
                return y if self.bias is None else y + along_channels(self.bias, y)
            y = sums
            if isinstance(self.source, Lattice):
                # Its scales are part of the weights' integers.
                y = y + taps().row
            elif self.is_mapped:
                scale, offset = affine(self.source)
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
            return y if self.bias is None else y + along_channels(self.bias, y)

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
            assert not isinstance(self.source, Lattice)
            gain, centre = affine(self.source)
            y = y * gain
            if centre:
                here = taps()
                y = y + centre * (scale * here.row.double() + offset * here.count)
        return y.float()

    @property
    def is_mapped(self) -> bool:
        """Whether the integers that are summed stand for other numbers."""
        return isinstance(self.source, Lattice) or not is_bits(self.source)

    def _said(self) -> str:
        """The source, for ``print(model)``."""
        if self.source is None:
            return ""
        return f", source={getattr(self.source, 'name', 'activation')}"


def binary_weight(
    name: str, shape: tuple[int, ...], method: Method | str | None, source: Source, bias: bool
) -> BinaryWeight:
    """The weights of a binary layer, by its method.

    Args:
        name: the layer's class, for messages.
        shape: of the weights, output channels first.
        method: makes the weights; a :class:`~hwbnn.methods.Method` or the name of one.
        source: what the layer reads.
        bias: must be false.

    Raises:
        InputError: if sums can grow beyond what float32 holds exactly, or a bias is asked for.
    """
    if bias:
        raise InputError(
            f"{name}: bias: a binary layer has none; the BatchNorm behind it adds one, which "
            "becomes a part of the thresholds: leave bias out"
        )
    if isinstance(source, Lattice) or not (
        source is None or isinstance(source, Input | BinaryActivation)
    ):
        raise InputError(
            f"{name}: source: expected hwbnn.Input or the BinaryActivation in front, found "
            f"{type(source).__name__}"
        )
    if isinstance(source, Input) and not source.is_uniform:
        raise InputError(
            f"{name}: source: the channels of input '{source.name}' have scales or offsets of "
            "their own, which weights of -1 and +1 cannot take up; make the first layer a Quant "
            "layer, or nn.Conv2d or nn.Linear, or leave source out: its weights become integers"
        )
    method = resolve(method, name)
    inputs, most = prod(shape[1:]), largest(source)
    if inputs * most >= EXACT:
        raise InputError(
            f"{name}: sums of {inputs} integers up to {most} reach "
            "2^24, which float32 does not hold exactly; use a smaller input range or fewer "
            "inputs"
        )
    return method.make_weight(shape)


def expect_tensor(name: str, x: object) -> None:
    """Refuse arrays of numpy and lists, which torch's own layers answer with a trace.

    Raises:
        InputError: naming the layer.
    """
    if isinstance(x, np.ndarray | Sequence):
        raise InputError(
            f"{name}: expected a tensor of floats, found {type(x).__name__}; "
            "torch.as_tensor(x, dtype=torch.float32) makes one of an array"
        )


def is_size(n: object) -> bool:
    """Whether something is an integer from 1, numpy's too."""
    return isinstance(n, Integral) and not isinstance(n, bool) and int(n) >= 1
