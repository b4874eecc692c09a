"""From the nodes of a QONNX or FINN-ONNX graph to layers of a program, channels last.

A value of the graph is a value of the program with its axes in another order, written as letters:
``nchw``, ``nhwc``, ``nf``, with further axes of size 1. A transpose permutes the letters and makes
no layer. A flatten of ``nchw`` records the position of each element in the program's order, and the
weights behind it are permuted to that order. A node whose arguments are all constants is folded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil, prod
from typing import Any

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Input
from hwbnn.graph.arrays import Array, Floats, Ints
from hwbnn.program import (
    Addition,
    Affine,
    AveragePooling,
    BatchNorm,
    Concatenation,
    Convolution,
    Dense,
    Flattening,
    Layer,
    MaxPooling,
    Program,
    Quantizer,
    Relu,
    shown_name,
)
from hwbnn.program.layers import WEIGHT_LIMIT
from hwbnn.program.program import output_shape
from hwbnn.program.quantizers import Rounding, rounding, sign
from hwbnn.readers.onnx.folding import (
    FoldedConstant,
    fold,
    new_shape,
    quantizer_settings,
    single,
)
from hwbnn.readers.onnx.protobuf import MOST_AXES, OnnxModel, OnnxNode

DOMAINS = (
    "",
    "ai.onnx",
    "onnx.brevitas",
    "finn.custom_op.general",
    "qonnx.custom_op.general",
    "qonnx.custom_op.channels_last",
)
"""The domains whose operations are known."""
CHANNELS_LAST = "qonnx.custom_op.channels_last"
_REFUSED = {
    "QuantizeLinear": "export the network as QONNX (quantizers as Quant nodes), not as QCDQ",
    "DequantizeLinear": "export the network as QONNX (quantizers as Quant nodes), not as QCDQ",
    "QLinearConv": "export the network as QONNX (quantizers as Quant nodes)",
    "QLinearMatMul": "export the network as QONNX (quantizers as Quant nodes)",
    "ConvInteger": "export the network as QONNX (quantizers as Quant nodes)",
    "MatMulInteger": "export the network as QONNX (quantizers as Quant nodes)",
    "Trunc": "a truncation has two meanings in QONNX; use a Quant node in its place",
    "Sigmoid": "put a Quant node in its place, or train with a quantized ReLU",
    "Tanh": "put a Quant node in its place, or train with a sign",
    "LSTM": "recurrent layers are not lowered",
    "GRU": "recurrent layers are not lowered",
}
"""Operations that are always refused, with the advice in the message."""


@dataclass(frozen=True, eq=False)
class OnnxValue:
    """A value of the graph that depends on the input.

    Attributes:
        name: name of the program's value.
        axes: a letter for each axis in the file: ``n`` batch, ``h`` rows, ``w`` columns, ``c``
            channels, ``f`` flat elements, ``1`` an additional axis of size 1.
        order: for a flattened image, int64: element ``i`` of the file's value is element
            ``order[i]`` of the program's; None where the orders are equal.
    """

    name: str
    axes: str
    order: Ints | None = None


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
        remarks: notes on operations that were left out.
    """

    model: OnnxModel
    layers: list[Layer] = field(default_factory=list)
    values: dict[str, OnnxValue] = field(default_factory=dict)
    constants: dict[str, FoldedConstant] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    end: str = ""
    remarks: list[str] = field(default_factory=list)

    def program(self, format: str) -> Program:
        """The whole network."""
        self.constants = {
            name: FoldedConstant(array) for name, array in self.model.constants.items()
        }
        name, shape, contract = self.input()
        self.shapes[name] = shape
        for node in self.model.nodes:
            self.node(node)
        output = self.end or self.output()
        return Program(
            format, name, shape, tuple(self.layers), output, contract, tuple(self.remarks)
        )

    # --- the ends --------------------------------------------------------------------------------

    def input(self) -> tuple[str, tuple[int, ...], Input | None]:
        """The name and shape of the input, and its Input where FINN's annotation gives one."""
        names = [name for name in self.model.inputs if name not in self.constants]
        if len(names) != 1:
            raise CannotLower(f"ONNX: expected one input, found {len(names)}; a Graph has one")
        sizes = self.model.inputs[names[0]]
        where = f"input '{shown_name(names[0])}'"
        if len(sizes) not in (2, 3, 4) or any(n is None or n < 1 for n in sizes[1:]):
            raise CannotLower(
                f"{where}: expected a batch of vectors, sequences or images of fixed sizes, found "
                f"{sizes}; export the network with a fixed input shape"
            )
        known = tuple(int(n) for n in sizes[1:] if n is not None)
        axes, shape = "nf", known
        if len(known) == 3:
            last = self._begins_channels_last(names[0])
            axes = "nhwc" if last else "nchw"
            shape = known if last else (known[1], known[2], known[0])
        elif len(known) == 2:  # a sequence is an image of one row
            axes, shape = "ncw", (1, known[1], known[0])
        self.values[names[0]] = OnnxValue(names[0], axes)
        return names[0], shape, _annotated(shape, self.model.datatypes.get(names[0], ""))

    def _begins_channels_last(self, name: str) -> bool:
        """Whether the first operation behind the input that fixes the axes has channels last."""
        reached = {name}
        for node in self.model.nodes:
            if reached.isdisjoint(node.inputs):
                continue
            if node.op == "Transpose":
                return False
            if node.op in ("Conv", "MaxPool", "BatchNormalization"):
                return node.domain == CHANNELS_LAST
            reached |= set(node.outputs)
        return False

    def output(self) -> str:
        """The name of the program's value that is the graph's only output."""
        if len(self.model.outputs) != 1:
            raise CannotLower(
                f"ONNX: expected one result, found {len(self.model.outputs)}; keep the logits alone"
            )
        value = self.values.get(self.model.outputs[0])
        if value is None:
            raise InputError("ONNX: its result does not depend on the input")
        if value.order is not None:
            raise CannotLower(
                "ONNX: ends in a flattened image; end it in a dense layer or a global pool"
            )
        return value.name

    # --- nodes -----------------------------------------------------------------------------------

    def node(self, node: OnnxNode) -> None:
        """Fold a node, or add its layers."""
        if node.domain not in DOMAINS:
            raise CannotLower(
                f"{node.label}: operations of domain '{shown_name(node.domain)}' are hardware or "
                "another tool's; save the network before it is converted to hardware nodes "
                "(FINN: before the step that makes fpgadataflow layers)"
            )
        if node.op in _REFUSED and any(name in self.values for name in node.inputs):
            raise CannotLower(f"{node.label}: not taken; {_REFUSED[node.op]}")
        for name in node.outputs:
            if name and (name in self.values or name in self.constants):
                raise InputError(f"{node.label}: a second node computes '{shown_name(name)}'")
        _check_attributes(node)
        if node.op == "Constant":
            self.constants[node.outputs[0]] = _constant(node)
            return
        moving = [name for name in node.inputs if name in self.values]
        for name in node.inputs:
            if name and name not in self.values and name not in self.constants:
                raise InputError(
                    f"{node.label}: reads '{shown_name(name)}', which no earlier node computes"
                )
        if self.end and moving and node.op in ("Identity", "Cast", "Squeeze", "Reshape"):
            self.values[node.outputs[0]] = self.values[moving[0]]
            return
        if self.end and moving:
            raise CannotLower(f"{node.label}: comes behind the choice of the class; leave it out")
        if node.op == "Shape" and moving:
            shape = self.shape(self.values[moving[0]])
            self.constants[node.outputs[0]] = FoldedConstant(np.array(shape, np.int64))
            return
        if not moving:
            parts = [self.constants[name] if name else None for name in node.inputs]
            folded = fold(node, parts)
            if folded is None:
                raise CannotLower(f"{node.label}: not taken on constants; fold it in the exporter")
            self.constants[node.outputs[0]] = folded
            return
        known = _OPERATIONS.get(node.op)
        if known is None:
            raise CannotLower(
                f"{node.label}: this operation is not taken; taken are "
                f"{', '.join(sorted(_OPERATIONS))}"
            )
        if node.inputs[0] not in self.values and node.op not in ("Add", "Sub", "Mul"):
            raise CannotLower(f"{node.label}: expected the network's value as first argument")
        known(self, node)

    def shape(self, value: OnnxValue) -> tuple[int, ...]:
        """The shape of a value in the file's order of axes, for a batch of one."""
        shape = self.shapes[value.name]
        sizes = dict(zip("hwc" if len(shape) == 3 else "f", shape, strict=True))
        return tuple(sizes.get(axis, 1) for axis in value.axes)

    def value(self, node: OnnxNode, index: int = 0) -> OnnxValue:
        """An argument that depends on the input."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self.values:
            raise CannotLower(f"{node.label}: expected the network's value as argument {index + 1}")
        return self.values[name]

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

    # --- operations ------------------------------------------------------------------------------

    def quant(self, node: OnnxNode) -> None:
        """``Quant``: rounded codes times a scale."""
        value = self.value(node)
        scale, zero, bits = (
            self.constant(node, i + 1, what).array
            for i, what in enumerate(("scale", "zero point", "bit width"))
        )
        settings = quantizer_settings(node, zero, bits)
        step = single(node, "scale", scale)
        name = self.name(node)
        if settings.is_sign:
            self.append(node, sign(name, node.op, value.name, scale=step), value)
            return
        rule: Rounding = settings.rule  # type: ignore[assignment]
        layer = rounding(
            name,
            node.op,
            value.name,
            low=settings.low,
            high=settings.high,
            step=step,
            rule=rule,
            zero_point=settings.zero,
        )
        self.append(node, layer, value)

    def bipolar_quant(self, node: OnnxNode) -> None:
        """``BipolarQuant``: -1 and +1 times a scale; 0 gives +1."""
        value = self.value(node)
        scale = single(node, "scale", self.constant(node, 1, "scale").array)
        if not scale > 0:
            raise CannotLower(f"{node.label}: expected a scale above 0, found {scale:g}")
        self.append(node, sign(self.name(node), node.op, value.name, scale=scale), value)

    def multi_threshold(self, node: OnnxNode) -> None:
        """``MultiThreshold``: counts the thresholds that are at most the input."""
        value = self.value(node)
        thresholds = self.constant(node, 1, "thresholds").array.astype(np.float64)
        if thresholds.ndim != 2 or not thresholds.size:
            raise InputError(
                f"{node.label}: thresholds: expected shape (channels, steps), found "
                f"{thresholds.shape}"
            )
        layout = str(node.attributes.get("data_layout") or "")
        axis = len(value.axes) - 1 if layout in ("NHWC", "NWC", "NLC") else 1
        if axis >= len(value.axes) or value.axes[axis] not in "cf":
            raise CannotLower(
                f"{node.label}: data_layout {shown_name(layout)!r} does not name the channels of "
                f"shape {self.shape(value)}"
            )
        if len(thresholds) not in (1, self.shape(value)[axis]):
            raise InputError(
                f"{node.label}: expected thresholds of {self.shape(value)[axis]} channels, found "
                f"{len(thresholds)}"
            )
        if len(thresholds) > 1 and value.order is not None:
            thresholds = thresholds[np.argsort(value.order)]
        scale = float(node.attributes.get("out_scale", 1.0))
        edges = np.sort(thresholds, axis=1)
        layer = Quantizer(
            self.name(node),
            node.op,
            value.name,
            edges=edges,
            closed=np.ones(edges.shape[1], np.bool_),
            scale=scale,
            offset=float(node.attributes.get("out_bias", 0.0)),
            rule=f"{edges.shape[1]} thresholds a channel",
        )
        self.append(node, layer, value)

    def sign(self, node: OnnxNode) -> None:
        """``Sign``: -1, 0 at 0, and +1."""
        value = self.value(node)
        layer = Quantizer(
            self.name(node),
            node.op,
            value.name,
            edges=np.zeros((1, 2)),
            closed=np.array([[True, False]]),
            scale=1.0,
            offset=-1.0,
            rule="-1, 0 at 0, and +1",
        )
        self.append(node, layer, value)

    def matmul(self, node: OnnxNode) -> None:
        """``MatMul`` and ``Gemm``: a dense layer, and a layer for the bias behind it."""
        value = self.value(node)
        given = node.attributes
        if given.get("transA") or not value.axes.startswith("nf") or value.axes.strip("n1f"):
            raise CannotLower(
                f"{node.label}: expected a vector for each sample, found shape "
                f"{self.shape(value)}; flatten in front of it"
            )
        weights = self.constant(node, 1, "weights")
        if weights.array.ndim != 2:
            raise CannotLower(
                f"{node.label}: expected a matrix of weights, found shape {weights.array.shape}"
            )
        if not given.get("transB"):
            weights = weights.transposed((1, 0))
        codes, scale = self.weights(node, weights)
        codes = self.of_inputs(node, value, codes)
        alpha = float(given.get("alpha", 1.0)) if node.op == "Gemm" else 1.0
        layer = Dense(self.name(node), node.op, value.name, codes, scale * alpha)
        made = self.append(node, layer, value, value.axes)
        beta = float(given.get("beta", 1.0)) if node.op == "Gemm" else 1.0
        self.bias(node, made, beta)

    def bias(self, node: OnnxNode, value: OnnxValue, beta: float = 1.0) -> None:
        """Add the bias of a weighted sum: its third argument, if it has one."""
        if len(node.inputs) < 3 or not node.inputs[2]:
            return
        bias = self.constant(node, 2, "bias").array.astype(np.float64).ravel() * beta
        if len(bias) not in (1, self.shapes[value.name][-1]):
            raise InputError(
                f"{node.label}: bias: expected {self.shapes[value.name][-1]} numbers, found "
                f"{len(bias)}"
            )
        layer = Affine(self.name(node, " bias"), f"bias of {node.op}", value.name, offset=bias)
        self.append(node, layer, value)

    def of_inputs(self, node: OnnxNode, value: OnnxValue, weights: Ints) -> Ints:
        """Weights ``(channels, inputs)`` of a flat value, inputs in the program's order.

        Raises:
            InputError: if the value has another number of inputs.
        """
        if weights.shape[1] != self.shape(value)[1]:
            raise InputError(
                f"{node.label}: expected weights of {self.shape(value)[1]} inputs, found "
                f"{weights.shape[1]}"
            )
        return weights if value.order is None else weights[:, np.argsort(value.order)]

    def weights(self, node: OnnxNode, given: FoldedConstant) -> tuple[Ints, Floats]:
        """Integer weights and a scale for each output channel, the first axis.

        Raises:
            CannotLower: if they are real numbers, or scales differ within a channel.
        """
        if given.codes is not None and given.scale is not None:
            rows = given.scale.reshape(len(given.scale), -1)
            if not (rows == rows[:, :1]).all():
                raise CannotLower(
                    f"{node.label}: its weights have scales that differ within an output channel; "
                    "use one scale for each output channel, or one for all"
                )
            return given.codes, rows[:, 0]
        array = given.array.astype(np.float64)
        if not array.size or not np.isfinite(array).all():
            raise InputError(f"{node.label}: expected finite weights, found shape {array.shape}")
        if (array == np.round(array)).all() and np.abs(array).max() < WEIGHT_LIMIT:
            return array.astype(np.int64), np.ones(len(array))
        rows = np.abs(array.reshape(len(array), -1))
        most = rows.max(axis=1)
        if most.all() and ((rows == most[:, None]) | (rows == 0)).all():
            return np.sign(array).astype(np.int64), most
        raise CannotLower(
            f"{node.label}: its weights are real numbers; quantize them (a Quant or BipolarQuant "
            "node on the weights, at most 16 bits)"
        )

    def xnor_popcount(self, node: OnnxNode) -> None:
        """``XnorPopcountMatMul``: inputs and weights are 0 and 1; counts the pairs that agree."""
        value = self.value(node)
        bits = self.constant(node, 1, "weights").array
        if bits.ndim != 2 or not np.isin(bits, (0, 1)).all() or value.axes.strip("n1f"):
            raise CannotLower(f"{node.label}: expected a matrix of 0 and 1 behind a flat value")
        weights = 2 * bits.T.astype(np.int64) - 1
        weights = self.of_inputs(node, value, weights)
        source = next((one for one in self.layers if one.name == value.name), None)
        if not (
            isinstance(source, Quantizer)
            and source.steps == 1
            and (source.scale, source.offset) == (1.0, 0.0)
        ):
            raise CannotLower(f"{node.label}: expected a quantizer to 0 and 1 in front of it")
        dense = Dense(self.name(node), node.op, value.name, weights, np.ones(1))
        made = self.append(node, dense, value, value.axes)
        # x * b + (1 - x) * (1 - b) = x * (2 b - 1) + (1 - b)
        zeros = (weights < 0).sum(axis=1).astype(np.float64)
        layer = Affine(self.name(node, " zeros"), node.op, made.name, offset=zeros)
        self.append(node, layer, made)

    def conv(self, node: OnnxNode) -> None:
        """``Conv``: a convolution, and a layer for the bias behind it."""
        value = self.image(node)
        last = node.domain == CHANNELS_LAST
        weights = self.constant(node, 1, "weights")
        if value.axes == "ncw" and weights.array.ndim == 3:
            weights = weights.reshaped((*weights.array.shape[:2], 1, weights.array.shape[2]))
        if weights.array.ndim != 4:
            raise CannotLower(
                f"{node.label}: expected weights of {len(value.axes)} axes, found shape "
                f"{weights.array.shape}"
            )
        if not last:
            weights = weights.transposed((0, 2, 3, 1))
        codes, scale = self.weights(node, weights)
        kernel, stride, padding = self.window(node, value, codes.shape[1:3])
        if tuple(kernel) != codes.shape[1:3]:
            raise InputError(f"{node.label}: kernel_shape {kernel} is not that of its weights")
        layer = Convolution(
            self.name(node),
            node.op,
            value.name,
            codes,
            scale,
            stride=stride,
            padding=padding,
            groups=int(node.attributes.get("group", 1)),
        )
        made = self.append(node, layer, value)
        self.bias(node, made)

    def image(self, node: OnnxNode) -> OnnxValue:
        """The argument, refused unless it is an image with the operation's order of axes."""
        value = self.value(node)
        wanted = "nhwc" if node.domain == CHANNELS_LAST else "nchw"
        if value.axes not in (wanted, "ncw" if wanted == "nchw" else wanted):
            raise CannotLower(
                f"{node.label}: expected an image with axes {wanted}, found shape "
                f"{self.shape(value)} with axes {value.axes}"
            )
        return value

    def window(
        self, node: OnnxNode, value: OnnxValue, kernel: tuple[int, ...]
    ) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
        """Kernel, stride and padding (top, bottom, left, right) of a convolution or pool."""
        given = node.attributes
        sizes = [int(n) for n in given.get("kernel_shape") or kernel]
        strides = [int(n) for n in given.get("strides") or (1, 1)]
        pads = [int(n) for n in given.get("pads") or (0, 0, 0, 0)]
        dilations = [int(n) for n in given.get("dilations") or (1, 1)]
        if value.axes == "ncw":  # one row
            sizes, strides, dilations = ([1, *n][-2:] for n in (sizes, strides, dilations))
            pads = [0, pads[0], 0, pads[1]] if len(pads) == 2 else pads
        if (len(sizes), len(strides), len(pads), len(dilations)) != (2, 2, 4, 2):
            raise CannotLower(f"{node.label}: expected a window of rows and columns")
        if dilations != [1, 1]:
            raise CannotLower(f"{node.label}: dilation {dilations}: expected none")
        if min(*sizes, *strides) < 1 or min(pads) < 0 or max(*sizes, *strides, *pads) >= 1 << 15:
            raise InputError(f"{node.label}: expected sizes from 1 and padding from 0")
        height, width, _ = self.shapes[value.name]
        auto = str(given.get("auto_pad") or "NOTSET")
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            sides = []
            for size, k, s in zip((height, width), sizes, strides, strict=True):
                total = max((ceil(size / s) - 1) * s + k - size, 0)
                small = total // 2
                sides.append(
                    (small, total - small) if auto == "SAME_UPPER" else (total - small, small)
                )
            pads = [sides[0][0], sides[1][0], sides[0][1], sides[1][1]]
        elif auto == "VALID":
            pads = [0, 0, 0, 0]
        elif auto != "NOTSET":
            raise InputError(f"{node.label}: auto_pad: found {shown_name(auto)}")
        if given.get("ceil_mode") and any(
            (size + before + after - k) % s
            for size, before, after, k, s in zip(
                (height, width), pads[:2], pads[2:], sizes, strides, strict=True
            )
        ):
            raise CannotLower(f"{node.label}: windows reach out of the image; use ceil_mode 0")
        return (
            (sizes[0], sizes[1]),
            (strides[0], strides[1]),
            (pads[0], pads[2], pads[1], pads[3]),
        )

    def max_pool(self, node: OnnxNode) -> None:
        """``MaxPool``."""
        value = self.image(node)
        if len([o for o in node.outputs if o]) > 1:
            raise CannotLower(f"{node.label}: expected one result, found indices too")
        kernel, stride, padding = self.window(node, value, ())
        layer = MaxPooling(self.name(node), node.op, value.name, kernel, stride, padding)
        self.append(node, layer, value)

    def average_pool(self, node: OnnxNode) -> None:
        """``AveragePool``."""
        value = self.image(node)
        kernel, stride, padding = self.window(node, value, ())
        if any(padding) and not node.attributes.get("count_include_pad"):
            raise CannotLower(
                f"{node.label}: divides by what lies inside the image; use no padding, or "
                "count_include_pad"
            )
        layer = AveragePooling(self.name(node), node.op, value.name, kernel, stride, padding)
        self.append(node, layer, value)

    def global_pool(self, node: OnnxNode) -> None:
        """``GlobalAveragePool`` and ``GlobalMaxPool``."""
        value = self.image(node)
        height, width, _ = self.shapes[value.name]
        size = (height, width)
        layer: Layer = AveragePooling(self.name(node), node.op, value.name, size, size)
        if node.op == "GlobalMaxPool":
            layer = MaxPooling(self.name(node), node.op, value.name, size, size)
        self.append(node, layer, value)

    def reduce_mean(self, node: OnnxNode) -> None:
        """``ReduceMean`` over rows and columns: a global average."""
        value = self.image(node)
        second = self.constant(node, 1, "axes").array.ravel() if len(node.inputs) > 1 else ()
        axes = [int(a) % len(value.axes) for a in second] or [
            a % len(value.axes) for a in node.attributes.get("axes", ())
        ]
        if sorted(axes) != [i for i, a in enumerate(value.axes) if a in "hw"]:
            raise CannotLower(f"{node.label}: expected the mean of rows and columns")
        height, width, _ = self.shapes[value.name]
        size = (height, width)
        layer = AveragePooling(self.name(node), node.op, value.name, size, size)
        made = self.append(node, layer, value)
        if not node.attributes.get("keepdims", 1):
            flat = Flattening(self.name(node, " flat"), node.op, made.name)
            self.append(node, flat, made, "nf")

    def batch_norm(self, node: OnnxNode) -> None:
        """``BatchNormalization`` in inference."""
        value = self.value(node)
        if len([o for o in node.outputs if o]) > 1 or node.attributes.get("training_mode"):
            raise CannotLower(f"{node.label}: is in training mode; export the network in eval mode")
        last = node.domain == CHANNELS_LAST
        axis = len(value.axes) - 1 if last else 1
        if axis >= len(value.axes) or value.axes[axis] not in "cf":
            raise CannotLower(
                f"{node.label}: expected the channels on axis {axis} of shape {self.shape(value)}"
            )
        count = self.shape(value)[axis]
        parts = []
        for i, what in enumerate(("gamma", "beta", "mean", "variance")):
            numbers = self.constant(node, i + 1, what).array.astype(np.float64).ravel()
            if len(numbers) != count:
                raise InputError(
                    f"{node.label}: {what}: expected {count} numbers, found {len(numbers)}"
                )
            parts.append(self.in_order(value, numbers))
        epsilon = float(node.attributes.get("epsilon", 1e-5))
        gamma, beta, mean, variance = parts
        layer = BatchNorm(
            self.name(node),
            node.op,
            value.name,
            gamma=gamma,
            beta=beta,
            mean=mean,
            variance=variance,
            epsilon=epsilon,
        )
        self.append(node, layer, value)

    def relu(self, node: OnnxNode) -> None:
        """``Relu``."""
        value = self.value(node)
        self.append(node, Relu(self.name(node), node.op, value.name), value)

    def elementwise(self, node: OnnxNode) -> None:
        """``Add``, ``Sub``, ``Mul`` and ``Div``: with a constant, or a sum of two values."""
        moving = [i for i, name in enumerate(node.inputs[:2]) if name in self.values]
        if len(moving) == 2:
            one, other = self.value(node), self.value(node, 1)
            if node.op != "Add" or one.axes != other.axes or self.shape(one) != self.shape(other):
                raise CannotLower(
                    f"{node.label}: of two values of the network only sums of one shape are taken"
                )
            if one.order is not None or other.order is not None:
                raise CannotLower(f"{node.label}: add in front of the flatten, not behind it")
            layer: Layer = Addition(self.name(node), node.op, one.name, other.name)
            self.append(node, layer, one)
            return
        at = moving[0]
        value = self.value(node, at)
        given = self.constant(node, 1 - at, "argument").array
        numbers = self.per_channel(node, value, given, "argument")
        parts: dict[str, Any] = {
            "Add": {"offset": numbers},
            "Sub": {"offset": numbers, "scale": -np.ones(1)} if at else {"offset": -numbers},
            "Mul": {"scale": numbers},
            "Div": {"divisor": numbers},
        }[node.op]
        if node.op == "Div" and at:
            raise CannotLower(f"{node.label}: divides by a value of the network")
        self.append(node, Affine(self.name(node), node.op, value.name, **parts), value)

    def concat(self, node: OnnxNode) -> None:
        """``Concat`` of values of the network, along their channels."""
        values = [self.value(node, i) for i in range(len(node.inputs))]
        first = values[0]
        axis = int(node.attributes.get("axis", 1))
        if any(v.axes != first.axes for v in values) or (
            first.axes[axis % len(first.axes)] not in "cf"
        ):
            raise CannotLower(
                f"{node.label}: expected values side by side along their channels, found axis "
                f"{axis} of {', '.join(v.axes for v in values[:4])}"
            )
        orders, start = [], 0
        for value in values:
            size = self.shapes[value.name][-1]
            orders.append(start + (np.arange(size) if value.order is None else value.order))
            start += size
        if len(values) == 1:
            self.values[node.outputs[0]] = first
            return
        names = tuple(v.name for v in values[1:])
        layer = Concatenation(self.name(node), node.op, first.name, names)
        made = self.append(node, layer, first)
        if any(v.order is not None for v in values):
            self.values[node.outputs[0]] = replace(made, order=np.concatenate(orders))

    def same(self, node: OnnxNode) -> None:
        """Operations that change nothing in inference."""
        self.values[node.outputs[0]] = self.value(node)

    def softmax(self, node: OnnxNode) -> None:
        """``Softmax`` at the end: the class is the same without it."""
        later = [n for n in self.model.nodes if node.outputs[0] in n.inputs]
        if any(n.op not in ("ArgMax", "TopK", "Identity") for n in later):
            raise CannotLower(f"{node.label}: taken only at the end of the network")
        self.remarks.append(f"{node.label} left out: the class is the same without it")
        self.values[node.outputs[0]] = self.value(node)

    def transpose(self, node: OnnxNode) -> None:
        """``Transpose``: permutes the axes; makes no layer."""
        value = self.value(node)
        axes = [int(a) for a in node.attributes.get("perm") or range(len(value.axes))[::-1]]
        if sorted(axes) != list(range(len(value.axes))) or axes[0] != 0:
            raise CannotLower(f"{node.label}: moves the batch: {axes[:8]}")
        made = "".join(value.axes[a] for a in axes)
        self.values[node.outputs[0]] = replace(value, axes=made)

    def reshape(self, node: OnnxNode) -> None:
        """``Reshape``, ``Flatten``, ``Squeeze``, ``Unsqueeze``: a flatten, or axes of size 1."""
        value = self.value(node)
        shape = self.shape(value)
        second = self.constant(node, 1, "shape").array if len(node.inputs) > 1 else None
        wanted = new_shape(node, shape, second)
        if wanted == shape:
            self.values[node.outputs[0]] = value
            return
        letters = [(a, n) for a, n in zip(value.axes, shape, strict=True) if a != "n" and n > 1]
        sizes = [n for n in wanted[1:] if n > 1]
        if wanted[:1] == (1,) and sizes == [n for _, n in letters] and len(wanted) > 1:
            self.values[node.outputs[0]] = replace(value, axes=self.relettered(value, wanted))
            if len(wanted) == 2 and len(self.shapes[value.name]) == 3:
                self.flattened(node, value)
            return
        if wanted != (1, prod(shape)):
            raise CannotLower(
                f"{node.label}: brings shape {shape} to {wanted}; expected a flatten to "
                f"{(1, prod(shape))}"
            )
        self.flattened(node, value)

    def relettered(self, value: OnnxValue, wanted: tuple[int, ...]) -> str:
        """The axes after a reshape that only adds or removes axes of size 1."""
        shape = self.shape(value)
        names = [(a, n) for a, n in zip(value.axes, shape, strict=True) if a not in "n1"]
        made = "n"
        for i, size in enumerate(wanted[1:]):
            # Letters of size 1 go where they fit; the last axes take what is left.
            while names and names[0][1] == 1 and size != 1:
                names.pop(0)
            rest = len(wanted) - 1 - i
            take = names and names[0][1] == size and (size > 1 or len(names) >= rest)
            made += names.pop(0)[0] if take else "1"
        return made

    def flattened(self, node: OnnxNode, value: OnnxValue) -> None:
        """A flatten; the value keeps the file's order of elements."""
        shape = self.shapes[value.name]
        if len(shape) == 1:
            self.values[node.outputs[0]] = replace(value, axes="nf")
            return
        letters = [a for a in value.axes if a in "hwc"]
        missing = [a for a in "hwc" if a not in letters]
        axes = ["hwc".index(a) for a in (*letters, *missing)]
        order = np.arange(prod(shape)).reshape(shape).transpose(axes).ravel()
        made = self.append(node, Flattening(self.name(node), node.op, value.name), value, "nf")
        if not (order == np.arange(len(order))).all():
            self.values[node.outputs[0]] = replace(made, order=order)

    def class_choice(self, node: OnnxNode) -> None:
        """``ArgMax`` and ``TopK`` of one: the class, at the end of the network."""
        value = self.value(node)
        given = node.attributes
        axis = int(given.get("axis", -1 if node.op == "TopK" else 0))
        if value.axes[axis % len(value.axes)] not in "cf" or value.order is not None:
            raise CannotLower(f"{node.label}: expected the largest of the classes, on axis 1")
        if node.op == "TopK":
            count = single(node, "k", self.constant(node, 1, "k").array)
            if count != 1 or not given.get("largest", 1):
                raise CannotLower(f"{node.label}: expected the one largest, k = 1")
        elif given.get("select_last_index"):
            raise CannotLower(f"{node.label}: expected ties to go to the lowest index")
        self.end = value.name
        for name in node.outputs:
            if name:
                self.values[name] = value


_KINDS: dict[str, type] = {
    **dict.fromkeys(("epsilon", "momentum", "alpha", "beta", "out_scale", "out_bias"), float),
    **dict.fromkeys(("axis", "group", "transA", "transB", "signed", "narrow", "largest"), int),
    **dict.fromkeys(("select_last_index", "keepdims", "ceil_mode", "count_include_pad"), int),
    **dict.fromkeys(("allowzero", "training_mode", "storage_order", "sorted"), int),
    **dict.fromkeys(("perm", "pads", "strides", "kernel_shape", "dilations", "axes"), list),
    **dict.fromkeys(("shape",), list),
    **dict.fromkeys(("rounding_mode", "data_layout", "auto_pad", "out_dtype"), str),
}
"""The types of attributes that operations read."""


def _check_attributes(node: OnnxNode) -> None:
    """Refuse attributes of a wrong type, and lists that are not integers of 32 bits."""
    for name, kind in _KINDS.items():
        value = node.attributes.get(name)
        good = name not in node.attributes or isinstance(value, kind)
        if kind is list and good:
            items = value or []
            good = len(items) <= MOST_AXES and all(
                isinstance(n, int) and abs(n) < 1 << 31 for n in items
            )
        if kind is int and good and value is not None:
            good = abs(value) < 1 << 31
        if not good:
            raise InputError(f"{node.label}: attribute '{name}': found another type or size")


def _constant(node: OnnxNode) -> FoldedConstant:
    """The content of a ``Constant`` node."""
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node.attributes:
            array = np.asarray(node.attributes[name])
            if array.dtype.kind in "fiub":
                return FoldedConstant(array)
    raise CannotLower(f"{node.label}: expected a constant of numbers")


def _annotated(shape: tuple[int, ...], datatype: str) -> Input | None:
    """The Input of FINN's data type, with integers of scale 1; None for other types."""
    if datatype == "BIPOLAR":
        return Input("x", shape, 0, 1, bit=True, scale=2.0, offset=-1.0)
    if datatype == "BINARY":
        return Input("x", shape, 0, 1)
    for prefix, signed in (("UINT", False), ("INT", True)):
        digits = datatype.removeprefix(prefix)
        if digits != datatype and digits.isdecimal() and 1 <= int(digits[:3]) <= 16:
            bits = int(digits[:3])
            low = -(1 << (bits - 1)) if signed else 0
            return Input("x", shape, low, low + (1 << bits) - 1)
    return None


_OPERATIONS: dict[str, Callable[[OnnxTranslation, OnnxNode], None]] = {
    "Quant": OnnxTranslation.quant,
    "IntQuant": OnnxTranslation.quant,
    "BipolarQuant": OnnxTranslation.bipolar_quant,
    "MultiThreshold": OnnxTranslation.multi_threshold,
    "Sign": OnnxTranslation.sign,
    "MatMul": OnnxTranslation.matmul,
    "Gemm": OnnxTranslation.matmul,
    "XnorPopcountMatMul": OnnxTranslation.xnor_popcount,
    "Conv": OnnxTranslation.conv,
    "MaxPool": OnnxTranslation.max_pool,
    "AveragePool": OnnxTranslation.average_pool,
    "GlobalAveragePool": OnnxTranslation.global_pool,
    "GlobalMaxPool": OnnxTranslation.global_pool,
    "ReduceMean": OnnxTranslation.reduce_mean,
    "BatchNormalization": OnnxTranslation.batch_norm,
    "Relu": OnnxTranslation.relu,
    "Add": OnnxTranslation.elementwise,
    "Sub": OnnxTranslation.elementwise,
    "Mul": OnnxTranslation.elementwise,
    "Div": OnnxTranslation.elementwise,
    "Concat": OnnxTranslation.concat,
    "Identity": OnnxTranslation.same,
    "Dropout": OnnxTranslation.same,
    "Cast": OnnxTranslation.same,
    "Softmax": OnnxTranslation.softmax,
    "LogSoftmax": OnnxTranslation.softmax,
    "Transpose": OnnxTranslation.transpose,
    "Reshape": OnnxTranslation.reshape,
    "Flatten": OnnxTranslation.reshape,
    "Squeeze": OnnxTranslation.reshape,
    "Unsqueeze": OnnxTranslation.reshape,
    "ArgMax": OnnxTranslation.class_choice,
    "TopK": OnnxTranslation.class_choice,
}
"""The operations that are read, and the method that translates each."""
