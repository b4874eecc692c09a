"""Shapes: images flattened with the order of torch's elements kept in mind, elements picked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import CannotLower
from hwbnn.graph import Flatten, Select
from hwbnn.graph.arrays import Ints
from hwbnn.lowering.builder import Builder
from hwbnn.lowering.pools import settle
from hwbnn.lowering.steps import named
from hwbnn.lowering.streams import Stream
from hwbnn.nn import Select as Picks


def torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A sample's shape as torch has it: channels first for images.

    >>> torch_shape((28, 20, 3)), torch_shape((784,))
    ((3, 28, 20), (784,))
    """
    return (shape[2], *shape[:2]) if len(shape) == 3 else shape


def flatten(build: Builder, stream: Stream, label: str, shape: tuple[int, ...] | None) -> Stream:
    """A stream in one axis, or, where torch's shape stays, as it is.

    The Graph's elements are in the order of rows, columns, channels; torch's in that of channels,
    rows, columns. What follows is brought to the Graph's order, weights once and for all.

    Args:
        build: the Graph so far.
        stream: what is flattened.
        label: the layer or function, for messages.
        shape: what torch makes of a batch of 2.

    Raises:
        CannotLower: if it is anything but all elements of a sample in one axis.
    """
    seen = torch_shape(stream.shape)
    if shape == (2, *seen):
        return stream
    size = int(np.prod(seen))
    if shape != (2, size):
        raise CannotLower(
            f"{label}: makes shape {shape} of a batch of 2; expected all elements of a sample in "
            f"one axis, (2, {size}): flatten(1); for images give Input a shape of three, "
            "(height, width, channels)"
        )
    stream = settle(build, stream)
    if stream.places is not None or stream.pending:
        raise CannotLower(
            f"{label}: the sums of layer '{stream.layer}' differ at the border of the image or "
            "have real offsets; put a BinaryActivation before it"
        )
    node = Flatten(build.name("flatten"), stream.name)
    t = build.add(node)
    if not stream.is_image:
        build.remark(stream.layer, node, "elements in the order of the model's input")
        return replace(stream, name=node.name, type=t)
    height, width, channels = stream.type.shape
    places = height * width
    text = "one place, its channels"
    order = None
    if places > 1 and channels > 1:
        order = np.arange(size).reshape(height, width, channels).transpose(2, 0, 1).ravel()
        text = "rows, columns, channels; what follows is brought from torch's order to this one"
    build.remark(stream.layer, node, text)
    steps = tuple(step.repeated(places) for step in stream.steps)
    low, high = np.tile(stream.low, places), np.tile(stream.high, places)
    return replace(stream, name=node.name, type=t, low=low, high=high, steps=steps, order=order)


def restore(build: Builder, stream: Stream) -> Stream:
    """A flat stream whose elements are in torch's order."""
    if stream.order is None:
        return stream
    return _picked(build, stream.layer, stream, stream.order, "elements in torch's order")


def select(build: Builder, name: str, layer: Picks, stream: Stream) -> Stream:
    """Some elements of a flat stream.

    Args:
        build: the Graph so far.
        name: the layer's in the network.
        layer: the layer.
        stream: what it picks from.

    Raises:
        CannotLower: if what the elements are is not decided yet.
    """
    label = named(name, layer)
    if stream.pending or stream.fixed is not None:
        raise CannotLower(
            f"{label}: the sums of layer '{stream.layer}' are not decided yet; put a "
            "BinaryActivation before it"
        )
    text = f"{len(layer.index)} of {layer.inputs} elements"
    index = layer.index.numpy()
    index = index if stream.order is None else stream.order[index]
    return _picked(build, name, stream, index, text)


def _picked(build: Builder, layer: str, stream: Stream, index: Ints, text: str) -> Stream:
    """The elements of a flat stream at these positions, int64 ``(m,)``, of the Graph's order."""
    node = Select(build.name("select"), stream.name, index)
    t = build.add(node)
    build.remark(layer, node, text)
    count = len(stream.low)
    steps = tuple(s if s.is_elementwise else s.picked(index, count) for s in stream.steps)
    ends = stream.low[index], stream.high[index]
    return replace(
        stream, name=node.name, type=t, low=ends[0], high=ends[1], steps=steps, order=None
    )


def in_graph_order(value: NDArray[Any], stream: Stream) -> NDArray[Any]:
    """A batch of torch's numbers in the order of the Graph's.

    Args:
        value: ``(batch, ...)``, what a call of the network returned.
        stream: what that call left.
    """
    if stream.is_image:
        return value.transpose(0, 2, 3, 1)
    return value if stream.order is None else value[:, np.argsort(stream.order)]


def in_torch_order(value: NDArray[Any], stream: Stream) -> NDArray[Any]:
    """The other way round: a batch of the Graph's numbers in the order and shape of torch's."""
    if stream.is_image:
        return np.ascontiguousarray(value.transpose(0, 3, 1, 2))
    return value if stream.order is None else value[:, stream.order]
