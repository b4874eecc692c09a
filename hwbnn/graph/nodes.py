"""The kinds of nodes: one frozen dataclass for each operation.

A node names the earlier values that it reads and describes its operation;
:mod:`hwbnn.simulators.plain` defines the result.

Images are ``(height, width, channels)``. All kernels, strides and paddings are in rows and columns;
padding is ``(top, bottom, left, right)`` and smaller than the kernel, so that every window has a
tap inside the image. :class:`~hwbnn.graph.window.Window` computes the geometry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from hwbnn.arguments import checked_class
from hwbnn.errors import GraphError
from hwbnn.graph.arrays import Array, Bools, Floats, Ints
from hwbnn.graph.fields import (
    ELEMENTS,
    LIMIT,
    check_name,
    expect_channels,
    freeze,
    freeze_affine,
    freeze_places,
    freeze_scale_offset,
    freeze_weights,
    integer,
    integers,
    plain,
    shown,
)
from hwbnn.graph.window import Window

SHIFT_LIMIT = 48
"""Largest shift of a Rescale, in bits."""
INTEGER_WEIGHTS = 5
"""The first file format with weights other than -1 and +1."""
CHANNEL_SCALES = 6
"""The first file format with inputs that have a scale or an offset for each channel."""
MEANINGS = ("class", "decision", "scores", "logits", "bits")
"""The meanings that the output of a Graph may have.

In this order: the index of a class; a bit that is the class (1 for the positive one of two);
integers that are ordered as the logits are; integers that give the logits by one scale and one
offset; bits of any other meaning.
"""


def _short(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {'x'.join(map(str, value.shape))}>"
    return repr(value)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Node:
    """The base class of nodes; a node and the value that it computes have one name.

    Attributes:
        SOURCE_FIELDS: the fields that each name one value that the node reads, in order.
        SOURCE_LIST: the field that is a tuple of names of further values; None if there is none.
        SINCE: the first file format that has this kind.
        LATER: the fields that a file may lack, each with the first file format that has it.
        FILE_NAMES: the names of fields in files and digests, where these differ.
    """

    SOURCE_FIELDS: ClassVar[tuple[str, ...]] = ("source",)
    SOURCE_LIST: ClassVar[str | None] = None
    SINCE: ClassVar[int] = 1
    LATER: ClassVar[Mapping[str, int]] = {}
    FILE_NAMES: ClassVar[Mapping[str, str]] = {"border_classes": "places"}

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)
        for source in self.sources:
            if not isinstance(source, str):
                raise GraphError(
                    f"node '{self.name}': source: expected a name, found {shown(source)}"
                )

    def written(self, field: str) -> object:
        """The content of a field as files and digests hold it."""
        return getattr(self, field)

    def since(self, field: str) -> int:
        """The first file format that can hold this node's value of a field."""
        return self.LATER.get(field, 1)

    @classmethod
    def file_name(cls, field: str) -> str:
        """The name of a field in files and digests."""
        return cls.FILE_NAMES.get(field, field)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the values that this node reads, in order."""
        names = tuple(getattr(self, field) for field in self.SOURCE_FIELDS)
        return names if self.SOURCE_LIST is None else (*names, *getattr(self, self.SOURCE_LIST))

    def __repr__(self) -> str:
        """The fields that are set; an array by its dtype and shape."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        told = (f"{name}={_short(value)}" for name, value in given.items() if value is not None)
        return f"{type(self).__name__}({', '.join(told)})"


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Input(Node):
    """The input: integers ``low .. high``, or bits, in an array of this shape.

    ``scale`` and ``offset`` are the affine map from these integers to what the network was trained
    on, ``x = scale * u + offset`` (for bits ``u`` is the code 0 or 1). No later node reads them;
    they are kept so that a user's own floats can be brought to integers and back.

    Attributes:
        shape: shape of one sample, channels last.
        low: the smallest integer.
        high: the largest.
        bit: whether the integers are bits, the codes 0 and 1 of -1 and +1.
        scale: one number for all, or a tuple with a number for each channel (for a flat input: for
            each element). Any sequence is accepted. A scale must not be 0.
        offset: one number or a tuple, as ``scale``; it may be 0.
    """

    SOURCE_FIELDS: ClassVar[tuple[str, ...]] = ()

    shape: tuple[int, ...]
    low: int
    high: int
    bit: bool = False
    scale: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        shape: Any = plain(self.shape)
        if isinstance(shape, int):
            shape = (shape,)
        if isinstance(shape, tuple | list):
            shape = tuple(map(plain, shape))
        good = isinstance(shape, tuple) and all(
            isinstance(n, int) and not isinstance(n, bool) and 0 < n < LIMIT for n in shape
        )
        if not good or not 1 <= len(shape) <= 4 or prod(shape) > ELEMENTS:
            raise GraphError(
                f"node '{self.name}': shape: expected 1 to 4 sizes, together at most 2^24 "
                f"elements, found {shown(self.shape)}"
            )
        object.__setattr__(self, "shape", shape)
        if integer(self, "low") > integer(self, "high"):
            raise GraphError(f"node '{self.name}': low {self.low} is above high {self.high}")
        if not isinstance(self.bit, bool) or (self.bit and (self.low, self.high) != (0, 1)):
            raise GraphError(
                f"node '{self.name}': bit: expected true or false, and low 0 and high 1 for bits, "
                f"found {shown(self.bit)} with low {self.low} and high {self.high}"
            )
        for field in ("scale", "offset"):
            freeze_affine(self, field, self.shape[-1], is_bit=self.bit)

    def since(self, field: str) -> int:
        """The first file format that can hold this node's value of a field."""
        return CHANNEL_SCALES if isinstance(getattr(self, field), tuple) and field != "shape" else 1

    @property
    def is_uniform(self) -> bool:
        """Whether all channels have one scale and one offset."""
        return not isinstance(self.scale, tuple) and not isinstance(self.offset, tuple)

    def reals(self, u: ArrayLike) -> Floats:
        """The real numbers that the input's integers stand for, in float64.

        Args:
            u: integers, or codes of bits, ``(..., *shape)``.

        Returns:
            ``scale * u + offset``, of the shape of ``u``.
        """
        numbers: Floats = np.asarray(u).astype(np.float64) * self.scale + self.offset
        return numbers

    @classmethod
    def bits(cls, shape: tuple[int, ...] | int, name: str = "x") -> Input:
        """An input of bits, seen by the network as -1 and +1."""
        _expect_one_shape("bits", shape, name)
        return cls(name, shape, 0, 1, bit=True, scale=2.0, offset=-1.0)  # type: ignore[arg-type]

    @classmethod
    def of_floats(cls, data: ArrayLike, bits: int = 10, name: str = "x") -> Input:
        """An input for floats: integers of ``bits`` bits over each feature's range in the data.

        Args:
            data: training data, floats ``(samples, *shape)``; the last axis has the features.
            bits: width of an integer, 1 to 24: 0 is a feature's least number, ``2^bits - 1`` its
                largest.
            name: name of the node.

        Raises:
            GraphError: if a number is not finite, ``data`` is empty or has less than two axes, or
                ``bits`` is not from 1 to 24.
        """
        array = np.asarray(data)
        if type(bits) is not int or not 1 <= bits <= 24:
            raise GraphError(f"node '{name}': bits: expected 1 to 24, found {shown(bits)}")
        if array.dtype.kind not in "fiu" or array.ndim < 2 or not array.size:
            raise GraphError(
                f"node '{name}': data: expected floats (samples, features), found {array.dtype} of "
                f"shape {array.shape}"
            )
        rows = array.reshape(-1, array.shape[-1]).astype(np.float64)
        if not np.isfinite(rows).all():
            raise GraphError(f"node '{name}': data: expected finite numbers; clean the samples")
        least, span, most = rows.min(axis=0), np.ptp(rows, axis=0), (1 << bits) - 1
        scale = np.where(span > 0, span, most) / most
        numbers: dict[str, Any] = {"scale": scale, "offset": least}
        return cls(name, array.shape[1:], 0, most, **numbers)

    @classmethod
    def pixels(
        cls,
        shape: tuple[int, ...] | int,
        name: str = "x",
        scale: float | Sequence[float] = 1 / 255,
        offset: float | Sequence[float] = 0.0,
    ) -> Input:
        """An input of 8-bit pixels; by default the network was trained on ``u / 255``.

        Data normalised channel by channel, ``(u / 255 - mean) / std``, has
        ``scale=[1 / 255 / s for s in std]`` and ``offset=[-m / s for m, s in zip(mean, std)]``.
        """
        _expect_one_shape("pixels", shape, name)
        numbers: dict[str, Any] = {"scale": scale, "offset": offset}
        return cls(name, shape, 0, 255, **numbers)  # type: ignore[arg-type]


def _expect_one_shape(made_by: str, shape: object, name: object) -> None:
    """Refuse sizes given as separate arguments: the second would be taken for the name."""
    if isinstance(name, int | np.integer):
        raise GraphError(
            f"Input.{made_by}: expected the shape as one tuple, such as "
            f"Input.{made_by}(({shown(shape)}, {shown(name)})), found more numbers behind it"
        )


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Select(Node):
    """A choice of channels, or of a flat value's elements: ``y[..., i] = x[..., index[i]]``.

    Attributes:
        index: int64 array ``(m,)`` of distinct positions in ``0 .. n-1``, in any order.
    """

    source: str
    index: Ints

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "index", np.int64, 1)
        if len(np.unique(self.index)) != self.index.size or int(self.index.min()) < 0:
            raise GraphError(f"node '{self.name}': index: expected distinct positions from 0")


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Encode(Node):
    """Comparisons of each element with thresholds of its own: integers to bits (a thermometer).

    ``y[i * k + j] = [x[i] >= thresholds[i, j]]``, flat.

    Attributes:
        thresholds: int64 array ``(n, k)`` for a flat value of ``n`` elements.
    """

    source: str
    thresholds: Ints

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "thresholds", np.int64, 2)


class WeightedSum(Node):
    """The base class of ``Dot`` and ``Conv2d``, whose weights are integers.

    A layer is *binary* if all its weights are -1 and +1; only a binary layer may have ``scale`` and
    ``offset``.
    """

    __slots__ = ()

    weights: Array
    scale: Ints | None
    offset: Ints | None

    @property
    def binary(self) -> bool:
        """Whether every weight is -1 or +1."""
        return bool((np.abs(self.weights) == 1).all())

    @property
    def signs(self) -> Bools:
        """The weights of a binary layer as bits, True for +1: a new bool array of their shape.

        Raises:
            GraphError: if a weight is neither -1 nor +1.
        """
        if not self.binary:
            raise GraphError(
                f"node '{self.name}': weights: expected -1 and +1 alone, found integers from "
                f"{int(self.weights.min())} to {int(self.weights.max())}"
            )
        return self.weights > 0

    def written(self, field: str) -> object:
        """The field as files and digests hold it: binary weights as bits."""
        if field == "weights" and self.binary:
            return self.signs
        return getattr(self, field)

    def since(self, field: str) -> int:
        """The first file format that can hold this node's value of a field."""
        if field == "weights" and not self.binary:
            return INTEGER_WEIGHTS
        return self.LATER.get(field, 1)

    @property
    def scale_offset(self) -> tuple[Ints, Ints] | None:
        """``scale`` and ``offset``; None where the node is a plain sum."""
        if self.scale is None or self.offset is None:
            return None
        return self.scale, self.offset


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Dot(WeightedSum):
    """Weighted sums of the elements of a flat value: a product with a matrix of integers.

    ``D[c] = sum_i weights[c, i] * x[i]``, where a bit ``x[i]`` counts as -1 or +1, and ``y = D``;
    or, with ``scale`` and ``offset``, ``y[c] = scale[c] * D[c] + offset[c] * S`` where
    ``S = sum_i x[i]`` is common to all channels. The latter is a sum with two weights in each
    channel, ``offset - scale`` and ``offset + scale``, whose centre need not be 0.

    Attributes:
        weights: int16 array ``(channels, n)`` of magnitudes below 2^15; bools may be given, True
            for +1 and False for -1.
        scale: int64 array ``(channels,)``, or None; for binary layers only.
        offset: int64 array ``(channels,)``; None where ``scale`` is None.
    """

    LATER: ClassVar[Mapping[str, int]] = {"scale": 2, "offset": 2}

    source: str
    weights: Array
    scale: Ints | None = None
    offset: Ints | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze_weights(self, 2)
        _check_scale_offset(self)


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Conv2d(WeightedSum):
    """Weighted sums over windows of an image.

    At output position ``(i, j)``, with ``r = i * stride[0] - padding[0]`` and ``q`` likewise for
    columns, channel ``c`` of group ``g`` makes
    ``D = sum_{a, b, k} weights[c, a, b, k] * x[r + a, q + b, g * depth + k]`` where a bit counts
    as -1 or +1 and each element outside the image as ``pad``. ``y = D``; or, with ``scale`` and
    ``offset``, ``y = scale[c] * D + offset[c] * S``, where ``S`` is the same sum without weights.

    Attributes:
        weights: int16 array ``(channels, rows, columns, depth)`` of magnitudes below 2^15, or bools
            as for ``Dot``; ``depth`` is the number of the source's channels over ``groups``.
        stride: steps of the window, ``(rows, columns)``.
        padding: rows and columns added around the image, ``(top, bottom, left, right)``.
        pad: the number outside the image: -1, 0 or +1 for bits (0 leaves the term out), 0 for
            integers.
        groups: number of groups of channels, as in PyTorch: each group of the output reads only
            its own group of the source. Depthwise: the number of the source's channels.
        scale: int64 array ``(channels,)``, or None; for binary layers only.
        offset: int64 array ``(channels,)``; None where ``scale`` is None.
    """

    SINCE: ClassVar[int] = 3
    LATER: ClassVar[Mapping[str, int]] = {"scale": 3, "offset": 3}

    source: str
    weights: Array
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad: int = 0
    groups: int = 1
    scale: Ints | None = None
    offset: Ints | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze_weights(self, 4)
        _check_window(self)
        if integer(self, "pad") not in (-1, 0, 1):
            raise GraphError(f"node '{self.name}': pad: expected -1, 0 or 1, found {self.pad}")
        if integer(self, "groups") < 1 or len(self.weights) % self.groups:
            raise GraphError(
                f"node '{self.name}': groups: expected a divisor of its {len(self.weights)} "
                f"channels, found {self.groups}"
            )
        _check_scale_offset(self)

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.weights.shape[1], self.weights.shape[2]


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Threshold(Node):
    """The number of thresholds of its channel that an integer reaches; with one threshold, a bit.

    Channel ``c`` (last axis) counts the ``j`` with ``x >= thresholds[c, j]``, or, where
    ``falling[c]``, with ``x <= thresholds[c, j]``. A threshold out of the value's range says
    *never* or *always*. With ``border_classes`` the thresholds at row ``i`` and column ``j`` of an
    image are ``thresholds[border_classes[i, j]]``: sums at a zero-padded border have fewer terms.

    With ``base`` the result is always an integer, also with one threshold: ``base`` plus the count.
    A base below 0 makes signed activations; with ``base`` 0 and one threshold, 0 and 1 are integers
    and do not stand for -1 and +1.

    Attributes:
        thresholds: int64 array ``(channels, k)``; with ``border_classes``,
            ``(classes, channels, k)``.
        falling: bool array ``(channels,)``.
        border_classes: int64 array ``(height, width)`` of classes, or None.
        base: the result where no threshold is reached; with None, one threshold makes a bit and
            several make a count from 0.
    """

    LATER: ClassVar[Mapping[str, int]] = {"border_classes": 3, "base": 5}

    source: str
    thresholds: Ints
    falling: Bools
    border_classes: Ints | None = None
    base: int | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "thresholds", np.int64, 2 if self.border_classes is None else 3)
        freeze(self, "falling", np.bool_, 1)
        expect_channels(self, "falling", self.thresholds.shape[-2], "thresholds")
        if self.border_classes is not None:
            freeze_places(self, len(self.thresholds))
        if self.base is not None and integer(self, "base") + self.levels >= LIMIT:
            raise GraphError(
                f"node '{self.name}': base: expected less than 2^31 with its {self.levels} "
                f"thresholds added, found {self.base}"
            )

    @property
    def levels(self) -> int:
        """The number of thresholds of a channel, which is the largest count."""
        return int(self.thresholds.shape[-1])

    @property
    def bit(self) -> bool:
        """Whether the result is a bit."""
        return self.levels == 1 and self.base is None


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Lookup(Node):
    """A table for each channel: an integer or a bit for every integer that the source can take.

    ``y[..., c] = table[c, (x[..., c] - low) // step]`` with ``low`` and ``step`` of the source.

    Attributes:
        table: int64 array ``(channels, count)``, ``count`` as in the type of the source.
        bit: whether the entries are codes 0 and 1 of -1 and +1.
    """

    source: str
    table: Ints
    bit: bool = False

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "table", np.int64, 2)
        if not isinstance(self.bit, bool):
            raise GraphError(f"node '{self.name}': bit: expected true or false")
        if self.bit and not np.isin(self.table, (0, 1)).all():
            raise GraphError(f"node '{self.name}': table: expected codes 0 and 1")


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class MaxPool(Node):
    """The largest element of each window, in each channel; the smallest where ``smallest[c]``.

    For bits these are OR and AND of the codes. Positions outside the image are left out. A kernel
    of 1 with a larger stride subsamples rows and columns.

    Attributes:
        kernel: ``(rows, columns)``.
        stride: steps of the window, ``(rows, columns)``.
        padding: rows and columns added around the image, ``(top, bottom, left, right)``.
        smallest: bool array ``(channels,)``, or None for the largest everywhere. The largest sum
            reaches a falling threshold only if all sums do, so a maximum in front of it equals a
            minimum of the bits behind it.
    """

    SINCE: ClassVar[int] = 3
    LATER: ClassVar[Mapping[str, int]] = {"smallest": 3}

    source: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    smallest: Bools | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        integers(self, "kernel", 2, 1, LIMIT - 1, both=True)
        _check_window(self)
        if self.smallest is not None:
            freeze(self, "smallest", np.bool_, 1)


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class SumPool(Node):
    """The sum of each window, in each channel: of integers, or of bits as -1 and +1.

    Positions outside the image add nothing. Average pooling is this sum; the division is merged
    into the next node.

    Attributes:
        kernel: ``(rows, columns)``.
        stride: steps of the window, ``(rows, columns)``.
        padding: rows and columns added around the image, ``(top, bottom, left, right)``.
    """

    SINCE: ClassVar[int] = 3

    source: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        integers(self, "kernel", 2, 1, LIMIT - 1, both=True)
        _check_window(self)


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Add(Node):
    """Element-wise sums of two values of integers; a single channel is added to all channels.

    Attributes:
        source: a value.
        other: another of the same shape; or one of the two has a single channel.
    """

    SOURCE_FIELDS: ClassVar[tuple[str, ...]] = ("source", "other")
    SINCE: ClassVar[int] = 3

    source: str
    other: str


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Rescale(Node):
    """A change of fixed-point format in each channel: multiply, add, shift, round, saturate.

    ``y = min(max((x * m + bias[c] + half) >> shift[c], low), high)`` with an arithmetic shift and
    ``half = 2^(shift[c] - 1)``, 0 where nothing is shifted: halves are rounded up. ``m`` is
    ``multiplier[c]``, or, where ``x < 0`` and ``negative`` is given, ``negative[c]``: functions of
    two slopes (PReLU).

    Attributes:
        multiplier: int64 array ``(channels,)``.
        bias: int64 array ``(channels,)``, or with ``border_classes`` ``(classes, channels)``, of
            magnitudes below 2^62.
        shift: int64 array ``(channels,)``, 0 to 48 bits.
        low: the smallest result; smaller ones become it.
        high: the largest result; larger ones become it.
        negative: int64 array ``(channels,)``, or None.
        border_classes: int64 array ``(height, width)`` of classes, or None.
    """

    SINCE: ClassVar[int] = 3
    LATER: ClassVar[Mapping[str, int]] = {"negative": 3, "border_classes": 3}

    source: str
    multiplier: Ints
    bias: Ints
    shift: Ints
    low: int
    high: int
    negative: Ints | None = None
    border_classes: Ints | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "multiplier", np.int64, 1)
        freeze(self, "bias", np.int64, 1 if self.border_classes is None else 2, limit=1 << 62)
        freeze(self, "shift", np.int64, 1)
        channels = len(self.multiplier)
        if self.bias.shape[-1] != channels:
            raise GraphError(
                f"node '{self.name}': bias: expected {channels} channels as in multiplier, found "
                f"{self.bias.shape[-1]}"
            )
        expect_channels(self, "shift", channels, "multiplier")
        if int(self.shift.min()) < 0 or int(self.shift.max()) > SHIFT_LIMIT:
            raise GraphError(
                f"node '{self.name}': shift: expected 0 to {SHIFT_LIMIT}, found "
                f"{int(self.shift.min())} to {int(self.shift.max())}"
            )
        if integer(self, "low") > integer(self, "high"):
            raise GraphError(f"node '{self.name}': low {self.low} is above high {self.high}")
        if self.negative is not None:
            freeze(self, "negative", np.int64, 1)
            expect_channels(self, "negative", channels, "multiplier")
        if self.border_classes is not None:
            freeze_places(self, len(self.bias))

    @property
    def half(self) -> Ints:
        """The number added before the shift so that it rounds, int64 ``(channels,)``."""
        return np.where(self.shift > 0, np.int64(1) << np.maximum(self.shift - 1, 0), 0)


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ChannelPad(Node):
    """Channels of zeros in front of and behind the channels of a value of integers.

    Attributes:
        before: how many in front.
        after: how many behind; at least one of the two is positive.
    """

    SINCE: ClassVar[int] = 3

    source: str
    before: int
    after: int

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        ends = integer(self, "before"), integer(self, "after")
        if min(ends) < 0 or max(ends) == 0:
            raise GraphError(
                f"node '{self.name}': expected before and after from 0, not both 0, found "
                f"{shown(ends)}"
            )


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Concat(Node):
    """The channels of one value, then those of another: both values are bits, or both integers.

    Attributes:
        source: a value; its channels come first.
        other: a value of the same rows and columns, if it has any.
    """

    SOURCE_FIELDS: ClassVar[tuple[str, ...]] = ("source", "other")
    SINCE: ClassVar[int] = 6

    source: str
    other: str


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Flatten(Node):
    """All elements in one axis, the last axis fastest (channels last)."""

    source: str


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ArgMax(Node):
    """The index of the largest element of a flat value, as one integer; ties go to the lowest."""

    source: str


@checked_class()
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Output(Node):
    """The output: the source, unchanged.

    Attributes:
        meaning: one of :data:`MEANINGS`; None where the kind of the source determines it, see
            :attr:`hwbnn.graph.Graph.meaning`.
        scale: for ``"logits"``, where an integer ``y`` stands for ``scale * y + offset``; else
            None.
        offset: see ``scale``.
    """

    LATER: ClassVar[Mapping[str, int]] = {"meaning": 4, "scale": 6, "offset": 6}

    source: str
    meaning: str | None = None
    scale: float | None = None
    offset: float | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        if self.meaning is not None and self.meaning not in MEANINGS:
            raise GraphError(
                f"node '{self.name}': meaning: expected one of {', '.join(MEANINGS)}, found "
                f"{shown(self.meaning)}"
            )
        for field in ("scale", "offset"):
            if (getattr(self, field) is not None) != (self.meaning == "logits"):
                raise GraphError(
                    f"node '{self.name}': {field}: expected a number for logits, and none else, "
                    f"found {shown(getattr(self, field))} for {shown(self.meaning)}"
                )
            if self.meaning == "logits":
                freeze_affine(self, field, 1, is_bit=True)

    def since(self, field: str) -> int:
        """The first file format that can hold this node's value of a field."""
        return 6 if self.meaning == "logits" else self.LATER.get(field, 1)

    def reals(self, y: ArrayLike) -> Floats:
        """The logits that integers stand for, in float64.

        Args:
            y: integers of any shape.

        Returns:
            ``scale * y + offset``, of the shape of ``y``.

        Raises:
            GraphError: if the meaning of the output is not ``"logits"``.
        """
        if self.scale is None or self.offset is None:
            raise GraphError(
                f"node '{self.name}': its integers stand for no logits; lower with output='logits'"
            )
        logits: Floats = np.asarray(y).astype(np.float64) * self.scale + self.offset
        return logits


def _check_window(node: Conv2d | MaxPool | SumPool) -> None:
    """Make ``stride`` and ``padding`` tuples; refuse padding that is not less than the kernel."""
    integers(node, "stride", 2, 1, LIMIT - 1, both=True)
    padding = integers(node, "padding", 4, 0, LIMIT - 1)
    rows, columns = node.kernel
    if max(padding[:2]) >= rows or max(padding[2:]) >= columns:
        raise GraphError(
            f"node '{node.name}': padding: expected less than the kernel of {rows}x{columns} on "
            f"each side, found {padding}"
        )


def _check_scale_offset(node: WeightedSum) -> None:
    """Freeze ``scale`` and ``offset``, and refuse them where the layer is not binary."""
    freeze_scale_offset(node, len(node.weights))
    if node.scale_offset is not None and not node.binary:
        raise GraphError(
            f"node '{node.name}': scale: expected none, since its weights are integers other than "
            "-1 and +1; multiply them by it, or put a Rescale behind"
        )


def window_of(node: Conv2d | MaxPool | SumPool, shape: tuple[int, ...]) -> Window:
    """The window of a node on a source of shape ``(height, width, channels)``."""
    height, width, _ = shape
    return Window((height, width), node.kernel, node.stride, node.padding)


NODE_TYPES: tuple[type[Node], ...] = (
    Input,
    Select,
    Encode,
    Dot,
    Conv2d,
    Threshold,
    Lookup,
    MaxPool,
    SumPool,
    Add,
    Rescale,
    ChannelPad,
    Concat,
    Flatten,
    ArgMax,
    Output,
)
"""All kinds of nodes; a test checks that every package that interprets Graphs handles each."""
