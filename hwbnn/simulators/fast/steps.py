"""The steps of each kind of node in the fast simulator, each one call of a kernel.

A step writes one *slot*, a value in one of its forms (:mod:`.kernels`), and reads others. Bits
are kept as words, integers as integers and in each form that a ``Dot`` or ``Conv2d`` reads. The
steps of ``Dot`` and ``Conv2d`` are in :mod:`.sums`.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph import (
    Add,
    ArgMax,
    ChannelPad,
    Concat,
    Conv2d,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    MaxPool,
    Node,
    Output,
    Rescale,
    Select,
    SumPool,
    Threshold,
)
from hwbnn.graph.arrays import Array
from hwbnn.graph.bits import pack_words
from hwbnn.simulators.fast import conversions, elementwise, pools, short_sums, sums, thresholds
from hwbnn.simulators.fast.slots import Buffers, Encoding, Slot, Step, coding


@singledispatch
def step(node: Node, form: Encoding, graph: Graph) -> Step | None:
    """The step that computes the node's value in this form; None if :func:`split_step` does."""
    raise GraphError(f"node '{node.name}': the fast simulator has no {type(node).__name__}")


def split_step(node: Node, graph: Graph) -> Step:
    """The step that splits the integers of any node into words (bit planes)."""
    t = graph.types[node.name]
    source, out = Slot(node.name, "integers"), Slot(node.name, "words")
    low, planes = (0, 1) if t.bit else (t.low, coding(t).planes)
    return Step((source,), lambda x, b: conversions.split(b[source], low, planes, b[out]))


def short_step(node: Node, graph: Graph) -> Step:
    """The step that copies integers to shorts; those of the input come from the samples."""
    out = Slot(node.name, "shorts")
    if isinstance(node, Input):
        return Step((), lambda x, b: conversions.transpose(x, b[out]))
    source = Slot(node.name, "integers")
    return Step((source,), lambda x, b: short_sums.narrow(b[source], b[out]))


@step.register
def _input(node: Input, form: Encoding, graph: Graph) -> Step:
    t, out = graph.types[node.name], Slot(node.name, form)
    if form == "integers":
        return Step((), lambda x, b: conversions.transpose(x, b[out]))
    planes = coding(t).planes

    def run(x: Array, buffers: Buffers) -> None:
        if x.dtype.itemsize == 1 and t.low == 0:
            conversions.pack_bytes(x.view(np.uint8), planes, 0, planes, buffers[out])
        else:
            above = x.astype(np.int64) - t.low
            for first in range(0, planes, 8):
                low_byte = (above >> first).astype(np.uint8)
                last = min(first + 8, planes)
                conversions.pack_bytes(low_byte, planes, first, last, buffers[out])

    return Step((), run)


@step.register
def _select(node: Select, form: Encoding, graph: Graph) -> Step | None:
    source, out = Slot(node.source, form), Slot(node.name, form)
    read = graph.types[node.source]
    begins = np.arange(0, read.size, read.channels)
    elements = (begins[:, None] + node.index).ravel()
    if form == "integers":
        return Step((source,), lambda x, b: conversions.select(b[source], elements, b[out]))
    planes = coding(graph.types[node.name]).planes
    index, masks = conversions.runs(elements)
    return Step(
        (source,), lambda x, b: conversions.select_words(b[source], index, masks, planes, b[out])
    )


@step.register
def _encode(node: Encode, form: Encoding, graph: Graph) -> Step | None:
    if form == "words":
        return None
    source, out = Slot(node.source, "integers"), Slot(node.name, form)
    return Step((source,), lambda x, b: elementwise.encode(b[source], node.thresholds, b[out]))


@step.register(Dot)
@step.register(Conv2d)
def _sums(node: Dot | Conv2d, form: Encoding, graph: Graph) -> Step | None:
    return sums.integers(node, graph) if form == "integers" else None


@step.register
def _max_pool(node: MaxPool, form: Encoding, graph: Graph) -> Step | None:
    t = graph.types[node.name]
    if t.bit != (form == "words"):
        return None
    source, out, grid = Slot(node.source, form), Slot(node.name, form), sums.grid(node, graph)
    smallest, positions = np.zeros(t.channels, np.bool_), t.size // t.channels
    if node.smallest is not None:
        smallest = node.smallest.copy()
    if form == "integers":
        return Step(
            (source,),
            lambda x, b: pools.pool_integers(b[source], grid, smallest, positions, b[out]),
        )
    words = pack_words(smallest)
    return Step((source,), lambda x, b: pools.pool_bits(b[source], grid, words, positions, b[out]))


@step.register
def _sum_pool(node: SumPool, form: Encoding, graph: Graph) -> Step | None:
    if form == "words":
        return None
    t, read = graph.types[node.name], graph.types[node.source]
    source, out = Slot(node.source, "words" if read.bit else "integers"), Slot(node.name, form)
    grid, positions = sums.grid(node, graph), t.size // t.channels
    kernel = pools.sum_bits if read.bit else pools.sum_integers
    return Step((source,), lambda x, b: kernel(b[source], grid, positions, b[out]))


@step.register
def _threshold(node: Threshold, form: Encoding, graph: Graph) -> Step | None:
    if form == "words" and not node.bit:
        return None
    fused = sums.neurons if form == "words" else sums.counts
    if both := fused(node, graph):
        return both
    source, out = Slot(node.source, "integers"), Slot(node.name, form)
    rising = np.where(node.falling[:, None], 0, 1)
    cuts = (_by_class(node.thresholds, 3) - rising).astype(np.int32)
    kinds, base = _kinds(node, graph), node.base or 0
    if form == "integers":
        falling = node.falling.copy()
        return Step(
            (source,), lambda x, b: thresholds.levels(b[source], cuts, falling, kinds, base, b[out])
        )
    single, turned = np.ascontiguousarray(cuts[..., 0]), pack_words(node.falling, 32)
    return Step((source,), lambda x, b: thresholds.bits(b[source], single, turned, kinds, b[out]))


@step.register
def _rescale(node: Rescale, form: Encoding, graph: Graph) -> Step | None:
    if form == "words":
        return None
    source, out = Slot(node.source, "integers"), Slot(node.name, form)
    negative = node.multiplier if node.negative is None else node.negative
    slopes, bias = np.stack([node.multiplier, negative]), _by_class(node.bias, 2) + node.half
    shift = node.shift.copy()
    kinds = _kinds(node, graph)

    def run(x: Array, b: Buffers) -> None:
        ends = node.low, node.high
        elementwise.rescale(b[source], slopes, bias, shift, *ends, kinds, b[out])

    return Step((source,), run)


def _by_class(array: NDArray[np.int64], ndim: int) -> NDArray[np.int64]:
    """A copy of an array with classes as its first axis; without classes the axis has size 1."""
    return np.array(array if array.ndim == ndim else array[None])


def _kinds(node: Threshold | Rescale, graph: Graph) -> NDArray[np.int64]:
    """The class of each position."""
    t = graph.types[node.name]
    if node.border_classes is None:
        return np.zeros(t.size // t.channels, np.int64)
    return node.border_classes.flatten()


@step.register
def _add(node: Add, form: Encoding, graph: Graph) -> Step | None:
    if form == "words":
        return None
    channels = graph.types[node.name].channels
    # The source that may have a single channel comes second.
    names = sorted(node.sources, key=lambda name: -graph.types[name].channels)
    wide, narrow = (Slot(name, "integers") for name in names)
    out = Slot(node.name, form)
    return Step((wide, narrow), lambda x, b: elementwise.add(b[wide], b[narrow], channels, b[out]))


@step.register
def _channel_pad(node: ChannelPad, form: Encoding, graph: Graph) -> Step | None:
    if form == "words":
        return None
    channels = graph.types[node.source].channels
    source, out = Slot(node.source, "integers"), Slot(node.name, form)
    return Step(
        (source,),
        lambda x, b: elementwise.pad_channels(b[source], channels, node.before, node.after, b[out]),
    )


@step.register
def _concat(node: Concat, form: Encoding, graph: Graph) -> Step | None:
    t = graph.types[node.name]
    if t.bit != (form == "words"):
        return None
    one, two = (graph.types[name].channels for name in node.sources)
    first, second = (Slot(name, form) for name in node.sources)
    out, positions = Slot(node.name, form), t.size // t.channels
    if form == "words":
        return Step(
            (first, second),
            lambda x, b: conversions.concat_bits(b[first], b[second], one, two, positions, b[out]),
        )
    return Step(
        (first, second),
        lambda x, b: elementwise.concat_channels(b[first], b[second], one, two, b[out]),
    )


@step.register
def _lookup(node: Lookup, form: Encoding, graph: Graph) -> Step | None:
    if form == "words":
        return None
    t, table = graph.types[node.source], node.table
    source, out = Slot(node.source, "integers"), Slot(node.name, form)
    return Step((source,), lambda x, b: elementwise.lookup(b[source], table, t.low, t.step, b[out]))


@step.register
def _argmax(node: ArgMax, form: Encoding, graph: Graph) -> Step | None:
    if form == "words":
        return None
    source, out = Slot(node.source, "integers"), Slot(node.name, form)
    return Step((source,), lambda x, b: elementwise.argmax(b[source], b[out]))


@step.register(Flatten)
@step.register(Output)
def _same(node: Flatten | Output, form: Encoding, graph: Graph) -> Step:
    """Elements keep their order: the slot shares its source's array, and the step does nothing."""
    return Step((Slot(node.source, form),), lambda x, b: None)
