"""Layers of weighted sums: activations, sources, and what dense and conv layers share.

In training a layer computes with the method's codes. In evaluation it first computes the integers
``D = sum_i (+-1) * u_i`` (float32 holds them exactly, because their magnitude stays below 2^24: a
binary layer checks this when it is made, and lowering checks every layer) and then applies every
scale and offset to ``D``. This is the order of the hardware, where ``D`` is compared with an
integer; the other order, scaled weights or normalised inputs inside the sum, rounds differently and
flips bits at ties.

There are three forms of weights. Weights ``scale * (+-1)`` need ``D`` alone. Weights that take two
values per channel, ``scale * (+-1) + offset``, need ``scale * D + offset * S`` with
``S = sum_i u_i``. If the offset is a fraction of the scale (``Codes.ratio``), one integer is
enough: ``2^fraction * D + ratio * S``. If scale and offset are arbitrary real numbers, the layer
computes its output from the pair ``(D, S)`` in float64. There the two products are exact and only
their sum is rounded, which keeps the order: the output is monotone in ``scale * D + offset * S``.

Inputs that stand for ``scale * u + offset`` add ``offset * sum(w)`` to a layer's output. For a
dense layer that is one number per channel. For a convolution with zero padding it depends on which
taps lie inside the image, and so on the position: see :class:`Taps`.
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

from hwbnn.arguments import checked_class
from hwbnn.errors import HwbnnWarning, InputError
from hwbnn.graph import Input
from hwbnn.methods import Activation, BinaryWeight, Codes, Method, resolve
from hwbnn.methods.nonlinear import along_channels

EXACT = 1 << 24
"""float32 holds every integer below this magnitude, so no sum below it is ever rounded."""
_LATTICE = 1 / 16
"""Largest accepted distance of an input from an integer, in steps; allows float32 rounding."""
_evaluated_in_training: set[str] = set()
"""Layer classes that ran in training mode without gradients; only the first of them warns."""


@checked_class()
class BinaryActivation(nn.Module):
    """Activations of a few levels, by default the sign: -1 or +1.

    Args:
        channels: length of its input's channel axis, the second.
        method: makes the activation; a :class:`~hwbnn.methods.Method` or the name of one.

    Raises:
        InputError: if ``channels`` is not a positive integer, or ``method`` is not a method.
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
        """The numbers that the codes of ``x`` stand for, in the shape of ``x``.

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
        """The quantizer under its name in version 0.1, which users' own models still read."""
        return self.quantizer

    def codes(self, x: Tensor) -> Tensor:
        """The integer codes of ``x``, see :meth:`hwbnn.methods.Activation.codes`."""
        return self.quantizer.codes(x)

    def extra_repr(self) -> str:
        """Channels, for ``print(model)``."""
        return f"{self.channels}"


def _renamed(layer: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Load a state that was saved when the attribute ``quantizer`` was called ``form``."""
    old = f"{prefix}form."
    for key in [key for key in state if key.startswith(old)]:
        state[f"{prefix}quantizer.{key.removeprefix(old)}"] = state.pop(key)


@dataclass(frozen=True, eq=False)
class Lattice:
    """Integers ``low`` to ``high`` (or bits) that stand for ``scale[k] * u + offset[k]``.

    Attributes:
        name: name of the source, for messages.
        low: smallest integer.
        high: largest integer.
        scale: of each channel (in a row, of each element), float32 ``(channels,)``; never 0.
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
    """The source that lowering gives to a layer without one, for inputs ``scale * u + offset``."""

    __slots__ = ()


Source = Input | BinaryActivation | Lattice | None
"""The origin of a layer's inputs. It is the network's input, or an activation whose codes stand for
other numbers, or integers with a scale and an offset per channel. None: plain integers."""


def largest(source: Source) -> int:
    """The largest magnitude of the integers of a source."""
    if isinstance(source, BinaryActivation):
        return source.quantizer.levels
    if source is None or source.bit:
        return 1
    return max(abs(source.low), abs(source.high))


def by_channel(source: Source) -> Source:
    """The source itself, or a :class:`Lattice` for an input with a scale or offset per channel."""
    if isinstance(source, Input) and not source.is_uniform:
        return Lattice.of(source)
    return source


def is_bits(source: Source) -> bool:
    """Whether the numbers that arrive are -1 and +1 themselves."""
    return source is None or (isinstance(source, Input) and source.bit)


def affine(source: Input | BinaryActivation | None) -> tuple[float, float]:
    """Scale and offset, one each for all channels, from a source's integers to its floats."""
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
    # torch.export refuses branches on data.
    if not torch.compiler.is_exporting() and not bool(good.all()):
        raise InputError(_off_lattice(source, x[~good][0].item()))
    is_code = isinstance(source, Input) and source.bit
    return nearest * 2 - 1 if is_code else nearest


def _of_lattice(source: Lattice, x: Tensor) -> Tensor:
    """The integers behind ``(batch, channels, ...)``, for a scale and an offset per channel."""
    scale, offset = along_channels(source.scale, x), along_channels(source.offset, x)
    u = (x.double() - offset.double()) / scale.double()
    nearest = u.round()
    good = (u - nearest).abs() <= _LATTICE
    if source.bit:
        good &= nearest.abs() == 1
    else:
        good &= (nearest >= source.low) & (nearest <= source.high)
    if not torch.compiler.is_exporting() and not bool(good.all()):
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
    """The nearest integers behind ``x``, and a mask of the elements that are on the lattice."""
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

    A tensor that needs no gradient is taken for data, any other for the output of a layer. Half
    precision is not checked, because its rounding leaves the lattice.
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
    """The message for a float that the source cannot produce."""
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
    """Sum and number of the taps inside the image, for the constant that is added to the sums.

    Attributes:
        row: sum of the weights' integers over the taps inside; if the source is a :class:`Lattice`,
            each integer is first multiplied by ``offset / scale`` of its input. It broadcasts over
            the sums.
        count: how many taps are inside; one number, or a tensor that broadcasts over the sums.
    """

    row: Tensor
    count: Tensor | int


class SumLayer(nn.Module, ABC):
    """A layer of weighted sums; channels are the second axis of its output.

    Args:
        weight: makes the weights' codes: a :class:`~hwbnn.methods.BinaryWeight` of a method, or a
            :class:`~hwbnn.nn.quant.QuantWeight`.
        shape: of the weights, output channels first.
        largest_weight: the largest magnitude of the weights' integers.
        source: where the layer's numbers come from. It is needed if they stand for integers but are
            not integers themselves: give the ``Input`` to a layer that reads the network's input,
            and the activation to a layer behind an activation whose codes stand for
            ``scale * u + centre``. The layer keeps a reference to the activation and does not own
            it. The layer takes the floats ``x = scale * u + offset`` that the network is trained
            on. In evaluation it recovers the integers ``u``, sums them, and applies scale and
            offset to the sums: ``y = scale * D + offset * sum(w)``. Without a source the numbers
            are summed as they are: integers exactly, real numbers with float32 rounding.

    Attributes:
        weight: see ``weight``.
        inputs: number of weights of an output channel.
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
        """The weights' codes for a training pass; checks the data and the hooks on the way.

        The data is checked in pass 1, 2, 4, 8, ... only, so the cost vanishes in a long training.

        Args:
            x: the layer's input.

        Warns:
            HwbnnWarning: if ``x`` is training data that evaluation and hardware would refuse; if
                the optimiser has changed the weights several times, their method needs
                :func:`hwbnn.nn.after_step`, and it was never called; once, if gradients are off,
                which means that ``model.eval()`` was probably forgotten before accuracy was
                measured.
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
        kinds = x.dtype, codes.integers.dtype
        if kinds[0] != kinds[1] and not torch.is_autocast_enabled(x.device.type):
            found, own = (str(kind).removeprefix("torch.") for kind in kinds)
            raise InputError(
                f"{type(self).__name__}: expected a tensor of {own}, as the weights, found "
                f"{found}; give it x.to(torch.{own}), or bring the model to {found}"
            )
        return codes

    def _look(self, x: Tensor) -> str | None:
        """The warning for a batch of training data that evaluation would refuse; None if good."""
        return _off_lattice_in_training(self.source, x)

    def __setattr__(self, name: str, value: Any) -> None:
        """As in any module, but ``source`` is no submodule: its parameters are not this layer's.

        ``deepcopy`` of a network makes the copied layer refer to the copied activation.
        """
        if name == "source":
            object.__setattr__(self, name, value)
        elif name == "weight" and not isinstance(value, nn.Module):
            raise InputError(
                f"{type(self).__name__}: weight: is the part of the method that makes the signs; "
                "to set the numbers that are trained, write into the parameters of "
                f"{type(self).__name__}.weight, found {type(value).__name__}"
            )
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def product(self, u: Tensor, integers: Tensor) -> Tensor:
        """``D``: the sums of ``u`` times the weights' integers."""

    @abstractmethod
    def total(self, u: Tensor) -> Tensor:
        """``S``: the sum of the inputs ``u`` that each output reads; it broadcasts over ``D``."""

    def integers(self, x: Tensor) -> Tensor:
        """The integers (for bits: -1 and +1) that stand behind the floats ``x``, as float32.

        Raises:
            InputError: if ``x`` is not on the lattice of ``source``; says where it is not.
        """
        return integers(self.source, x)

    def sums(self, u: Tensor, codes: Codes | None = None) -> tuple[Tensor, Tensor | None]:
        """The integer sums of the hardware: ``D``, or with a ratio ``2^fraction * D + ratio * S``.

        Args:
            u: integers as float32, of the shape of the layer's input.
            codes: the weights' codes, where they are at hand.

        Returns:
            The sums, of the shape of the layer's output. Then ``S = sum_i u_i``, which broadcasts
            over the sums, if the weights have an offset but no ratio; else None. All are integers,
            as float32.
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
            # float64, so that no term is rounded even if the terms are larger than their sum.
            ratio = along_channels(codes.ratio, sums)
            return (sums.double() * codes.unit + ratio * total.double()).float(), None

    def _finish(
        self, sums: Tensor, total: Tensor | None, codes: Codes, taps: Callable[[], Taps]
    ) -> Tensor:
        """The layer's output from its integer sums: all scales and offsets, channel by channel.

        Args:
            sums: the first result of :meth:`sums`.
            total: the second result of :meth:`sums`.
            codes: the weights' codes.
            taps: returns the taps inside the image; called only if the constant depends on them.

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
        """``scale * D + offset * S``, with the source's map, as float32.

        Scale and offset have 24 significant bits and so have the sums, so float64 holds the
        products exactly. Every later step applies the same numbers to the whole channel, and its
        rounding keeps the order.
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
        """Whether the summed integers stand for other numbers."""
        return isinstance(self.source, Lattice) or not is_bits(self.source)

    def _said(self) -> str:
        """The source, for ``print(model)``."""
        if self.source is None:
            return ""
        return f", source={getattr(self.source, 'name', 'activation')}"


def binary_weight(
    name: str, shape: tuple[int, ...], method: Method | str | None, source: Source, bias: bool
) -> BinaryWeight:
    """The weights of a binary layer, made by its method.

    Args:
        name: the layer's class, for messages.
        shape: of the weights, output channels first.
        method: makes the weights; a :class:`~hwbnn.methods.Method` or the name of one.
        source: what the layer reads.
        bias: must be false.

    Raises:
        InputError: if sums can exceed the integers that float32 holds exactly, if ``bias`` is true,
            or if ``source`` does not suit a binary layer.
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
    """Refuse what is no tensor of floats, for which torch's own layers raise an unclear error.

    Raises:
        InputError: naming the layer.
    """
    if isinstance(x, Tensor) and not x.is_floating_point():
        raise InputError(
            f"{name}: expected a tensor of floats, found {str(x.dtype).removeprefix('torch.')}; "
            "give it x.float()"
        )
    if isinstance(x, np.ndarray | Sequence):
        raise InputError(
            f"{name}: expected a tensor of floats, found {type(x).__name__}; "
            "torch.as_tensor(x, dtype=torch.float32) makes one of an array"
        )


def is_size(n: object) -> bool:
    """Whether ``n`` is an integer of at least 1; integers of numpy count too."""
    return isinstance(n, Integral) and not isinstance(n, bool) and int(n) >= 1
