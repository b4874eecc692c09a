"""Running a Graph on a batch of inputs, whichever engine does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbnn.errors import InputError
from hwbnn.graph import Graph
from hwbnn.simulate import plain

Array = NDArray[Any]
ENGINES: dict[str, Callable[[Graph, Array], dict[str, Array]]] = {"plain": plain.run}


def check_input(graph: Graph, x: ArrayLike) -> Array:
    """The batch as the simulators keep it: int64, or bool for bits, of shape ``(batch, *shape)``.

    Raises:
        InputError: naming the input, what it takes and what was given.
    """
    node, t = graph.input, graph.types[graph.input.name]
    array = np.asarray(x)
    wanted = "x".join(map(str, t.shape))
    if array.shape[1:] != t.shape or array.ndim != len(t.shape) + 1:
        raise InputError(
            f"input '{node.name}': expected a batch of {wanted}, that is shape "
            f"(batch, {wanted.replace('x', ', ')}), found shape {array.shape}"
        )
    if array.dtype.kind not in "biu":
        raise InputError(
            f"input '{node.name}': expected integers, found {array.dtype}; bring floats to "
            f"integers first: u = (x - {node.offset:g}) / {node.scale:g}, rounded"
        )
    if array.size and (int(array.min()) < t.low or int(array.max()) > t.high):
        raise InputError(
            f"input '{node.name}': expected integers from {t.low} to {t.high}, found "
            f"{int(array.min())} to {int(array.max())}"
        )
    return array.astype(np.bool_ if t.bit else np.int64)


@overload
def simulate(
    graph: Graph, x: ArrayLike, *, engine: str = ..., trace: Literal[False] = ...
) -> Array: ...
@overload
def simulate(
    graph: Graph, x: ArrayLike, *, engine: str = ..., trace: Literal[True]
) -> dict[str, Array]: ...


def simulate(
    graph: Graph, x: ArrayLike, *, engine: str = "plain", trace: bool = False
) -> Array | dict[str, Array]:
    """What the Graph computes for a batch of inputs.

    Args:
        graph: the network.
        x: integers (or bits as 0 and 1, or bool) of shape ``(batch, *input shape)``.
        engine: one of :data:`ENGINES`.
        trace: return every node's value by name, not the output alone.

    Returns:
        int64 array ``(batch, *output shape)``, bool if the output is bits; with ``trace`` a dict.

    Raises:
        InputError: if ``x`` does not fit the Graph's input, or no engine has this name.
    """
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r}: expected one of {', '.join(ENGINES)}")
    values = ENGINES[engine](graph, check_input(graph, x))
    return values if trace else values[graph.output.name]
