"""The translation of an ONNX graph to a program: its state, which all operations share.

A value of the graph is a value of the program with its axes in another order. The axes are written
as letters: ``nchw``, ``nhwc``, ``nf``, with further axes of size 1. Operations that move axes
change the letters and make no layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph.arrays import Array, Floats, Ints
from hwbnn.program import Layer
from hwbnn.program.program import counted_edges, output_shape
from hwbnn.readers.onnx.folding import FoldedConstant
from hwbnn.readers.onnx.protobuf import OnnxModel, OnnxNode

CHANNELS_LAST = "qonnx.custom_op.channels_last"
"""The domain of operations whose images are rows, columns, channels."""


@dataclass(frozen=True)
class Margin:
    """The surroundings of an image, and its windows where an ``Im2Col`` has cut them out.

    Attributes:
        padding: top, bottom, left, right.
        outside: the number there.
        kernel: rows and columns of the windows of an ``Im2Col``; None for a ``Pad``.
        stride: of these windows.
    """

    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    outside: float = 0.0
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] = (1, 1)


@dataclass(frozen=True, eq=False)
class OnnxValue:
    """A value of the graph that depends on the input.

    Attributes:
        name: name of the program's value.
        axes: a letter for each axis in the file: ``n`` batch, ``h`` rows, ``w`` columns, ``c``
            channels, ``f`` flat elements, ``1`` an additional axis of size 1.
        order: for a flattened image, int64: element ``i`` of the file's value is element
            ``order[i]`` of the program's; None where the orders are equal.
        margin: what a ``Pad`` or an ``Im2Col`` says of the layer that reads it; None for a plain
            value.
    """

    name: str
    axes: str
    order: Ints | None = None
    margin: Margin | None = None


@dataclass
class OnnxTranslation:
    """The translation of a model to a program, node by node.

    Attributes:
        model: the model of the file.
        layers: the program's layers so far.
        values: the graph's values that depend on the input, by name.
        constants: the graph's constants, by name.
        shapes: the shapes of the program's values, by name.
        end: the name of the logits, once an ``ArgMax`` or ``TopK`` was reached.
        edges: of all quantizers so far.
        remarks: notes on operations that were left out.
    """

    model: OnnxModel
    layers: list[Layer] = field(default_factory=list)
    values: dict[str, OnnxValue] = field(default_factory=dict)
    constants: dict[str, FoldedConstant] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    end: str = ""
    edges: int = 0
    remarks: list[str] = field(default_factory=list)

    def shape(self, value: OnnxValue) -> tuple[int, ...]:
        """The shape of a value in the file's order of axes, for a batch of one."""
        shape = self.shapes[value.name]
        sizes = dict(zip("hwc" if len(shape) == 3 else "f", shape, strict=True))
        return tuple(sizes.get(axis, 1) for axis in value.axes)

    def value(self, node: OnnxNode, index: int = 0, *, margin: bool = False) -> OnnxValue:
        """An argument that depends on the input; ``margin`` says whether it may have one."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self.values:
            raise CannotLower(f"{node.label}: expected the network's value as argument {index + 1}")
        value = self.values[name]
        if value.margin is not None and not margin:
            raise CannotLower(
                f"{node.label}: reads a Pad or an Im2Col; of a Pad only a convolution or an "
                "average pool may be the next node, of an Im2Col a MatMul"
            )
        return value

    def constant(self, node: OnnxNode, index: int, what: str) -> FoldedConstant:
        """An argument that is a constant."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self.constants:
            raise CannotLower(
                f"{node.label}: {what}: expected a constant, found a value of the network or "
                "nothing"
            )
        return self.constants[name]

    def append(self, node: OnnxNode, layer: Layer, value: OnnxValue, axes: str = "") -> OnnxValue:
        """Add a layer; the result is its value, with ``axes`` or else the axes of ``value``."""
        sources = [self.shapes[source] for source in layer.sources]
        self.shapes[layer.name] = output_shape(layer, sources)
        self.edges = counted_edges(self.edges, layer)
        self.layers.append(layer)
        order = value.order if not axes else None
        made = OnnxValue(layer.name, axes or value.axes, order)
        self.values[node.outputs[0]] = made
        return made

    def name(self, node: OnnxNode, part: str = "") -> str:
        """A free name for a layer of a node."""
        base = (node.name or node.outputs[0]) + part
        name, count = base, 2
        while name in self.shapes:
            name, count = f"{base}_{count}", count + 1
        return name

    def per_channel(self, node: OnnxNode, value: OnnxValue, array: Array, what: str) -> Floats:
        """A constant of an element-wise operation, as one number or one for each channel.

        Raises:
            CannotLower: if it differs between rows or columns.
        """
        shape = self.shape(value)
        numbers = array.astype(np.float64)
        if numbers.ndim > len(shape):
            raise CannotLower(
                f"{node.label}: {what}: expected at most {len(shape)} axes, found shape "
                f"{array.shape}"
            )
        sizes = (1,) * (len(shape) - numbers.ndim) + numbers.shape
        for axis, size, there in zip(value.axes, sizes, shape, strict=True):
            if size == 1 or (axis in "cf" and size == there):
                continue
            raise CannotLower(
                f"{node.label}: {what}: expected one number, or one a channel, for shape {shape}, "
                f"found shape {array.shape}"
            )
        return self.in_order(value, numbers.ravel())

    def in_order(self, value: OnnxValue, numbers: Floats) -> Floats:
        """Numbers that belong to the elements of a value, moved to the program's order."""
        if value.order is None or len(numbers) == 1:
            return numbers
        return numbers[np.argsort(value.order)]
