"""The real numbers of a program on a batch, in float64: a second evaluator, for tests alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwbnn.program import (
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
    Program,
    Quantizer,
)

Reals = np.ndarray[Any, np.dtype[np.float64]]


def values(program: Program, x: Any) -> dict[str, Reals]:
    """All values of a program by name; ``x`` and they have a batch axis first."""
    found = {program.input: np.asarray(x, np.float64).reshape(-1, *program.shape)}
    for layer in program.layers:
        found[layer.name] = _value(layer, [found[source] for source in layer.sources])
    return found


def _windows(x: Reals, kernel: Any, layer: Any, outside: float) -> Reals:
    """``(batch, rows, columns, kernel rows, kernel columns, channels)``."""
    top, bottom, left, right = layer.padding
    sides = ((0, 0), (top, bottom), (left, right), (0, 0))
    padded = np.pad(x, sides, constant_values=outside)
    view = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    view = view[:, :: layer.stride[0], :: layer.stride[1]]
    return view.transpose(0, 1, 2, 4, 5, 3)


def _value(layer: Layer, sources: list[Reals]) -> Reals:
    x = sources[0]
    match layer:
        case Dense():
            return (x @ layer.weights.T) * layer.scale
        case Convolution():
            taps = _windows(x, layer.weights.shape[1:3], layer, layer.pad_value)
            groups = np.split(taps, layer.groups, axis=-1)
            weights = np.split(layer.weights.astype(np.float64), layer.groups)
            sums = [
                np.einsum("bijklc,oklc->bijo", g, w) for g, w in zip(groups, weights, strict=True)
            ]
            return np.concatenate(sums, axis=-1) * layer.scale
        case Affine():
            return x * layer.scale / layer.divisor + layer.offset
        case BatchNorm():
            root = np.sqrt(layer.variance + layer.epsilon)
            return (x - layer.mean) / root * layer.gamma + layer.beta
        case Clip():
            return x.clip(layer.low, layer.high)
        case Quantizer():
            return layer.counts(x) * layer.scale + layer.offset
        case MaxPooling():
            return _windows(x, layer.kernel, layer, -np.inf).max(axis=(3, 4))
        case AveragePooling():
            return _windows(x, layer.kernel, layer, 0.0).sum(axis=(3, 4)) / np.prod(layer.kernel)
        case Addition():
            return x + sources[1]
        case Concatenation():
            return np.concatenate(sources, axis=-1)
        case Flattening():
            return x.reshape(len(x), -1)
    raise AssertionError(layer.kind)
