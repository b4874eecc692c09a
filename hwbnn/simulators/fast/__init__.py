"""The fast simulator: packed bits, XOR and popcounts, compiled by numba.

:mod:`.compiled` runs a Graph, :mod:`.steps` says how each kind of node is computed, the other
modules hold the kernels. All values equal those of :mod:`hwbnn.simulators.plain`.
"""

from __future__ import annotations

from functools import lru_cache

from hwbnn.graph import Graph
from hwbnn.graph.arrays import Array
from hwbnn.simulators.fast.compiled import SAMPLES, Compiled

__all__ = ["SAMPLES", "Compiled", "compiled", "run"]


@lru_cache(maxsize=16)
def compiled(graph: Graph, trace: bool = False) -> Compiled:
    """The compiled form of a Graph; the forms of the last 16 are kept."""
    return Compiled(graph, trace)


def run(graph: Graph, x: Array, trace: bool = True) -> dict[str, Array]:
    """Values by name for a checked batch ``x``: every value, or without ``trace`` the output."""
    return compiled(graph, trace).run(x)
