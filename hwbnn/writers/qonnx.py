"""A Graph as QONNX, which FINN, qonnx and others read, with the same integers at every value.

Values are float32 tensors of integers, channels first; bits are -1 and +1. Weights are outputs of
``BipolarQuant`` or ``Quant`` with scale 1, thresholds are ``MultiThreshold``. float32 holds
integers below 2^24, so that any executor computes them exactly; a Graph with larger ones is
refused. The input takes the Graph's own integers; its ``finn_datatype`` gives their type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import numpy as np

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError
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
    ValueType,
    check_graph,
)
from hwbnn.graph.arrays import Array, Bools, Ints
from hwbnn.writers import onnx_messages as messages

GENERAL = "qonnx.custom_op.general"
_IR, _OPSET = 8, 13
_EXACT = 1 << 24
MOST_STEPS = 1 << 12
"""Most thresholds for a channel of a table."""


@dataclass
class QonnxModel:
    """A model under construction.

    Attributes:
        graph: the Graph that is written.
        parts: the fields of the ONNX graph so far.
        count: number of names made so far.
        writing: name of the Graph's node that is being written, for messages.
    """

    graph: Graph
    parts: list[bytes] = field(default_factory=list)
    count: int = 0
    writing: str = ""

    def name(self) -> str:
        """A new name that no value of the Graph has."""
        self.count += 1
        return f"with_{self.count}_"

    def constant(self, array: Array) -> str:
        """Add a constant of the array's dtype (int64 for indices and shapes); returns its name."""
        name = self.name()
        self.parts.append(messages.message(5, messages.tensor(name, array)))
        return name

    def real(self, array: Array) -> str:
        """Add a constant as float32; refused where float32 does not hold it exactly."""
        single = np.asarray(array, np.float64).astype(np.float32)
        if not np.array_equal(single.astype(np.float64), np.asarray(array, np.float64)):
            raise InputError(
                f"to_qonnx: node '{self.writing}': a number reaches 2^24, which float32 rounds"
            )
        return self.constant(single)

    def node(
        self,
        op: str,
        *inputs: str,
        output: str = "",
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node, and return the name of its output."""
        made = output or self.name()
        self.parts.append(messages.message(1, messages.node(op, inputs, made, domain, attributes)))
        return made

    def is_image(self, name: str) -> bool:
        """Whether a value has rows and columns."""
        return len(self.graph.types[name].shape) == 3

    def per_channel(self, name: str, numbers: Array) -> str:
        """Add a constant with a number for each channel of the value ``name``."""
        shape = (1, -1, 1, 1) if self.is_image(name) else (1, -1)
        return self.real(np.asarray(numbers).reshape(shape))


@checked_call()
def to_qonnx(graph: Graph) -> bytes:
    """The bytes of an ONNX file that computes what a Graph computes.

    Args:
        graph: a Graph whose input has one axis or is an image.

    Raises:
        InputError: if a node has no exact form in QONNX; the message names it.
    """
    check_graph(graph, "to_qonnx")
    if len(graph.input.shape) not in (1, 3):
        raise InputError(
            f"to_qonnx: node '{graph.input.name}': expected one axis or an image, found shape "
            f"{graph.input.shape}"
        )
    model = QonnxModel(graph)
    for each in graph.nodes:
        t = graph.types[each.name]
        if max(abs(t.low), abs(t.high)) >= _EXACT:
            raise _refuse(each, f"its integers reach {max(abs(t.low), abs(t.high))}, beyond 2^24")
        model.writing = each.name
        write(each, model)
    source, last = graph.input, graph.output
    kind = graph.types[last.name]
    shape = (1,) if graph.meaning == "class" else _first(kind.shape)
    dtype = "int64" if graph.meaning == "class" else "float32"
    ends = [
        messages.message(11, messages.value_info(source.name, _first(source.shape))),
        messages.message(12, messages.value_info(last.name, shape, dtype)),
        messages.message(14, messages.annotation(source.name, _datatype(graph.types[source.name]))),
    ]
    body = b"".join(model.parts) + messages.message(2, "hwbnn") + b"".join(ends)
    opsets = [("", _OPSET), (GENERAL, 1)]
    return (
        messages.integer(1, _IR)
        + messages.message(2, "hwbnn")
        + messages.message(7, body)
        + b"".join(
            messages.message(8, messages.message(1, domain) + messages.integer(2, version))
            for domain, version in opsets
        )
    )


@singledispatch
def write(node: Node, model: QonnxModel) -> None:
    """Add the ONNX nodes for one node of the Graph; the last of them has its name."""
    raise _refuse(node, f"a {type(node).__name__} has no form in QONNX")


@write.register
def _input(node: Input, model: QonnxModel) -> None:
    """The input is declared at the end."""


@write.register
def _dot(node: Dot, model: QonnxModel) -> None:
    model.node(
        "MatMul", node.source, _weights(node, model, _coefficients(node).T), output=node.name
    )


@write.register
def _conv(node: Conv2d, model: QonnxModel) -> None:
    source, padding = node.source, node.padding
    if node.pad and any(padding):
        top, bottom, left, right = padding
        pads = model.constant(np.array([0, 0, top, left, 0, 0, bottom, right]))
        source = model.node("Pad", source, pads, model.real(np.array(node.pad)), mode="constant")
        padding = (0, 0, 0, 0)
    weights = _coefficients(node).transpose(0, 3, 1, 2)
    model.node(
        "Conv",
        source,
        _weights(node, model, weights),
        output=node.name,
        group=node.groups,
        kernel_shape=node.kernel,
        strides=node.stride,
        pads=_pads(padding),
    )


@write.register
def _threshold(node: Threshold, model: QonnxModel) -> None:
    source = node.source
    thresholds: Array = node.thresholds
    signs = np.where(node.falling, -1, 1)
    t = model.graph.types[source]
    thresholds = np.clip(thresholds, t.low - 1, t.high + 1)
    if node.falling.any():
        source = model.node("Mul", source, model.per_channel(node.source, signs))
    thresholds = thresholds * signs[:, None]
    if node.border_classes is not None:
        if node.levels > 1:
            raise _refuse(node, "several thresholds differ at the border of the image")
        at = thresholds[node.border_classes, :, 0].transpose(2, 0, 1)[None]
        source = model.node("Sub", source, model.real(at))
        thresholds = np.zeros((1, 1))
    affine = (2.0, -1.0) if node.bit else (1.0, float(node.base or 0))
    is_image, ordered = model.is_image(node.source), np.sort(thresholds, axis=1)
    _multi_threshold(model, source, ordered, affine, is_image=is_image, output=node.name)


@write.register
def _lookup(node: Lookup, model: QonnxModel) -> None:
    t = model.graph.types[node.source]
    if t.bit:
        raise _refuse(node, "a table of bits has no form in QONNX")
    table = node.table * 2 - 1 if node.bit else node.table
    steps = np.diff(table, axis=1)
    falls: Bools = np.asarray((steps < 0).any(axis=1))
    if (falls & (steps > 0).any(axis=1)).any():
        raise _refuse(node, "a table that rises and falls has no form in QONNX")
    signs = np.where(falls, -1, 1)
    most = int(np.abs(steps).sum(axis=1).max(initial=1))
    if most > MOST_STEPS:
        raise _refuse(node, f"a table of {most} steps; expected at most {MOST_STEPS}")
    integers = t.low + t.step * np.arange(1, t.count)
    thresholds = np.full((len(table), max(most, 1)), t.high + 1)
    for c, row in enumerate(np.abs(steps)):
        reached = np.repeat(integers, row)
        thresholds[c, : len(reached)] = reached
    is_image = model.is_image(node.source)
    name = _multi_threshold(model, node.source, thresholds, (1.0, 0.0), is_image=is_image)
    if falls.any():
        name = model.node("Mul", name, model.per_channel(node.source, signs))
    model.node("Add", name, model.per_channel(node.source, table[:, 0]), output=node.name)


@write.register
def _max_pool(node: MaxPool, model: QonnxModel) -> None:
    source, signs = node.source, None
    if node.smallest is not None:
        signs = model.per_channel(source, np.where(node.smallest, -1, 1))
        source = model.node("Mul", source, signs)
    given: dict[str, Any] = {
        "kernel_shape": node.kernel,
        "strides": node.stride,
        "pads": _pads(node.padding),
    }
    last = "" if signs is not None else node.name
    pooled = model.node("MaxPool", source, output=last, **given)
    if signs is not None:
        model.node("Mul", pooled, signs, output=node.name)


@write.register
def _sum_pool(node: SumPool, model: QonnxModel) -> None:
    channels = model.graph.types[node.source].channels
    # A convolution with ones, because an average pool would divide and round.
    ones = np.ones((channels, 1, *node.kernel))
    model.node(
        "Conv",
        node.source,
        model.real(ones),
        output=node.name,
        group=channels,
        kernel_shape=node.kernel,
        strides=node.stride,
        pads=_pads(node.padding),
    )


@write.register
def _add(node: Add, model: QonnxModel) -> None:
    model.node("Add", node.source, node.other, output=node.name)


@write.register
def _concat(node: Concat, model: QonnxModel) -> None:
    model.node("Concat", node.source, node.other, output=node.name, axis=1)


@write.register
def _rescale(node: Rescale, model: QonnxModel) -> None:
    t = model.graph.types[node.source]
    if node.negative is not None or node.border_classes is not None or node.shift.any():
        raise _refuse(node, "fixed point that is shifted has no exact form in QONNX")
    products = np.abs(node.multiplier) * max(abs(t.low), abs(t.high)) + np.abs(node.bias)
    ends = np.array([node.multiplier * end + node.bias for end in (t.low, t.high)])
    if products.max() >= _EXACT or ends.min() < node.low or ends.max() > node.high:
        raise _refuse(node, "its products reach 2^24, or saturate")
    scaled = model.node("Mul", node.source, model.per_channel(node.source, node.multiplier))
    model.node("Add", scaled, model.per_channel(node.source, node.bias), output=node.name)


@write.register
def _channel_pad(node: ChannelPad, model: QonnxModel) -> None:
    image = [0, 0] if model.is_image(node.source) else []
    pads = model.constant(np.array([0, node.before, *image, 0, node.after, *image]))
    model.node("Pad", node.source, pads, model.real(np.array(0)), output=node.name, mode="constant")


@write.register
def _select(node: Select, model: QonnxModel) -> None:
    model.node("Gather", node.source, model.constant(node.index), output=node.name, axis=1)


@write.register
def _encode(node: Encode, model: QonnxModel) -> None:
    n, k = node.thresholds.shape
    index = model.constant(np.repeat(np.arange(n), k))
    repeated = model.node("Gather", node.source, index, axis=1)
    thresholds = node.thresholds.reshape(-1, 1)
    _multi_threshold(model, repeated, thresholds, (2.0, -1.0), is_image=False, output=node.name)


@write.register
def _flatten(node: Flatten, model: QonnxModel) -> None:
    source = node.source
    if model.is_image(source):
        source = model.node("Transpose", source, perm=(0, 2, 3, 1))
    model.node("Flatten", source, output=node.name, axis=1)


@write.register
def _argmax(node: ArgMax, model: QonnxModel) -> None:
    model.node("ArgMax", node.source, output=node.name, axis=1, keepdims=1)


@write.register
def _output(node: Output, model: QonnxModel) -> None:
    if node.meaning == "logits":
        scale, offset = (
            model.constant(np.array(number, np.float32)) for number in (node.scale, node.offset)
        )
        scaled = model.node("Mul", node.source, scale)
        model.node("Add", scaled, offset, output=node.name)
        return
    model.node("Identity", node.source, output=node.name)


def _multi_threshold(
    model: QonnxModel,
    source: str,
    thresholds: Array,
    affine: tuple[float, float],
    *,
    is_image: bool,
    output: str = "",
) -> str:
    """Add a ``MultiThreshold``: the count of thresholds times a scale, plus a bias."""
    scale, bias = affine
    return model.node(
        "MultiThreshold",
        source,
        model.real(thresholds),
        output=output,
        domain=GENERAL,
        out_dtype="BIPOLAR" if (scale, bias) == (2.0, -1.0) else "INT32",
        out_scale=scale,
        out_bias=bias,
        data_layout="NCHW" if is_image else "NC",
    )


def _coefficients(node: Dot | Conv2d) -> Ints:
    """The integers by which the inputs are multiplied."""
    weights: Ints = node.weights.astype(np.int64)
    if node.scale_offset is not None:
        shape = (-1,) + (1,) * (weights.ndim - 1)
        scale, offset = (part.reshape(shape) for part in node.scale_offset)
        weights = weights * scale + offset
    return weights


def _weights(node: Dot | Conv2d, model: QonnxModel, integers: Array) -> str:
    """Add weights and a quantizer with their number of bits; returns the quantizer's output."""
    name = model.real(integers)
    one = model.real(np.array(1.0))
    if (np.abs(integers) == 1).all():
        return model.node("BipolarQuant", name, one, domain=GENERAL)
    low, high = int(integers.min()), int(integers.max())
    bits = max(2, ValueType((1,), min(low, -1), max(high, 0)).width)
    zero, width = model.real(np.array(0.0)), model.real(np.array(float(bits)))
    given: dict[str, Any] = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
    return model.node("Quant", name, one, zero, width, domain=GENERAL, **given)


def _pads(padding: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The padding in ONNX's order: top, left, bottom, right."""
    return padding[0], padding[2], padding[1], padding[3]


def _first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with the channels first."""
    return (shape[2], shape[0], shape[1]) if len(shape) == 3 else shape


def _datatype(t: ValueType) -> str:
    """FINN's name of a value's type."""
    if t.bit:
        return "BIPOLAR"
    return f"{'INT' if t.signed else 'UINT'}{t.width}"


def _refuse(node: Node, why: str) -> InputError:
    return InputError(f"to_qonnx: node '{node.name}': {why}")
