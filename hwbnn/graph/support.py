"""Refusal of what a reader of Graphs cannot compute yet, in one line that names the node."""

from __future__ import annotations

from hwbnn.errors import PlanError
from hwbnn.graph.graph import Graph
from hwbnn.graph.nodes import Threshold


def check_readable(graph: Graph, reader: str, *, weights: bool = False, base: bool = False) -> None:
    """Refuse a Graph with nodes that a reader does not know how to compute.

    Args:
        graph: the network.
        reader: the name of the reader, for the message: ``"RTL"``.
        weights: whether it computes sums with weights other than -1 and +1.
        base: whether it computes a ``Threshold`` with a ``base``.

    Raises:
        PlanError: naming the first node that it cannot compute.
    """
    if graph.integer_layers and not weights:
        node = graph.integer_layers[0]
        raise PlanError(
            f"node '{node.name}': weights: {reader} computes sums with weights -1 and +1 alone, "
            f"found integers from {int(node.weights.min())} to {int(node.weights.max())}; make "
            "this layer binary, or choose another target"
        )
    based = [t for t in graph.of_type(Threshold) if t.base is not None]
    if based and not base:
        raise PlanError(
            f"node '{based[0].name}': base: {reader} computes thresholds that count from 0 alone, "
            f"found {based[0].base}; make its activations unsigned, or choose another target"
        )
