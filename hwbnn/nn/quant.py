"""Quantised layers: weights that are integers of few bits times a step.

They serve as first and last layers, which published networks keep real. A channel's weights are
``step * q`` with integers ``|q| <= Q``: ``Q = 2^(bits - 1) - 1``, symmetric about 0, or 1 for
ternary weights. From latent numbers ``w``, with ``v = w / step``::

    q = clip(round(v), -Q, Q)          halves to the even integer, as torch rounds

    backward: dq/dv = 1 within -Q .. Q, 0 outside (straight through)

The step is learned, one per channel (Esser et al., "Learned Step Size Quantization", ICLR 2020,
section 2; the formulas are the paper's, which has one step per layer; one per channel is ours)::

    d(step q)/dstep = q - v within, Q or -Q outside; times g = 1 / sqrt(N Q), N weights a channel
    start: step = 2 mean|w| / sqrt(Q)

or it follows from the range, ``step = max|w| / Q`` (Krishnamoorthi, "Quantizing deep convolutional
networks for efficient inference", 2018, section 2.2, symmetric, one scale per channel).

Ternary weights are the case ``Q = 1``: ``-step``, 0 and ``step``; every ``|w|`` below half a step
becomes 0. A learned step is then a learned threshold, in place of the fixed ``0.7 mean|w|`` of Li
et al., "Ternary Weight Networks", 2016. In an unrolled layer a weight of 0 needs no hardware.

In evaluation a layer sums integers and applies the steps to the sums, as binary layers do.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.arguments import checked_class
from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.methods import Codes, Options
from hwbnn.methods.nonlinear import along_channels
from hwbnn.nn.binary import BinaryActivation, Lattice, Source, by_channel, is_size
from hwbnn.nn.conv import ConvLayer, Padding, Size2d, conv_geometry
from hwbnn.nn.linear import DenseLayer

StepOrigin = Literal["learned", "range"]

KINDS = ("ternary", *(f"int{bits}" for bits in range(2, 17)))
"""Kinds of quantised weights: ternary, and symmetric integers of 2 to 16 bits."""
_LEAST = 1e-12
"""Smallest step, which prevents a division by 0."""


def largest_of(kind: str) -> int:
    """The largest magnitude of the integers of one of :data:`KINDS`.

    >>> largest_of("ternary"), largest_of("int4"), largest_of("int8")
    (1, 7, 127)
    """
    return 1 if kind == "ternary" else (1 << (int(kind[3:]) - 1)) - 1


class QuantWeight(nn.Module):
    """Latent weights, and their integers and steps, by the formulas at the top of this file.

    Args:
        latent: the latent weights before training, output channels first.
        kind: one of :data:`KINDS`.
        step: whether the step is learned or follows from the range.
        source: what the layer reads. If its integers have a scale per channel, that scale becomes
            part of the weight: the layer quantises ``w[c, k] * scale[k]``.
        groups: parts of a convolution's channels that are convolved apart.

    Attributes:
        shape: of the weights.
        largest_weight: the largest magnitude of the integers.
    """

    fold: Tensor | None

    def __init__(
        self, latent: Tensor, kind: str, step: StepOrigin, source: Source = None, groups: int = 1
    ) -> None:
        super().__init__()
        self.kind = kind
        self.largest_weight = largest_of(kind)
        self.shape = tuple(latent.shape)
        self.latent = nn.Parameter(latent)
        self.register_buffer("fold", _fold(source, latent, groups), persistent=False)
        rows = self._folded().detach().abs().flatten(1)
        first = 2 * rows.mean(dim=1) / sqrt(self.largest_weight)
        self.step = nn.Parameter(first.clamp_min(_LEAST)) if step == "learned" else None
        self._gradient_scale = 1 / sqrt(rows.shape[1] * self.largest_weight)

    def _folded(self) -> Tensor:
        return self.latent if self.fold is None else self.latent * self.fold

    def real(self) -> Tensor:
        """The real weights before quantisation, of the shape of the weights."""
        return self._folded()

    def codes(self) -> Codes:
        """The integers, and the step of each channel; in training with their gradients."""
        real = self._folded()
        if self.step is None:
            with torch.no_grad():
                most = real.abs().flatten(1).amax(dim=1)
                size = (most / self.largest_weight).clamp_min(_LEAST)
        else:
            size = self.step.abs().clamp_min(_LEAST)
            slow = size * self._gradient_scale
            size = slow + (size - slow).detach()
        v = real / size.view(-1, *(1,) * (real.ndim - 1))
        held = v.clamp(-self.largest_weight, self.largest_weight)
        return Codes(held + (held.round() - held).detach() if self.training else held.round(), size)

    def watch(self) -> None:
        """Does nothing: these weights need no hook after a step of the optimiser."""

    def why_not_exact(self) -> str | None:
        """None: hardware computes integer weights exactly."""
        return None

    def options(self) -> Mapping[str, Options]:
        """Steps do not decay."""
        return {} if self.step is None else {"step": Options(decay=False)}

    def real_weights(self, codes: Codes) -> Tensor:
        """The weights as real numbers, to be multiplied with the layer's float inputs."""
        assert codes.scale is not None
        w = codes.integers * codes.scale.view(-1, *(1,) * (codes.integers.ndim - 1))
        return w if self.fold is None else w / self.fold

    def extra_repr(self) -> str:
        """The kind, for ``print(model)``."""
        return f"{self.kind}, {'range' if self.step is None else 'learned step'}"


@checked_class()
class QuantLinear(DenseLayer):
    """A dense layer with integer weights of few bits times one step per channel.

    Args:
        in_features: length of its input.
        out_features: number of its channels.
        weights: one of :data:`KINDS`.
        step: ``"learned"``, or ``"range"``: from the largest weight of a channel.
        bias: whether a number is added to each channel.
        source: what arrives, see :class:`~hwbnn.nn.binary.SumLayer`.

    Raises:
        InputError: if a size or a kind is none.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        weights: str = "int8",
        *,
        step: StepOrigin = "learned",
        bias: bool = True,
        source: Source = None,
    ) -> None:
        if not (is_size(in_features) and is_size(out_features)):
            raise InputError(
                f"QuantLinear: expected sizes from 1, found {in_features!r} and {out_features!r}"
            )
        check_kind("QuantLinear", weights, step, source)
        source = by_channel(source)
        latent = _drawn((out_features, in_features))
        weight = QuantWeight(latent, weights, step, source)
        super().__init__(in_features, out_features, weight, weight.largest_weight, source)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def of_training(self, x: Tensor, codes: Codes) -> Tensor:
        """The output of a pass of training, by the codes of the moment."""
        return functional.linear(x, self.weight.real_weights(codes).to(x.dtype), self.bias)

    def _look(self, x: Tensor) -> str | None:
        """Real numbers are welcome: they become fixed point."""
        return None if self.source is None else super()._look(x)

    def extra_repr(self) -> str:
        """Sizes, weights and source, for ``print(model)``."""
        return f"{super().extra_repr()}, weights={self.weight.kind}"


@checked_class()
class QuantConv2d(ConvLayer):
    """A convolution with integer weights of few bits times one step per channel.

    Args:
        in_channels: channels of the image.
        out_channels: channels that it returns.
        kernel: rows and columns of the window, one number for both.
        weights: one of :data:`KINDS`.
        step: ``"learned"``, or ``"range"``: from the largest weight of a channel.
        bias: whether a number is added to each channel.
        stride: rows and columns from window to window.
        padding: see :class:`~hwbnn.nn.conv.BinaryConv2d`; pixels outside are zeros.
        groups: parts of the channels that are convolved apart; divides both numbers of channels.
        source: what arrives, see :class:`~hwbnn.nn.binary.SumLayer`.

    Raises:
        InputError: if a size or a kind is none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Size2d,
        weights: str = "int8",
        *,
        step: StepOrigin = "learned",
        bias: bool = False,
        stride: Size2d = 1,
        padding: Padding = 0,
        groups: int = 1,
        source: Source = None,
    ) -> None:
        name = "QuantConv2d"
        geometry = conv_geometry(
            name, in_channels, out_channels, kernel, stride, padding, 0, groups, source
        )
        check_kind(name, weights, step, source)
        source = by_channel(source)
        weight = QuantWeight(_drawn(geometry.shape), weights, step, source, groups)
        super().__init__(geometry, weight, weight.largest_weight, source)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def of_training(self, x: Tensor, codes: Codes) -> Tensor:
        """The output of a pass of training, by the codes of the moment."""
        y = self._convolve(x, self.weight.real_weights(codes).to(x.dtype))
        return y if self.bias is None else y + along_channels(self.bias, y)

    def _look(self, x: Tensor) -> str | None:
        """Real numbers are welcome: they become fixed point."""
        return None if self.source is None else super()._look(x)

    def extra_repr(self) -> str:
        """Sizes, weights and source, for ``print(model)``."""
        return f"{super().extra_repr()}, weights={self.weight.kind}"


def check_kind(name: str, weights: object, step: object, source: object) -> None:
    """Refuse an invalid kind of weights, step or source.

    Raises:
        InputError: naming the layer's class.
    """
    if weights not in KINDS:
        raise InputError(
            f"{name}: weights: expected 'ternary', or 'int2' to 'int16', found {weights!r}"
        )
    if step not in get_args(StepOrigin):
        raise InputError(f"{name}: step: expected 'learned' or 'range', found {step!r}")
    if not (source is None or isinstance(source, Input | BinaryActivation | Lattice)):
        raise InputError(
            f"{name}: source: expected hwbnn.Input or the BinaryActivation in front, found "
            f"{type(source).__name__}"
        )


def _drawn(shape: tuple[int, ...]) -> Tensor:
    """New weights as torch's layers draw them: uniform, up to 1 / sqrt(number of inputs)."""
    latent = torch.empty(shape)
    nn.init.kaiming_uniform_(latent, a=sqrt(5))
    return latent


def _fold(source: Source, latent: Tensor, groups: int) -> Tensor | None:
    """The scales of a lattice, which broadcast over ``latent``; None for other sources."""
    if not isinstance(source, Lattice):
        return None
    apart = source.scale.view(groups, -1).repeat_interleave(len(latent) // groups, dim=0)
    return apart.view(*apart.shape, *(1,) * (latent.ndim - 2))
