"""The layers of a program: what a network's file says, in real numbers, channels last.

Each layer is a frozen value. It has the name and the kind that the file gives it (for messages) and
names the earlier values that it reads. Numbers are real: a weight is an integer times the scale of
its channel; everything else is float64, as stored in the file. Nothing is folded: each layer is
evaluated in the one order that its docstring gives, and rational arithmetic decides where floats
are too coarse.

Images are ``(height, width, channels)``, without a batch axis. Padding is ``(top, bottom, left,
right)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, prod
from typing import Any, ClassVar

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph.arrays import Array, Bools, Floats, Ints

WEIGHT_LIMIT = 1 << 15
"""Integer weights are below this in magnitude."""
MOST_STEPS = (1 << 16) - 1
"""Most steps of a quantizer: one less than the levels of 16 bits."""
MOST_OWN_STEPS = (1 << 12) - 1
"""Most steps of a quantizer whose channels have edges of their own."""
BASE_LIMIT = 1 << 30
"""The integers of a Graph are below twice this in magnitude."""


@dataclass(frozen=True, eq=False)
class Layer:
    """The part that all layers share.

    Attributes:
        name: in the file; also the name of the value that it computes, unique in a program.
        kind: the file's word for this kind of layer (``QDense``, ``MatMul``), for messages.
        source: the name of the value that it reads: an earlier layer or the program's input.
    """

    name: str
    kind: str
    source: str

    @property
    def label(self) -> str:
        """The layer in messages: ``layer 'dense_1' (QDense)``."""
        return f"layer '{shown_name(self.name)}' ({self.kind})"

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of all values that it reads."""
        return (self.source,)

    def refuse(self, why: str) -> CannotLower:
        """The error that refuses this layer; ``why`` also says what to change."""
        return CannotLower(f"{self.label}: {why}")


@dataclass(frozen=True, eq=False)
class WeightedLayer(Layer):
    """The part that dense layers and convolutions share: ``y[c] = scale[c] * sum weights[c] * x``.

    A bias is a separate :class:`Affine` after it.

    Attributes:
        weights: integers of magnitudes below 2^15, int64; the first axis is the output channel.
        scale: float64 ``(channels,)``, finite, not 0; ``(1,)`` is repeated for all channels.
    """

    weights: Ints
    scale: Floats
    AXES: ClassVar[int] = 2

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights)
        if weights.ndim != self.AXES or not weights.size or weights.dtype.kind not in "iub":
            raise InputError(
                f"{self.label}: weights: expected integers in {self.AXES} axes, found "
                f"{weights.dtype} of shape {weights.shape}"
            )
        if int(np.abs(weights.astype(np.int64)).max()) >= WEIGHT_LIMIT:
            raise self.refuse(
                f"expected integer weights below {WEIGHT_LIMIT} in magnitude, found up to "
                f"{int(np.abs(weights.astype(np.int64)).max())}; quantize them to 16 bits or less"
            )
        _freeze(self, "weights", np.int64)
        _channels(self, "scale", len(weights))
        if not self.scale.all():
            raise self.refuse("a scale is 0: its channel would be constant; prune that channel")


@dataclass(frozen=True, eq=False)
class Dense(WeightedLayer):
    """A dense layer; weights ``(channels, inputs)``."""


@dataclass(frozen=True, eq=False)
class Convolution(WeightedLayer):
    """A convolution (correlation), depthwise where ``groups`` is the number of input channels.

    Attributes:
        weights: ``(channels, rows, columns, inputs of a group)``; output channels in the order of
            their groups.
        stride: rows and columns.
        padding: top, bottom, left, right.
        pad_value: the real number at positions outside the image.
        groups: number of equal parts of the channels, each convolved separately.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad_value: float = 0.0
    groups: int = 1
    AXES: ClassVar[int] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_window(self, self.weights.shape[1:3])
        if self.groups < 1 or len(self.weights) % self.groups:
            raise InputError(
                f"{self.label}: groups: expected a divisor of its {len(self.weights)} channels, "
                f"found {self.groups}"
            )


@dataclass(frozen=True, eq=False)
class Affine(Layer):
    """``y = x * scale / divisor + offset``, channel by channel: a bias, a scale, a constant.

    Attributes:
        scale: float64 ``(channels,)`` or ``(1,)``.
        offset: likewise; a bias where ``scale`` is 1.
        divisor: likewise.
    """

    scale: Floats = field(default_factory=lambda: np.ones(1))
    offset: Floats = field(default_factory=lambda: np.zeros(1))
    divisor: Floats = field(default_factory=lambda: np.ones(1))

    def __post_init__(self) -> None:
        for name in ("scale", "offset", "divisor"):
            _channels(self, name)
        if not self.divisor.all():
            raise InputError(f"{self.label}: divides by 0")


@dataclass(frozen=True, eq=False)
class BatchNorm(Layer):
    """``y = (x - mean) / sqrt(variance + epsilon) * gamma + beta``, in this order.

    Attributes:
        gamma: float64 ``(channels,)``, as the other arrays; ones where the file has none.
        beta: zeros where the file has none.
        mean: the moving mean.
        variance: the moving variance; ``variance + epsilon`` is above 0.
        epsilon: as stored in the file.
    """

    gamma: Floats
    beta: Floats
    mean: Floats
    variance: Floats
    epsilon: float

    def __post_init__(self) -> None:
        for name in ("gamma", "beta", "mean", "variance"):
            _channels(self, name)
        _number(self, "epsilon")
        if not (self.variance + self.epsilon > 0).all():
            channel = int((self.variance + self.epsilon > 0).argmin())
            raise self.refuse(
                f"channel {channel} has variance {self.variance[channel]:g} and epsilon "
                f"{self.epsilon:g}, together not above 0; train it or prune the channel"
            )


@dataclass(frozen=True, eq=False)
class Clip(Layer):
    """``min(max(x, low), high)``; by default a ReLU.

    Its result is real: a quantizer can read it, a layer of sums cannot.

    Attributes:
        low: the least result; may be minus infinity.
        high: the largest result, above ``low``; may be infinity.
    """

    low: float = 0.0
    high: float = inf

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise self.refuse(f"clips to {self.low:g} to {self.high:g}, which is one number alone")


@dataclass(frozen=True, eq=False)
class Quantizer(Layer):
    """An activation of a few levels: the number of edges that are reached, scaled and shifted.

    ``y = scale * n + offset``, where ``n`` is the number of edges ``e[j]`` with ``x > e[j]``, or
    ``x == e[j]`` and ``closed[j]``. A sign has one edge at 0, scale 2, offset -1. Any rounding
    rule is a choice of edges and of the side that a tie goes to:
    :mod:`hwbnn.program.quantizers` makes quantizers from rules.

    Attributes:
        edges: float64 ``(1 or channels, steps)``, never falling along ``steps``.
        closed: bool ``(steps,)`` or like ``edges``: whether a number equal to an edge reaches it.
        scale: the distance between two values, above 0.
        offset: the value of numbers below all edges.
        rule: a description for people, such as ``"4 bits, half to even"``.
        domain: the lowest and the highest number that it is defined for by these edges: levels go
            on beyond them. None where the outermost levels have no end.
    """

    edges: Floats
    closed: Bools
    scale: float = 1.0
    offset: float = 0.0
    rule: str = ""
    domain: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _freeze(self, "edges", np.float64)
        if self.edges.ndim != 2 or not self.edges.size:
            raise InputError(
                f"{self.label}: edges: expected shape (channels, steps), found {self.edges.shape}"
            )
        most = MOST_STEPS if len(self.edges) == 1 else MOST_OWN_STEPS
        if self.edges.shape[1] > most:
            raise self.refuse(
                f"expected at most {most + 1} levels ({most.bit_length()} bits), found "
                f"{self.edges.shape[1] + 1}; quantize it to fewer bits"
            )
        if not np.isfinite(self.edges).all() or not (self.edges[:, 1:] >= self.edges[:, :-1]).all():
            raise InputError(f"{self.label}: edges: expected finite numbers, rising")
        closed = np.broadcast_to(np.asarray(self.closed, np.bool_), self.edges.shape)
        object.__setattr__(self, "closed", closed)
        for name in ("scale", "offset"):
            _number(self, name)
        if not self.scale > 0:
            raise InputError(f"{self.label}: scale: expected above 0, found {self.scale:g}")

    @property
    def steps(self) -> int:
        """The number of edges of a channel, which is the highest count."""
        return int(self.edges.shape[1])

    @property
    def is_sign(self) -> bool:
        """Whether it has only the values ``-s`` and ``+s``, which are a bit in the Graph."""
        return self.steps == 1 and self.offset == -self.scale / 2

    @property
    def base(self) -> int | None:
        """The integer ``offset / scale``, the code below all edges; None if it is no integer.

        None too from :data:`BASE_LIMIT` in magnitude on, where codes would not fit a Graph.
        """
        ratio = self.offset / self.scale
        if abs(ratio) >= BASE_LIMIT or round(ratio) * self.scale != self.offset:
            return None
        return round(ratio)

    def counts(self, x: Array) -> Ints:
        """The number of edges that each element reaches, int64 of the shape of ``x``.

        Args:
            x: float64 ``(..., channels)``.
        """
        n = np.zeros(x.shape, np.int64)
        if len(self.edges) == 1 and (self.edges[0, 1:] > self.edges[0, :-1]).all():
            row, ties = self.edges[0], self.closed[0]
            n = np.searchsorted(row, x, side="left").astype(np.int64)
            at = n.clip(max=len(row) - 1)
            n += (row[at] == x) & ties[at] & (n < len(row))
            return n
        for j in range(self.steps):
            edge = self.edges[:, j]
            n += (x > edge) | ((x == edge) & self.closed[:, j])
        return n


@dataclass(frozen=True, eq=False)
class MaxPooling(Layer):
    """The maximum of each window; positions outside the image are ignored.

    Attributes:
        kernel: rows and columns.
        stride: rows and columns.
        padding: top, bottom, left, right.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        _check_window(self, self.kernel)


@dataclass(frozen=True, eq=False)
class AveragePooling(Layer):
    """The sum of each window divided by ``rows * columns``; positions outside count as zeros.

    Attributes:
        kernel: rows and columns; for a global pool, the size of the image.
        stride: rows and columns.
        padding: top, bottom, left, right.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        _check_window(self, self.kernel)


@dataclass(frozen=True, eq=False)
class Addition(Layer):
    """The sum of two values of one shape.

    Attributes:
        other: the second value.
    """

    other: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Both values."""
        return (self.source, self.other)


@dataclass(frozen=True, eq=False)
class Concatenation(Layer):
    """Values concatenated along the channels.

    Attributes:
        others: the values after ``source``, in order.
    """

    others: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.others:
            raise InputError(f"{self.label}: expected two values or more, found one")

    @property
    def sources(self) -> tuple[str, ...]:
        """All values, in order."""
        return (self.source, *self.others)


@dataclass(frozen=True, eq=False)
class Flattening(Layer):
    """All elements in one axis, in the order of rows, columns, channels.

    If a file uses another order, its reader permutes the weights of the next layer.
    """


LAYERS: tuple[type[Layer], ...] = (
    Dense,
    Convolution,
    Affine,
    BatchNorm,
    Clip,
    Quantizer,
    MaxPooling,
    AveragePooling,
    Addition,
    Concatenation,
    Flattening,
)
"""All kinds of layers."""


def dilated(weights: Ints, rates: Sequence[int]) -> Ints:
    """The weights of a dilated convolution: its taps ``rates`` apart, with zeros between them.

    Args:
        weights: ``(channels, rows, columns, inputs)``.
        rates: distance of two taps, in rows and columns.

    Raises:
        ValueError: if the wider kernel has 2^15 rows or columns, or 2^27 elements.
    """
    rows, columns = ((k - 1) * r + 1 for k, r in zip(weights.shape[1:3], rates, strict=True))
    shape = (len(weights), rows, columns, weights.shape[3])
    if min(rates) < 1 or max(rows, columns) >= 1 << 15 or prod(shape) >= 1 << 27:
        raise ValueError(f"rates from 1 and a kernel below 2^15, found {tuple(rates)[:4]}")
    wide = np.zeros(shape, weights.dtype)
    wide[:, :: rates[0], :: rates[1]] = weights
    return wide


def shown_name(name: object) -> str:
    """A name out of a file as messages show it: printable, on one line, and short."""
    text = str(name)[:60]
    return "".join(c if c.isprintable() else "?" for c in text)


def _freeze(layer: Layer, name: str, dtype: Any) -> None:
    array = np.array(getattr(layer, name), dtype)
    array.setflags(write=False)
    object.__setattr__(layer, name, array)


def _number(layer: Layer, name: str) -> None:
    value = float(getattr(layer, name))
    if not np.isfinite(value):
        raise InputError(f"{layer.label}: {name}: expected a finite number, found {value}")
    object.__setattr__(layer, name, value)


def _channels(layer: Layer, name: str, count: int | None = None) -> None:
    """Freeze an array of one number per channel; a single number is repeated ``count`` times."""
    array = np.atleast_1d(np.array(getattr(layer, name), np.float64))
    if count is not None and array.shape == (1,):
        array = np.repeat(array, count)
    if array.ndim != 1 or not array.size or (count is not None and len(array) != count):
        wanted = "one number a channel" if count is None else f"{count} numbers"
        raise InputError(f"{layer.label}: {name}: expected {wanted}, found shape {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(
            f"{layer.label}: {name}: expected finite numbers, found "
            f"{array[~np.isfinite(array)][0]} in channel {int((~np.isfinite(array)).argmax())}"
        )
    array.setflags(write=False)
    object.__setattr__(layer, name, array)


def _check_window(layer: Convolution | MaxPooling | AveragePooling, kernel: Sequence[int]) -> None:
    """Check kernel, stride and padding, and store the last two as tuples of integers."""
    for name, count, least in (("stride", 2, 1), ("padding", 4, 0)):
        values = tuple(int(v) for v in getattr(layer, name))
        if len(values) != count or not all(least <= v < 1 << 15 for v in values):
            raise InputError(
                f"{layer.label}: {name}: expected {count} integers from {least}, found {values}"
            )
        object.__setattr__(layer, name, values)
    rows, columns = (int(k) for k in kernel)
    if not (0 < rows < 1 << 15 and 0 < columns < 1 << 15):
        raise InputError(f"{layer.label}: kernel: expected two sizes from 1, found {kernel}")
    top, bottom, left, right = layer.padding
    if max(top, bottom) >= rows or max(left, right) >= columns:
        raise layer.refuse(
            f"expected padding below the kernel of {rows}x{columns} on each side, found "
            f"{layer.padding}: windows wholly outside the image see nothing; use less padding"
        )
