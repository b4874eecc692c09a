"""A Graph as QONNX, which FINN, qonnx and others read, with the same integers at every value.

Values are float32 tensors of integers, channels first; bits are -1 and +1. Weights are outputs of
``BipolarQuant`` or ``Quant`` with scale 1, thresholds are ``MultiThreshold``. float32 holds
integers below 2^24, so that any executor computes them exactly. Where there are larger ones, and
where fixed point is multiplied and shifted, tensors are float64, which holds integers below 2^53:
executors compute these too, but no tool that makes hardware of the file takes them. The input takes
the Graph's own integers; its ``finn_datatype`` gives their type.
"""

from __future__ import annotations

from collections.abc import Callable
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
from hwbnn.graph.arrays import Array, Ints
from hwbnn.writers import onnx_messages as messages

GENERAL = "qonnx.custom_op.general"
_IR, _OPSET = 8, 13
_EXACT = 1 << 24
"""float32 holds all integers of smaller magnitude."""
_DOUBLE = 1 << 53
"""float64 likewise."""
MOST_STEPS = 1 << 12
"""Most thresholds for a channel of a table."""
ONLY_SINGLE = (Conv2d, Encode, Lookup)
"""Nodes that are not written for integers from 2^24 on; executors have no such convolution."""


@dataclass
class QonnxModel:
    """A model under construction.

    Attributes:
        graph: the Graph that is written.
        parts: the fields of the ONNX graph so far.
        count: number of names made so far.
        writing: name of the Graph's node that is being written, for messages.
        doubles: values that are float64 tensors.
        casts: float64 tensors of values that are float32.
    """

    graph: Graph
    parts: list[bytes] = field(default_factory=list)
    count: int = 0
    writing: str = ""
    doubles: set[str] = field(default_factory=set)
    casts: dict[str, str] = field(default_factory=dict)

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

    def double(self, array: Array) -> str:
        """Add a constant as float64; refused where float64 does not hold it exactly."""
        if np.abs(array).max(initial=0) >= _DOUBLE:
            raise InputError(
                f"to_qonnx: node '{self.writing}': a number reaches 2^53, which float64 rounds"
            )
        return self.constant(np.asarray(array, np.float64))

    def in_double(self, name: str) -> str:
        """The float64 tensor of a value."""
        if name in self.doubles:
            return name
        if name not in self.casts:
            self.casts[name] = self.node("Cast", name, to=messages.TYPES["float64"])
        return self.casts[name]

    def read(self, node: Node) -> tuple[list[str], Callable[[Array], str]]:
        """The tensors that a node reads, all of one type, and how to add constants of this type.

        They are float64 where the node reads or gives integers from 2^24 on, and so is its result.
        """
        if not self.doubles & {node.name, *node.sources}:
            return list(node.sources), self.real
        self.doubles.add(node.name)
        return [self.in_double(source) for source in node.sources], self.double

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

    def per_channel(self, name: str, numbers: Array, *, double: bool = False) -> str:
        """Add a constant with a number for each channel of the value ``name``."""
        shape = (1, -1, 1, 1) if self.is_image(name) else (1, -1)
        shaped = np.asarray(numbers).reshape(shape)
        return self.double(shaped) if double else self.real(shaped)


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
        largest = _largest(graph.types[each.name])
        if largest >= _DOUBLE:
            raise _refuse(each, f"its integers reach {largest}, beyond 2^53")
        if largest >= _EXACT:
            model.doubles.add(each.name)
        if model.doubles & {each.name, *each.sources} and isinstance(each, ONLY_SINGLE):
            raise _refuse(each, f"a {type(each).__name__} of integers beyond 2^24 has no form")
        model.writing = each.name
        write(each, model)
    source, last = graph.input, graph.output
    kind = graph.types[last.name]
    shape = (1,) if graph.meaning == "class" else _first(kind.shape)
    dtype = "float64" if last.name in model.doubles else "float32"
    dtype = "int64" if graph.meaning == "class" else dtype
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
    (source,), _ = model.read(node)
    weights = _weights(node, model, _coefficients(node).T)
    model.node("MatMul", source, weights, output=node.name)


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
    double = source in model.doubles
    if node.falling.any():
        factors = model.per_channel(node.source, signs, double=double)
        source = model.node("Mul", source, factors)
    thresholds = thresholds * signs[:, None]
    affine = (2.0, -1.0) if node.bit else (1.0, float(node.base or 0))
    is_image = model.is_image(node.source)
    if node.border_classes is not None:
        # Thresholds that differ from place to place: each level is compared by itself.
        places = np.moveaxis(thresholds[node.border_classes], 2, 0)[None]
        count = ""
        for level in range(node.levels):
            at = model.double(places[..., level]) if double else model.real(places[..., level])
            moved = model.node("Sub", source, at)
            if double:
                moved = _near(model, moved, 1)
            last = node.name if level == node.levels - 1 else ""
            one = affine if level == 0 else (1.0, 0.0)
            mine = "" if count else last
            each = _multi_threshold(
                model, moved, np.zeros((1, 1)), one, is_image=is_image, output=mine
            )
            count = model.node("Add", count, each, output=last) if count else each
        return
    if double:
        first = thresholds.min(axis=1, keepdims=True)
        thresholds = thresholds - first
        top = int(thresholds.max()) + 1
        if top >= _EXACT:
            raise _refuse(node, "its thresholds lie 2^24 apart")
        base = model.per_channel(node.source, first, double=True)
        source = _near(model, model.node("Sub", source, base), top)
    ordered = np.sort(thresholds, axis=1)
    _multi_threshold(model, source, ordered, affine, is_image=is_image, output=node.name)


def _near(model: QonnxModel, source: str, top: int) -> str:
    """A float64 tensor from -1 to ``top`` as float32, for which ``MultiThreshold`` is."""
    return model.node("Cast", _clipped(model, source, -1, top), to=messages.TYPES["float32"])


@write.register
def _lookup(node: Lookup, model: QonnxModel) -> None:
    t = model.graph.types[node.source]
    if t.bit:
        raise _refuse(node, "a table of bits has no form in QONNX")
    table = node.table * 2 - 1 if node.bit else node.table
    steps = np.diff(table, axis=1)
    rising, falling = np.maximum(steps, 0), np.maximum(-steps, 0)
    name = _counted(node, model, rising)
    if falling.any():
        name = model.node("Sub", name, _counted(node, model, falling))
    model.node("Add", name, model.per_channel(node.source, table[:, 0]), output=node.name)


def _counted(node: Lookup, model: QonnxModel, steps: Ints) -> str:
    """The sum of the steps in front of the integer that is looked up, by counting thresholds.

    ``steps`` is an int64 array ``(channels, integers - 1)``, not negative.
    """
    t = model.graph.types[node.source]
    most = int(steps.sum(axis=1).max(initial=1))
    if most > MOST_STEPS:
        raise _refuse(node, f"a table of {most} steps; expected at most {MOST_STEPS}")
    integers = t.low + t.step * np.arange(1, t.count)
    thresholds = np.full((len(steps), max(most, 1)), t.high + 1)
    for c, row in enumerate(steps):
        reached = np.repeat(integers, row)
        thresholds[c, : len(reached)] = reached
    is_image = model.is_image(node.source)
    return _multi_threshold(model, node.source, thresholds, (1.0, 0.0), is_image=is_image)


@write.register
def _max_pool(node: MaxPool, model: QonnxModel) -> None:
    (source,), _ = model.read(node)
    signs = None
    if node.smallest is not None:
        double = node.name in model.doubles
        factors = np.where(node.smallest, -1, 1)
        signs = model.per_channel(node.source, factors, double=double)
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
    shape = model.graph.types[node.source].shape
    (source,), _ = model.read(node)
    if node.name in model.doubles:  # executors have no convolution of float64
        if node.kernel != shape[:2] or any(node.padding):
            raise _refuse(node, "sums over parts of an image beyond 2^24 have no form")
        model.node("ReduceSum", source, model.constant(np.array([2, 3])), output=node.name)
        return
    # A convolution with ones, because an average pool would divide and round.
    model.node(
        "Conv",
        source,
        model.real(np.ones((shape[2], 1, *node.kernel))),
        output=node.name,
        group=shape[2],
        kernel_shape=node.kernel,
        strides=node.stride,
        pads=_pads(node.padding),
    )


@write.register
def _add(node: Add, model: QonnxModel) -> None:
    model.node("Add", *model.read(node)[0], output=node.name)


@write.register
def _concat(node: Concat, model: QonnxModel) -> None:
    model.node("Concat", *model.read(node)[0], output=node.name, axis=1)


@write.register
def _rescale(node: Rescale, model: QonnxModel) -> None:
    largest = _largest(model.graph.types[node.source])
    factors = [node.multiplier, *([] if node.negative is None else [node.negative])]
    # Python's integers, since the products may be beyond those of 64 bits.
    factor, bias = (
        max(abs(int(n)) for a in arrays for n in a.flat) for arrays in (factors, [node.bias])
    )
    reached = factor * largest + bias + int(node.half.max())
    if reached >= _DOUBLE:
        raise _refuse(node, f"its products reach {reached}, beyond 2^53")
    x = model.in_double(node.source)

    def numbers(given: Array) -> str:
        return model.per_channel(node.source, given, double=True)

    if node.negative is None:
        scaled = model.node("Mul", x, numbers(node.multiplier))
    else:
        zero = model.double(np.array(0))
        above = model.node("Mul", model.node("Max", x, zero), numbers(node.multiplier))
        below = model.node("Mul", model.node("Min", x, zero), numbers(node.negative))
        scaled = model.node("Add", above, below)
    biases = node.bias + node.half
    if node.border_classes is None:
        moved = model.node("Add", scaled, numbers(biases))
    else:
        at = biases[node.border_classes].transpose(2, 0, 1)[None]
        moved = model.node("Add", scaled, model.double(at))
    if node.shift.any():
        moved = model.node("Floor", model.node("Mul", moved, numbers(2.0**-node.shift)))
    if node.name in model.doubles:
        _clipped(model, moved, node.low, node.high, output=node.name)
    else:
        result = _clipped(model, moved, node.low, node.high)
        model.node("Cast", result, to=messages.TYPES["float32"], output=node.name)


@write.register
def _channel_pad(node: ChannelPad, model: QonnxModel) -> None:
    image = [0, 0] if model.is_image(node.source) else []
    pads = model.constant(np.array([0, node.before, *image, 0, node.after, *image]))
    (source,), constant = model.read(node)
    model.node("Pad", source, pads, constant(np.array(0)), output=node.name, mode="constant")


@write.register
def _select(node: Select, model: QonnxModel) -> None:
    (source,), _ = model.read(node)
    model.node("Gather", source, model.constant(node.index), output=node.name, axis=1)


@write.register
def _encode(node: Encode, model: QonnxModel) -> None:
    n, k = node.thresholds.shape
    index = model.constant(np.repeat(np.arange(n), k))
    repeated = model.node("Gather", node.source, index, axis=1)
    thresholds = node.thresholds.reshape(-1, 1)
    _multi_threshold(model, repeated, thresholds, (2.0, -1.0), is_image=False, output=node.name)


@write.register
def _flatten(node: Flatten, model: QonnxModel) -> None:
    (source,), _ = model.read(node)
    if model.is_image(node.source):
        source = model.node("Transpose", source, perm=(0, 2, 3, 1))
    model.node("Flatten", source, output=node.name, axis=1)


@write.register
def _argmax(node: ArgMax, model: QonnxModel) -> None:
    model.node("ArgMax", node.source, output=node.name, axis=1, keepdims=1)


@write.register
def _output(node: Output, model: QonnxModel) -> None:
    (source,), _ = model.read(node)
    if node.meaning == "logits":
        dtype = np.float64 if node.name in model.doubles else np.float32
        scale, offset = (
            model.constant(np.array(number, dtype)) for number in (node.scale, node.offset)
        )
        scaled = model.node("Mul", source, scale)
        model.node("Add", scaled, offset, output=node.name)
        return
    model.node("Identity", source, output=node.name)


def _clipped(model: QonnxModel, source: str, low: int, high: int, output: str = "") -> str:
    """Add a ``Clip`` of a float64 tensor."""
    ends = (model.double(np.array(end)) for end in (low, high))
    return model.node("Clip", source, *ends, output=output)


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
    """Add weights and a quantizer with their number of bits; returns the quantizer's output.

    Weights in float64 have none, since quantizers are for float32.
    """
    if node.name in model.doubles:
        return model.double(integers)
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


def _largest(t: ValueType) -> int:
    """The largest magnitude of a value's integers."""
    return max(abs(t.low), abs(t.high))


def _refuse(node: Node, why: str) -> InputError:
    return InputError(f"to_qonnx: node '{node.name}': {why}")
