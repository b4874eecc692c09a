"""Layers of weighted sums as nodes: dense and convolutions, their ranges and border classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph import Conv2d, Dot, ValueType, Window
from hwbnn.graph.arrays import Float32s, Floats, Ints, Shorts
from hwbnn.lowering.ops import FLOAT32_INTEGERS, TableFunction
from hwbnn.lowering.shortcuts import FLOAT32, fraction_of, reading
from hwbnn.lowering.tables import is_identity
from hwbnn.lowering.two_sums import PAIR_LIMIT, Pairs, Pending
from hwbnn.lowering.value import BorderClasses, FixedPointError, GraphBuilder, TracedValue

UNDECIDED = (
    "layer '{}' has weights with real offsets, whose sums only an activation can decide; put one "
    "behind it, or make it with method.logits() or mode 'qat'"
)

Finish = Callable[[Float32s, Float32s | None, int], Float32s]
"""Function from ``D``, ``S`` (where it is needed) and the border class to the layer's output.

Arguments: float32 ``(rows, channels)``, float32 ``(rows, 1)`` or None, and an integer. Result:
float32 ``(rows, channels)``.
"""


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a layer.

    Attributes:
        name: the layer's qualified name in the network.
        label: the layer, for messages.
        integers: int64, -1 and +1 in a binary layer: of a dense layer ``(channels, inputs)`` in the
            network's order, of a convolution ``(channels, rows, columns, inputs of a group)``.
        finish: see :data:`Finish`.
        text: the origin of the weights, for people, if the layer is not one of :mod:`hwbnn.nn`.
        scale_offset: scale and offset of the sums, int64 ``(channels,)`` each; None for plain sums.
        ratio: where the offsets are real numbers: offset over scale, float64 ``(channels,)``.
    """

    name: str
    label: str
    integers: Ints
    finish: Finish
    scale_offset: tuple[Ints, Ints] | None = None
    ratio: Floats | None = None
    text: str = ""

    @property
    def is_binary(self) -> bool:
        """Whether all weights are -1 or +1."""
        return bool((np.abs(self.integers) == 1).all())

    @property
    def most(self) -> int:
        """The largest sum that inputs of magnitude 1 can give."""
        return int(np.abs(self.integers).reshape(len(self.integers), -1).sum(axis=1).max())


@dataclass(frozen=True, eq=False)
class Geometry:
    """How the window of a convolution moves over its image.

    Attributes:
        stride: rows and columns.
        padding: top, bottom, left, right.
        pad: the number outside the image: -1, 0 or +1.
        groups: number of equal parts of the channels, each convolved separately.
        border: class of each position of the result, int64 ``(height, width)``, where the layer's
            ``finish`` depends on it; otherwise None.
    """

    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    pad: int
    groups: int
    border: Ints | None


def linear(build: GraphBuilder, weights: Weights, value: TracedValue) -> TracedValue:
    """The sums of a dense layer.

    Args:
        build: the Graph so far.
        weights: of the layer.
        value: the layer's argument; if it is fixed-point, a result of
            :func:`~hwbnn.lowering.shortcuts.fix`.

    Raises:
        CannotLower: if its sums are too large or have too many pairs.
    """
    integers = weights.integers
    integers = integers if value.order is None else integers[:, np.argsort(value.order)]
    node = Dot(build.name("dot"), value.name, _shorts(integers), *(weights.scale_offset or ()))
    t = build.add(node)
    low, high = _ends(value)
    plus, minus = _coefficients(integers, weights.scale_offset)
    ends = plus @ low - minus @ high, plus @ high - minus @ low
    sums = TracedValue(node.name, t, *ends, weights.name)
    if weights.ratio is None:
        build.remark(weights.name, node, _described(weights, node, t))
        return _finished(weights, sums, node, value)
    _check_decidable(weights.label, value)
    pairs = pairs_of((integers > 0).sum(axis=1), integers.shape[1], value)
    return replace(sums, pending=(_pending(weights, pairs, 0),))


def conv(
    build: GraphBuilder, weights: Weights, geometry: Geometry, value: TracedValue
) -> TracedValue:
    """The sums of a convolution; arguments and errors as for :func:`linear`.

    Where the image is padded with zeros and its integers stand for numbers with an offset, the
    constant added to the sums depends on the border class.
    """
    label, kernel = weights.label, (weights.integers.shape[1], weights.integers.shape[2])
    if any(n >= kernel[side // 2] for side, n in enumerate(geometry.padding)):
        raise CannotLower(
            f"{label}: expected padding below the kernel of {kernel} on each side, found "
            f"{geometry.padding}: windows wholly outside the image see nothing; use less padding"
        )
    if geometry.pad and not value.type.bit:
        raise CannotLower(
            f"{label}: pads with {geometry.pad}, but reads {value.type}; make it with pad=0"
        )
    moves = (geometry.stride, geometry.padding, geometry.pad, geometry.groups)
    node = Conv2d(
        build.name("conv"),
        value.name,
        _shorts(weights.integers),
        *moves,
        *(weights.scale_offset or ()),
    )
    t = build.add(node)
    height, width = value.type.shape[:2]
    window = Window((height, width), kernel, geometry.stride, geometry.padding)
    sums = TracedValue(node.name, t, *_reachable(node, window, value), weights.name)
    if weights.ratio is not None:
        _check_decidable(label, value)
        return _undecided(weights, sums, node, window, value)
    build.remark(weights.name, node, _described(weights, node, t))
    if geometry.border is None:
        return _finished(weights, sums, node, value)
    if weights.is_binary:
        check_exact(label, t)
    classes = range(int(geometry.border.max()) + 1)
    first = tuple(_floats(weights, border_class) for border_class in classes)
    return replace(sums, border=BorderClasses(geometry.border, first))


def is_real(value: TracedValue, *, is_binary: bool) -> bool:
    """Whether a layer reads a value as real numbers, which then must be in fixed point.

    Args:
        value: the layer's argument.
        is_binary: whether the layer's weights are -1 and +1. Such a layer reads real numbers only
            if they are in fixed point already. Any other layer may read real numbers, but not
            those of an input or of codes: ``source=`` makes their integers known.
    """
    if value.fixed is not None:
        return True
    if is_binary or value.is_input or value.is_coded:
        return False
    return bool(value.pending) or not is_identity(value)


def _floats(weights: Weights, border_class: int = 0) -> TableFunction:
    """The function from plain sums to the layer's output."""

    def finish(x: Float32s) -> Float32s:
        return weights.finish(x, None, border_class)

    return TableFunction(weights.label, finish, is_monotone=True)


def _pending(weights: Weights, pairs: Pairs, border_class: int) -> Pending:
    assert weights.ratio is not None

    def finish(sums: Float32s, total: Float32s) -> Float32s:
        return weights.finish(sums, total, border_class)

    return Pending(pairs, weights.ratio, finish)


def pairs_of(plus: Ints, count: int, value: TracedValue) -> Pairs:
    """The pairs of sums over ``count`` terms of a value, ``plus`` of them with weight +1."""
    low, high, step = value.type.numbers
    return Pairs(plus, count, low, step, (high - low) // step)


def check_pairs(label: str, pairs: Sequence[Pairs]) -> None:
    """Refuse a layer with more pairs of sums than can be tried.

    Raises:
        CannotLower: naming the layer.
    """
    if sum(p.evaluations for p in pairs) > PAIR_LIMIT:
        raise CannotLower(
            f"{label}: its weights have real offsets, and its two sums make "
            f"{sum(p.count for p in pairs):.2g} pairs, too many to certify; train it with mode "
            "'qat' or 'drop', or with an input of bits"
        )


def check_exact(label: str, sums: ValueType) -> None:
    """Refuse sums that the float reference itself would round.

    Raises:
        CannotLower: naming the layer.
    """
    if max(-sums.low, sums.high) >= FLOAT32_INTEGERS:
        raise CannotLower(
            f"{label}: sums from {sums.low} to {sums.high} reach 2^24, beyond which the float32 "
            "reference rounds; use a smaller input range or fewer inputs"
        )


def _check_decidable(label: str, value: TracedValue) -> None:
    if value.fixed is not None:
        raise CannotLower(
            f"{label}: its weights have real offsets, and it reads fixed-point numbers, whose sums "
            "are too many to certify; train it with mode 'qat' or 'drop'"
        )


def _finished(
    weights: Weights, sums: TracedValue, node: Dot | Conv2d, value: TracedValue
) -> TracedValue:
    """Sums with the layer's function; sums of fixed-point numbers also with bounds of the error."""
    finish = _floats(weights)
    if value.fixed is None:
        if weights.is_binary:
            check_exact(weights.label, sums.type)
        return replace(sums, ops=(finish,))
    plus, minus = _coefficients(node.weights, node.scale_offset)
    terms = plus[0].size
    most = int((plus + minus).reshape(len(plus), -1).sum(axis=1).max())
    largest = max(-sums.type.low, sums.type.high)
    # Sums that float32 holds are exact in any order; otherwise every operation rounds.
    rounding = 0.0 if largest < FLOAT32_INTEGERS else terms * FLOAT32 * largest
    old = value.fixed
    fixed = FixedPointError(old.total * most + rounding, old.local * most + rounding)
    return replace(sums, ops=(reading(fraction_of(value)), finish), fixed=fixed)


def _undecided(
    weights: Weights, sums: TracedValue, node: Conv2d, window: Window, value: TracedValue
) -> TracedValue:
    """Sums of a layer with real offsets, with the pairs of each border class."""
    masks, border = window.classes, None
    if node.pad or len(masks) == 1:
        # Without padding, or with a pad that is a number inside too, all windows have equal pairs.
        masks = np.ones_like(masks[:1])
    else:
        border = BorderClasses(window.border_classes, ())
    signs = node.signs.sum(axis=3, dtype=np.int64)
    depth = node.weights.shape[3]
    pairs = [pairs_of(signs[:, m].sum(axis=1), int(m.sum()) * depth, value) for m in masks]
    pending = tuple(_pending(weights, p, border_class) for border_class, p in enumerate(pairs))
    return replace(sums, pending=pending, border=border)


def _reachable(node: Conv2d, window: Window, value: TracedValue) -> tuple[Ints, Ints]:
    """The lowest and the highest sum of each channel, over all border classes."""
    channels, rows, columns, depth = node.weights.shape
    parts = (node.groups, channels // node.groups, rows, columns, depth)
    plus, minus = (a.reshape(parts) for a in _coefficients(node.weights, node.scale_offset))
    low, high = (end.reshape(node.groups, depth) for end in _ends(value))
    ends = []
    for taps in window.classes:
        inside = [a[:, :, taps].sum(axis=2) for a in (plus, minus)]
        outside = node.pad * (plus - minus)[:, :, ~taps].sum(axis=(2, 3))
        for a, b in ((low, high), (high, low)):
            up = np.einsum("gck,gk->gc", inside[0], a) - np.einsum("gck,gk->gc", inside[1], b)
            ends.append((up + outside).reshape(channels))
    return np.min(ends[::2], axis=0), np.max(ends[1::2], axis=0)


def _ends(value: TracedValue) -> tuple[Ints, Ints]:
    """The lowest and the highest number of each channel of the terms."""
    if value.type.bit:
        return value.low * 2 - 1, value.high * 2 - 1
    return value.low, value.high


def _shorts(integers: Ints) -> Shorts:
    """Weights as int16, the type of the Graph's weights."""
    return integers.astype(np.int16)


def _described(weights: Weights, node: Dot | Conv2d, t: ValueType) -> str:
    """The sums of a layer and the origin of its weights, for people."""
    return describe(node, t) + (f"; {weights.text}" if weights.text else "")


def _coefficients(weights: np.ndarray, scale_offset: tuple[Ints, Ints] | None) -> tuple[Ints, Ints]:
    """The factor of each input, split into its positive part and the size of its negative part."""
    coefficients: Ints = weights.astype(np.int64)
    if scale_offset is not None:
        scale, offset = (f.reshape(-1, *(1,) * (weights.ndim - 1)) for f in scale_offset)
        coefficients = scale * coefficients + offset
    return np.maximum(coefficients, 0), np.maximum(-coefficients, 0)


def describe(node: Dot | Conv2d, t: ValueType) -> str:
    """The sums of a node, for people."""
    channels, n = len(node.weights), node.weights[0].size
    unit = ""
    if node.scale_offset is not None:
        unit = f", 2^{int(node.scale_offset[0][0]).bit_length() - 1} D + R S"
    if not node.binary:
        zeros = int((node.weights == 0).sum())
        bits = ValueType((1,), int(node.weights.min()), int(node.weights.max())).width
        unit += f", weights {int(node.weights.min())} to {int(node.weights.max())} ({bits} bits)"
        unit += f", {zeros / node.weights.size:.0%} of them 0" if zeros else ""
    if isinstance(node, Dot):
        return f"{channels} sums of {n}{unit}, {t.low} to {t.high}"
    rows, columns = node.kernel
    size = "x".join(map(str, t.shape[:2]))
    return (
        f"{channels} sums of {n} ({rows}x{columns}) at {size} positions{unit}, {t.low} to {t.high}"
    )
