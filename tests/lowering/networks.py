"""Lowered torch networks that go through hardware: the same ones through HLS and through RTL.

Each is a seed of :func:`tests.lowering.models.random_model` whose tables generated code can hold.
What torch networks do not come to (``Encode``, ``Select``, several thresholds a channel) the random
Graphs of :mod:`tests.strategies` have, of which each test keeps some.
"""

from __future__ import annotations

from functools import cache

from hwbnn.graph import Graph
from hwbnn.lowering import lower
from tests.lowering.models import random_model

WIDE = (0, 1, 5, 9, 12, 17, 20, 27, 28, 37)
"""Seeds of networks up to 300 wide and 4 deep."""
SMALL = (1, 4, 5, 7, 10, 12, 13, 17, 19, 27)
"""Seeds of networks up to 70 wide and 3 deep, for slow simulators."""
NETWORKS = tuple([("wide", seed) for seed in WIDE] + [("small", seed) for seed in SMALL])


@cache
def lowered(size: str, seed: int) -> Graph:
    """The Graph of one of :data:`NETWORKS`."""
    limits = {"max_width": 70, "max_depth": 3} if size == "small" else {}
    return lower(*random_model(seed, **limits))
