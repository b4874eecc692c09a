"""The nodes that look at images through a window: convolution and pooling.

Images are ``(height, width, channels)``. All kernels, strides and paddings are in rows and columns;
padding is ``(top, bottom, left, right)`` and smaller than the kernel, so that no window lies wholly
outside. The geometry is :class:`~hwbnn.graph.window.Window`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph.node import (
    LIMIT,
    Node,
    freeze,
    freeze_factors,
    integer,
    integers,
)
from hwbnn.graph.window import Window


def _check_window(node: Conv2d | MaxPool | SumPool) -> None:
    """Make stride and padding what they should be, given the kernel."""
    integers(node, "stride", 2, 1, LIMIT - 1, both=True)
    padding = integers(node, "padding", 4, 0, LIMIT - 1)
    rows, columns = node.kernel
    if max(padding[:2]) >= rows or max(padding[2:]) >= columns:
        raise GraphError(
            f"node '{node.name}': padding: expected less than the kernel of {rows}x{columns} on "
            f"each side, found {padding}"
        )


@dataclass(frozen=True, eq=False, slots=True)
class Conv2d(Node):
    """Sums over windows of an image, each term taken with the sign of a weight.

    At output position ``(i, j)``, with ``r = i * stride[0] - padding[0]`` and ``q`` likewise for
    columns, channel ``c`` of group ``g`` makes
    ``D = sum_{a, b, k} (2 * weights[c, a, b, k] - 1) * x[r + a, q + b, g * depth + k]`` where a bit
    counts as -1 or +1 and what lies outside the image as ``pad``. ``y = D``; or, with ``scale`` and
    ``offset``, ``y = scale[c] * D + offset[c] * S``, ``S`` being the same sum without weights.

    Attributes:
        weights: bool array ``(channels, rows, columns, depth)``, True for +1; ``depth`` is the
            channels of the source over ``groups``.
        stride: steps of the window, ``(rows, columns)``.
        padding: places outside the image, ``(top, bottom, left, right)``.
        pad: the number that stands outside: -1, 0 or +1 for bits (0 leaves the term out), 0 for
            integers.
        groups: how many blocks the channels of source and output fall into; each block of the
            output reads only its own of the source. Depthwise: as many as the source has channels.
        scale: int64 array ``(channels,)``, or None.
        offset: int64 array ``(channels,)``, or None; there are both or none.
    """

    source: str
    weights: NDArray[np.bool_]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad: int = 0
    groups: int = 1
    scale: NDArray[np.int64] | None = None
    offset: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "weights", np.bool_, 4)
        _check_window(self)
        if integer(self, "pad") not in (-1, 0, 1):
            raise GraphError(f"node '{self.name}': pad: expected -1, 0 or 1, found {self.pad}")
        if integer(self, "groups") < 1 or len(self.weights) % self.groups:
            raise GraphError(
                f"node '{self.name}': groups: expected a divisor of its {len(self.weights)} "
                f"channels, found {self.groups}"
            )
        freeze_factors(self, len(self.weights))

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.weights.shape[1], self.weights.shape[2]

    @property
    def factors(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """``scale`` and ``offset``; None where the node is a plain sum."""
        if self.scale is None or self.offset is None:
            return None
        return self.scale, self.offset


@dataclass(frozen=True, eq=False, slots=True)
class MaxPool(Node):
    """The largest element of each window, channel by channel; the smallest where ``smallest``.

    Of bits these are OR and AND of the codes. What lies outside the image never wins. A kernel of
    1 with a larger stride takes every so many rows and columns.

    Attributes:
        kernel: ``(rows, columns)``.
        stride: steps of the window, ``(rows, columns)``.
        padding: places outside the image, ``(top, bottom, left, right)``.
        smallest: bool array ``(channels,)``, or None for the largest everywhere. A falling
            threshold turns the order round: the largest sum passes it where all sums do.
    """

    source: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    smallest: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        integers(self, "kernel", 2, 1, LIMIT - 1, both=True)
        _check_window(self)
        if self.smallest is not None:
            freeze(self, "smallest", np.bool_, 1)


@dataclass(frozen=True, eq=False, slots=True)
class SumPool(Node):
    """The sum of each window, channel by channel: of integers, or of bits as -1 and +1.

    What lies outside the image adds nothing. Average pooling is this sum; its divisor goes into
    what follows.

    Attributes:
        kernel: ``(rows, columns)``.
        stride: steps of the window, ``(rows, columns)``.
        padding: places outside the image, ``(top, bottom, left, right)``.
    """

    source: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        integers(self, "kernel", 2, 1, LIMIT - 1, both=True)
        _check_window(self)


def window_of(node: Conv2d | MaxPool | SumPool, shape: tuple[int, ...]) -> Window:
    """Where the window of a node stands on a source of shape ``(height, width, channels)``."""
    height, width, _ = shape
    return Window((height, width), node.kernel, node.stride, node.padding)
