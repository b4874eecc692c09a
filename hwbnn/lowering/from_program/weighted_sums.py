"""Weighted sums of a program: dense layers and convolutions.

A sum reads integers ``X`` that stand for ``unit * X + centre``. The unit becomes part of the scale
after the sum, and the centre part of the offset. The offset depends on the position only if no
integer stands for the number with which the image is padded.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from hwbnn.graph import Window
from hwbnn.graph.arrays import Bools, Float32s, Floats
from hwbnn.lowering import layers as sums
from hwbnn.lowering.from_program.readings import (
    LinearReading,
    ProgramValue,
    ProgramWork,
    read_as,
    rounding_error,
    summand_ends,
)
from hwbnn.lowering.from_program.real_ops import Rationals, linear_op, of_channel
from hwbnn.lowering.value import BorderClasses, TracedValue
from hwbnn.program import Convolution, Dense, Layer, WeightedLayer


def dense(layer: Dense, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """The sums of a dense layer."""
    source = work.settled(source)
    reading = _of_one_unit(layer, source)
    value = replace(sums.linear(work.build, _weights(layer), source.value), is_double=True)
    gain, error = _gain(layer, source.value, reading)
    scale = [Fraction(float(s)) for s in layer.scale]
    parts = zip(scale, _centres(layer, reading.centre), strict=True)
    offset = tuple(s * c for s, c in parts)
    return read_as(value, layer.label, LinearReading(gain, offset), error)


def convolution(layer: Convolution, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """The sums of a convolution; their offset may differ at the border of the image."""
    source = work.settled(source)
    reading = _of_one_unit(layer, source)
    gain, error = _gain(layer, source.value, reading)
    pad = _pad(layer, source.value, reading)
    moves = layer.stride, layer.padding, pad or 0, layer.groups, None
    value = sums.conv(work.build, _weights(layer), sums.Geometry(*moves), source.value)
    value = replace(value, is_double=True)
    scale = [Fraction(float(s)) for s in layer.scale]
    if pad is not None:
        parts = zip(scale, _centres(layer, reading.centre), strict=True)
        offset = tuple(s * c for s, c in parts)
        return read_as(value, layer.label, LinearReading(gain, offset), error)
    kernel = (layer.weights.shape[1], layer.weights.shape[2])
    size = (source.value.type.shape[0], source.value.type.shape[1])
    window = Window(size, kernel, layer.stride, layer.padding)
    outside = (Fraction(layer.pad_value),)
    first = []
    for taps in window.classes:
        within = _centres(layer, reading.centre, taps)
        without = _centres(layer, outside, ~taps)
        offsets = [s * (a + b) for s, a, b in zip(scale, within, without, strict=True)]
        first.append(linear_op(layer.label, gain, offsets, error))
    border = BorderClasses(window.border_classes, tuple(first))
    return ProgramValue(replace(value, ops=(), border=border), None)


def uniform(layer: Layer, source: ProgramValue) -> LinearReading:
    """The reading of a layer's argument, the same for all channels.

    Raises:
        CannotLower: naming the layer, if channels differ or there is no reading.
    """
    reading = _of_one_unit(layer, source)
    if len(reading.centre) > 1:
        raise layer.refuse(
            f"reads numbers whose offset differs between channels, from layer "
            f"'{source.value.layer}'; put a quantizer in front of it"
        )
    return reading


def _of_one_unit(layer: Layer, source: ProgramValue) -> LinearReading:
    """The reading of a layer's argument, with one unit for all channels."""
    value, reading = source.value, source.reading
    if reading is None:
        later = value.ops[1:] or value.ops
        ops = ", ".join(dict.fromkeys(op.label for op in later)) or "a padded layer"
        raise layer.refuse(f"reads real numbers, behind {ops}; put a quantizer in front of it")
    if len(set(reading.unit)) > 1 or not reading.unit[0]:
        raise layer.refuse(
            f"reads numbers whose scale differs between channels or is 0, from layer "
            f"'{value.layer}'; put a quantizer of one scale in front of it"
        )
    return reading


def _weights(layer: WeightedLayer) -> sums.Weights:
    """The weights for :mod:`hwbnn.lowering.layers`; the caller adds the layer's function."""
    low, high = float(np.abs(layer.scale).min()), float(np.abs(layer.scale).max())
    text = f"scale {low:g}" if low == high else f"scales {low:g} to {high:g}"
    return sums.Weights(layer.name, layer.label, layer.weights, _never, text=text)


def _gain(
    layer: WeightedLayer, source: TracedValue, reading: LinearReading
) -> tuple[Rationals, Floats]:
    """The factor of each sum, and the bound of float32's error."""
    gain = tuple(reading.unit[0] * Fraction(float(s)) for s in layer.scale)
    low, high = summand_ends(source)
    most = int(max(np.abs(low).max(), np.abs(high).max()))
    magnitudes = np.abs(layer.weights).reshape(len(layer.weights), -1).sum(axis=1) * most
    return gain, rounding_error(gain, (-magnitudes, magnitudes), layer.weights[0].size)


def _centres(layer: WeightedLayer, centre: Rationals, taps: Bools | None = None) -> list[Fraction]:
    """For each output channel, the sum of its weights times the centres of their inputs.

    Args:
        layer: the layer.
        centre: of each input channel (of a dense layer: each input), or one for all.
        taps: for a convolution, the taps to sum over, bool ``(rows, columns)``; None for all.
    """
    weights = layer.weights
    if isinstance(layer, Convolution):
        chosen = (
            weights[:, taps]
            if taps is not None
            else weights.reshape(len(weights), -1, weights.shape[3])
        )
        weights = chosen.sum(axis=1)
    if len(centre) == 1:
        return [centre[0] * int(n) for n in weights.sum(axis=1)]
    groups = layer.groups if isinstance(layer, Convolution) else 1
    depth = weights.shape[1]
    found = []
    for c, row in enumerate(weights.tolist()):
        first = c * groups // len(weights) * depth
        found.append(
            sum((of_channel(centre, first + k) * w for k, w in enumerate(row)), Fraction(0))
        )
    return found


def _pad(layer: Convolution, value: TracedValue, reading: LinearReading) -> int | None:
    """The integer that stands for the number outside the image; None if no integer does."""
    if not any(layer.padding):
        return 0
    if len(reading.centre) > 1:
        return None
    integer = (Fraction(layer.pad_value) - reading.centre[0]) / reading.unit[0]
    allowed = (-1, 0, 1) if value.type.bit else (0,)
    return int(integer) if integer in allowed else None


def _never(x: Float32s, total: Float32s | None, border_class: int) -> Float32s:
    """Never called: the layer's function is set by the caller of ``_weights``."""
    raise AssertionError
