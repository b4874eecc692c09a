"""Netlists of layers, kept for as long as somebody may ask for the same again."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph.arrays import Ints
from hwbnn.netlists import Netlist, sums, thresholds
from hwbnn.netlists.inputs import Inputs
from hwbnn.plan.streams import Stream

KEPT = 32
"""Layers whose netlists are kept: a circuit is made several times on the way to a core."""


def netlist(
    weights: NDArray[np.bool_],
    wanted: Ints | None,
    source: Stream,
    scale_offset: tuple[Ints, Ints] | None = None,
    drivers: tuple[int, ...] | None = None,
) -> Netlist:
    """The netlist of a layer: its raw sums, or whether they reach ``wanted``, scaled or not.

    Args:
        weights: bool ``(channels, inputs)``.
        wanted: int64 ``(channels,)``; None for the raw sums themselves.
        source: the stream of inputs.
        scale_offset: scale and offset, int64 ``(channels,)`` each, as in
            :func:`hwbnn.netlists.thresholds`.
        drivers: what is known of the inputs, by :func:`told`.
    """
    arrays = (wanted, *(scale_offset or ()))
    numbers = tuple(n.astype("<i8").tobytes() for n in arrays if n is not None)
    return _made(weights.tobytes(), len(weights), numbers, source.width, source.signed, drivers)


def told(drivers: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """What the outputs of the netlist that drives inputs tell of these; None for nothing."""
    return None if drivers is None else Inputs(len(drivers), drivers=drivers).told


@lru_cache(maxsize=KEPT)
def _made(
    weights: bytes, channels: int, numbers: tuple[bytes, ...], width: int, signed: bool,
    drivers: tuple[int, ...] | None,
) -> Netlist:  # fmt: skip
    bits = np.frombuffer(weights, np.bool_).reshape(channels, -1)
    if not numbers:
        return sums(bits, width=width, signed=signed, drivers=drivers)
    wanted, *factors = (np.frombuffer(n, "<i8").astype(np.int64) for n in numbers)
    scaled = (factors[0], factors[1]) if factors else None
    return thresholds(
        bits, wanted, width=width, signed=signed, scale_offset=scaled, drivers=drivers
    )
