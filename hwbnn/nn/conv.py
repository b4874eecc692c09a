"""Convolutions, and the effect of their borders on the constant that is added to the sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.arguments import checked_class
from hwbnn.errors import InputError
from hwbnn.graph import Window
from hwbnn.methods import Codes, Method
from hwbnn.nn.binary import (
    Lattice,
    Source,
    SumLayer,
    Taps,
    affine,
    binary_weight,
    expect_tensor,
    is_bits,
)

Size2d = int | tuple[int, int]
Sides = tuple[int, int, int, int]
Padding = int | tuple[int, int] | Sides | Literal["same"]


@dataclass(frozen=True)
class ConvGeometry:
    """Channels, window and border of a convolution; :func:`conv_geometry` checks them.

    Attributes:
        in_channels: channels of the image.
        out_channels: channels that it returns.
        kernel: ``(rows, columns)``.
        stride: ``(rows, columns)``.
        padding: ``(top, bottom, left, right)``.
        pad: value of the pixels outside the image: -1, 0 or +1.
        groups: parts of the channels that are convolved apart.
    """

    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Sides
    pad: int
    groups: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weights, output channels first."""
        return self.out_channels, self.in_channels // self.groups, *self.kernel


def conv_geometry(
    name: str,
    in_channels: int,
    out_channels: int,
    kernel: Size2d,
    stride: Size2d,
    padding: Padding,
    pad: int,
    groups: int,
    source: Source,
) -> ConvGeometry:
    """The checked geometry of a layer, from the arguments of its constructor.

    Args:
        name: the layer's class, for messages.
        in_channels: see :class:`BinaryConv2d`, also for the arguments below.
        out_channels: see there.
        kernel: see there.
        stride: see there.
        padding: see there.
        pad: see there.
        groups: see there.
        source: see there.

    Raises:
        InputError: if a size does not fit.
    """
    sizes = _pair(name, "kernel", kernel, 1)
    steps = _pair(name, "stride", stride, 1)
    border = _border(name, padding, sizes, steps)
    channels = (in_channels, out_channels, groups)
    if not all(_is_size(n, 1) for n in channels) or any(n % groups for n in channels[:2]):
        raise InputError(
            f"{name}: expected channels from 1 that are multiples of groups, found "
            f"{in_channels} and {out_channels} with groups {groups}"
        )
    no_bits = isinstance(source, Lattice) or not is_bits(source)
    if pad not in (-1, 0, 1) or (pad and no_bits):
        raise InputError(
            f"{name}: pad: expected -1, 0 or 1, and 0 for inputs that are not bits, found {pad!r}"
        )
    return ConvGeometry(
        int(in_channels), int(out_channels), sizes, steps, border, int(pad), int(groups)
    )


class ConvLayer(SumLayer):
    """A convolution of weighted sums over images ``(batch, channels, height, width)``.

    Like torch's ``Conv2d`` it correlates: tap ``(ky, kx)`` of the output at ``(y, x)`` reads row
    ``y * stride + ky - top`` and column ``x * stride + kx - left``.

    With ``pad = 0`` a tap outside the image adds 0, as in torch. If the input stands for
    ``scale * u + offset``, then the sum in the constant ``offset * sum(w)`` runs over the taps
    inside only, so near the border the constant depends on the position. :meth:`border_classes`
    groups the positions with equal constants.

    Args:
        geometry: channels, kernel, stride and border.
        weight: makes the weights' codes, ``(out_channels, in_channels / groups, *kernel)``.
        largest_weight: the largest magnitude of the weights' integers.
        source: what arrives, see :class:`~hwbnn.nn.binary.SumLayer`.

    Attributes:
        kernel: ``(rows, columns)``.
        stride: ``(rows, columns)``.
        padding: ``(top, bottom, left, right)``.
        is_sequence: whether the input has shape ``(batch, channels, length)``; it is then computed
            as an image of one row.
    """

    def __init__(
        self, geometry: ConvGeometry, weight: nn.Module, largest_weight: int, source: Source
    ) -> None:
        super().__init__(weight, geometry.shape, largest_weight, source)
        self.in_channels = geometry.in_channels
        self.out_channels = geometry.out_channels
        self.kernel = geometry.kernel
        self.stride = geometry.stride
        self.padding = geometry.padding
        self.pad = geometry.pad
        self.groups = geometry.groups
        self.is_sequence = False

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output.

        Args:
            x: floats ``(batch, in_channels, height, width)``.

        Returns:
            ``(batch, out_channels, rows, columns)``; in evaluation float32.

        Raises:
            InputError: if ``x`` has another number of channels; in evaluation, if ``source`` is
                given and ``x`` is not on its lattice.
        """
        expect_tensor(type(self).__name__, x)
        if self.is_sequence:
            if x.ndim != 3 or x.shape[1] != self.in_channels:
                raise InputError(
                    f"{type(self).__name__}({self.in_channels}, {self.out_channels}): expected an "
                    f"input of shape (batch, {self.in_channels}, length), found {tuple(x.shape)}"
                )
            return self._of_images(x[:, :, None])[:, :, 0]
        return self._of_images(x)

    def _of_images(self, x: Tensor) -> Tensor:
        """The output for images."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise InputError(
                f"{type(self).__name__}({self.in_channels}, {self.out_channels}): expected an "
                f"input of shape (batch, {self.in_channels}, height, width), found {tuple(x.shape)}"
            )
        if not self.training:
            codes = self.weight.codes()
            sums, total = self.sums(self.integers(x), codes)
            return self.finish(sums, total, codes, size=(x.shape[-2], x.shape[-1]))
        return self.of_training(x, self.in_training(x))

    def of_training(self, x: Tensor, codes: Codes) -> Tensor:
        """The layer's output in training, computed with these codes."""
        # There are fewer weights than outputs, so scaling the weights is cheaper.
        w = codes.integers
        if codes.scale is not None:
            w = w * codes.scale.view(-1, 1, 1, 1)
        if codes.offset is not None:
            w = w + codes.offset.view(-1, 1, 1, 1)
        return self._convolve(x, w)

    def product(self, u: Tensor, integers: Tensor) -> Tensor:
        """``D``, ``(batch, out_channels, rows, columns)``."""
        sums = self._convolve(u, integers)
        # GPU kernels may compute with fractions (Winograd); their result lies close to the integer.
        return sums if u.device.type == "cpu" else sums.round()

    def total(self, u: Tensor) -> Tensor:
        """``S``, ``(batch, 1 or out_channels, rows, columns)``: sums over each output's group."""
        apart = self._bordered(u)
        apart = apart.reshape(len(u), self.groups, -1, *apart.shape[2:]).sum(dim=2)
        ones = u.new_ones((self.groups, 1, *self.kernel))
        sums = functional.conv2d(apart, ones, stride=self.stride, groups=self.groups)
        return sums if self.groups == 1 else self._of_groups(sums)

    def finish(
        self,
        sums: Tensor,
        total: Tensor | None = None,
        codes: Codes | None = None,
        *,
        place: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """The layer's output from its integer sums: all scales and offsets, channel by channel.

        Args:
            sums: the first result of :meth:`sums`, float32
                ``(batch, out_channels, rows, columns)``; or a table ``(n, out_channels)`` of sums
                that belong to one position.
            total: the second result of :meth:`sums`; for a table ``(n, 1 or out_channels)``.
            codes: the weights' codes; None to compute them.
            place: for a table, the class of its position, see :meth:`border_classes`.
            size: height and width of the image; needed if :meth:`border_classes` has several
                classes.

        Returns:
            float32, of the shape of ``sums``. The rows of a table equal, bit for bit, the output
            for a whole image at the positions of that class.
        """
        known = codes or self.weight.codes()
        return self._finish(
            sums, total, known, lambda: self._taps(known.integers, sums.ndim == 4, place, size)
        )

    def border_classes(self, height: int, width: int) -> tuple[NDArray[np.int64], int]:
        """The class of each output position; positions of one class add the same constant.

        There is one class for all positions if the layer has no border, if its border is -1 or +1,
        or if the offset of the integers is 0.

        Args:
            height: rows of the image that the layer reads.
            width: its columns.

        Returns:
            int64 array ``(rows, columns)`` of classes from 0, and the number of classes. Classes
            are numbered from the top left: first by kind of row, then by kind of column.

        Raises:
            InputError: if the image is smaller than the window.
        """
        window = self._window((height, width))
        if not self._has_places:
            return np.zeros(window.output, np.int64), 1
        return window.border_classes, len(window.classes)

    @property
    def _has_places(self) -> bool:
        """Whether the constant that is added to the sums depends on the position."""
        if isinstance(self.source, Lattice):
            moved = bool((self.source.offset != 0).any())
        else:
            moved = self.is_mapped and affine(self.source)[1] != 0
        return moved and not self.pad and any(self.padding)

    def _window(self, size: tuple[int, int]) -> Window:
        """The window over an image of this height and width."""
        window = Window(size, self.kernel, self.stride, self.padding)
        if min(window.output) < 1:
            raise InputError(
                f"{type(self).__name__}: expected an image that the window of {self.kernel} fits, "
                f"found {size} with padding {self.padding}"
            )
        return window

    def _taps(
        self, integers: Tensor, is_image: bool, place: int | None, size: tuple[int, int] | None
    ) -> Taps:
        """Sums of the weights and counts over the taps inside, for an image or one position."""
        weights = integers.detach()
        if isinstance(self.source, Lattice):
            centre = self.source.offset.double() / self.source.scale.double()
            apart = self._of_groups(centre.view(1, self.groups, -1))[0]
            weights = (weights.double() * apart[:, :, None, None]).float()
        of_tap = weights.sum(dim=1)
        if not self._has_places:
            row = of_tap.sum(dim=(1, 2))
            return Taps(row[None, :, None, None] if is_image else row, self.inputs)
        if size is None or (place is None) != is_image:
            raise InputError(
                f"{type(self).__name__}: finish: what stands behind the sums differs from place "
                "to place; give the image's size, and for a table the class of its place"
            )
        window = self._window(size)
        inside = torch.from_numpy(window.classes).to(of_tap)
        # Sums of at most 2^24 ones: exact in any order.
        rows = of_tap.flatten(1) @ inside.flatten(1).t()
        counts = inside.sum(dim=(1, 2)) * integers.shape[1]
        if place is not None:
            return Taps(rows[:, place], counts[place])
        everywhere = torch.from_numpy(window.border_classes).to(of_tap.device)
        return Taps(rows[None, :, everywhere], counts[everywhere])

    def _convolve(self, x: Tensor, w: Tensor) -> Tensor:
        """``x`` with its border, convolved with any weights of the layer's shape."""
        top, bottom, left, right = self.padding
        inner = (top, left)
        if self.pad or (top, left) != (bottom, right):
            x, inner = self._bordered(x), (0, 0)
        stride = self.stride
        if self.kernel == (1, 1) and inner == (0, 0) and stride != (1, 1):
            # A window of one pixel never reads the pixels that the stride skips. Dropping them here
            # also avoids a defect of torch 2.13 on CPUs: its gradient of such a convolution writes
            # outside its memory (one thread, channels last, few channels).
            x, stride = x[:, :, :: stride[0], :: stride[1]], (1, 1)
        return functional.conv2d(x, w, stride=stride, padding=inner, groups=self.groups)

    def _bordered(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self.padding
        return functional.pad(x, (left, right, top, bottom), value=float(self.pad))

    def _of_groups(self, x: Tensor) -> Tensor:
        """Repeat a number per group for each output channel of the group."""
        return x.repeat_interleave(self.out_channels // self.groups, dim=1)

    def extra_repr(self) -> str:
        """Sizes and source, for ``print(model)``."""
        said = [f"{self.in_channels}, {self.out_channels}, {self.kernel}"]
        for name, usual in (("stride", (1, 1)), ("padding", (0,) * 4), ("pad", 0), ("groups", 1)):
            value = getattr(self, name)
            if value != usual:
                said.append(f"{name}={value}")
        return ", ".join(said) + self._said()


@checked_class()
class BinaryConv2d(ConvLayer):
    """A convolution of weights -1 and +1, see :class:`ConvLayer`.

    Args:
        in_channels: channels of the image.
        out_channels: channels that it returns.
        kernel: rows and columns of the window, one number for both.
        method: makes the weights, ``(out_channels, in_channels / groups, *kernel)``; a
            :class:`~hwbnn.methods.Method` or the name of one.
        stride: rows and columns from window to window.
        padding: rows above and below and columns left and right: one number for all;
            ``(rows, columns)`` as in torch; ``(top, bottom, left, right)``; or ``"same"``, for
            stride 1 only: ``kernel - 1`` rows, half of them above and the odd one below, and
            columns in the same way.
        pad: value of the pixels outside the image: 0, or for inputs of bits also -1 or +1.
        groups: parts of the channels that are convolved apart; divides both numbers of channels.
        dilation: must be 1: larger ones need the weight 0 between the taps, which is not binary.
        source: what arrives, see :class:`~hwbnn.nn.binary.SumLayer`.
        bias: must be false: the BatchNorm behind the layer adds one.
        padding_mode: must be ``"zeros"``; ``pad`` sets the value outside the image.

    Raises:
        InputError: if a size does not fit, or sums can grow beyond what float32 holds exactly.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Size2d,
        method: Method | str | None = None,
        *,
        stride: Size2d = 1,
        padding: Padding = 0,
        pad: int = 0,
        groups: int = 1,
        dilation: Size2d = 1,
        source: Source = None,
        bias: bool = False,
        padding_mode: str = "zeros",
    ) -> None:
        name = "BinaryConv2d"
        if padding_mode != "zeros":
            raise InputError(
                f"{name}: padding_mode: expected 'zeros', found {padding_mode!r}; pad=-1 or pad=1 "
                "says what stands outside of bits"
            )
        if _pair(name, "dilation", dilation, 1) != (1, 1):
            raise InputError(
                f"{name}: dilation: expected 1, found {dilation!r}: the places between the taps "
                "count nothing, which weights of -1 and +1 cannot say; use nn.Conv2d, whose "
                "weights may be 0"
            )
        geometry = conv_geometry(
            name, in_channels, out_channels, kernel, stride, padding, pad, groups, source
        )
        weight = binary_weight(name, geometry.shape, method, source, bias)
        super().__init__(geometry, weight, 1, source)


@checked_class()
class BinaryConv1d(BinaryConv2d):
    """A convolution of weights -1 and +1 over sequences ``(batch, channels, length)``.

    In hardware a sequence is an image of one row. The network's ``Input`` has the shape
    ``(1, length, channels)``.

    Args:
        in_channels: channels of the sequence.
        out_channels: channels that it returns.
        kernel: length of the window.
        method: makes the weights, ``(out_channels, in_channels / groups, 1, kernel)``.
        stride: elements from window to window.
        padding: elements on each side; ``(left, right)``; or ``"same"``, for stride 1 only:
            ``kernel - 1`` elements, half of them left and the odd one right.
        pad: see :class:`BinaryConv2d`, also for the arguments below.
        groups: see there.
        dilation: see there.
        source: see there.
        bias: see there.

    Raises:
        InputError: as for :class:`BinaryConv2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        method: Method | str | None = None,
        *,
        stride: int = 1,
        padding: int | tuple[int, int] | Literal["same"] = 0,
        pad: int = 0,
        groups: int = 1,
        dilation: int = 1,
        source: Source = None,
        bias: bool = False,
    ) -> None:
        one = {"kernel": kernel, "stride": stride, "dilation": dilation}
        for name, given in one.items():
            if not _is_size(given, 1):
                raise InputError(f"BinaryConv1d: {name}: expected a number from 1, found {given!r}")
        sides: Padding = padding if isinstance(padding, str) else (0, 0, *_sides(padding))
        super().__init__(
            in_channels,
            out_channels,
            (1, kernel),
            method,
            stride=(1, stride),
            padding=sides,
            pad=pad,
            groups=groups,
            dilation=(1, dilation),
            source=source,
            bias=bias,
        )
        self.is_sequence = True


def _sides(padding: Any) -> tuple[int, int]:
    """Padding left and right of a sequence, from one number or two."""
    pair = (padding, padding) if isinstance(padding, Integral) else padding
    if not (isinstance(pair, Sequence) and len(pair) == 2 and all(_is_size(n, 0) for n in pair)):
        raise InputError(
            f"BinaryConv1d: padding: expected a number from 0, two, or 'same', found {padding!r}"
        )
    return int(pair[0]), int(pair[1])


def _is_size(n: Any, least: int) -> bool:
    return isinstance(n, Integral) and not isinstance(n, bool) and int(n) >= least


def _pair(layer: str, name: str, given: Any, least: int) -> tuple[int, int]:
    """A pair from one number for both, or from two numbers."""
    pair = (given, given) if isinstance(given, Integral) else given
    if not (
        isinstance(pair, Sequence) and len(pair) == 2 and all(_is_size(n, least) for n in pair)
    ):
        raise InputError(f"{layer}: {name}: expected a number from {least} or two, found {given!r}")
    return int(pair[0]), int(pair[1])


def _border(layer: str, given: Any, kernel: tuple[int, int], stride: tuple[int, int]) -> Sides:
    """Padding ``(top, bottom, left, right)`` in any of the forms of :class:`BinaryConv2d`."""
    if given == "same":
        if stride != (1, 1):
            raise InputError(
                f"{layer}: padding: expected numbers with stride {stride}, found 'same', "
                "which is for stride 1"
            )
        before = [(n - 1) // 2 for n in kernel]
        return before[0], kernel[0] - 1 - before[0], before[1], kernel[1] - 1 - before[1]
    if isinstance(given, Sequence) and len(given) == 4 and all(_is_size(n, 0) for n in given):
        top, bottom, left, right = map(int, given)
        return top, bottom, left, right
    rows, columns = _pair(layer, "padding", given, 0)
    return rows, rows, columns, columns
