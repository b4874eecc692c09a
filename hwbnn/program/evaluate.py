"""Evaluates a program in float64, layer by layer: an independent check of its Graph.

Codes are summed as integers, so that a sum of 0 is exactly 0 whatever the scales; everything else
is computed in float64, in the order of the layers' docstrings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwbnn.graph import Input
from hwbnn.graph.arrays import Array, Floats, Ints
from hwbnn.program.layers import (
    Addition,
    Affine,
    AveragePooling,
    BatchNorm,
    Clip,
    Concatenation,
    Convolution,
    Dense,
    Flattening,
    Layer,
    MaxPooling,
    Quantizer,
)
from hwbnn.program.program import Program


@dataclass(frozen=True, eq=False)
class Value:
    """One value of a program, for a batch of inputs.

    Attributes:
        real: float64 ``(frames, *shape)``.
        integers: the integers with ``real = unit * integers + centre``, as float64; else None.
        unit: see ``integers``.
        centre: see ``integers``.
        counts: for a quantizer, the number of edges reached, int64; else None.
    """

    real: Floats
    integers: Floats | None = None
    unit: float = 1.0
    centre: float = 0.0
    counts: Ints | None = None


def evaluate(
    program: Program, input: Input, x: Array, counts: Mapping[str, Ints] | None = None
) -> dict[str, Value]:
    """All values of a program on a batch, by name.

    Args:
        program: the network.
        input: has the scale and offset from integers to the network's numbers.
        x: integers of the input, ``(frames, *shape)``; bits as codes 0 and 1.
        counts: by a quantizer's name, counts to use instead of the computed ones; later layers
            are computed from these.
    """
    with np.errstate(all="ignore"):  # a damaged file may hold huge numbers
        return _evaluated(program, input, np.asarray(x, np.float64), counts)


def _evaluated(
    program: Program, input: Input, u: Floats, counts: Mapping[str, Ints] | None
) -> dict[str, Value]:
    scale, offset = input.scale, input.offset
    if isinstance(scale, tuple) or isinstance(offset, tuple):
        values = {program.input: Value(u * scale + offset)}
    else:
        values = {program.input: _linear(u, scale, offset)}
    for layer in program.layers:
        value = values[layer.source]
        if isinstance(layer, Quantizer):
            n = layer.counts(value.real)
            if counts is not None and layer.name in counts:
                n = np.asarray(counts[layer.name], np.int64).reshape(n.shape)
            made = _linear(n.astype(np.float64), layer.scale, layer.offset)
            values[layer.name] = Value(made.real, made.integers, made.unit, made.centre, n)
        else:
            values[layer.name] = _value(layer, value, values)
    return values


def _linear(integers: Floats, unit: float, centre: float) -> Value:
    return Value(integers * unit + centre, integers, unit, centre)


def _value(layer: Layer, value: Value, values: Mapping[str, Value]) -> Value:
    x = value.real
    if isinstance(layer, Dense | Convolution):
        return Value(_weighted(layer, value))
    if isinstance(layer, Affine):
        return Value(x * layer.scale / layer.divisor + layer.offset)
    if isinstance(layer, BatchNorm):
        root = np.sqrt(layer.variance + layer.epsilon)
        return Value((x - layer.mean) / root * layer.gamma + layer.beta)
    if isinstance(layer, Clip):
        return Value(np.clip(x, layer.low, layer.high))
    if isinstance(layer, Addition):
        return Value(x + values[layer.other].real)
    if isinstance(layer, Concatenation):
        return Value(np.concatenate([values[s].real for s in layer.sources], axis=-1))

    def moved(a: Floats) -> Floats:
        if isinstance(layer, MaxPooling):
            return np.asarray(_windows(layer, a, -np.inf).max(axis=(-2, -1)))
        assert isinstance(layer, Flattening)
        return a.reshape(len(a), -1)

    if isinstance(layer, AveragePooling):
        # Integers are summed first, so that the mean of codes is exact if float64 can hold it.
        if value.integers is None or any(layer.padding):
            return Value(_windows(layer, x, 0.0).mean(axis=(-2, -1)))
        total = _windows(layer, value.integers, 0.0).sum(axis=(-2, -1))
        size = layer.kernel[0] * layer.kernel[1]
        return Value(total * value.unit / size + value.centre)
    if value.integers is None:
        return Value(moved(x))
    if value.unit < 0 and isinstance(layer, MaxPooling):
        return Value(moved(x))
    made = _linear(moved(value.integers), value.unit, value.centre)
    return Value(moved(x), made.integers, made.unit, made.centre)


def _weighted(layer: Dense | Convolution, value: Value) -> Floats:
    weights = layer.weights.astype(np.float64)
    if value.integers is None:
        return _sums(layer, weights, value.real, outside=None) * layer.scale
    inside = np.ones((1, *value.integers.shape[1:]))
    total = _sums(layer, weights, value.integers, outside=0.0) * value.unit
    if value.centre:
        total = total + _sums(layer, weights, inside, outside=0.0) * value.centre
    if isinstance(layer, Convolution) and layer.pad_value and any(layer.padding):
        whole = _sums(layer, weights, inside, outside=1.0)
        total = total + (whole - _sums(layer, weights, inside, outside=0.0)) * layer.pad_value
    return np.asarray(total * layer.scale)


def _sums(layer: Dense | Convolution, weights: Floats, x: Floats, outside: float | None) -> Floats:
    """Sums of products; ``outside`` is the number outside the image, by default the layer's."""
    if isinstance(layer, Dense):
        return np.asarray(x @ weights.T)
    windows = _windows(layer, x, layer.pad_value if outside is None else outside)
    channels, rows, columns, depth = weights.shape
    parts = []
    for g in range(layer.groups):
        own = weights[g * channels // layer.groups : (g + 1) * channels // layer.groups]
        seen = windows[..., g * depth : (g + 1) * depth, :, :]
        frames, height, width = seen.shape[:3]
        flat = seen.reshape(frames * height * width, depth * rows * columns)
        kernel = own.transpose(0, 3, 1, 2).reshape(len(own), -1)
        parts.append((flat @ kernel.T).reshape(frames, height, width, len(own)))
    return np.concatenate(parts, axis=-1)


def _windows(layer: Convolution | MaxPooling | AveragePooling, x: Floats, outside: float) -> Floats:
    """All windows, ``(frames, height, width, channels, rows, columns)``."""
    kernel = layer.weights.shape[1:3] if isinstance(layer, Convolution) else layer.kernel
    top, bottom, left, right = layer.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=outside)
    view = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    return np.asarray(view[:, :: layer.stride[0], :: layer.stride[1]])
