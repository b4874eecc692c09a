"""Margins: how far the sums in front of thresholds are from flipping a result."""

from __future__ import annotations

import numpy as np

from hwbnn.graph import Graph, Threshold
from hwbnn.graph.arrays import Array, Ints
from hwbnn.report import MarginHistogram
from hwbnn.simulators.engines import simulate

BINS = 24
"""The most bins of a histogram."""
ELEMENTS = 1 << 22
"""The most elements of traced values; more frames than give these are not measured."""
NEVER = np.iinfo(np.int64).max


def margins(graph: Graph, x: Array) -> tuple[MarginHistogram, ...]:
    """The margins of every ``Threshold`` on the first frames of a batch.

    Args:
        graph: the network.
        x: integers of its input, ``(frames, *shape)``. As many are taken as have about
            :data:`ELEMENTS` elements in all values, at least one.

    Returns:
        A histogram for each ``Threshold``, in the order of the Graph.
    """
    thresholds = graph.of_type(Threshold)
    size = sum(t.size for t in graph.types.values())
    frames = min(len(x), max(1, ELEMENTS // size))
    if not thresholds or not frames:
        return ()
    values = simulate(graph, x[:frames], trace=True)
    layers = graph.layer_names
    return tuple(
        _histogram(node, steps_to_flip(graph, node, values[node.source]), layers, frames)
        for node in thresholds
    )


def steps_to_flip(graph: Graph, node: Threshold, sums: Array) -> Ints:
    """Steps from each sum to the nearest sum with another result, ``(frames, *shape)``.

    A step is the distance of neighbouring sums. Elements that no possible sum changes have
    :data:`NEVER`.
    """
    t = graph.types[node.source]
    cuts = node.thresholds
    if node.border_classes is not None:
        cuts = cuts[node.border_classes]  # (rows, columns, channels, k)
    least = np.full(sums.shape, NEVER)
    for j in range(node.levels):
        cut, falling = cuts[..., j], node.falling
        # The smallest sum of the upper side: from here on the result is the other one. Sums are
        # low, low + step, ...; a threshold between two of them is as good as the upper.
        first = np.where(falling, cut + 1, cut)
        places = -((t.low - first) // t.step)  # steps from low, rounded up
        reachable = (places > 0) & (places < t.count)
        here = (sums.astype(np.int64) - t.low) // t.step
        steps = np.where(here >= places, here - places + 1, places - here)
        least = np.where(reachable, np.minimum(least, steps), least)
    return least


def _histogram(
    node: Threshold, steps: Ints, layers: dict[str, str], frames: int
) -> MarginHistogram:
    changing = steps[steps != NEVER]
    width = -(-int(changing.max(initial=0)) // BINS)
    counts = np.bincount((changing - 1) // max(1, width))
    return MarginHistogram(
        node.name,
        layers.get(node.name, ""),
        frames,
        width,
        tuple(counts.tolist()),
        int((changing == 1).sum()),
        steps.size - changing.size,
    )
