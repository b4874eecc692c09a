"""Which neurons of a layer share the sums of their inputs: groups of those that are alike.

They have few classes of inputs, or uneven ones, which are cheaper to add up: a few percent in
trained layers, nothing in random ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph.arrays import Bools

Rows = tuple[int, ...]

MATCHED = 8
"""Neurons from which on the halves of a group are found first, and then matched."""
APART = 2
"""Inputs of a class that are no gain: they are as well added up by each half."""


def groups(weights: Bools, size: int) -> Iterator[Rows]:
    """The neurons in groups of so many; the last may be smaller.

    Args:
        weights: bool ``(neurons, inputs)``.
        size: neurons of a group.
    """
    if size < MATCHED or size % 2:
        yield from _alike(weights, size)
        return
    halves = list(_alike(weights, size // 2))
    codes = [_classes(weights, rows) for rows in halves]
    pairs = list(combinations(range(len(halves)), 2))
    shared = [_shared(codes[i], codes[j]) for i, j in pairs]
    left = set(range(len(halves)))
    for at in sorted(range(len(pairs)), key=lambda at: -shared[at]):
        i, j = pairs[at]
        if {i, j} <= left and len(halves[j]) == size // 2:
            left -= {i, j}
            yield *halves[i], *halves[j]
    yield from (halves[i] for i in sorted(left))


def _alike(weights: Bools, size: int) -> Iterator[Rows]:
    """Groups of neurons whose weights are most alike, or most opposite, one after the other."""
    if size == 1:
        yield from ((row,) for row in range(len(weights)))
        return
    signs = np.where(weights, 1, -1).astype(np.float32)
    likeness = np.abs(signs @ signs.T)  # whole numbers, far below 2^24
    np.fill_diagonal(likeness, -1)
    left = np.arange(len(weights))
    while len(left):
        among = likeness[np.ix_(left, left)]
        group = [int(left[among.max(axis=1).argmax()])]
        left = left[left != group[0]]
        while len(left) and len(group) < size:
            group.append(int(left[likeness[np.ix_(group, left)].sum(axis=0).argmax()]))
            left = left[left != group[-1]]
        yield tuple(group)


def _classes(weights: Bools, rows: Rows) -> NDArray[np.int64]:
    """A number for each input's class in a group, and in bit 0 the first neuron's weight."""
    own = weights[list(rows)]
    places = np.int64(2) << np.arange(len(rows))
    codes: NDArray[np.int64] = ((own ^ own[0]) * places[:, None]).sum(axis=0) + own[0]
    return codes


def _shared(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """Inputs that two groups have in the same classes, without the first few of each."""
    joint = (one >> 1) << 32 | (other >> 1) << 1 | (one ^ other) & 1
    _, counts = np.unique(joint, return_counts=True)
    return int(np.maximum(counts - APART, 0).sum())
