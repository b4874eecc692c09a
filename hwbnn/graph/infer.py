"""Types of values: each node's shape and exact range of integers, from those of its source."""

from __future__ import annotations

from functools import singledispatch
from math import gcd

import numpy as np

from hwbnn.errors import GraphError
from hwbnn.graph.nodes import (
    LIMIT,
    ArgMax,
    Dot,
    Encode,
    Flatten,
    Input,
    Lookup,
    Node,
    Output,
    Select,
    Threshold,
)
from hwbnn.graph.values import ValueType, bit_type


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
    _expect_flat(node, x)
    if int(node.index.max()) >= x.size:
        raise GraphError(
            f"node '{node.name}': index: expected positions below {x.size}, "
            f"found {int(node.index.max())}"
        )
    return ValueType((len(node.index),), x.low, x.high, x.step, x.bit)


@infer.register
def _encode(node: Encode, x: ValueType) -> ValueType:
    _expect_flat(node, x)
    _expect_integers(node, x)
    _expect_length(node, "thresholds", len(node.thresholds), x.size)
    return bit_type((node.thresholds.size,))


@infer.register
def _dot(node: Dot, x: ValueType) -> ValueType:
    _expect_flat(node, x)
    _expect_length(node, "weights", node.weights.shape[1], x.size)
    low, high, step = (-1, 1, 2) if x.bit else (x.low, x.high, x.step)
    ones = np.ones(len(node.weights), np.int64)
    scale, offset = (a.astype(object) for a in node.factors or (ones, 0 * ones))
    plus = node.weights.sum(axis=1, dtype=np.int64).astype(object)
    lows, highs, strides = 0 * plus, 0 * plus, [0]
    # Each input of a channel has one of two coefficients. Python's integers hold any product.
    for count, coefficient in ((plus, offset + scale), (x.size - plus, offset - scale)):
        ends = count * coefficient * low, count * coefficient * high
        lows, highs = lows + np.minimum(*ends), highs + np.maximum(*ends)
        strides += (coefficient * (count > 0) * step).tolist()
    # A sum moves by the coefficient of a term times the term's step; channels of other offset
    # modulo that widen the lattice. Where all is 0, nothing moves.
    step = gcd(*strides, *(lows - lows[0]).tolist()) or 1
    return _limited(node, ValueType((len(plus),), int(lows.min()), int(highs.max()), step))


@infer.register
def _threshold(node: Threshold, x: ValueType) -> ValueType:
    _expect_integers(node, x)
    _expect_length(node, "thresholds", len(node.thresholds), x.channels)
    levels = node.thresholds.shape[1]
    return bit_type(x.shape) if levels == 1 else ValueType(x.shape, 0, levels)


@infer.register
def _lookup(node: Lookup, x: ValueType) -> ValueType:
    _expect_integers(node, x)
    _expect_length(node, "table", len(node.table), x.channels)
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
    _expect_flat(node, x)
    _expect_integers(node, x)
    return ValueType((1,), 0, x.size - 1)


@infer.register
def _output(node: Output, x: ValueType) -> ValueType:
    return x


def _expect_flat(node: Node, x: ValueType) -> None:
    if len(x.shape) != 1:
        raise GraphError(
            f"node '{node.name}': expected a flat value, found shape {x.shape}; put a Flatten first"
        )


def _expect_integers(node: Node, x: ValueType) -> None:
    if x.bit:
        raise GraphError(f"node '{node.name}': expected integers, found bits")


def _expect_length(node: Node, field: str, found: int, expected: int) -> None:
    if found != expected:
        raise GraphError(
            f"node '{node.name}': {field}: expected length {expected} as its source has, "
            f"found {found}"
        )


def _limited(node: Node, t: ValueType) -> ValueType:
    if max(-t.low, t.high) >= LIMIT:
        raise GraphError(
            f"node '{node.name}': sums from {t.low} to {t.high} do not stay below 2^31; "
            "use a smaller input range or fewer inputs"
        )
    return t
