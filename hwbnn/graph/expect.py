"""What nodes expect of the values that they read: each function raises GraphError in one line."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph.images import Conv2d, MaxPool, SumPool, window_of
from hwbnn.graph.node import ELEMENTS, LIMIT, Node
from hwbnn.graph.values import ValueType
from hwbnn.graph.window import Window

SIDE_LIMIT = 4096
KERNEL_LIMIT = 64
"""Sides of the largest image and window: a file of a few bytes cannot ask for more than these."""


def expect_window(node: Conv2d | MaxPool | SumPool, x: ValueType) -> Window:
    """The window of a node on its source, if that is an image that it fits."""
    if len(x.shape) != 3:
        raise GraphError(
            f"node '{node.name}': expected an image (height, width, channels), found shape "
            f"{x.shape}"
        )
    if max(x.shape[:2]) > SIDE_LIMIT or max(node.kernel) > KERNEL_LIMIT:
        raise GraphError(
            f"node '{node.name}': expected an image of at most {SIDE_LIMIT} rows and columns and a "
            f"window of at most {KERNEL_LIMIT}, found {x.shape[:2]} and {node.kernel}"
        )
    window = window_of(node, x.shape)
    if min(window.output) < 1:
        raise GraphError(
            f"node '{node.name}': the window of {node.kernel[0]}x{node.kernel[1]} does not fit the "
            f"image of {x.shape[0]}x{x.shape[1]} with padding {node.padding}"
        )
    channels = len(node.weights) if isinstance(node, Conv2d) else x.channels
    expect_elements(node, (*window.output, channels))
    return window


def expect_elements(node: Node, shape: tuple[int, ...]) -> None:
    """Refuse a value of this shape if it is too large."""
    if prod(shape) > ELEMENTS:
        raise GraphError(f"node '{node.name}': makes {prod(shape)} elements, more than 2^24")


def expect_places(node: Node, places: NDArray[np.int64] | None, x: ValueType) -> None:
    """Refuse classes of positions, int64 ``(height, width)`` or None, of another image."""
    if places is not None and x.shape[:-1] != places.shape:
        raise GraphError(
            f"node '{node.name}': places: expected the shape {x.shape[:-1]} of its source's rows "
            f"and columns, found {places.shape}"
        )


def expect_flat(node: Node, x: ValueType) -> None:
    """Refuse a source of several axes."""
    if len(x.shape) != 1:
        raise GraphError(
            f"node '{node.name}': expected a flat value, found shape {x.shape}; put a Flatten first"
        )


def expect_integers(node: Node, x: ValueType) -> None:
    """Refuse a source of bits."""
    if x.bit:
        raise GraphError(f"node '{node.name}': expected integers, found bits")


def expect_length(node: Node, field: str, found: int, expected: int) -> None:
    """Refuse a field whose length is not the one that the source asks for."""
    if found != expected:
        raise GraphError(
            f"node '{node.name}': {field}: expected length {expected} as its source has, "
            f"found {found}"
        )


def limited(node: Node, t: ValueType) -> ValueType:
    """A type of sums, if none of them passes what a Graph may hold."""
    if max(-t.low, t.high) >= LIMIT:
        raise GraphError(
            f"node '{node.name}': sums from {t.low} to {t.high} do not stay below 2^31; "
            "use a smaller input range or fewer inputs"
        )
    return t
