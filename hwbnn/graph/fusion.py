"""Fusion: the Threshold that is computed together with the weighted sums that it reads.

If one Threshold is the only reader of some sums, the sums need not be stored: hardware compares its
accumulators, the fast simulator takes sign bits. Everything that interprets a Graph calls
:func:`fused_threshold`; its flags exclude the kinds of thresholds that a caller cannot fuse.
"""

from __future__ import annotations

from hwbnn.graph.graph import Graph
from hwbnn.graph.nodes import Node, Threshold, WeightedSum


def fused_threshold(
    graph: Graph,
    sums: Node,
    *,
    by_border_class: bool = True,
    scaled: bool = True,
    multilevel: bool = True,
) -> Threshold | None:
    """The Threshold that is computed together with a ``Dot`` or ``Conv2d``: its only reader.

    HLS has no accumulators whose thresholds depend on the position (``by_border_class=False``); the
    fast simulator takes sign bits of plain sums (``scaled=False, multilevel=False``); RTL fuses
    all.

    Args:
        graph: the network.
        sums: any node; one that is no weighted sum is never fused.
        by_border_class: whether thresholds may differ by border class.
        scaled: whether the sums may have scale and offset.
        multilevel: whether the Threshold may make integers, not bits alone.

    Returns:
        The Threshold, or None where the sums are stored.
    """
    if not isinstance(sums, WeightedSum):
        return None
    readers = graph.readers(sums.name)
    if len(readers) != 1 or not isinstance(readers[0], Threshold):
        return None
    threshold = readers[0]
    if not by_border_class and threshold.border_classes is not None:
        return None
    if not scaled and sums.scale_offset is not None:
        return None
    if not multilevel and not threshold.bit:
        return None
    return threshold
