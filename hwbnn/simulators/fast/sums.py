"""The steps of the nodes with weights: ``Dot``, ``Conv2d``, and a ``Threshold`` with either.

A ``Dot`` is computed as a convolution with a single window, which is the whole value. A
``Threshold`` of sums becomes a bias: sign bits go straight into words, and the sums are never
stored.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import (
    Conv2d,
    Dot,
    Graph,
    MaxPool,
    SumPool,
    Threshold,
    fused_threshold,
    window_of,
)
from hwbnn.graph.arrays import Ints
from hwbnn.graph.bits import pack_words
from hwbnn.graph.window import joined_classes
from hwbnn.simulators.fast import integer_sums, short_sums, windows
from hwbnn.simulators.fast.kernels import LANES
from hwbnn.simulators.fast.slots import Slot, Step, coding
from hwbnn.simulators.fast.windows import CHANNELS


def grid(node: Dot | Conv2d | MaxPool | SumPool, graph: Graph) -> windows.Grid:
    """The geometry of a node's windows, for the kernels."""
    read, sums = graph.types[node.source], graph.types[node.name]
    if isinstance(node, Dot):
        return windows.Grid(1, 1, read.size, 1, 1, 1, 1, 0, 0, 1, 1, sums.size)
    (height, width, channels), (rows, columns) = read.shape, node.kernel
    (down, right), (top, _, left, _) = node.stride, node.padding
    groups = node.groups if isinstance(node, Conv2d) else 1
    image, window = (height, width, channels), (rows, columns, down, right, top, left)
    return windows.Grid(*image, *window, sums.shape[1], groups, sums.channels)


class Border(NamedTuple):
    """The border classes of a node, and the constants that they add to its sums.

    Attributes:
        kinds: class of each position, int64 ``(positions,)``.
        constant: the weighted sum ``D`` if no bit differs from the weights, int64
            ``(classes, outputs)``.
        none_set: the sum ``S`` of all inputs if no bit is set, int64 ``(classes,)``.
    """

    kinds: Ints
    constant: Ints
    none_set: Ints


def border(node: Dot | Conv2d, graph: Graph) -> Border:
    """The border classes of a node; a single one if the padding equals the code 0."""
    base, gain, planes = coding(graph.types[node.source])
    flat = node.signs.reshape(len(node.weights), -1)
    plus = flat.sum(axis=1, dtype=np.int64)
    minus = flat.shape[1] - plus
    constant = base * (plus - minus) + gain * ((1 << planes) - 1) * plus
    positions = graph.types[node.name].size // len(flat)
    kinds, none_set = np.zeros(positions, np.int64), np.array([base * flat.shape[1]])
    if isinstance(node, Dot) or node.pad == base:
        return Border(kinds, constant[None], none_set)
    window = window_of(node, graph.types[node.source].shape)
    outside = ~window.classes
    signed = node.weights.sum(axis=3, dtype=np.int64)
    missing = np.einsum("kab,cab->kc", outside, signed)
    number = outside.sum(axis=(1, 2)) * node.weights.shape[3]
    more = node.pad - base
    return Border(
        window.border_classes.ravel(), constant + more * missing, none_set + more * number
    )


def tiled(rows: NDArray[Any], groups: int, front: bool) -> NDArray[Any]:
    """The channels of each group, padded with zeros to whole blocks.

    Args:
        rows: array ``(..., outputs)``.
        groups: the number of groups of channels.
        front: reverse the order of the channels and pad in front; otherwise pad behind.

    Returns:
        Array ``(..., groups, blocks * CHANNELS)``.
    """
    grouped = rows.reshape(*rows.shape[:-1], groups, -1)
    missing = -grouped.shape[-1] % CHANNELS
    ends = [(0, 0)] * (grouped.ndim - 1)
    if front:
        return np.pad(grouped[..., ::-1], [*ends, (missing, 0)])
    return np.pad(grouped, [*ends, (0, missing)])


def tiled_weights(
    node: Dot | Conv2d, front: bool, inverted: NDArray[np.bool_] | None = None
) -> Any:
    """The weights in the layout of the kernels, words ``(groups, blocks, words, CHANNELS)``.

    Args:
        node: the node.
        front: as for :func:`tiled`.
        inverted: bool ``(outputs,)``: channels whose weights are negated; none by default.
    """
    groups = node.groups if isinstance(node, Conv2d) else 1
    bits = node.signs.reshape(len(node.weights), -1)
    if inverted is not None:
        bits = bits ^ inverted[:, None]
    words = tiled(pack_words(bits).T, groups, front)
    blocks = words.reshape(len(words), groups, -1, CHANNELS)
    return np.ascontiguousarray(blocks.transpose(1, 2, 0, 3))


def integers(node: Dot | Conv2d, graph: Graph) -> Step:
    """The step that stores the weighted sums."""
    if not node.binary:
        return integer_sums.integers(node, graph, grid(node, graph))
    _, gain, planes = coding(graph.types[node.source])
    where, (kinds, constant, none_set) = grid(node, graph), border(node, graph)
    scale, offset = np.ones(len(node.weights), np.int64), np.zeros(len(node.weights), np.int64)
    if node.scale_offset is not None:
        scale, offset = node.scale_offset
    constant = scale * constant + offset * none_set[:, None]
    factors = np.stack([-gain * scale, gain * offset])
    weights = tiled_weights(node, front=False)
    source, out = Slot(node.source, "words"), Slot(node.name, "integers")
    return Step(
        (source,),
        lambda x, b: windows.sums(
            b[source], planes, where, weights, constant, factors, kinds, b[out]
        ),
    )


def neurons(node: Threshold, graph: Graph) -> Step | None:
    """A step for a ``Threshold`` fused with the sums in front of it; None if they are not fused.

    With the sum ``A - gain * M`` (:mod:`.windows`), ``sum >= t`` is
    ``M <= floor((A - t) / gain)``, and ``sum <= t`` is ``M >= ceil((A - t) / gain)``. For the
    latter, inverted weights count the bits that agree instead of those that differ. Then the
    result is 1 in both cases exactly if a biased count is negative.
    """
    feeding = graph.node(node.source)
    # A sign bit needs an unscaled sum and a single threshold.
    if fused_threshold(graph, feeding, scaled=False, multilevel=False) is not node:
        return None
    assert isinstance(feeding, Dot | Conv2d)
    if not feeding.binary:
        return integer_sums.threshold(node, "words", graph, grid(feeding, graph))
    if isinstance(feeding, Conv2d) and _is_short(feeding, graph):
        return _short_neurons(feeding, node, graph)
    _, gain, planes = coding(graph.types[feeding.source])
    where, (kinds, constant, _) = grid(feeding, graph), border(feeding, graph)
    own = None if node.border_classes is None else node.border_classes.ravel()
    border_classes, (theirs, mine) = joined_classes(kinds, own)
    kinds = np.zeros_like(kinds) if border_classes is None else border_classes
    tables = node.thresholds[None] if node.border_classes is None else node.thresholds
    constant, cuts = constant[theirs], tables[mine, :, 0]
    distance, everything = constant - cuts, feeding.weights[0].size * ((1 << planes) - 1)
    most = np.where(node.falling, everything + (-distance // gain), distance // gain)
    weights = tiled_weights(feeding, front=True, inverted=node.falling)
    start = np.ascontiguousarray(tiled(-(most + 1), where.groups, front=True)).view(np.uint64)
    source, out = Slot(feeding.source, "words"), Slot(node.name, "words")
    return Step(
        (source,),
        lambda x, b: windows.signs(b[source], planes, where, weights, start, kinds, b[out]),
    )


def counts(node: Threshold, graph: Graph) -> Step | None:
    """A step for a multi-level ``Threshold`` fused with its sums; None if they are not fused."""
    feeding = graph.node(node.source)
    if not isinstance(feeding, Dot | Conv2d) or feeding.binary:
        return None
    return integer_sums.threshold(node, "integers", graph, grid(feeding, graph))


def _bound(node: Conv2d, graph: Graph) -> int:
    """A bound on the magnitude of all sums of signed elements, and of all partial sums."""
    t = graph.types[node.source]
    return int(node.weights[0].size) * max(-t.low, t.high)


def _is_short(node: Conv2d, graph: Graph) -> bool:
    """Whether :mod:`.short_sums` applies (sums less thresholds fit 16 bits) and is faster."""
    t, terms = graph.types[node.source], node.weights[0].size
    fits = not t.bit and node.groups == 1 and 2 * _bound(node, graph) + 2 < 1 << 15
    # In 16 bits, a channel takes two loads for each quad of taps and 32 samples, and all channels
    # share the work of filling the table. With bit planes, a vector holds a word of 8 samples, and
    # each vector takes three operations.
    quads = -(-terms // short_sums.QUAD)
    table = 2 * short_sums.SIGNS * quads // len(node.weights)
    return fits and terms <= short_sums.MOST and 2 * quads + table < 12 * coding(t).planes


def _short_neurons(feeding: Conv2d, node: Threshold, graph: Graph) -> Step:
    """The step of binary neurons over small windows of integers (:mod:`.short_sums`).

    ``sum >= t`` is ``t - 1 - sum < 0``, so the signs are those of the negated weights;
    ``sum <= t`` is ``sum - t - 1 < 0``, so the signs are those of the weights.
    """
    flat = feeding.signs.reshape(len(feeding.weights), -1) ^ ~node.falling[:, None]
    ends = -len(flat) % short_sums.CHANNELS, -flat.shape[1] % short_sums.QUAD
    grouped = np.pad(flat, ((0, ends[0]), (0, ends[1]))).reshape(
        -1, short_sums.CHANNELS, (flat.shape[1] + ends[1]) // short_sums.QUAD, short_sums.QUAD
    )
    number = (grouped << np.arange(short_sums.QUAD)).sum(axis=3).transpose(0, 2, 1)
    first = np.arange(number.shape[1])[:, None] * short_sums.SIGNS
    chosen = np.ascontiguousarray((first + number) * LANES)
    cuts = (
        node.thresholds[..., 0] if node.border_classes is not None else node.thresholds[None, :, 0]
    )
    most = _bound(feeding, graph)
    nearest = cuts.clip(-most - 1, most + 1)
    start = np.where(node.falling, -nearest - 1, nearest - 1).astype(np.int16)
    start = np.pad(start, ((0, 0), (0, ends[0])))
    kinds = np.zeros(graph.types[node.name].size // len(flat), np.int64)
    if node.border_classes is not None:
        kinds = node.border_classes.flatten()
    where, out = grid(feeding, graph), Slot(node.name, "words")
    source = Slot(feeding.source, "shorts")
    return Step(
        (source,), lambda x, b: short_sums.signs(b[source], where, chosen, start, kinds, b[out])
    )
