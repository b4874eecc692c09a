"""Activations as nodes: thresholds or tables, and the pools that waited for them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph import Conv2d, Dot, Lookup, Node, Threshold
from hwbnn.lowering import pools
from hwbnn.lowering.activations import Table, Thresholds, read_activation, read_plane, stands_for
from hwbnn.lowering.builder import Builder
from hwbnn.lowering.spans import Span
from hwbnn.lowering.steps import Step, named
from hwbnn.lowering.streams import Stream
from hwbnn.lowering.sums import describe
from hwbnn.nn import BinaryActivation


def activation(build: Builder, name: str, layer: BinaryActivation, stream: Stream) -> Stream:
    """The codes of an activation.

    Args:
        build: the Graph so far.
        name: the layer's in the network.
        layer: the layer.
        stream: what it reads.

    Returns:
        A stream whose node makes the codes.

    Raises:
        CannotLower: if its method has no exact form, or the tables would be too large.
    """
    label = named(name, layer)
    span = None if stream.pool is None else pools.span_of(stream, layer)
    reading: Table | Thresholds
    if stream.pending:
        reading, stream = _settle(build, label, layer, stream, span)
    else:
        if span is not None:
            pools.fill_span(span, stream, layer)
            if not span.is_monotone:
                stream, span = pools.settle(build, stream), None
        reading = read_activation(label, layer, stream)
    node: Node
    if isinstance(reading, Table):
        node = Lookup(build.name("lookup"), stream.name, reading.codes, reading.bit)
    else:
        cuts = reading.thresholds, reading.falling, reading.places
        node = Threshold(build.name("threshold"), stream.name, *cuts)
    t = build.add(node)
    build.remark(name, node, str(reading))
    if span is not None:
        node = pools.pool_codes(build, stream, node.name, span)
        t = build.types[node.name]
    form = Step(label, partial(stands_for, layer, t.bit), is_elementwise=True)
    ends = np.full(len(stream.low), t.low), np.full(len(stream.low), t.high)
    return Stream(node.name, t, *ends, name, (form,), is_coded=True, order=stream.order)


def _settle(
    build: Builder,
    label: str,
    layer: BinaryActivation,
    stream: Stream,
    span: Span | None,
) -> tuple[Thresholds, Stream]:
    """Give the sums before an activation the integers that decide it."""
    sums = next(n for n in build.nodes if n.name == stream.name)
    assert isinstance(sums, Dot | Conv2d)
    if sums.scale_offset is not None or any(sums.name in n.sources for n in build.nodes):
        raise CannotLower(
            f"{label}: another activation reads the sums of layer '{stream.layer}', whose "
            "weights have real offsets; give each activation a layer of its own"
        )
    found = read_plane(label, layer, stream, sums, build.types[sums.source], span)
    if span is not None and not span.is_monotone:
        raise CannotLower(
            f"{label}: a channel rises and falls behind the max pool in front of it, and the "
            f"weights of layer '{stream.layer}' have real offsets; use slopes above 0, or train "
            "with mode 'qat' or 'drop'"
        )
    t = build.replace(found.dot)
    build.certificates[sums.name] = found.text
    build.remark(stream.layer, sums, f"{describe(found.dot, t)}: {found.text}")
    return found.thresholds, replace(stream, type=t, pending=())
