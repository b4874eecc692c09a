"""Types of values: each node's shape and exact range of integers, from those of its sources."""

from __future__ import annotations

from functools import singledispatch
from math import gcd

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph.expect import (
    expect_elements,
    expect_flat,
    expect_integers,
    expect_length,
    expect_places,
    expect_window,
    limited,
)
from hwbnn.graph.images import Conv2d, MaxPool, SumPool
from hwbnn.graph.node import Node
from hwbnn.graph.nodes import (
    ArgMax,
    Dot,
    Encode,
    Flatten,
    Input,
    Lookup,
    Output,
    Select,
    Threshold,
)
from hwbnn.graph.ranges import Terms, border_terms, sums_type
from hwbnn.graph.streams import Add, ChannelPad, Rescale
from hwbnn.graph.values import ValueType, bit_type

PRODUCT_LIMIT = 1 << 62
"""No product of a Rescale reaches this magnitude."""


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
    expect_flat(node, x)
    if int(node.index.max()) >= x.size:
        raise GraphError(
            f"node '{node.name}': index: expected positions below {x.size}, "
            f"found {int(node.index.max())}"
        )
    return ValueType((len(node.index),), x.low, x.high, x.step, x.bit)


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
    plus = node.weights.sum(axis=1, dtype=np.int64)
    terms = Terms(plus[None], np.array([x.size]), 0 * plus[None])
    return sums_type(node, x, (len(plus),), terms)


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
    expect_places(node, node.places, x)
    slopes = [(node.multiplier, x.low, x.high)]
    if node.negative is not None:
        slopes = [(node.multiplier, max(x.low, 0), x.high), (node.negative, x.low, min(x.high, -1))]
    # A slope is monotone, so its ends are the ends of its results.
    ends = [(slope, end) for slope, low, high in slopes for end in (low, high) if low <= high]
    added = node.bias.astype(object) + node.half.astype(object)
    found = [_shifted(node, slope.astype(object) * end + added) for slope, end in ends]
    return ValueType(x.shape, min(int(f.min()) for f in found), max(int(f.max()) for f in found))


def _shifted(node: Rescale, products: NDArray[np.object_]) -> NDArray[np.int64]:
    """The results of these products, which must leave room in 64 bits."""
    if max(abs(products.min()), abs(products.max())) >= PRODUCT_LIMIT:
        raise GraphError(
            f"node '{node.name}': its products reach 2^62; use a smaller multiplier or bias"
        )
    results: NDArray[np.int64] = products.astype(np.int64) >> node.shift
    return results.clip(node.low, node.high)


@infer.register
def _channel_pad(node: ChannelPad, x: ValueType) -> ValueType:
    expect_integers(node, x)
    shape = (*x.shape[:-1], node.before + x.channels + node.after)
    expect_elements(node, shape)
    # 0 joins the integers of the source.
    step = gcd(x.step, x.low)
    return ValueType(shape, min(x.low, 0), max(x.high, 0), step or 1)


@infer.register
def _threshold(node: Threshold, x: ValueType) -> ValueType:
    expect_integers(node, x)
    channels, levels = node.thresholds.shape[-2:]
    expect_length(node, "thresholds", channels, x.channels)
    expect_places(node, node.places, x)
    return bit_type(x.shape) if levels == 1 else ValueType(x.shape, 0, levels)


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
    return x
