"""Flattening and selection, with the two orders of an image's elements: torch's and the Graph's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph import Flatten, Select
from hwbnn.graph.arrays import Array, Ints
from hwbnn.lowering.shortcuts import fix, settle
from hwbnn.lowering.value import GraphBuilder, TracedValue


def torch_shape(shape: tuple[int, ...], *, is_sequence: bool = False) -> tuple[int, ...]:
    """A sample's shape as torch has it: channels first for images and sequences.

    >>> torch_shape((28, 20, 3)), torch_shape((784,)), torch_shape((1, 20, 3), is_sequence=True)
    ((3, 28, 20), (784,), (3, 20))
    """
    if len(shape) != 3:
        return shape
    return (shape[2], shape[1]) if is_sequence else (shape[2], *shape[:2])


def flatten(
    build: GraphBuilder, value: TracedValue, label: str, shape: tuple[int, ...] | None
) -> TracedValue:
    """A value in one axis; a value whose shape torch does not change is returned as it is.

    The Graph's elements are in the order of rows, columns, channels; torch's in that of channels,
    rows, columns. The weights of the next layer are permuted to the Graph's order.

    Args:
        build: the Graph so far.
        value: the value to flatten.
        label: the layer or function, for messages.
        shape: torch's shape of the result for a batch of 2.

    Raises:
        CannotLower: if the result is anything but all elements of a sample in one axis, or sums
            that differ at the border of the image have no fixed-point form.
    """
    seen = torch_shape(value.shape, is_sequence=build.is_sequence)
    if shape == (2, *seen):
        return value
    size = int(np.prod(seen))
    if shape != (2, size):
        raise CannotLower(
            f"{label}: gives shape {shape} for a batch of 2; expected all elements of a sample in "
            f"one axis, (2, {size}): flatten(1); for images give Input a shape of three, "
            "(height, width, channels)"
        )
    value = settle(build, value)
    if value.border is not None or value.pending:
        value = fix(build, value)
    node = Flatten(build.name("flatten"), value.name)
    t = build.add(node)
    if not value.is_image:
        build.remark(value.layer, node, "elements in the order of the model's input")
        return replace(value, name=node.name, type=t)
    height, width, channels = value.type.shape
    positions = height * width
    text = "one position, its channels"
    order = None
    if positions > 1 and channels > 1:
        order = np.arange(size).reshape(height, width, channels).transpose(2, 0, 1).ravel()
        text = (
            "rows, columns, channels; weights behind it are brought from torch's order to this one"
        )
    build.remark(value.layer, node, text)
    ops = tuple(op.repeated(positions) for op in value.ops)
    low, high = np.tile(value.low, positions), np.tile(value.high, positions)
    return replace(value, name=node.name, type=t, low=low, high=high, ops=ops, order=order)


def restore(build: GraphBuilder, value: TracedValue) -> TracedValue:
    """A flat value with its elements in torch's order."""
    if value.order is None:
        return value
    return _picked(build, value.layer, value, value.order, "elements in torch's order")


def select(
    build: GraphBuilder, name: str, label: str, index: Ints, value: TracedValue
) -> TracedValue:
    """Some elements of a flat value.

    Args:
        build: the Graph so far.
        name: the layer's name in the network.
        label: the layer, for messages.
        index: positions of the selected elements in the network's order, int64 ``(m,)``.
        value: the layer's argument.

    Raises:
        CannotLower: if the elements are sums that no activation has decided yet.
    """
    if value.pending or value.fixed is not None:
        raise CannotLower(
            f"{label}: the sums of layer '{value.layer}' are not decided yet; put a "
            "BinaryActivation before it"
        )
    text = f"{len(index)} of {value.type.size} elements"
    index = index if value.order is None else value.order[index]
    return _picked(build, name, value, index, text)


def channels(build: GraphBuilder, value: TracedValue, index: Ints) -> TracedValue:
    """Some channels of a value, or all in another order; for a flat value, its elements.

    Args:
        build: the Graph so far.
        value: a value without a waiting pool.
        index: positions in the network's order, int64 ``(m,)``, distinct.
    """
    if len(index) == len(value.low) and (index == np.arange(len(index))).all():
        return value
    if value.pending or value.border is not None:
        value = fix(build, value)
    kept = index if value.order is None else value.order[index]
    text = f"{len(index)} of {len(value.low)} channels"
    return _picked(build, value.layer, value, kept, text)


def _picked(
    build: GraphBuilder, layer: str, value: TracedValue, index: Ints, text: str
) -> TracedValue:
    """The channels at positions ``index``, int64 ``(m,)``, in the Graph's order."""
    node = Select(build.name("select"), value.name, index)
    t = build.add(node)
    build.remark(layer, node, text)
    count = len(value.low)
    ops = tuple(op if op.is_elementwise else op.picked(index, count) for op in value.ops)
    ends = value.low[index], value.high[index]
    return replace(value, name=node.name, type=t, low=ends[0], high=ends[1], ops=ops, order=None)


def in_graph_order(batch: Array, value: TracedValue) -> Array:
    """A batch of torch's numbers in the Graph's order.

    Args:
        batch: ``(batch, ...)``, the result of a layer or function in the network.
        value: the traced value of this result.
    """
    if value.is_image:
        image = batch[:, :, None] if batch.ndim == 3 else batch
        return image.transpose(0, 2, 3, 1)
    return batch if value.order is None else batch[:, np.argsort(value.order)]


def in_torch_order(batch: Array, value: TracedValue, *, is_sequence: bool = False) -> Array:
    """A batch of the Graph's numbers, ``(batch, *shape)``, in torch's order and shape."""
    if value.is_image:
        image = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        return image[:, :, 0] if is_sequence else image
    return batch if value.order is None else batch[:, value.order]
