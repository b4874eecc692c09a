"""Weighted sums of ONNX: dense layers and convolutions with integer weights and real scales."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph.arrays import Floats, Ints
from hwbnn.program import Affine, Convolution, Dense, Quantizer, dilated
from hwbnn.program.layers import WEIGHT_LIMIT
from hwbnn.readers.onnx.folding import FoldedConstant
from hwbnn.readers.onnx.onnx_translation import CHANNELS_LAST, Margin, OnnxTranslation, OnnxValue
from hwbnn.readers.onnx.protobuf import OnnxNode
from hwbnn.readers.onnx.window_nodes import around, image, window


def matmul(work: OnnxTranslation, node: OnnxNode) -> None:
    """``MatMul`` and ``Gemm``: a dense layer, and a layer for the bias behind it."""
    value = work.value(node, margin=True)
    given = node.attributes
    if value.axes == "nhwc" and node.op == "MatMul":
        _matmul_of_image(work, node, value)
        return
    if given.get("transA") or not value.axes.startswith("nf") or value.axes.strip("n1f"):
        raise CannotLower(
            f"{node.label}: expected a vector for each sample, found shape "
            f"{work.shape(value)}; flatten in front of it"
        )
    weights = work.constant(node, 1, "weights")
    if weights.array.ndim != 2:
        raise CannotLower(
            f"{node.label}: expected a matrix of weights, found shape {weights.array.shape}"
        )
    if not given.get("transB"):
        weights = weights.transposed((1, 0))
    codes, scale = _weights(work, node, weights)
    codes = _of_inputs(work, node, value, codes)
    alpha = float(given.get("alpha", 1.0)) if node.op == "Gemm" else 1.0
    layer = Dense(work.name(node), node.op, value.name, codes, scale * alpha)
    made = work.append(node, layer, value, value.axes)
    beta = float(given.get("beta", 1.0)) if node.op == "Gemm" else 1.0
    _bias(work, node, made, beta)


def _matmul_of_image(work: OnnxTranslation, node: OnnxNode, value: OnnxValue) -> None:
    """``MatMul`` at every position of an image, or of the windows of an ``Im2Col``."""
    margin = value.margin or Margin(kernel=(1, 1))
    if margin.kernel is None:
        raise CannotLower(f"{node.label}: reads a Pad; only a convolution may")
    matrix = work.constant(node, 1, "weights")
    channels = work.shapes[value.name][2]
    rows, columns = margin.kernel
    if matrix.array.ndim != 2 or len(matrix.array) != rows * columns * channels:
        raise InputError(
            f"{node.label}: weights: expected a matrix of {rows * columns * channels} rows, found "
            f"shape {matrix.array.shape}"
        )
    codes, scale = _weights(work, node, matrix.transposed((1, 0)))
    # FINN's attribute ``depthwise`` is for hardware; elements stay in the order of the windows.
    codes, groups = codes.reshape(-1, rows, columns, channels), 1
    if len(codes) == channels > 1:
        own = codes[np.arange(channels), :, :, np.arange(channels)][..., None]
        if np.abs(own).sum() == np.abs(codes).sum():
            codes, groups = own, channels
    layer = Convolution(
        *(work.name(node), node.op, value.name, codes, scale),
        stride=margin.stride,
        padding=margin.padding,
        pad_value=margin.outside,
        groups=groups,
    )
    work.append(node, layer, replace(value, margin=None))


def xnor_popcount(work: OnnxTranslation, node: OnnxNode) -> None:
    """``XnorPopcountMatMul``: inputs and weights are 0 and 1; counts the pairs that agree."""
    value = work.value(node)
    bits = work.constant(node, 1, "weights").array
    if bits.ndim != 2 or not np.isin(bits, (0, 1)).all() or value.axes.strip("n1f"):
        raise CannotLower(f"{node.label}: expected a matrix of 0 and 1 behind a flat value")
    weights = 2 * bits.T.astype(np.int64) - 1
    weights = _of_inputs(work, node, value, weights)
    source = next((one for one in work.layers if one.name == value.name), None)
    if not (
        isinstance(source, Quantizer)
        and source.steps == 1
        and (source.scale, source.offset) == (1.0, 0.0)
    ):
        raise CannotLower(f"{node.label}: expected a quantizer to 0 and 1 in front of it")
    dense = Dense(work.name(node), node.op, value.name, weights, np.ones(1))
    made = work.append(node, dense, value, value.axes)
    # x * b + (1 - x) * (1 - b) = x * (2 b - 1) + (1 - b)
    zeros = (weights < 0).sum(axis=1).astype(np.float64)
    layer = Affine(work.name(node, " zeros"), node.op, made.name, offset=zeros)
    work.append(node, layer, made)


def conv(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Conv``: a convolution, and a layer for the bias behind it."""
    value = image(work, node, margin=True)
    last = node.domain == CHANNELS_LAST
    weights = work.constant(node, 1, "weights")
    if value.axes == "ncw" and weights.array.ndim == 3:
        weights = weights.reshaped((*weights.array.shape[:2], 1, weights.array.shape[2]))
    if weights.array.ndim != 4:
        raise CannotLower(
            f"{node.label}: expected weights of {len(value.axes)} axes, found shape "
            f"{weights.array.shape}"
        )
    if not last:
        weights = weights.transposed((0, 2, 3, 1))
    codes, scale = _weights(work, node, weights)
    said = node.attributes.get("kernel_shape")
    if said and [1, *said][-2:] != list(codes.shape[1:3]):
        raise InputError(f"{node.label}: kernel_shape {said} is not that of its weights")
    rates = [1, *(int(n) for n in node.attributes.get("dilations") or (1, 1))][-2:]
    try:
        codes = dilated(codes, rates)
    except ValueError as error:
        raise InputError(f"{node.label}: dilations: expected {error}") from None
    _, stride, padding = window(work, node, value, codes.shape[1:3], is_dilated=True)
    padding, outside = around(node, value, padding)
    layer = Convolution(
        work.name(node),
        node.op,
        value.name,
        codes,
        scale,
        stride=stride,
        padding=padding,
        pad_value=outside,
        groups=int(node.attributes.get("group", 1)),
    )
    made = work.append(node, layer, replace(value, margin=None))
    _bias(work, node, made)


def _bias(work: OnnxTranslation, node: OnnxNode, value: OnnxValue, beta: float = 1.0) -> None:
    """Add the bias of a weighted sum: its third argument, if it has one."""
    if len(node.inputs) < 3 or not node.inputs[2]:
        return
    bias = work.constant(node, 2, "bias").array.astype(np.float64).ravel() * beta
    if len(bias) not in (1, work.shapes[value.name][-1]):
        raise InputError(
            f"{node.label}: bias: expected {work.shapes[value.name][-1]} numbers, found {len(bias)}"
        )
    layer = Affine(work.name(node, " bias"), f"bias of {node.op}", value.name, offset=bias)
    work.append(node, layer, value)


def _of_inputs(work: OnnxTranslation, node: OnnxNode, value: OnnxValue, weights: Ints) -> Ints:
    """Weights ``(channels, inputs)`` of a flat value, inputs in the program's order.

    Raises:
        InputError: if the value has another number of inputs.
    """
    if weights.shape[1] != work.shape(value)[1]:
        raise InputError(
            f"{node.label}: expected weights of {work.shape(value)[1]} inputs, found "
            f"{weights.shape[1]}"
        )
    return weights if value.order is None else weights[:, np.argsort(value.order)]


def _weights(work: OnnxTranslation, node: OnnxNode, given: FoldedConstant) -> tuple[Ints, Floats]:
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
