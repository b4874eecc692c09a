"""Operations of ONNX that give a few levels: quantizers, thresholds, signs; and ReLU."""

from __future__ import annotations

from math import inf

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.program import Clip, Quantizer, shown_name
from hwbnn.program.quantizers import Rounding, rounding, sign
from hwbnn.readers.onnx.folding import quantizer_settings, single
from hwbnn.readers.onnx.onnx_translation import OnnxTranslation
from hwbnn.readers.onnx.protobuf import OnnxNode


def quant(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Quant``: rounded codes times a scale."""
    value = work.value(node)
    scale, zero, bits = (
        work.constant(node, i + 1, what).array
        for i, what in enumerate(("scale", "zero point", "bit width"))
    )
    settings = quantizer_settings(node, zero, bits)
    step = single(node, "scale", scale)
    name = work.name(node)
    if settings.is_sign:
        work.append(node, sign(name, node.op, value.name, scale=step), value)
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
    work.append(node, layer, value)


def bipolar_quant(work: OnnxTranslation, node: OnnxNode) -> None:
    """``BipolarQuant``: -1 and +1 times a scale; 0 gives +1."""
    value = work.value(node)
    scale = single(node, "scale", work.constant(node, 1, "scale").array)
    if not scale > 0:
        raise CannotLower(f"{node.label}: expected a scale above 0, found {scale:g}")
    work.append(node, sign(work.name(node), node.op, value.name, scale=scale), value)


def multi_threshold(work: OnnxTranslation, node: OnnxNode) -> None:
    """``MultiThreshold``: counts the thresholds that are at most the input."""
    value = work.value(node)
    thresholds = work.constant(node, 1, "thresholds").array.astype(np.float64)
    if thresholds.ndim != 2 or not thresholds.size:
        raise InputError(
            f"{node.label}: thresholds: expected shape (channels, steps), found {thresholds.shape}"
        )
    layout = str(node.attributes.get("data_layout") or "")
    axis = len(value.axes) - 1 if layout in ("NHWC", "NWC", "NLC") else 1
    if axis >= len(value.axes) or value.axes[axis] not in "cf":
        raise CannotLower(
            f"{node.label}: data_layout {shown_name(layout)!r} does not name the channels of "
            f"shape {work.shape(value)}"
        )
    if len(thresholds) not in (1, work.shape(value)[axis]):
        raise InputError(
            f"{node.label}: expected thresholds of {work.shape(value)[axis]} channels, found "
            f"{len(thresholds)}"
        )
    if len(thresholds) > 1 and value.order is not None:
        thresholds = thresholds[np.argsort(value.order)]
    scale = float(node.attributes.get("out_scale", 1.0))
    edges = np.sort(thresholds, axis=1)
    layer = Quantizer(
        work.name(node),
        node.op,
        value.name,
        edges=edges,
        closed=np.ones(edges.shape[1], np.bool_),
        scale=scale,
        offset=float(node.attributes.get("out_bias", 0.0)),
        rule=f"{edges.shape[1]} thresholds a channel",
    )
    work.append(node, layer, value)


def sign_of(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Sign``: -1, 0 at 0, and +1."""
    value = work.value(node)
    layer = Quantizer(
        work.name(node),
        node.op,
        value.name,
        edges=np.zeros((1, 2)),
        closed=np.array([[True, False]]),
        scale=1.0,
        offset=-1.0,
        rule="-1, 0 at 0, and +1",
    )
    work.append(node, layer, value)


def relu(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Relu``."""
    value = work.value(node)
    work.append(node, Clip(work.name(node), node.op, value.name), value)


def clip(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Clip``, with its bounds as inputs or, in old files, as attributes."""
    value = work.value(node)
    ends = [float(node.attributes.get(name, end)) for name, end in (("min", -inf), ("max", inf))]
    for i, name in enumerate(node.inputs[1:3]):
        if name:
            ends[i] = single(node, ("min", "max")[i], work.constant(node, i + 1, "bound").array)
    work.append(node, Clip(work.name(node), node.op, value.name, *ends), value)
