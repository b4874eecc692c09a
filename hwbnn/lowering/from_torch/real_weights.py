"""Layers of real weights (``nn.Linear``, ``nn.Conv2d``, functions) as layers of integer weights.

Such a layer reads one of two things. The first is integers that stand for other numbers, channel by
channel: ``x[k] = scale[k] * u + offset[k]`` (the input, codes of an activation, BatchNorm of
these). The second is fixed-point numbers. The scales become part of the weights, the offsets part
of the constant added to the sums. Then:

* weights that are a step times small integers, or take two values in each channel, are recognised:
  nothing is rounded;
* other weights are rounded to a given number of bits, symmetric about 0. The step of a channel is
  its largest weight over the largest integer (Krishnamoorthi, "Quantizing deep convolutional
  networks for efficient inference", 2018, section 2.2). The effect on the network is then measured
  on the user's data, as it is for fixed point.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hwbnn.errors import CannotLower
from hwbnn.graph import Input
from hwbnn.graph.arrays import Bools, Floats
from hwbnn.lowering.tables import batches, evaluate_at
from hwbnn.lowering.value import TracedValue
from hwbnn.methods import Codes
from hwbnn.nn.binary import Lattice, Source, SumLayer, affine
from hwbnn.nn.conv import ConvGeometry, ConvLayer
from hwbnn.nn.linear import DenseLayer

MOST_BITS = 16
"""Most bits of weights: the Graph's own bound."""
_SMALL = 127
"""Largest integer in weights that are recognised as a step times integers."""
_SAME = 2.0**-22
"""Relative difference of numbers that are the same up to float32's rounding."""
_STRAIGHT = 2.0**-18
"""Relative distance from a line up to which points count as lying on it."""


class EvaluatedWeight(nn.Module):
    """Weights that are computed once: integers, and the numbers that they stand for.

    Args:
        codes: the weights.
        text: how they were obtained, for people.
        is_rounded: whether they differ from the network's own weights.
    """

    def __init__(self, codes: Codes, text: str, *, is_rounded: bool) -> None:
        super().__init__()
        self.shape = tuple(codes.integers.shape)
        self.text = text
        self.is_rounded = is_rounded
        self.register_buffer("integers", codes.integers)
        self.register_buffer("scale", codes.scale)
        self.register_buffer("offset", codes.offset)

    def codes(self) -> Codes:
        """The weights."""
        buffers: Any = self._buffers
        return Codes(buffers["integers"], buffers["scale"], buffers["offset"])

    def why_not_exact(self) -> str | None:
        """None: integer weights always have an exact form."""
        return None


@dataclass(frozen=True, eq=False)
class ConvWindow:
    """Stride, padding and groups of a convolution.

    Attributes:
        stride: rows and columns.
        padding: top, bottom, left, right, of zeros.
        groups: number of equal parts of the channels, each convolved separately.
        is_sequence: whether it is a convolution over sequences in the network.
    """

    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    groups: int
    is_sequence: bool = False


@dataclass(frozen=True, eq=False)
class PlainWeights:
    """The weights of a layer as the network has them.

    Attributes:
        label: the layer, for messages.
        weight: float32 ``(channels, inputs)``, or ``(channels, inputs of a group, rows, columns)``.
        bias: float32 ``(channels,)``, or None.
        window: stride, padding and groups of a convolution; None for a dense layer.
        codes: the integers and scales that the weights are, where they are known; ``weight`` then
            is their product, up to rounding.
    """

    label: str
    weight: Tensor
    bias: Tensor | None
    window: ConvWindow | None = None
    codes: Codes | None = None


def module_weights(label: str, module: nn.Linear | nn.Conv1d | nn.Conv2d) -> PlainWeights:
    """The weights of a module.

    Raises:
        CannotLower: if a convolution pads with other numbers than 0.
    """
    bias = None if module.bias is None else module.bias.detach()
    if isinstance(module, nn.Linear):
        return PlainWeights(label, module.weight.detach(), bias)
    if module.padding_mode != "zeros":
        raise CannotLower(
            f"{label}: padding_mode '{module.padding_mode}': expected 'zeros', which hardware pads "
            "with"
        )
    given = {key: getattr(module, key) for key in ("stride", "padding", "dilation", "groups")}
    return _convolution(label, module.weight.detach(), bias, given)


def binary_weights(label: str, layer: DenseLayer | ConvLayer) -> PlainWeights:
    """The real weights that a layer's integers stand for, where it reads real numbers.

    Raises:
        CannotLower: if a convolution pads with other numbers than 0.
    """
    codes = layer.weight.codes()
    weight = codes.integers.double()
    ends = (-1, *(1,) * (weight.ndim - 1))
    weight = weight if codes.scale is None else weight * codes.scale.double().view(ends)
    weight = weight if codes.offset is None else weight + codes.offset.double().view(ends)
    if isinstance(layer, DenseLayer):
        return PlainWeights(label, layer.matrix(weight).float(), layer.bias)
    if layer.pad:
        raise CannotLower(f"{label}: pads with {layer.pad}, but reads real numbers; take pad=0")
    window = ConvWindow(layer.stride, layer.padding, layer.groups, layer.is_sequence)
    return PlainWeights(label, weight.float(), layer.bias, window)


def function_weights(
    label: str, name: str, weight: object, bias: object, given: dict[str, Any]
) -> PlainWeights:
    """The weights of a call of ``linear``, ``conv1d`` or ``conv2d``, evaluated once.

    Args:
        label: the call, for messages.
        name: ``"linear"``, ``"conv1d"`` or ``"conv2d"``.
        weight: the value of its weight; None if that is no constant.
        bias: the value of its bias, or None.
        given: further arguments of a convolution: stride, padding, dilation, groups.

    Raises:
        CannotLower: if a weight depends on the network's input.
    """
    if not isinstance(weight, Tensor) or not (bias is None or isinstance(bias, Tensor)):
        raise CannotLower(
            f"{label}: its weights depend on the input, so that no hardware can hold them; compute "
            "them from parameters alone"
        )
    weight, bias = weight.detach().float(), None if bias is None else bias.detach().float()
    if name == "linear":
        return PlainWeights(label, weight, bias)
    return _convolution(label, weight, bias, given)


def _convolution(
    label: str, weight: Tensor, bias: Tensor | None, given: dict[str, Any]
) -> PlainWeights:
    """The weights of a convolution; a sequence is treated as an image of one row."""
    is_sequence = weight.ndim == 3
    weight = weight[:, :, None] if is_sequence else weight
    padding = given.get("padding", 0)
    if is_sequence and not isinstance(padding, str):
        padding = (0, _two(padding)[1])
    stride, dilation = (_two(given.get(key, 1)) for key in ("stride", "dilation"))
    if is_sequence:
        stride, dilation = (1, stride[1]), (1, dilation[1])
    weight = dilated(weight, dilation)
    sides = border(padding, weight.shape[2:])
    window = ConvWindow(stride, sides, int(given.get("groups", 1)), is_sequence)
    return PlainWeights(label, weight, bias, window)


def dilated(weight: Tensor, dilation: tuple[int, int]) -> Tensor:
    """The kernel of a dilated convolution, with the zeros between its taps."""
    if dilation == (1, 1):
        return weight
    rows, columns = ((n - 1) * d + 1 for n, d in zip(weight.shape[2:], dilation, strict=True))
    wide = weight.new_zeros((*weight.shape[:2], rows, columns))
    wide[:, :, :: dilation[0], :: dilation[1]] = weight
    return wide


def border(padding: object, kernel: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of torch's padding.

    Args:
        padding: torch's argument: one number, two numbers, ``"same"`` or ``"valid"``.
        kernel: rows and columns of the window, dilation included.
    """
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":
        before = [(n - 1) // 2 for n in kernel]
        after = [n - 1 - b for n, b in zip(kernel, before, strict=True)]
        return before[0], after[0], before[1], after[1]
    rows, columns = _two(padding)
    return rows, rows, columns, columns


def lattice(label: str, value: TracedValue) -> Lattice | None:
    """The map from a value's integers to the network's floats, if it is a line in each channel.

    Args:
        label: the value, for messages.
        value: any value.

    Returns:
        Scales and offsets in the network's order; None if a channel's floats are not on a line or
        are all equal, or the value is undecided, in fixed point or has border classes or a waiting
        pool.
    """
    if value.pending or value.border is not None or value.pool is not None:
        return None
    if value.fixed is not None or value.type.count < 2:
        return None
    low, high = (-1, 1) if value.type.bit else (value.type.low, value.type.high)
    ends = evaluate_at(value, np.array([value.type.low, value.type.high]), held=False)
    first, last = ends.astype(np.float64)
    scale = (last - first) / (high - low)
    offset = first - scale * low
    reach = np.maximum(np.abs(first), np.abs(last))
    if not np.isfinite(ends).all() or (np.abs(scale) <= reach * 2.0**-20).any():
        return None
    for integers, x in batches(value, reachable=False):
        u = (integers * 2 - 1 if value.type.bit else integers)[:, None]
        off = np.abs(x - (scale * u + offset))
        if (off > np.minimum(reach * _STRAIGHT, np.abs(scale) / 64)).any():
            return None
    if value.order is not None:
        scale, offset = scale[value.order], offset[value.order]
    parts = [torch.from_numpy(a.astype(np.float32)) for a in (scale, offset)]
    return Lattice(label, low, high, parts[0], parts[1], value.type.bit)


def quantised(plain: PlainWeights, read: Lattice | None, bits: int) -> SumLayer:
    """A layer of integer weights that replaces one of real weights.

    Args:
        plain: the real weights.
        read: the integers that the layer reads; None for fixed-point numbers.
        bits: the number of bits that weights are rounded to, 2 to 16.

    Raises:
        CannotLower: if a weight is not finite.
    """
    weight = plain.weight.double()
    if not bool(torch.isfinite(weight).all()):
        raise CannotLower(f"{plain.label}: a weight is not finite")
    rows = weight.flatten(1).numpy()
    source: Source = read
    codes, text, rounded = None, "", False
    if read is None or _is_uniform(read):
        if read is not None:
            source = _scalar(read)
        if plain.codes is not None:
            codes, text = plain.codes, "integer weights, as the model has them"
        else:
            codes, text = _recognised(rows, weight.shape)
    if codes is None:
        source = read
        folded = weight if read is None else weight * _spread(read.scale, plain)
        codes, text = _rounded(folded, bits)
        rounded = True
    largest = int(codes.integers.abs().max())
    held = EvaluatedWeight(codes, text, is_rounded=rounded)
    layer: SumLayer
    if plain.window is None:
        layer = DenseLayer(weight.shape[1], weight.shape[0], held, largest, source)
    else:
        window, shape = plain.window, weight.shape
        geometry = ConvGeometry(
            shape[1] * window.groups,
            shape[0],
            (shape[2], shape[3]),
            window.stride,
            window.padding,
            0,
            window.groups,
        )
        layer = ConvLayer(geometry, held, largest, source)
        layer.is_sequence = window.is_sequence
    if plain.bias is not None:
        layer.bias = nn.Parameter(plain.bias.clone(), requires_grad=False)
    return layer.eval()


RationalScales = tuple[list[Fraction], list[Fraction]]
"""Gains and offsets, one of each for a channel."""


def rational_scales(layer: DenseLayer) -> RationalScales | None:
    """Gains and offsets from a layer's integer sums to its output, in real numbers.

    Args:
        layer: a result of :func:`quantised`.

    Returns:
        One gain and one offset for each channel; None for any other layer, for weights with an
        offset, and for a layer that reads channels of different scales.
    """
    source = layer.source
    if not isinstance(layer.weight, EvaluatedWeight) or isinstance(source, Lattice):
        return None
    codes = layer.weight.codes()
    if codes.offset is not None or codes.scale is None:
        return None
    scale, offset = (1.0, 0.0) if source is None else affine(source)
    if not isinstance(scale, float) or not isinstance(offset, float):
        return None
    gains = [Fraction(scale) * Fraction(float(s)) for s in codes.scale]
    rows = [Fraction(float(row)) for row in codes.integers.double().sum(dim=1)]
    steps = zip(rows, codes.scale, strict=True)
    offsets = [Fraction(offset) * row * Fraction(float(s)) for row, s in steps]
    if layer.bias is not None:
        biases = zip(offsets, layer.bias.detach(), strict=True)
        offsets = [o + Fraction(float(b)) for o, b in biases]
    return gains, offsets


def _is_uniform(read: Lattice) -> bool:
    """Whether all channels stand for the same numbers."""
    return bool((read.scale == read.scale[0]).all() and (read.offset == read.offset[0]).all())


def _scalar(read: Lattice) -> Source:
    """A lattice of one scale and offset as an ``Input``; None for scale 1 and offset 0."""
    scale, offset = float(read.scale[0]), float(read.offset[0])
    if (scale, offset) == (1.0, 0.0):
        return None
    return Input("x", (1,), read.low, read.high, scale=scale, offset=offset)


def _spread(scale: Tensor, plain: PlainWeights) -> Tensor:
    """The scales of the numbers that are read, in a shape to multiply the weights by."""
    if plain.window is None:
        return scale.double()
    groups, weight = plain.window.groups, plain.weight
    apart = scale.double().view(groups, -1).repeat_interleave(len(weight) // groups, dim=0)
    return apart[:, :, None, None]


def _rounded(weight: Tensor, bits: int) -> tuple[Codes, str]:
    """Weights rounded to so many bits, with one step per channel, and a text for people."""
    largest = (1 << (bits - 1)) - 1
    rows = weight.flatten(1)
    most = rows.abs().amax(dim=1)
    step = torch.where(most > 0, most / largest, 1.0).float()
    integers = (rows / step.double()[:, None]).round().clamp(-largest, largest)
    off = rows - integers * step.double()[:, None]
    norm = float(rows.norm())
    part = float(off.norm()) / norm if norm else 0.0
    text = f"real weights rounded to {bits} bits, {part:.2%} off (root mean square)"
    return Codes(integers.float().view(weight.shape), step), text


def _recognised(rows: Floats, shape: torch.Size) -> tuple[Codes | None, str]:
    """Weights that are a step times small integers, or take two values a channel; else None."""
    steps = np.ones(len(rows))
    integers = np.zeros(rows.shape)
    for channel, row in enumerate(rows):
        step = _step(row)
        if step is None:
            return _two_valued(rows, shape)
        steps[channel], integers[channel] = step, np.rint(row / step)
    codes = Codes(
        torch.from_numpy(integers.astype(np.float32)).view(shape),
        torch.from_numpy(steps.astype(np.float32)),
    )
    most = int(np.abs(integers).max())
    if most == 1:
        kind = "-1 and +1" if (integers != 0).all() else "-1, 0 and +1"
    else:
        kind = f"integers up to {most}"
    return codes, f"weights are {kind} times a number a channel, exactly"


def _step(row: Floats) -> float | None:
    """The step of which all weights of a channel are small multiples; None if there is none."""
    sizes = np.unique(np.abs(row[row != 0]))
    if not sizes.size:
        return 1.0
    # Numbers that differ only by float32's rounding count as one.
    sizes = sizes[np.concatenate(([True], np.diff(sizes) > sizes[1:] * _SAME))]
    if sizes.size > _SMALL or sizes[-1] / sizes[0] > _SMALL * (1 + _SAME):
        return None
    divisors = np.arange(1, _SMALL + 1)
    multiples = np.rint(sizes[None, :] * divisors[:, None] / sizes[0])
    near = np.abs(multiples * sizes[0] / divisors[:, None] - sizes) <= sizes * _SAME
    good = near.all(axis=1) & (multiples[:, -1] <= _SMALL)
    if not good.any():
        return None
    multiple = multiples[int(good.argmax())]
    # The float32 number whose multiples are nearest to the weights.
    return float(np.float32((sizes / multiple).mean()))


def _two_valued(rows: Floats, shape: torch.Size) -> tuple[Codes | None, str]:
    """Weights that take two values in each channel: ``scale * (+-1) + offset``; else None."""
    low, high = rows.min(axis=1), rows.max(axis=1)
    upper: Bools = rows > ((low + high) / 2)[:, None]
    near = np.where(upper, high[:, None], low[:, None])
    reach = np.maximum(np.abs(low), np.abs(high))[:, None]
    if (np.abs(rows - near) > reach * _SAME).any() or (low == high).any():
        return None, ""
    scale, offset = (high - low) / 2, (high + low) / 2
    parts = [torch.from_numpy(a.astype(np.float32)) for a in (scale, offset)]
    signs = torch.from_numpy(np.where(upper, 1, -1).astype(np.float32)).view(shape)
    return Codes(signs, parts[0], parts[1]), "weights are two numbers a channel, exactly"


def _two(given: Any) -> tuple[int, int]:
    if isinstance(given, int):
        return given, given
    return int(given[0]), int(given[-1])
