"""Operations of ONNX that give a few levels: quantizers, thresholds, signs; and ReLU."""

from __future__ import annotations

from math import inf, log2

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.program import Clip, Quantizer, shown_name
from hwbnn.program.quantizers import Rounding, rounding, sign, truncation
from hwbnn.readers.onnx.folding import ROUNDINGS, quantizer_settings, single
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


def trunc(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Trunc``: integer codes divided by a power of two, in the version that its inputs show.

    With five inputs the result keeps the scale and has no bounds; with six, it has a scale and
    bounds of its own. Both round to integer codes first.
    """
    value = work.value(node)
    if len(node.inputs) not in (5, 6):
        raise InputError(f"{node.label}: expected 5 or 6 inputs, found {len(node.inputs)}")
    is_new = len(node.inputs) == 6
    names = ("scale", "zero point", "bit width", "output scale", "output bit width")
    parts = [
        single(node, what, work.constant(node, i + 1, what).array)
        for i, what in enumerate(names if is_new else (*names[:3], names[4]))
    ]
    step, zero, width = parts[:3]
    mode = str(node.attributes.get("rounding_mode", "FLOOR")).upper()
    rule = ROUNDINGS.get(mode)
    if rule is None:
        raise CannotLower(
            f"{node.label}: rounding_mode: expected one of {', '.join(ROUNDINGS)}, found "
            f"{ascii(mode)[:40]}"
        )
    for what, bits in (("bit width", width), ("output bit width", parts[-1])):
        if not (1 <= bits <= 32 and bits.is_integer()):
            raise CannotLower(f"{node.label}: {what}: expected 1 to 32, found {bits:g}")
    if not (abs(zero) < 1 << 16 and zero.is_integer()) or not 0 < step < inf:
        raise CannotLower(
            f"{node.label}: expected an integer as zero point and a finite scale above 0, found "
            f"{zero:g} and {step:g}"
        )
    kept = int(parts[-1])
    if is_new:
        signed, narrow = (int(node.attributes.get(n, d)) for n, d in (("signed", 1), ("narrow", 0)))
        scale = parts[3]
        if {signed, narrow} - {0, 1}:
            raise CannotLower(
                f"{node.label}: signed, narrow: expected 0 or 1, found {signed}, {narrow}"
            )
        ratio = scale / step
        if not 2.0**-32 <= ratio <= 2.0**32:
            raise CannotLower(
                f"{node.label}: expected an output scale of 2^-32 to 2^32 times the scale "
                f"{step:g}, found {scale:g}"
            )
        divisor = 2.0 ** round(log2(ratio))
        low = -(1 << (kept - 1)) + narrow if signed else 0
        high = (1 << (kept - 1)) - 1 if signed else (1 << kept) - 1 - narrow
        offset = -zero / divisor * scale
    else:
        if width < kept:
            raise CannotLower(f"{node.label}: widens {width:g} bits to {kept}; leave it out")
        # Signed or not, the codes have this range; where sums go beyond it, lowering refuses.
        divisor, scale, offset = 2.0 ** (width - kept), step, -zero * step
        low, high = -(1 << (kept - 1)), (1 << kept) - 1
    layer = truncation(
        *(work.name(node), node.op, value.name),
        low=low,
        high=high,
        step=step,
        divisor=divisor,
        rule=rule,  # type: ignore[arg-type]
        zero_point=int(zero),
        scale=scale,
        offset=offset,
        is_bounded=is_new,
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
