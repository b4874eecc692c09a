"""Ranges of weighted sums: exact, over all border classes of a window."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph.expect import limited
from hwbnn.graph.images import Conv2d
from hwbnn.graph.nodes import Dot
from hwbnn.graph.values import ValueType
from hwbnn.graph.window import Window

BORDER_LIMIT = 1 << 18
"""Most border classes of a convolution, over all channels: each has a range of its own."""


@dataclass(frozen=True, eq=False)
class Terms:
    """What weighted sums are over, in each border class of a window.

    Attributes:
        plus: weights +1 among the terms inside, int64 ``(classes, channels)``.
        count: how many terms are inside, int64 ``(classes,)``.
        pads: what the others add to ``D``, int64 ``(classes, channels)``.
    """

    plus: NDArray[np.int64]
    count: NDArray[np.int64]
    pads: NDArray[np.int64]


def border_terms(node: Conv2d, window: Window) -> Terms:
    """The terms of each border class, of which there may be thousands.

    Raises:
        GraphError: if there are more than :data:`BORDER_LIMIT`, over all channels.
    """
    depth = node.weights.shape[3]
    # The taps inside are a rectangle: four corners of running totals give the sum over it.
    totals = np.zeros((len(node.weights), *(n + 1 for n in node.kernel)), np.int64)
    totals[:, 1:, 1:] = node.weights.sum(axis=3, dtype=np.int64).cumsum(axis=1).cumsum(axis=2)
    (above, below), (left, right) = window.spans(0), window.spans(1)
    classes = len(above) * len(left)
    if classes * len(node.weights) > BORDER_LIMIT:
        raise GraphError(
            f"node '{node.name}': {classes} border classes of {len(node.weights)} channels, more "
            "than 2^18; use less padding"
        )
    plus = (
        totals[:, below][:, :, right]
        - totals[:, above][:, :, right]
        - totals[:, below][:, :, left]
        + totals[:, above][:, :, left]
    )
    counts = ((below - above)[:, None] * (right - left) * depth).ravel()
    plus = plus.reshape(len(plus), -1).T
    outside = node.weights[0].size - counts
    pads = node.pad * (2 * (totals[:, -1, -1] - plus) - outside[:, None])
    return Terms(plus, counts, pads)


def sums_type(node: Dot | Conv2d, x: ValueType, shape: tuple[int, ...], terms: Terms) -> ValueType:
    """The type of weighted sums of this shape.

    Raises:
        GraphError: if they pass what a Graph may hold.
    """
    low, high, step = x.numbers
    ones = np.ones(shape[-1], np.int64)
    # Python's integers hold any product.
    scale, offset = (a.astype(object) for a in node.factors or (ones, 0 * ones))
    plus, count = terms.plus.astype(object), terms.count[:, None].astype(object)
    pad = node.pad if isinstance(node, Conv2d) else 0
    least = scale * terms.pads + offset * (pad * (node.weights[0].size - count))
    most, strides = least, {0}
    # Each term of a channel has one of two coefficients.
    for number, coefficient in ((plus, offset + scale), (count - plus, offset - scale)):
        ends = number * coefficient * low, number * coefficient * high
        least, most = least + np.minimum(*ends), most + np.maximum(*ends)
        strides |= set((coefficient * (number > 0) * step).ravel().tolist())
    lows = set(least.ravel().tolist())
    # A sum moves by the coefficient of a term times the term's step; channels of other offset
    # modulo that widen the lattice. Where all is 0, nothing moves.
    first = min(lows)
    step = gcd(*strides, *(low - first for low in lows)) or 1
    return limited(node, ValueType(shape, first, int(most.max()), step))
