"""The plain simulator: the definition of every node.

Whatever else computes a Graph (the fast simulator, HLS, RTL) is right when it equals this file.
Values are int64 arrays ``(batch, *shape)``; bits are bool arrays of their codes.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph import (
    ArgMax,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    Node,
    Output,
    Select,
    Threshold,
    ValueType,
)

Array = NDArray[Any]


BATCH = 1024
"""Samples that are computed at once, to bound the memory that intermediate arrays take."""


def run(graph: Graph, x: Array, trace: bool = True) -> dict[str, Array]:
    """Every value of the Graph by name for a checked batch ``x``; without ``trace`` the output."""
    kept = [node.name for node in graph.nodes] if trace else [graph.output.name]
    parts = [_run(graph, x[i : i + BATCH]) for i in range(0, max(1, len(x)), BATCH)]
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
    """The value of one node from its sources' values, then their types, in order."""
    raise GraphError(f"node '{node.name}': the simulator has no {type(node).__name__}")


@evaluate.register
def _select(node: Select, x: Array, t: ValueType) -> Array:
    return x[:, node.index]


@evaluate.register
def _encode(node: Encode, x: Array, t: ValueType) -> Array:
    return (x[:, :, None] >= node.thresholds).reshape(len(x), -1)


@evaluate.register
def _dot(node: Dot, x: Array, t: ValueType) -> Array:
    terms = signs(x) if t.bit else x
    sums: Array = terms @ signs(node.weights).T
    if node.factors is None:
        return sums
    scale, offset = node.factors
    # Either product may wrap around int64; their sum is within the node's type.
    combined: Array = scale * sums + offset * terms.sum(axis=1, dtype=np.int64, keepdims=True)
    return combined


@evaluate.register
def _threshold(node: Threshold, x: Array, t: ValueType) -> Array:
    rising = x[..., None] >= node.thresholds
    falling = x[..., None] <= node.thresholds
    reached = np.where(node.falling[:, None], falling, rising)
    if reached.shape[-1] == 1:
        return reached[..., 0]
    count: Array = reached.sum(axis=-1, dtype=np.int64)
    return count


@evaluate.register
def _lookup(node: Lookup, x: Array, t: ValueType) -> Array:
    found: Array = node.table[np.arange(t.channels), (x - t.low) // t.step]
    return found.astype(np.bool_) if node.bit else found


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
    """What the codes stand for: -1 for False, +1 for True."""
    return np.where(bits, 1, -1).astype(np.int64)
