"""Running a Graph on a batch of inputs, with any of the engines."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError, ToolNotFound, nearest
from hwbnn.graph import Conv2d, Dot, Graph, Input, check_graph
from hwbnn.graph.arrays import Array
from hwbnn.graph.values import as_array
from hwbnn.simulators import plain

Engine = Callable[[Graph, Array, bool], dict[str, Array]]
"""Takes a Graph, a checked batch, and whether every value is wanted; returns values by name."""

FrameProgress = Callable[[str, int, int], None]
"""Takes the name of the work in progress, the frames done so far, and all frames."""

WORTH = 1 << 30
"""Products of weights and inputs from which on ``"auto"`` uses numba; below, plain is faster."""


def _fast(graph: Graph, x: Array, trace: bool) -> dict[str, Array]:
    if find_spec("numba") is None:
        raise ToolNotFound(
            "engine 'fast': the Python package numba is missing; pip install 'hwbnn[fast]'"
        )
    from hwbnn.simulators import fast

    return fast.run(graph, x, trace)


def _auto(graph: Graph, x: Array, trace: bool) -> dict[str, Array]:
    work = len(x) * sum(node.weights.size for node in graph.of_type(Dot))
    for conv in graph.of_type(Conv2d):
        work += len(x) * conv.weights[0].size * graph.types[conv.name].size
    engine = _fast if work >= WORTH and find_spec("numba") is not None else plain.run
    return engine(graph, x, trace)


ENGINES: dict[str, Engine] = {"auto": _auto, "plain": plain.run, "fast": _fast}
"""All engines return the same; ``"auto"`` chooses the faster one of those that are installed."""


def check_input(graph: Graph, x: ArrayLike) -> Array:
    """Check a batch; return it as ``(batch, *shape)``, bool if the input is bits, else int64.

    Raises:
        InputError: if it does not fit the input in shape, type or range.
    """
    return _checked(graph, x).astype(np.bool_ if graph.input.bit else np.int64)


def _checked(graph: Graph, x: ArrayLike) -> Array:
    """The batch with the user's own integer type, or bool for bits; copied only if necessary."""
    node, t = graph.input, graph.types[graph.input.name]
    array = as_array(x, f"input '{node.name}'")
    wanted = "x".join(map(str, t.shape))
    if array.shape[1:] != t.shape or array.ndim != len(t.shape) + 1:
        raise InputError(
            f"input '{node.name}': expected a batch of {wanted}, that is shape "
            f"(batch, {wanted.replace('x', ', ')}), found shape {array.shape}"
        )
    if array.dtype.kind not in "biu":
        raise InputError(
            f"input '{node.name}': expected integers, found {array.dtype}; bring floats to "
            f"integers first: {_formula(node)}, rounded"
        )
    if t.bit and array.dtype == np.bool_:
        return array
    if array.size and (int(array.min()) < t.low or int(array.max()) > t.high):
        raise InputError(
            f"input '{node.name}': expected integers from {t.low} to {t.high}, found "
            f"{int(array.min())} to {int(array.max())}"
        )
    # Arrays from files may have the other byte order, which compiled code does not read.
    return array.astype(np.bool_ if t.bit else array.dtype.newbyteorder("="), copy=False)


def _formula(node: Input) -> str:
    """How floats become integers, for a message."""
    if isinstance(node.scale, tuple) or isinstance(node.offset, tuple):
        return "u = (x - offset) / scale of each channel"
    return f"u = (x - {node.offset:g}) / {node.scale:g}"


@overload
def simulate(
    graph: Graph, x: ArrayLike, *, engine: str = ..., trace: Literal[False] = ...
) -> Array: ...
@overload
def simulate(
    graph: Graph, x: ArrayLike, *, engine: str = ..., trace: Literal[True]
) -> dict[str, Array]: ...


@checked_call()
def simulate(
    graph: Graph, x: ArrayLike, *, engine: str = "auto", trace: bool = False
) -> Array | dict[str, Array]:
    """Compute the output of a Graph for a batch of inputs.

    Args:
        graph: the network.
        x: integers (or bits as 0 and 1, or bool) of shape ``(batch, *input shape)``.
        engine: one of :data:`ENGINES`.
        trace: whether to return every node's value by name, instead of the output alone.

    Returns:
        int64 array ``(batch, *output shape)``, bool if the output is bits; with ``trace`` a dict.

    Raises:
        GraphError: if ``graph`` is not a Graph.
        InputError: if ``x`` does not fit the Graph's input, or no engine has this name.
        ToolNotFound: if the engine needs a package that is not installed.
    """
    check_graph(graph, "simulate")
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r}: expected one of {nearest(engine, ENGINES)}")
    values = ENGINES[engine](graph, _checked(graph, x), trace)
    return values if trace else values[graph.output.name]
