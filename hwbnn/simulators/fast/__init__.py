"""The fast simulator: packed bits, XOR and population counts, compiled by numba.

:mod:`.compiled` runs a Graph, :mod:`.steps` says how each kind of node is computed, the other
modules hold the kernels. Whatever it computes equals :mod:`hwbnn.simulators.plain`.
"""

from __future__ import annotations

from functools import lru_cache

from hwbnn.graph import Graph
from hwbnn.graph.arrays import Array
from hwbnn.simulators.fast.compiled import SAMPLES, Compiled

__all__ = ["SAMPLES", "Compiled", "compiled", "run"]


@lru_cache(maxsize=16)
def compiled(graph: Graph, trace: bool = False) -> Compiled:
    """The compiled form of a Graph; that of the last few Graphs is kept."""
    return Compiled(graph, trace)


def run(graph: Graph, x: Array, trace: bool = True) -> dict[str, Array]:
    """The output, or with ``trace`` every value, by name, for a checked batch ``x``."""
    return compiled(graph, trace).run(x)
