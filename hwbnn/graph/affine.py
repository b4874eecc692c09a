"""From a person's own numbers to the integers that a Graph takes, by the map of its Input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbnn.errors import InputError
from hwbnn.graph.nodes import Input


def to_integers(node: Input, x: ArrayLike) -> NDArray[Any]:
    """Integers ``u`` with ``x = scale * u + offset``, rounded to the nearest, halves upwards.

    Arrays of integers and bools are taken to be ``u`` already and returned as they are; so are
    their ranges left to be checked by the simulator.

    Args:
        node: the Input that ``x`` is for; its map leads from integers to floats.
        x: array of floats, integers or bools of any shape.

    Returns:
        int64 array of the same shape, or ``x`` itself.

    Raises:
        InputError: if a float is not finite or rounds to an integer out of the Input's range.

    >>> to_integers(Input.pixels(3), [0.0, 0.5, 1.0]).tolist()
    [0, 128, 255]
    >>> to_integers(Input.bits(3), [-1.0, 0.0, 1.0]).tolist()
    [0, 1, 1]
    """
    array = np.asarray(x)
    if array.dtype.kind != "f":
        return array
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is out of range below
        u = np.floor((array.astype(np.float64) - node.offset) / node.scale + 0.5)
    bad = ~((u >= node.low) & (u <= node.high))
    if bad.any():
        where = np.unravel_index(int(bad.argmax()), array.shape)
        ends = sorted(node.scale * end + node.offset for end in (node.low, node.high))
        raise InputError(
            f"input '{node.name}': expected floats from {ends[0]:g} to {ends[1]:g} (integers "
            f"{node.low} to {node.high}, times {node.scale:g}, plus {node.offset:g}), found "
            f"{array[where]:g} at {tuple(int(i) for i in where)}; scale your data as in training"
        )
    return u.astype(np.int64)
