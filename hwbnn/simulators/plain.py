"""The plain simulator: the definition of every node.

The fast simulator, HLS and RTL are right when they compute the same as this file. Values are int64
arrays ``(batch, *shape)``; values of bits are bool arrays, True for +1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce, singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph import (
    Add,
    ArgMax,
    ChannelPad,
    Concat,
    Conv2d,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    MaxPool,
    Node,
    Output,
    Rescale,
    Select,
    SumPool,
    Threshold,
    ValueType,
    window_of,
)
from hwbnn.graph.arrays import Array

BATCH = 1024
"""Most samples that are computed at once."""
ELEMENTS = 1 << 26
"""Limit of the elements of all values that are computed at once, to bound the memory."""
OUTSIDE = 1 << 40
"""Larger than every element: a pool is padded with it, negated, so that padding never wins."""


def run(graph: Graph, x: Array, trace: bool = True) -> dict[str, Array]:
    """Values by name for a checked batch ``x``: every value, or without ``trace`` the output."""
    kept = [node.name for node in graph.nodes] if trace else [graph.output.name]
    each = sum(t.size for t in graph.types.values())
    batch = min(BATCH, max(1, ELEMENTS // each))
    parts = []
    for start in range(0, max(1, len(x)), batch):
        values = _run(graph, x[start : start + batch])
        parts.append({name: values[name] for name in kept})
    return {name: np.concatenate([part[name] for part in parts]) for name in kept}


def _run(graph: Graph, x: Array) -> dict[str, Array]:
    values: dict[str, Array] = {}
    for node in graph.nodes:
        if isinstance(node, Input):
            values[node.name] = x.astype(np.bool_ if node.bit else np.int64)
            continue
        sources = [values[s] for s in node.sources]
        types = [graph.types[s] for s in node.sources]
        values[node.name] = evaluate(node, *sources, *types)
    return values


@singledispatch
def evaluate(node: Node, *arguments: Any) -> Array:
    """The value of one node; ``arguments`` are its sources' values, then their types, in order."""
    raise GraphError(f"node '{node.name}': the simulator has no {type(node).__name__}")


@evaluate.register
def _select(node: Select, x: Array, t: ValueType) -> Array:
    return x[..., node.index]


@evaluate.register
def _encode(node: Encode, x: Array, t: ValueType) -> Array:
    return (x[:, :, None] >= node.thresholds).reshape(len(x), -1)


@evaluate.register
def _dot(node: Dot, x: Array, t: ValueType) -> Array:
    terms = numbers(x, t)
    sums = _product(terms, node.weights.T)
    return _combined(node, sums, terms.sum(axis=1, dtype=np.int64, keepdims=True))


@evaluate.register
def _conv2d(node: Conv2d, x: Array, t: ValueType) -> Array:
    channels, _, _, depth = node.weights.shape
    blocks = []
    for group in range(node.groups):
        terms = numbers(x, t)[..., group * depth : (group + 1) * depth]
        own = slice(group * channels // node.groups, (group + 1) * channels // node.groups)
        sums, total = np.zeros(1, np.int64), np.zeros(1, np.int64)
        for (a, b), seen in _taps(node, terms, t, node.pad):
            sums = sums + _product(seen, node.weights[own, a, b].T)
            total = total + seen.sum(axis=-1, keepdims=True)
        blocks.append(_combined(node, sums, total, own))
    return np.concatenate(blocks, axis=-1)


@evaluate.register
def _max_pool(node: MaxPool, x: Array, t: ValueType) -> Array:
    # The smallest element is the largest of the negated elements, negated.
    order = np.ones(t.channels, np.int64)
    if node.smallest is not None:
        order[node.smallest] = -1
    seen = (part for _, part in _taps(node, x.astype(np.int64) * order, t, -OUTSIDE))
    largest: Array = reduce(np.maximum, seen) * order
    return largest.astype(np.bool_) if t.bit else largest


@evaluate.register
def _sum_pool(node: SumPool, x: Array, t: ValueType) -> Array:
    sums: Array = reduce(np.add, (part for _, part in _taps(node, numbers(x, t), t, 0)))
    return sums


@evaluate.register
def _add(node: Add, x: Array, y: Array, *types: ValueType) -> Array:
    sums: Array = x + y
    return sums


@evaluate.register
def _rescale(node: Rescale, x: Array, t: ValueType) -> Array:
    bias = node.bias if node.border_classes is None else node.bias[node.border_classes]
    negative = node.multiplier if node.negative is None else node.negative
    products = x * np.where(x < 0, negative, node.multiplier) + bias + node.half
    scaled: Array = products >> node.shift
    return scaled.clip(node.low, node.high)


@evaluate.register
def _channel_pad(node: ChannelPad, x: Array, t: ValueType) -> Array:
    ends = [(0, 0)] * (x.ndim - 1) + [(node.before, node.after)]
    return np.pad(x, ends)


@evaluate.register
def _concat(node: Concat, x: Array, y: Array, *types: ValueType) -> Array:
    return np.concatenate((x, y), axis=-1)


@evaluate.register
def _threshold(node: Threshold, x: Array, t: ValueType) -> Array:
    thresholds = (
        node.thresholds if node.border_classes is None else node.thresholds[node.border_classes]
    )
    rising = x[..., None] >= thresholds
    falling = x[..., None] <= thresholds
    reached = np.where(node.falling[:, None], falling, rising)
    if node.bit:
        return reached[..., 0]
    count: Array = reached.sum(axis=-1, dtype=np.int64)
    return count + (node.base or 0)


@evaluate.register
def _lookup(node: Lookup, x: Array, t: ValueType) -> Array:
    entries: Array = node.table[np.arange(t.channels), (x - t.low) // t.step]
    return entries.astype(np.bool_) if node.bit else entries


@evaluate.register
def _flatten(node: Flatten, x: Array, t: ValueType) -> Array:
    return x.reshape(len(x), t.size)


@evaluate.register
def _argmax(node: ArgMax, x: Array, t: ValueType) -> Array:
    best: Array = x.argmax(axis=1).astype(np.int64)
    return best[:, None]


@evaluate.register
def _output(node: Output, x: Array, t: ValueType) -> Array:
    return x


def signs(bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The numbers of bits: -1 for False, +1 for True."""
    return np.where(bits, 1, -1).astype(np.int64)


def numbers(x: Array, t: ValueType) -> NDArray[np.int64]:
    """The numbers that a value's elements add to a sum: bits as -1 and +1, integers as they are."""
    return signs(x) if t.bit else x


def _product(x: NDArray[np.int64], weights: Array) -> NDArray[np.int64]:
    """``x @ weights``, exactly."""
    largest = int(np.abs(x).max(initial=0)) * int(np.abs(weights).max(initial=0))
    if largest * len(weights) < 1 << 53:
        # float64 holds every partial sum exactly; its matrix product is much faster than int64's.
        return (x.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)
    product: NDArray[np.int64] = x @ weights.astype(np.int64)
    return product


def _combined(
    node: Dot | Conv2d, sums: Array, total: Array, own: slice = slice(None)
) -> NDArray[np.int64]:
    """The weighted sums ``D``, or ``scale * D + offset * S`` with the sum ``S`` of all inputs.

    Args:
        node: the node that has the factors.
        sums: ``D``, of the channels ``own``.
        total: ``S``.
        own: the channels that are computed.
    """
    if node.scale_offset is None:
        return sums
    scale, offset = node.scale_offset
    # Either product may wrap around int64; their sum is within the node's type.
    combined: NDArray[np.int64] = scale[own] * sums + offset[own] * total
    return combined


def _taps(
    node: Conv2d | MaxPool | SumPool, x: NDArray[np.int64], t: ValueType, outside: int
) -> Iterator[tuple[tuple[int, int], NDArray[np.int64]]]:
    """The elements under each tap of the window, with ``outside`` around the image.

    Yields:
        The tap's row and column, and an array ``(batch, output rows, output columns, channels)``.
    """
    top, bottom, left, right = node.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=outside)
    rows, columns = window_of(node, t.shape).output
    down, over = node.stride
    for a, b in np.ndindex(node.kernel):
        yield (
            (a, b),
            padded[:, a : a + rows * down : down, b : b + columns * over : over][
                :, :rows, :columns
            ],
        )
