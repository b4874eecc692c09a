"""Executes ONNX graphs in float64, node by node, channels first: for tests, on the file's terms."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwbnn.readers.onnx.protobuf import OnnxModel


def execute(model: OnnxModel, x: Any) -> Any:
    """The result of a model on a batch."""
    return trace(model, x)[model.outputs[0]]


def trace(model: OnnxModel, x: Any, name: str = "x") -> dict[str, Any]:
    """All values of a model on a batch."""
    values: dict[str, Any] = {name: a.astype(np.float64) for name, a in model.constants.items()}
    values[name] = np.asarray(x, np.float64)
    for node in model.nodes:
        given = [values[i] for i in node.inputs]
        values[node.outputs[-1]] = OPERATIONS[node.op](node.attributes, *given)
    return values


def quant(a: Any, x: Any, scale: Any, zero: Any, bits: Any) -> Any:
    b = int(bits)
    low = -(2 ** (b - 1)) + a["narrow"] if a["signed"] else 0
    high = 2 ** (b - 1) - 1 if a["signed"] else 2**b - 1 - a["narrow"]
    return (np.round((x / scale + zero).clip(low, high)) - zero) * scale


def conv(a: Any, x: Any, w: Any, bias: Any = 0.0) -> Any:
    top, left, bottom, right = a.get("pads", (0, 0, 0, 0))
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    rows, columns = a.get("strides", (1, 1))
    groups = a.get("group", 1)
    taps = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    taps = taps[:, :, ::rows, ::columns]
    parts = [
        np.einsum("ncijkl,ockl->noij", one, other)
        for one, other in zip(
            np.split(taps, groups, axis=1), np.split(w, groups, axis=0), strict=True
        )
    ]
    return np.concatenate(parts, axis=1) + np.reshape(bias, (1, -1, 1, 1))


def pool(a: Any, x: Any) -> Any:
    top, left, bottom, right = a.get("pads", (0, 0, 0, 0))
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    x = np.pad(x, sides, constant_values=-np.inf)
    taps = np.lib.stride_tricks.sliding_window_view(x, tuple(a["kernel_shape"]), axis=(2, 3))
    rows, columns = a["strides"]
    return taps[:, :, ::rows, ::columns].max(axis=(-2, -1))


def norm(a: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
    shape = (1, -1) + (1,) * (x.ndim - 2)
    gamma, beta, mean, variance = (p.reshape(shape) for p in (gamma, beta, mean, variance))
    return (x - mean) / np.sqrt(variance + a.get("epsilon", 1e-5)) * gamma + beta


def thresholds(a: Any, x: Any, t: Any) -> Any:
    last = a.get("data_layout") == "NHWC"
    moved = x if last else np.moveaxis(x, 1, -1)
    count = (moved[..., None] >= t).sum(axis=-1)
    count = count if last else np.moveaxis(count, -1, 1)
    return a.get("out_scale", 1.0) * count + a.get("out_bias", 0.0)


def largest(a: Any, x: Any, k: Any) -> Any:
    """The places of the ``k`` largest, or smallest; of equal numbers the first."""
    axis = a.get("axis", -1)
    order = np.argsort(-x if a.get("largest", 1) else x, axis=axis, kind="stable")
    return np.take(order, range(int(np.ravel(k)[0])), axis=axis)


OPERATIONS: dict[str, Any] = {
    "Quant": quant,
    "BipolarQuant": lambda a, x, s: np.where(x >= 0, 1.0, -1.0) * s,
    "MultiThreshold": thresholds,
    "MatMul": lambda a, x, w: x @ w,
    "XnorPopcountMatMul": lambda a, x, w: x @ w + (1 - x) @ (1 - w),
    "TopK": largest,
    "Gemm": lambda a, x, w, b: x @ (w.T if a.get("transB") else w) + b,
    "Conv": conv,
    "MaxPool": pool,
    "Relu": lambda a, x: np.maximum(x, 0),
    "BatchNormalization": norm,
    "Add": lambda a, x, y: x + y,
    "Sub": lambda a, x, y: x - y,
    "Mul": lambda a, x, y: x * y,
    "Cast": lambda a, x: x.astype({1: np.float32, 11: np.float64}[a["to"]]).astype(np.float64),
    "Clip": lambda a, x, low, high: x.clip(low, high),
    "ReduceSum": lambda a, x, axes: x.sum(axis=tuple(axes.astype(int)), keepdims=True),
    "Floor": lambda a, x: np.floor(x),
    "Max": lambda a, x, y: np.maximum(x, y),
    "Min": lambda a, x, y: np.minimum(x, y),
    "Identity": lambda a, x: x,
    "Pad": lambda a, x, pads, value: np.pad(
        x, pads.astype(int).reshape(2, -1).T, constant_values=float(value)
    ),
    "Gather": lambda a, x, i: np.take(x, i.astype(int), axis=a["axis"]),
    "Concat": lambda a, *x: np.concatenate(x, axis=a["axis"]),
    "ArgMax": lambda a, x: x.argmax(axis=a["axis"], keepdims=True),
    "Flatten": lambda a, x: x.reshape(len(x), -1),
    "Reshape": lambda a, x, s: x.reshape(len(x), -1),
    "Transpose": lambda a, x: x.transpose(a["perm"]),
    "Unsqueeze": lambda a, x: np.expand_dims(x, tuple(a["axes"])),
    "Squeeze": lambda a, x: np.squeeze(x, tuple(a["axes"])),
}
"""The operations of the tests' files."""
