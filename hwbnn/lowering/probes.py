"""Inputs on which a Graph and the network that it was lowered from are compared."""

from __future__ import annotations

import numpy as np

from hwbnn.graph import Input
from hwbnn.graph.arrays import Ints

PROBES = 96
"""Number of inputs to compare on, where not all inputs are tried."""
_EXHAUSTIVE = 1 << 10
"""Up to this number of different inputs, all are tried."""


def probes(source: Input) -> Ints:
    """Inputs to compare on, ``(frames, *shape)``: all if they are few, else corners and random."""
    size = int(np.prod(source.shape))
    span = source.high - source.low + 1
    if span**size <= _EXHAUSTIVE:
        place = np.array([span**i for i in range(size)])
        digits: Ints = np.arange(span**size)[:, None] // place % span
        return (source.low + digits).reshape(-1, *source.shape)
    rng = np.random.default_rng(0)
    density = rng.random((PROBES, 1))
    ends = rng.choice((source.low, source.high), (PROBES, 1))
    inside = rng.integers(source.low, source.high, (PROBES, size), endpoint=True)
    x = np.where(rng.random((PROBES, size)) < density, inside, ends)
    x[0], x[1] = source.low, source.high
    x[2], x[3] = source.low, source.high
    x[2, rng.integers(size)], x[3, rng.integers(size)] = source.high, source.low
    return x.reshape(-1, *source.shape)
