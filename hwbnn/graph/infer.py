"""Type inference: each node's shape and exact range of integers.

First the types, a function for each kind of node; then the ranges of weighted sums, exact over all
border classes of a window; last the checks of the values that nodes read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from math import gcd, prod

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph.arrays import Ints
from hwbnn.graph.fields import ELEMENTS, LIMIT
from hwbnn.graph.nodes import (
    Add,
    ArgMax,
    ChannelPad,
    Concat,
    Conv2d,
    Dot,
    Encode,
    Flatten,
    Input,
    Lookup,
    MaxPool,
    Node,
    Output,
    Rescale,
    Select,
    SumPool,
    Threshold,
    window_of,
)
from hwbnn.graph.values import ValueType, bit_type
from hwbnn.graph.window import Window

PRODUCT_LIMIT = 1 << 62
"""No product of a Rescale reaches this magnitude."""
BORDER_LIMIT = 1 << 18
"""Most border classes times channels of a convolution: each pair has a range of its own."""
SIDE_LIMIT = 4096
KERNEL_LIMIT = 64
"""Sides of the largest image and window, so that a small file cannot ask for unlimited work."""


@singledispatch
def infer(node: Node, *sources: ValueType) -> ValueType:
    """The type of the value that ``node`` makes from values of these types.

    Raises:
        GraphError: if the node does not fit its source; names the node, what was expected and
            what was found.
    """
    raise GraphError(f"node '{node.name}': unknown kind {type(node).__name__}")


@infer.register
def _input(node: Input) -> ValueType:
    return ValueType(node.shape, node.low, node.high, bit=node.bit)


@infer.register
def _select(node: Select, x: ValueType) -> ValueType:
    if int(node.index.max()) >= x.channels:
        raise GraphError(
            f"node '{node.name}': index: expected positions below {x.channels}, "
            f"found {int(node.index.max())}"
        )
    return ValueType((*x.shape[:-1], len(node.index)), x.low, x.high, x.step, x.bit)


@infer.register
def _encode(node: Encode, x: ValueType) -> ValueType:
    expect_flat(node, x)
    expect_integers(node, x)
    expect_length(node, "thresholds", len(node.thresholds), x.size)
    return bit_type((node.thresholds.size,))


@infer.register
def _dot(node: Dot, x: ValueType) -> ValueType:
    expect_flat(node, x)
    expect_length(node, "weights", node.weights.shape[1], x.size)
    plus, minus = (part.sum(axis=1, dtype=np.int64)[None] for part in parts(node))
    unit = 1 if node.binary else int(np.gcd.reduce(node.weights, axis=None))
    terms = BorderTerms(plus, minus, np.array([x.size]), 0 * plus, unit)
    return sums_type(node, x, (len(node.weights),), terms)


@infer.register
def _conv2d(node: Conv2d, x: ValueType) -> ValueType:
    window = expect_window(node, x)
    if node.weights.shape[3] * node.groups != x.channels:
        raise GraphError(
            f"node '{node.name}': weights: expected a depth of {x.channels} / {node.groups} groups "
            f"as its source has channels, found {node.weights.shape[3]}"
        )
    if node.pad and not x.bit:
        raise GraphError(
            f"node '{node.name}': pad: expected 0 for a source of integers, found {node.pad}"
        )
    shape = (*window.output, len(node.weights))
    return sums_type(node, x, shape, border_terms(node, window))


@infer.register
def _max_pool(node: MaxPool, x: ValueType) -> ValueType:
    if node.smallest is not None:
        expect_length(node, "smallest", len(node.smallest), x.channels)
    shape = (*expect_window(node, x).output, x.channels)
    return ValueType(shape, x.low, x.high, x.step, x.bit)


@infer.register
def _sum_pool(node: SumPool, x: ValueType) -> ValueType:
    window = expect_window(node, x)
    low, high, step = x.numbers
    (above, below), (left, right) = window.spans(0), window.spans(1)
    counts = set(np.multiply.outer(below - above, right - left).ravel().tolist())
    lows, highs = [n * low for n in counts], [n * high for n in counts]
    step = gcd(step, *(low - lows[0] for low in lows))
    shape = (*window.output, x.channels)
    return limited(node, ValueType(shape, min(lows), max(highs), step))


@infer.register
def _add(node: Add, x: ValueType, y: ValueType) -> ValueType:
    expect_integers(node, x)
    expect_integers(node, y)
    if x.shape[:-1] != y.shape[:-1] or (
        x.channels != y.channels and 1 not in (x.channels, y.channels)
    ):
        raise GraphError(
            f"node '{node.name}': expected two values of one shape, or one of them of one channel, "
            f"found {x.shape} and {y.shape}"
        )
    shape = x.shape if x.channels >= y.channels else y.shape
    sums = ValueType(shape, x.low + y.low, x.high + y.high, gcd(x.step, y.step))
    return limited(node, sums)


@infer.register
def _rescale(node: Rescale, x: ValueType) -> ValueType:
    expect_integers(node, x)
    expect_length(node, "multiplier", len(node.multiplier), x.channels)
    expect_border_classes(node, node.border_classes, x)
    slopes = [(node.multiplier, x.low, x.high)]
    if node.negative is not None:
        slopes = [(node.multiplier, max(x.low, 0), x.high), (node.negative, x.low, min(x.high, -1))]
    # Each slope is monotone, so its extreme results are at the ends of its range.
    ends = [(slope, end) for slope, low, high in slopes for end in (low, high) if low <= high]
    added = node.bias.astype(object) + node.half.astype(object)
    ends_of = [_shifted(node, slope.astype(object) * end + added) for slope, end in ends]
    return ValueType(
        x.shape, min(int(f.min()) for f in ends_of), max(int(f.max()) for f in ends_of)
    )


def _shifted(node: Rescale, products: NDArray[np.object_]) -> Ints:
    """The products shifted and saturated, as int64; refused if a product reaches 2^62."""
    if max(abs(products.min()), abs(products.max())) >= PRODUCT_LIMIT:
        raise GraphError(
            f"node '{node.name}': its products reach 2^62; use a smaller multiplier or bias"
        )
    results: Ints = products.astype(np.int64) >> node.shift
    return results.clip(node.low, node.high)


@infer.register
def _channel_pad(node: ChannelPad, x: ValueType) -> ValueType:
    expect_integers(node, x)
    shape = (*x.shape[:-1], node.before + x.channels + node.after)
    expect_elements(node, shape)
    # The result can be 0 besides the integers of the source.
    step = gcd(x.step, x.low)
    return ValueType(shape, min(x.low, 0), max(x.high, 0), step or 1)


@infer.register
def _concat(node: Concat, x: ValueType, y: ValueType) -> ValueType:
    if x.shape[:-1] != y.shape[:-1]:
        raise GraphError(
            f"node '{node.name}': expected two values of the same rows and columns, found "
            f"{x.shape} and {y.shape}"
        )
    if x.bit != y.bit:
        raise GraphError(
            f"node '{node.name}': expected two values of bits, or two of integers, found {x} and "
            f"{y}"
        )
    shape = (*x.shape[:-1], x.channels + y.channels)
    expect_elements(node, shape)
    if x.bit:
        return bit_type(shape)
    step = gcd(x.step, y.step, x.low - y.low)
    return ValueType(shape, min(x.low, y.low), max(x.high, y.high), step or 1)


@infer.register
def _threshold(node: Threshold, x: ValueType) -> ValueType:
    expect_integers(node, x)
    channels, levels = node.thresholds.shape[-2:]
    expect_length(node, "thresholds", channels, x.channels)
    expect_border_classes(node, node.border_classes, x)
    base = node.base or 0
    return bit_type(x.shape) if node.bit else ValueType(x.shape, base, base + levels)


@infer.register
def _lookup(node: Lookup, x: ValueType) -> ValueType:
    expect_integers(node, x)
    expect_length(node, "table", len(node.table), x.channels)
    if node.table.shape[1] != x.count:
        raise GraphError(
            f"node '{node.name}': table: expected {x.count} entries a channel, one for each "
            f"integer from {x.low} to {x.high} in steps of {x.step}, found {node.table.shape[1]}"
        )
    if node.bit:
        return bit_type(x.shape)
    return ValueType(x.shape, int(node.table.min()), int(node.table.max()))


@infer.register
def _flatten(node: Flatten, x: ValueType) -> ValueType:
    return ValueType((x.size,), x.low, x.high, x.step, x.bit)


@infer.register
def _argmax(node: ArgMax, x: ValueType) -> ValueType:
    expect_flat(node, x)
    expect_integers(node, x)
    return ValueType((1,), 0, x.size - 1)


@infer.register
def _output(node: Output, x: ValueType) -> ValueType:
    if node.meaning in ("decision", "bits") and not x.bit:
        raise GraphError(f"node '{node.name}': meaning {node.meaning}: expected bits, found {x}")
    if node.meaning in ("class", "decision") and x.size != 1:
        raise GraphError(
            f"node '{node.name}': meaning {node.meaning}: expected one element, found {x}"
        )
    if node.meaning in ("scores", "logits") and x.bit:
        raise GraphError(
            f"node '{node.name}': meaning {node.meaning}: expected integers, found {x}"
        )
    return x


# ---- Ranges of weighted sums ----


@dataclass(frozen=True, eq=False)
class BorderTerms:
    """The terms of weighted sums, in each border class of a window.

    Attributes:
        plus: the sum of the positive weights inside, int64 ``(classes, channels)``.
        minus: the sum of the magnitudes of the negative weights inside, likewise.
        count: how many terms are inside, int64 ``(classes,)``.
        pads: what the terms outside the image add to ``D``, int64 ``(classes, channels)``.
        unit: greatest common divisor of all weights that are inside in some class; 0 if all are 0.
    """

    plus: Ints
    minus: Ints
    count: Ints
    pads: Ints
    unit: int


def parts(node: Dot | Conv2d) -> tuple[Ints, Ints]:
    """The positive weights, and the magnitudes of the negative ones; 0 elsewhere, int64."""
    weights = node.weights.astype(np.int64)
    return np.maximum(weights, 0), np.maximum(-weights, 0)


def border_terms(node: Conv2d, window: Window) -> BorderTerms:
    """The terms of each border class, of which there may be thousands.

    Raises:
        GraphError: if there are more than :data:`BORDER_LIMIT`, over all channels.
    """
    depth = node.weights.shape[3]
    (above, below), (left, right) = window.spans(0), window.spans(1)
    classes = len(above) * len(left)
    if classes * len(node.weights) > BORDER_LIMIT:
        raise GraphError(
            f"node '{node.name}': {classes} border classes of {len(node.weights)} channels, more "
            "than 2^18; use less padding"
        )
    inside, all_taps = [], []
    for part in parts(node):
        # The taps inside are a rectangle: four corners of running totals give the sum over it.
        totals = np.zeros((len(part), *(n + 1 for n in node.kernel)), np.int64)
        totals[:, 1:, 1:] = part.sum(axis=3).cumsum(axis=1).cumsum(axis=2)
        sums = (
            totals[:, below][:, :, right]
            - totals[:, above][:, :, right]
            - totals[:, below][:, :, left]
            + totals[:, above][:, :, left]
        )
        inside.append(sums.reshape(len(sums), -1).T)
        all_taps.append(totals[:, -1, -1])
    (plus, minus), whole = inside, all_taps[0] - all_taps[1]
    pads = node.pad * (whole - (plus - minus))
    counts = ((below - above)[:, None] * (right - left) * depth).ravel()
    unit = 1
    if not node.binary:
        seen = np.ix_(window.inside_rows.any(axis=0), window.inside_columns.any(axis=0))
        unit = int(np.gcd.reduce(node.weights[:, seen[0], seen[1]], axis=None))
    return BorderTerms(plus, minus, counts, pads, unit)


def sums_type(
    node: Dot | Conv2d, x: ValueType, shape: tuple[int, ...], terms: BorderTerms
) -> ValueType:
    """The type of weighted sums of this shape.

    Raises:
        GraphError: if a sum can reach 2^31 in magnitude.
    """
    low, high, step = x.numbers
    ones = np.ones(shape[-1], np.int64)
    # Python's integers hold any product.
    scale, offset = (a.astype(object) for a in node.scale_offset or (ones, 0 * ones))
    plus, minus = terms.plus.astype(object), terms.minus.astype(object)
    count = terms.count[:, None].astype(object)
    pad = node.pad if isinstance(node, Conv2d) else 0
    least = scale * terms.pads + offset * (pad * (node.weights[0].size - count))
    most, strides = least, {0}
    # A term is the magnitude of its weight times one of two coefficients, by the weight's sign.
    for number, coefficient in ((plus, offset + scale), (minus, offset - scale)):
        ends = number * coefficient * low, number * coefficient * high
        least, most = least + np.minimum(*ends), most + np.maximum(*ends)
        strides |= set((coefficient * (number > 0) * step * terms.unit).ravel().tolist())
    lows = set(least.ravel().tolist())
    # If one input takes its next value, a sum changes by one of the strides. Least sums that are
    # not equal modulo the strides make the common step smaller. If all are 0, sums are constant.
    first = min(lows)
    step = gcd(*strides, *(low - first for low in lows)) or 1
    return limited(node, ValueType(shape, first, int(most.max()), step))


# ---- What nodes expect of their sources ----


def expect_window(node: Conv2d | MaxPool | SumPool, x: ValueType) -> Window:
    """The window of a node on its source; refused if this is no image or does not fit."""
    if len(x.shape) != 3:
        raise GraphError(
            f"node '{node.name}': expected an image (height, width, channels), found shape "
            f"{x.shape}"
        )
    if max(x.shape[:2]) > SIDE_LIMIT or max(node.kernel) > KERNEL_LIMIT:
        raise GraphError(
            f"node '{node.name}': expected an image of at most {SIDE_LIMIT} rows and columns and a "
            f"window of at most {KERNEL_LIMIT}, found {x.shape[:2]} and {node.kernel}"
        )
    window = window_of(node, x.shape)
    if min(window.output) < 1:
        raise GraphError(
            f"node '{node.name}': the window of {node.kernel[0]}x{node.kernel[1]} does not fit the "
            f"image of {x.shape[0]}x{x.shape[1]} with padding {node.padding}"
        )
    channels = len(node.weights) if isinstance(node, Conv2d) else x.channels
    expect_elements(node, (*window.output, channels))
    return window


def expect_elements(node: Node, shape: tuple[int, ...]) -> None:
    """Refuse a value of this shape if it is too large."""
    if prod(shape) > ELEMENTS:
        raise GraphError(f"node '{node.name}': makes {prod(shape)} elements, more than 2^24")


def expect_border_classes(node: Node, border_classes: Ints | None, x: ValueType) -> None:
    """Refuse border classes, int64 ``(height, width)`` or None, of another size than the source."""
    if border_classes is not None and x.shape[:-1] != border_classes.shape:
        raise GraphError(
            f"node '{node.name}': border_classes: expected the shape {x.shape[:-1]} of its "
            f"source's rows and columns, found {border_classes.shape}"
        )


def expect_flat(node: Node, x: ValueType) -> None:
    """Refuse a source of several axes."""
    if len(x.shape) != 1:
        raise GraphError(
            f"node '{node.name}': expected a flat value, found shape {x.shape}; put a Flatten first"
        )


def expect_integers(node: Node, x: ValueType) -> None:
    """Refuse a source of bits."""
    if x.bit:
        raise GraphError(f"node '{node.name}': expected integers, found bits")


def expect_length(node: Node, field: str, found: int, expected: int) -> None:
    """Refuse a field whose length differs from the one that the source requires."""
    if found != expected:
        raise GraphError(
            f"node '{node.name}': {field}: expected length {expected} as its source has, "
            f"found {found}"
        )


def limited(node: Node, t: ValueType) -> ValueType:
    """The type ``t`` of sums, refused if one of them can reach 2^31 in magnitude."""
    if max(-t.low, t.high) >= LIMIT:
        raise GraphError(
            f"node '{node.name}': sums from {t.low} to {t.high} do not stay below 2^31; "
            "use a smaller input range or fewer inputs"
        )
    return t
