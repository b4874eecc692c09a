"""A value of the Graph on its way through a float network, and the Graph under construction.

A :class:`TracedValue` is a node of the Graph together with the float functions that the network
applies to its integers up to the current point (:mod:`hwbnn.lowering.ops`).

Images are ``(height, width, channels)`` in the Graph; torch has ``(batch, channels, height,
width)``. Between two nodes a network treats every channel of an image separately, so a table of
``(rows, channels)`` describes its functions completely, at every position. There is one exception:
the constant added to the sums of a convolution may depend, at the border of the image, on which
taps lie inside (:class:`BorderClasses`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hwbnn.errors import CannotLower, HwbnnError
from hwbnn.graph import Node, ValueType, infer
from hwbnn.graph.arrays import Ints
from hwbnn.lowering.ops import ChannelwiseOp
from hwbnn.lowering.two_sums import Pending

FRACTION = 18
"""Fraction bits of fixed-point numbers, by default.

One flipped activation can flip others, so agreement needs more fraction bits than the size of the
numbers suggests: ResNet-20 computes 200,000 activations for each image.
"""
WEIGHT_BITS = 8
"""Bits that real weights are rounded to, by default."""
_SINGLE = ("y", "argmax", "ranks", "flatten")


@dataclass(frozen=True, eq=False)
class BorderClasses:
    """Positions of an image grouped by the taps of their window that lie inside the image.

    Attributes:
        classes: the class of each position, int64 ``(height, width)``.
        first: for each class the function that is applied first, from integers to floats.
    """

    classes: Ints
    first: tuple[ChannelwiseOp, ...]


@dataclass(frozen=True, eq=False)
class WaitingPool:
    """A max pool that has no node yet, see :mod:`hwbnn.lowering.pools`.

    Attributes:
        name: the layer's name in the network.
        label: the layer, for messages.
        kernel: rows and columns.
        stride: rows and columns.
        padding: top, bottom, left, right.
        shape: of its result, channels last.
        cut: how many of the value's functions are applied before it.
    """

    name: str
    label: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    shape: tuple[int, int, int]
    cut: int


@dataclass(frozen=True)
class FixedPointError:
    """How far the integers of a fixed-point value may be from the network's floats.

    Attributes:
        total: upper bound, in units of the integers, if all earlier activations of the network
            have the same codes as in the Graph.
        local: upper bound if, in addition, the network's last sum of two values is the same as in
            the Graph.
    """

    total: float
    local: float


@dataclass(frozen=True, eq=False)
class TracedValue:
    """A value of the Graph, with the float functions applied to it up to the current point.

    Attributes:
        name: the node of the Graph that computes it.
        type: its shape and range.
        low: smallest integer of each channel, int64 ``(channels,)``.
        high: largest integer of each channel.
        layer: the layer of the network that computed it, for messages.
        ops: the functions from the integers as float32 (codes 0 and 1 for bits) to the network's
            floats at the current point.
        is_input: whether it is the network's input.
        pending: for each border class the layer with real offsets whose two sums no activation
            has decided yet; ``ops`` then follow the layer's output. Empty for most values.
        border: the border classes, if the first function depends on the position; else None.
        pool: a max pool among the functions that has no node yet; else None.
        is_coded: whether an activation computed it: few integers, each standing for one float.
        order: of a flattened image: element ``i`` in torch's order is element ``order[i]`` of the
            Graph's; None where they are the same.
        fixed: bounds of the distance from the integers to the floats; None where they are exact.
        is_double: whether the functions compute in float64, not in float32.
    """

    name: str
    type: ValueType
    low: Ints
    high: Ints
    layer: str
    ops: tuple[ChannelwiseOp, ...] = ()
    is_input: bool = False
    pending: tuple[Pending, ...] = ()
    border: BorderClasses | None = None
    pool: WaitingPool | None = None
    is_coded: bool = False
    order: Ints | None = None
    fixed: FixedPointError | None = None
    is_double: bool = False

    @property
    def is_image(self) -> bool:
        """Whether it has rows and columns."""
        return len(self.type.shape) == 3

    @property
    def shape(self) -> tuple[int, ...]:
        """The network's shape at the current point, without the batch, channels last."""
        return self.type.shape if self.pool is None else self.pool.shape

    @property
    def variants(self) -> tuple[tuple[ChannelwiseOp, ...], ...]:
        """All functions, for each border class."""
        if self.border is None:
            return (self.ops,)
        return tuple((first, *self.ops) for first in self.border.first)

    def after(self, op: ChannelwiseOp) -> TracedValue:
        """The value with one more function applied."""
        if not self.is_image and self.order is not None and not op.is_elementwise:
            op = op.picked(np.argsort(self.order), len(self.order))
        return replace(self, ops=(*self.ops, op))


def common_ops(values: Sequence[TracedValue]) -> int | None:
    """How many functions several values have in common, if nothing else tells them apart.

    Args:
        values: two or more.

    Returns:
        The number; None if the values belong to different nodes, a max pool lies behind the common
        functions, or a value is undecided.
    """
    first = values[0]
    for value in values:
        if value.name != first.name or value.pending or value.pool is not first.pool:
            return None
        if value.border is not first.border or value.fixed is not first.fixed:
            return None
    count = 0
    for ops in zip(*(value.ops for value in values), strict=False):
        if any(op is not ops[0] for op in ops):
            break
        count += 1
    return None if first.pool is not None and count < first.pool.cut else count


@dataclass(frozen=True)
class Remark:
    """The lowering of one layer.

    Attributes:
        layer: qualified name in the network.
        node: the node of the Graph that computes it.
        text: one sentence.
    """

    layer: str
    node: str
    text: str


@dataclass
class GraphBuilder:
    """The Graph under construction.

    Attributes:
        fraction: fraction bits of fixed-point numbers, where there are any.
        weight_bits: bits that real weights are rounded to, where there are any.
        label: the call that is lowered now, for messages.
        nodes: the nodes so far.
        types: by node, the type of its value.
        remarks: the lowering of each layer.
        certificates: by node, the proof for integers that were found by trying all pairs of sums.
        fixed: by node, the word length and the error of fixed-point numbers, for people.
        rounded: by layer, to how many bits its real weights were rounded, and how far, for people.
        is_sequence: whether images of one row are sequences in the network: ``(channels, length)``.
        fixes: results of converting a value to so many fraction bits, which all readers share.
    """

    fraction: int = FRACTION
    weight_bits: int = WEIGHT_BITS
    label: str = "the model"
    is_sequence: bool = False
    nodes: list[Node] = field(default_factory=list)
    types: dict[str, ValueType] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    certificates: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)
    rounded: dict[str, str] = field(default_factory=dict)
    fixes: dict[tuple[TracedValue, int], TracedValue] = field(default_factory=dict)

    def name(self, kind: str) -> str:
        """A free name: the kind and a number from 1; kinds that occur once have no number."""
        if kind in _SINGLE and kind not in self.types:
            return kind
        return next(n for i in range(1, 1 + 10**6) if (n := f"{kind}_{i}") not in self.types)

    def add(self, node: Node) -> ValueType:
        """Append a node, and return the type of its value.

        Raises:
            CannotLower: if the node does not fit the values that it reads.
        """
        try:
            t = infer(node, *(self.types[s] for s in node.sources))
        except HwbnnError as error:
            # A node's name says nothing to someone who knows only the network's layers.
            said = str(error).removeprefix(f"node '{node.name}': ")
            raise CannotLower(f"{self.label}: {said}") from None
        self.nodes.append(node)
        self.types[node.name] = t
        return t

    def replace(self, node: Node) -> ValueType:
        """Replace the node of this name, which no other node reads yet; returns the new type."""
        position = next(i for i, n in enumerate(self.nodes) if n.name == node.name)
        t = infer(node, *(self.types[s] for s in node.sources))
        self.nodes[position] = node
        self.types[node.name] = t
        return t

    def remark(self, layer: str, node: Node, text: str) -> None:
        """Record the lowering of a layer."""
        self.remarks.append(Remark(layer, node.name, text))
