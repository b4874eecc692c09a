"""Netlists of layers, kept for as long as somebody may ask for the same again."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwbnn.circuits import Netlist, sums, thresholds
from hwbnn.plan.streams import Stream

KEPT = 8
"""Layers whose netlists are kept: a circuit is made several times on the way to a core."""


def netlist(
    weights: NDArray[np.bool_], wanted: NDArray[np.int64] | None, source: Stream
) -> Netlist:
    """The netlist of a layer: its raw sums, or whether they reach these."""
    cuts = None if wanted is None else wanted.astype("<i8").tobytes()
    return _made(weights.tobytes(), len(weights), cuts, source.width, source.signed)


@lru_cache(maxsize=KEPT)
def _made(weights: bytes, channels: int, wanted: bytes | None, width: int, signed: bool) -> Netlist:
    bits = np.frombuffer(weights, np.bool_).reshape(channels, -1)
    if wanted is None:
        return sums(bits, width=width, signed=signed)
    cuts = np.frombuffer(wanted, "<i8").astype(np.int64)
    return thresholds(bits, cuts, width=width, signed=signed)
