"""Binary layers as nodes: dense layers and convolutions, their ranges and border classes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph import Conv2d, Dot, Input, ValueType, Window
from hwbnn.graph.arrays import Ints
from hwbnn.lowering.builder import Builder
from hwbnn.lowering.fixed import FLOAT32, fraction_of, reading, summed
from hwbnn.lowering.pairs import Pending
from hwbnn.lowering.steps import Step, named
from hwbnn.lowering.streams import Fixed, Places, Stream
from hwbnn.lowering.weights import Weights, check_exact, check_pairs, pairs_of, read_weights
from hwbnn.nn import BinaryConv2d, BinaryLinear
from hwbnn.nn.binary import EXACT

UNDECIDED = (
    "layer '{}' has weights with real offsets, whose sums only an activation can decide; put one "
    "behind it, or make it with method.logits() or mode 'qat'"
)


def linear(build: Builder, name: str, layer: BinaryLinear, stream: Stream, source: Input) -> Stream:
    """The sums of a dense layer.

    Args:
        build: the Graph so far.
        name: the layer's in the network.
        layer: the layer.
        stream: what it reads.
        source: the input contract.

    Raises:
        CannotLower: if its method has no exact form, or it reads anything but integers.
    """
    label = named(name, layer)
    stream = _integers(build, stream, layer.in_features)
    weights = _read(label, layer, stream, source)
    bits = weights.bits if stream.order is None else weights.bits[:, np.argsort(stream.order)]
    node = Dot(build.name("dot"), stream.name, bits, *(weights.scale_offset or ()))
    t = build.add(node)
    low, high = _ends(stream)
    plus, minus = _coefficients(bits, weights.scale_offset)
    ends = plus @ low - minus @ high, plus @ high - minus @ low
    made = Stream(node.name, t, *ends, name)
    if weights.ratio is None:
        build.remark(name, node, describe(node, t))
        return _finished(
            build,
            label,
            replace(made, steps=(Step(label, weights.finish, is_monotone=True),)),
            node,
            stream,
        )
    _check_decidable(label, stream)
    check_exact(label, t)
    pairs = pairs_of(bits.sum(axis=1), bits.shape[1], stream)
    check_pairs(label, [pairs])
    pending = Pending(pairs, weights.ratio, weights.finish)
    return replace(made, pending=(pending,))


def conv(build: Builder, name: str, layer: BinaryConv2d, stream: Stream, source: Input) -> Stream:
    """The sums of a convolution; arguments and errors as for :func:`linear`.

    Where zeros stand outside the image and the integers stand for other numbers, the constant
    behind the sums depends on the border class.
    """
    label = named(name, layer)
    stream = _integers(build, stream, prod(layer.kernel) * layer.in_channels // layer.groups)
    weights = _read(label, layer, stream, source)
    if any(n >= layer.kernel[side // 2] for side, n in enumerate(layer.padding)):
        raise CannotLower(
            f"{label}: expected padding below the kernel of {layer.kernel} on each side, found "
            f"{layer.padding}: windows wholly outside the image see nothing; use less padding"
        )
    bits = np.ascontiguousarray(weights.bits.transpose(0, 2, 3, 1))
    if layer.pad and not stream.type.bit:
        raise CannotLower(
            f"{label}: pads with {layer.pad}, but reads {stream.type}; make it with pad=0"
        )
    border = (layer.stride, layer.padding, layer.pad, layer.groups)
    node = Conv2d(build.name("conv"), stream.name, bits, *border, *(weights.scale_offset or ()))
    t = build.add(node)
    height, width = stream.type.shape[:2]
    window = Window((height, width), layer.kernel, layer.stride, layer.padding)
    made = Stream(node.name, t, *_reachable(node, window, stream), name)
    if weights.ratio is not None:
        _check_decidable(label, stream)
        check_exact(label, t)
        return _pending(label, made, weights, node, window, stream)
    build.remark(name, node, describe(node, t))
    classes, count = layer.places(height, width)
    size = (height, width)
    if count == 1:
        # Of an image of one place all windows are at the border.
        finish = partial(weights.finish, place=0, size=size)
        step = Step(label, finish, is_monotone=True)
        return _finished(build, label, replace(made, steps=(step,)), node, stream)
    check_exact(label, t)
    first = tuple(
        Step(label, partial(weights.finish, place=k, size=size), is_monotone=True)
        for k in range(count)
    )
    return replace(made, places=Places(classes, first))


def _integers(build: Builder, stream: Stream, terms: int) -> Stream:
    """A fixed-point stream, of which so many are summed, as bare integers; others as they are."""
    return stream if stream.fixed is None else summed(build, stream, terms)


def _check_decidable(label: str, stream: Stream) -> None:
    if stream.fixed is not None:
        raise CannotLower(
            f"{label}: its weights have real offsets, and it reads fixed-point numbers, whose sums "
            "are too many to certify; train it with mode 'qat' or 'drop'"
        )


def _finished(
    build: Builder, label: str, made: Stream, node: Dot | Conv2d, stream: Stream
) -> Stream:
    """Sums with their steps; of fixed-point numbers, with what they are off."""
    if stream.fixed is None:
        check_exact(label, made.type)
        return made
    plus, minus = _coefficients(node.weights, node.scale_offset)
    terms = plus[0].size
    most = int((plus + minus).reshape(len(plus), -1).sum(axis=1).max())
    largest = max(-made.type.low, made.type.high)
    # Sums that float32 holds are exact in any order; else every operation rounds.
    rounding = 0.0 if largest < EXACT else terms * FLOAT32 * largest
    old = stream.fixed
    fixed = Fixed(old.error * most + rounding, old.local * most + rounding)
    return replace(made, steps=(*reading(fraction_of(stream)), *made.steps), fixed=fixed)


def _read(label: str, layer: BinaryLinear | BinaryConv2d, stream: Stream, source: Input) -> Weights:
    if stream.pending:
        raise CannotLower(f"{label}: {UNDECIDED.format(stream.layer)}")
    return read_weights(label, layer, stream, source)


def _pending(
    label: str, made: Stream, weights: Weights, node: Conv2d, window: Window, stream: Stream
) -> Stream:
    """Sums of real offsets, with the pairs of each border class."""
    assert weights.ratio is not None
    masks = window.classes
    if node.pad or len(masks) == 1:
        # What stands outside is one of the numbers that stand inside: all pairs are those within.
        masks, places = np.ones_like(masks[:1]), None
    else:
        places = Places(window.places, ())
    signs = node.weights.sum(axis=3, dtype=np.int64)
    depth = node.weights.shape[3]
    counts = [int(m.sum()) * depth for m in masks]
    pairs = [
        pairs_of(signs[:, mask].sum(axis=1), count, stream)
        for mask, count in zip(masks, counts, strict=True)
    ]
    check_pairs(label, pairs)
    pending = tuple(
        Pending(p, weights.ratio, partial(weights.finish, place=k, size=window.size))
        for k, p in enumerate(pairs)
    )
    return replace(made, pending=pending, places=places)


def _reachable(node: Conv2d, window: Window, stream: Stream) -> tuple[Ints, Ints]:
    """The lowest and the highest sum of each channel, over all border classes."""
    channels, rows, columns, depth = node.weights.shape
    parts = (node.groups, channels // node.groups, rows, columns, depth)
    plus, minus = (a.reshape(parts) for a in _coefficients(node.weights, node.scale_offset))
    low, high = (end.reshape(node.groups, depth) for end in _ends(stream))
    found = []
    for taps in window.classes:
        inside = [a[:, :, taps].sum(axis=2) for a in (plus, minus)]
        outside = node.pad * (plus - minus)[:, :, ~taps].sum(axis=(2, 3))
        for a, b in ((low, high), (high, low)):
            up = np.einsum("gck,gk->gc", inside[0], a) - np.einsum("gck,gk->gc", inside[1], b)
            found.append((up + outside).reshape(channels))
    return np.min(found[::2], axis=0), np.max(found[1::2], axis=0)


def _ends(stream: Stream) -> tuple[Ints, Ints]:
    """The lowest and the highest number of each channel of what is summed."""
    if stream.type.bit:
        return stream.low * 2 - 1, stream.high * 2 - 1
    return stream.low, stream.high


def _coefficients(bits: np.ndarray, scale_offset: tuple[Ints, Ints] | None) -> tuple[Ints, Ints]:
    """What each input is multiplied by: the positive part, and how much is below 0."""
    coefficients: Ints = 2 * bits.astype(np.int64) - 1
    if scale_offset is not None:
        scale, offset = (f.reshape(-1, *(1,) * (bits.ndim - 1)) for f in scale_offset)
        coefficients = scale * coefficients + offset
    return np.maximum(coefficients, 0), np.maximum(-coefficients, 0)


def describe(node: Dot | Conv2d, t: ValueType) -> str:
    """What a node sums, for people."""
    channels, n = len(node.weights), node.weights[0].size
    unit = ""
    if node.scale_offset is not None:
        unit = f", 2^{int(node.scale_offset[0][0]).bit_length() - 1} D + R S"
    if isinstance(node, Dot):
        return f"{channels} sums of {n}{unit}, {t.low} to {t.high}"
    rows, columns = node.kernel
    size = "x".join(map(str, t.shape[:2]))
    return f"{channels} sums of {n} ({rows}x{columns}) at {size} places{unit}, {t.low} to {t.high}"
