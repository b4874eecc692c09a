"""From a QONNX or FINN-ONNX graph to a program: the table of operations that are read.

A node whose arguments are all constants is folded (:mod:`~hwbnn.readers.onnx.folding`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.program import Program, shown_name
from hwbnn.readers.onnx.axis_nodes import reshape, transpose
from hwbnn.readers.onnx.elementwise_nodes import batch_norm, concat, elementwise
from hwbnn.readers.onnx.end_nodes import class_choice, network_input, network_output, same, softmax
from hwbnn.readers.onnx.folding import FoldedConstant, fold
from hwbnn.readers.onnx.onnx_translation import OnnxTranslation
from hwbnn.readers.onnx.protobuf import MOST_AXES, OnnxModel, OnnxNode
from hwbnn.readers.onnx.quantizer_nodes import (
    bipolar_quant,
    clip,
    multi_threshold,
    quant,
    relu,
    sign_of,
    trunc,
)
from hwbnn.readers.onnx.sum_nodes import conv, matmul, xnor_popcount
from hwbnn.readers.onnx.window_nodes import (
    average_pool,
    global_pool,
    im2col,
    max_pool,
    pad,
    quant_avg_pool,
    reduce_mean,
)

DOMAINS = (
    "",
    "ai.onnx",
    "onnx.brevitas",
    "finn.custom_op.general",
    "qonnx.custom_op.general",
    "qonnx.custom_op.channels_last",
)
"""The domains whose operations are known."""
_REFUSED = {
    "QuantizeLinear": "export the network as QONNX (quantizers as Quant nodes), not as QCDQ",
    "DequantizeLinear": "export the network as QONNX (quantizers as Quant nodes), not as QCDQ",
    "QLinearConv": "export the network as QONNX (quantizers as Quant nodes)",
    "QLinearMatMul": "export the network as QONNX (quantizers as Quant nodes)",
    "ConvInteger": "export the network as QONNX (quantizers as Quant nodes)",
    "MatMulInteger": "export the network as QONNX (quantizers as Quant nodes)",
    "Sigmoid": "put a Quant node in its place, or train with a quantized ReLU",
    "Tanh": "put a Quant node in its place, or train with a sign",
    "LSTM": "recurrent layers are not lowered",
    "GRU": "recurrent layers are not lowered",
}
"""Operations that are always refused, with the advice in the message."""


def translate(model: OnnxModel, format: str) -> Program:
    """The whole network.

    Args:
        model: the model of the file.
        format: the name of its format.

    Raises:
        CannotLower: naming the layer that is not taken.
        InputError: if the file is damaged.
    """
    constants = {name: FoldedConstant(array) for name, array in model.constants.items()}
    work = OnnxTranslation(model, constants=constants)
    name, shape, contract = network_input(work)
    work.shapes[name] = shape
    for node in model.nodes:
        _translate_node(work, node)
    output = work.end or network_output(work)
    return Program(format, name, shape, tuple(work.layers), output, contract, tuple(work.remarks))


def _translate_node(work: OnnxTranslation, node: OnnxNode) -> None:
    """Fold a node, or add its layers."""
    if node.domain not in DOMAINS:
        raise CannotLower(
            f"{node.label}: operations of domain '{shown_name(node.domain)}' are hardware or "
            "another tool's; save the network before it is converted to hardware nodes "
            "(FINN: before the step that makes fpgadataflow layers)"
        )
    if node.op in _REFUSED and any(name in work.values for name in node.inputs):
        raise CannotLower(f"{node.label}: not taken; {_REFUSED[node.op]}")
    for name in node.outputs:
        if name and (name in work.values or name in work.constants):
            raise InputError(f"{node.label}: a second node computes '{shown_name(name)}'")
    _check_attributes(node)
    if node.op == "Constant":
        work.constants[node.outputs[0]] = _constant(node)
        return
    moving = [name for name in node.inputs if name in work.values]
    for name in node.inputs:
        if name and name not in work.values and name not in work.constants:
            raise InputError(
                f"{node.label}: reads '{shown_name(name)}', which no earlier node computes"
            )
    if work.end and moving and node.op in ("Identity", "Cast", "Squeeze", "Reshape"):
        work.values[node.outputs[0]] = work.values[moving[0]]
        return
    if work.end and moving:
        raise CannotLower(f"{node.label}: comes behind the choice of the class; leave it out")
    if node.op == "Shape" and moving:
        shape = work.shape(work.values[moving[0]])
        work.constants[node.outputs[0]] = FoldedConstant(np.array(shape, np.int64))
        return
    if not moving:
        parts = [work.constants[name] if name else None for name in node.inputs]
        folded = fold(node, parts)
        if folded is None:
            raise CannotLower(f"{node.label}: not taken on constants; fold it in the exporter")
        work.constants[node.outputs[0]] = folded
        return
    known = _OPERATIONS.get(node.op)
    if known is None:
        raise CannotLower(
            f"{node.label}: this operation is not taken; taken are {', '.join(sorted(_OPERATIONS))}"
        )
    if node.inputs[0] not in work.values and node.op not in ("Add", "Sub", "Mul"):
        raise CannotLower(f"{node.label}: expected the network's value as first argument")
    known(work, node)


_KINDS: dict[str, type] = {
    **dict.fromkeys(
        ("epsilon", "momentum", "alpha", "beta", "min", "max", "out_scale", "out_bias"), float
    ),
    **dict.fromkeys(("axis", "group", "transA", "transB", "signed", "narrow", "largest"), int),
    **dict.fromkeys(("select_last_index", "keepdims", "ceil_mode", "count_include_pad"), int),
    **dict.fromkeys(("kernel", "ibits", "obits"), int),
    **dict.fromkeys(("allowzero", "training_mode", "storage_order", "sorted", "pad_value"), int),
    **dict.fromkeys(("perm", "pads", "strides", "kernel_shape", "dilations", "axes"), list),
    **dict.fromkeys(("shape", "kernel_size", "stride", "pad_amount"), list),
    **dict.fromkeys(("rounding_mode", "data_layout", "auto_pad", "out_dtype", "mode"), str),
}
"""The types of attributes that operations read."""


def _check_attributes(node: OnnxNode) -> None:
    """Refuse attributes of a wrong type, and lists that are not integers of 32 bits."""
    kinds = {**_KINDS, "stride": int} if node.op == "QuantAvgPool2d" else _KINDS
    for name, kind in kinds.items():
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


_OPERATIONS: dict[str, Callable[[OnnxTranslation, OnnxNode], None]] = {
    "Quant": quant,
    "IntQuant": quant,
    "BipolarQuant": bipolar_quant,
    "Trunc": trunc,
    "MultiThreshold": multi_threshold,
    "Sign": sign_of,
    "MatMul": matmul,
    "Gemm": matmul,
    "XnorPopcountMatMul": xnor_popcount,
    "Conv": conv,
    "MaxPool": max_pool,
    "MaxPoolNHWC": max_pool,
    "Pad": pad,
    "Im2Col": im2col,
    "AveragePool": average_pool,
    "QuantAvgPool2d": quant_avg_pool,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "ReduceMean": reduce_mean,
    "BatchNormalization": batch_norm,
    "Relu": relu,
    "Clip": clip,
    "Add": elementwise,
    "Sub": elementwise,
    "Mul": elementwise,
    "Div": elementwise,
    "Concat": concat,
    "Identity": same,
    "Dropout": same,
    "Cast": same,
    "Softmax": softmax,
    "LogSoftmax": softmax,
    "Transpose": transpose,
    "Reshape": reshape,
    "Flatten": reshape,
    "Squeeze": reshape,
    "Unsqueeze": reshape,
    "ArgMax": class_choice,
    "TopK": class_choice,
}
"""The operations that are read, and the function that translates each."""
