"""In which pieces images cross a stream."""

from __future__ import annotations

from collections.abc import Collection

from hwbnn.graph import (
    Add,
    Conv2d,
    Dot,
    Flatten,
    Graph,
    Lookup,
    MaxPool,
    Node,
    Output,
    Rescale,
    SumPool,
    Threshold,
)

TOKEN_BITS = 1024
"""Bits of the widest token."""


def needs_stream(node: Node) -> bool:
    """Whether a node looks at an image place by place, so that it needs it as a stream."""
    return isinstance(node, Conv2d | MaxPool | SumPool) or getattr(node, "places", None) is not None


def image_lanes(graph: Graph, hidden: Collection[str]) -> dict[str, int]:
    """Elements of a token, of each value that crosses a stream pixel by pixel.

    Those are the images of a Graph that has a node which needs a stream, and what a Flatten makes
    of them if only dense layers read it. A token is a pixel's channels, or the largest equal part
    of them that fits :data:`TOKEN_BITS`; values of element-wise nodes have the parts of their
    sources.

    Args:
        graph: the network.
        hidden: values that cross no stream.
    """
    if not any(needs_stream(node) for node in graph.nodes):
        return {}
    images = {name for name, t in graph.types.items() if len(t.shape) == 3} - set(hidden)
    for flat in graph.of_type(Flatten):
        only_dense = all(isinstance(r, Dot) for r in graph.readers(flat.name))
        if flat.source in images and only_dense:
            images.add(flat.name)
    together: dict[str, set[str]] = {name: {name} for name in images}
    for node in graph.nodes:
        if node.name not in images or not isinstance(
            node, Threshold | Lookup | Rescale | MaxPool | SumPool | Flatten | Output | Add
        ):
            continue
        for source in node.sources:
            # One channel that is added to many has tokens of its own. A hidden source has none.
            alike = isinstance(node, Flatten) or (
                graph.types[source].channels == graph.types[node.name].channels
            )
            if source in images and alike:
                joined = together[source] | together[node.name]
                together.update(dict.fromkeys(joined, joined))
    return {name: _lanes(graph, together[name]) for name in images}


def _lanes(graph: Graph, names: set[str]) -> int:
    """The elements of a token of all of these values."""
    types = [graph.types[name] for name in names]
    channels = next(t.channels for t in types if len(t.shape) == 3)
    widest = max(t.width for t in types)
    return max(
        n
        for n in range(1, channels + 1)
        if channels % n == 0 and (n == 1 or n * widest <= TOKEN_BITS)
    )
