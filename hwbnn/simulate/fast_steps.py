"""How the fast simulator computes each kind of node: steps, each one call of a kernel.

A step writes one *slot*, a value in one of its forms (:mod:`.fast_kernels`), and reads others. Bits
are kept as words; integers as integers, and as words (bit planes) where a ``Dot`` reads them. A
``Threshold`` of a ``Dot`` takes the sign bits of its sums straight to words, so that the sums are
never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph import (
    ArgMax,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    Node,
    Output,
    Select,
    Threshold,
    ValueType,
)
from hwbnn.graph.bits import pack_words
from hwbnn.simulate import fast_kernels as kernels

Form = Literal["words", "integers"]


class Slot(NamedTuple):
    """One value in one form."""

    value: str
    form: Form


Buffers = Mapping[Slot, NDArray[Any]]
Samples = NDArray[Any]
Run = Callable[[Samples, Buffers], None]


class Step(NamedTuple):
    """One call of a kernel.

    Attributes:
        reads: slots that must be filled before.
        run: fills the step's own slot of the buffers, from them or from the samples of the block.
    """

    reads: tuple[Slot, ...]
    run: Run


class Coding(NamedTuple):
    """How the integers of a value stand in words: ``x = base + gain * u``, ``u`` in planes."""

    base: int
    gain: int
    planes: int


def coding(t: ValueType) -> Coding:
    """The coding of a value of this type; a bit counts as -1 or +1."""
    if t.bit:
        return Coding(-1, 2, 1)
    return Coding(t.low, 1, max(1, (t.high - t.low).bit_length()))


def rows(slot: Slot, t: ValueType) -> int:
    """Rows of the buffer of a slot; those of integers are whole groups of channels."""
    if slot.form == "words":
        return coding(t).planes * -(-t.size // 64)
    return t.size + -t.size % kernels.GROUP


@singledispatch
def step(node: Node, form: Form, graph: Graph) -> Step | None:
    """The step that makes the node's value in this form; None for the general way to words."""
    raise GraphError(f"node '{node.name}': the fast simulator has no {type(node).__name__}")


def split_step(node: Node, graph: Graph) -> Step:
    """The general way to words: bit planes of the integers."""
    t = graph.types[node.name]
    source, out = Slot(node.name, "integers"), Slot(node.name, "words")
    low, planes, size = (0, 1, t.size) if t.bit else (t.low, coding(t).planes, t.size)
    return Step((source,), lambda x, b: kernels.split(b[source], low, planes, size, b[out]))


@step.register
def _input(node: Input, form: Form, graph: Graph) -> Step:
    t, out = graph.types[node.name], Slot(node.name, form)
    if form == "integers":
        return Step((), lambda x, b: kernels.transpose(x, b[out]))
    planes = coding(t).planes

    def run(x: Samples, buffers: Buffers) -> None:
        if x.dtype == np.uint64 and t.bit:  # words already
            kernels.transpose(x, buffers[out])
        elif x.dtype.itemsize == 1 and t.low == 0:
            kernels.pack_bytes(x.view(np.uint8), planes, 0, planes, buffers[out])
        else:
            above = x.astype(np.int64) - t.low
            for first in range(0, planes, 8):
                low_byte = (above >> first).astype(np.uint8)
                last = min(first + 8, planes)
                kernels.pack_bytes(low_byte, planes, first, last, buffers[out])

    return Step((), run)


@step.register
def _select(node: Select, form: Form, graph: Graph) -> Step | None:
    if not graph.types[node.name].bit and form == "words":
        return None
    source, out = Slot(node.source, form), Slot(node.name, form)
    kernel = kernels.select_bits if form == "words" else kernels.select
    return Step((source,), lambda x, b: kernel(b[source], node.index, b[out]))


@step.register
def _encode(node: Encode, form: Form, graph: Graph) -> Step | None:
    if form == "words":
        return None
    source, out = Slot(node.source, "integers"), Slot(node.name, form)
    return Step((source,), lambda x, b: kernels.encode(b[source], node.thresholds, b[out]))


@step.register
def _dot(node: Dot, form: Form, graph: Graph) -> Step | None:
    if form == "words":
        return None
    _, gain, planes = coding(graph.types[node.source])
    padding = ((0, -len(node.weights) % kernels.GROUP), (0, 0))
    weights = np.pad(pack_words(node.weights), padding)
    constant = np.pad(constants(node, graph), padding[0])
    source, out = Slot(node.source, "words"), Slot(node.name, form)
    if node.factors is not None:
        scale, offset = (np.pad(factor, padding[0]) for factor in node.factors)
        none_set = _none_set(node, graph)

        def run(x: Samples, b: Buffers) -> None:
            kernels.dot_sums(b[source], planes, weights, constant, gain, b[out])
            kernels.combine(b[source], planes, none_set, gain, scale, offset, b[out])

        return Step((source,), run)
    return Step(
        (source,),
        lambda x, b: kernels.dot_sums(b[source], planes, weights, constant, gain, b[out]),
    )


@step.register
def _threshold(node: Threshold, form: Form, graph: Graph) -> Step | None:
    t, feeding = graph.types[node.name], graph.node(node.source)
    if form == "words" and t.bit and isinstance(feeding, Dot) and feeding.factors is None:
        return _neurons(feeding, node, graph)
    if form == "words":
        return None
    source, out = Slot(node.source, "integers"), Slot(node.name, form)
    cuts, falling, size = node.thresholds, node.falling, t.size
    return Step((source,), lambda x, b: kernels.threshold(b[source], cuts, falling, size, b[out]))


def _neurons(dot: Dot, node: Threshold, graph: Graph) -> Step:
    """A ``Dot`` and its ``Threshold`` at once.

    With the sum ``A - gain * M`` (:mod:`.fast_kernels`), ``sum >= t`` is
    ``M <= floor((A - t) / gain)``, and ``sum <= t`` is ``M >= ceil((A - t) / gain)``. The latter
    counts the bits that agree instead, by inverted weights, so that both fire where a biased count
    is negative.
    """
    _, gain, planes = coding(graph.types[dot.source])
    distance = constants(dot, graph) - node.thresholds[:, 0]
    everything = dot.weights.shape[1] * ((1 << planes) - 1)
    most = np.where(node.falling, everything + (-distance // gain), distance // gain)
    # The kernel shifts sign bits in from below: the last channel comes first. Channels that only
    # fill a group never fire.
    padding = ((-len(most) % kernels.GROUP, 0), (0, 0))
    weights = np.pad(pack_words(dot.weights ^ node.falling[:, None])[::-1], padding)
    bias = np.pad(-(most + 1)[::-1], padding[0]).view(np.uint64)
    source, out = Slot(dot.source, "words"), Slot(node.name, "words")
    return Step((source,), lambda x, b: kernels.dot_signs(b[source], planes, weights, bias, b[out]))


def _none_set(dot: Dot, graph: Graph) -> int:
    """The sum of the inputs of a ``Dot`` where no bit of their planes is set."""
    return coding(graph.types[dot.source]).base * graph.types[dot.source].size


def constants(dot: Dot, graph: Graph) -> NDArray[np.int64]:
    """What the sums of a ``Dot`` are where no bit differs from the weights, ``(channels,)``."""
    base, gain, planes = coding(graph.types[dot.source])
    plus = dot.weights.sum(axis=1, dtype=np.int64)
    minus = dot.weights.shape[1] - plus
    result: NDArray[np.int64] = base * (plus - minus) + gain * ((1 << planes) - 1) * plus
    return result


@step.register
def _lookup(node: Lookup, form: Form, graph: Graph) -> Step | None:
    if form == "words":
        return None
    t, table = graph.types[node.source], node.table
    source, out = Slot(node.source, "integers"), Slot(node.name, form)
    return Step(
        (source,), lambda x, b: kernels.lookup(b[source], table, t.low, t.step, t.size, b[out])
    )


@step.register
def _argmax(node: ArgMax, form: Form, graph: Graph) -> Step | None:
    if form == "words":
        return None
    size = graph.types[node.source].size
    source, out = Slot(node.source, "integers"), Slot(node.name, form)
    return Step((source,), lambda x, b: kernels.argmax(b[source], size, b[out]))


@step.register(Flatten)
@step.register(Output)
def _same(node: Flatten | Output, form: Form, graph: Graph) -> Step:
    """Elements keep their order: the slot is its source's, and nothing is left to do."""
    return Step((Slot(node.source, form),), lambda x, b: None)
