"""The steps of ``Dot`` and ``Conv2d`` with integer weights, also fused with a ``Threshold``.

Their kernels are in :mod:`.products`. A ``Threshold`` that is the only reader of the sums is
applied to them before they are stored, whether its result is bits or integers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwbnn.graph import Conv2d, Dot, Graph, Node, Threshold, ValueType, fused_threshold, window_of
from hwbnn.graph.arrays import Array, Bools, Int32s, Ints
from hwbnn.graph.window import joined_classes
from hwbnn.simulators import plain
from hwbnn.simulators.fast import conversions, packed, products
from hwbnn.simulators.fast.slots import Buffers, Encoding, Slot, Step, coding
from hwbnn.simulators.fast.windows import Grid

SIZES: dict[Encoding, int] = {"bytes": packed.BYTES, "pairs": packed.PAIRS}
SHORT, WORD = 1 << 15, 1 << 31


class Packing(NamedTuple):
    """How the inputs and weights of a node with integer weights are packed.

    Attributes:
        form: the form of the value that it reads.
        base: the value of an element whose code is 0.
        gain: the value of each step of the code.
        chunk: for bytes, the most words whose products 16 bits can add up.
        weights: int64 ``(channels, rows, columns, numbers of a pixel that a channel reads)``.
        bound: bound on the magnitude of every sum of products.
    """

    form: Encoding
    base: int
    gain: int
    chunk: int
    weights: Ints
    bound: int


def packing(node: Dot | Conv2d, t: ValueType) -> Packing | None:
    """The packing of a node that reads values of this type; None if these do not fit 16 bits."""
    base, gain, _ = coding(t)
    most = 1 if t.bit else t.high - t.low
    if most < 1 << 8 and int(np.abs(node.weights).max()) < 1 << 7:
        # One instruction adds two neighbouring products in 16 bits and saturates.
        weights = _aligned(node, packed.BYTES)
        pairs = weights.reshape(-1, 2)
        ends = np.maximum(pairs, 0).sum(axis=1), np.maximum(-pairs, 0).sum(axis=1)
        largest = most * max(int(end.max()) for end in ends)
        if largest < SHORT:
            chunk = (SHORT - 1) // max(1, largest)
            return Packing("bytes", base, gain, chunk, weights, most * _magnitude(node))
    if not t.bit:
        base, most = 0, max(-t.low, t.high)
    if t.bit or (t.low >= -SHORT and t.high < SHORT):
        weights = _aligned(node, packed.PAIRS)
        return Packing("pairs", base, gain, 1, weights, most * _magnitude(node))
    return None


def _magnitude(node: Dot | Conv2d) -> int:
    """The largest sum of the magnitudes of a channel's weights."""
    return int(np.abs(node.weights.astype(np.int64)).reshape(len(node.weights), -1).sum(1).max())


def _aligned(node: Dot | Conv2d, size: int) -> Ints:
    """Weights for whole words of a pixel, with zeros for channels of other groups in the words."""
    weights = node.weights.astype(np.int64)
    if isinstance(node, Dot):
        weights = weights[:, None, None]
    depth, groups = weights.shape[3], node.groups if isinstance(node, Conv2d) else 1
    before = np.arange(groups) * depth % size
    count = -(-int((before + depth).max()) // size) * size
    aligned = np.zeros((*weights.shape[:3], count), np.int64)
    each = len(weights) // groups
    for group, first in enumerate(before):
        own = slice(group * each, (group + 1) * each)
        aligned[own, ..., first : first + depth] = weights[own]
    return aligned


def packed_step(node: Node, form: Encoding, graph: Graph) -> Step:
    """The step that computes a packed form of a value from its words or integers."""
    t, size, out = graph.types[node.name], SIZES[form], Slot(node.name, form)
    channels, base = t.channels, t.low if form == "bytes" else 0
    if t.bit:
        words = Slot(node.name, "words")
        return Step((words,), lambda x, b: packed.unpack(b[words], channels, size, b[out]))
    source = Slot(node.name, "integers")
    return Step((source,), lambda x, b: packed.pack(b[source], channels, base, size, b[out]))


def _tiles(weights: Ints, groups: int, size: int) -> Int32s:
    """Weights in the layout of the kernels, int32 ``(groups, blocks, words, CHANNELS)``."""
    flat = weights.reshape(groups, len(weights) // groups, -1)
    words = np.ascontiguousarray(flat.astype(f"<i{4 // size}")).view("<i4")
    whole = np.pad(words, ((0, 0), (0, -words.shape[1] % products.CHANNELS), (0, 0)))
    blocks = whole.reshape(groups, -1, products.CHANNELS, words.shape[2])
    return np.ascontiguousarray(blocks.transpose(0, 1, 3, 2), np.int32)


def _constants(node: Dot | Conv2d, graph: Graph, base: int) -> tuple[Ints, Ints]:
    """The class of each position, and the constants of classes, int64 ``(classes, outputs)``."""
    weights = node.weights.astype(np.int64)
    kinds = np.zeros(graph.types[node.name].size // len(weights), np.int64)
    constant: Ints = base * weights.reshape(len(weights), -1).sum(axis=1)[None]
    if isinstance(node, Dot) or node.pad == base or not any(node.padding):
        return kinds, constant
    window = window_of(node, graph.types[node.source].shape)
    missing = np.einsum("kab,cab->kc", ~window.classes, weights.sum(axis=3))
    return window.border_classes.ravel(), constant + (node.pad - base) * missing


def _is_depthwise(grid: Grid, t: ValueType) -> bool:
    """Whether each output channel reads one input channel, of integers."""
    return grid.groups == grid.channels == grid.outputs > 1 and not t.bit


def integers(node: Dot | Conv2d, graph: Graph, grid: Grid) -> Step:
    """The step that stores the weighted sums."""
    t, out = graph.types[node.source], Slot(node.name, "integers")
    if _is_depthwise(grid, t):
        source, taps = Slot(node.source, "integers"), node.weights.reshape(grid.outputs, -1)
        single = np.ascontiguousarray(taps.T, np.int32)
        positions = graph.types[node.name].size // grid.outputs
        return Step(
            (source,), lambda x, b: products.depthwise(b[source], grid, single, positions, b[out])
        )
    chosen = packing(node, t)
    if chosen is None:
        return _plain(node, graph)
    size, source = SIZES[chosen.form], Slot(node.source, chosen.form)
    weights = _tiles(chosen.weights, grid.groups, size)
    kinds, constant = _constants(node, graph, chosen.base)
    given = grid, weights, size, chosen.chunk, chosen.gain, constant, kinds
    return Step((source,), lambda x, b: products.sums(b[source], *given, b[out]))


def threshold(node: Threshold, form: Encoding, graph: Graph, grid: Grid) -> Step | None:
    """A step for a ``Threshold`` fused with sums of integer weights; None if they are not fused.

    With the sum ``constant + gain * M``, ``sum >= t`` is ``M > ceil((t - constant) / gain) - 1``.
    For falling channels the weights are negated, and ``sum <= t`` is
    ``-M > -floor((t - constant) / gain) - 1``.
    """
    feeding = graph.node(node.source)
    if fused_threshold(graph, feeding, scaled=False) is not node or node.bit != (form == "words"):
        return None
    assert isinstance(feeding, Dot | Conv2d)
    read = graph.types[feeding.source]
    chosen = None if _is_depthwise(grid, read) else packing(feeding, read)
    if chosen is None or chosen.bound >= WORD:
        return None
    size, source, out = SIZES[chosen.form], Slot(feeding.source, chosen.form), Slot(node.name, form)
    sign = np.where(node.falling, -1, 1)
    weights = _tiles(chosen.weights * sign[:, None, None, None], grid.groups, size)
    kinds, cuts = _cuts(feeding, node, graph, chosen)
    given = grid, weights, size, chosen.chunk
    if form == "integers":
        base = node.base or 0
        return Step(
            (source,), lambda x, b: products.levels(b[source], *given, cuts, base, kinds, b[out])
        )
    own = cuts.reshape(len(cuts), grid.groups, -1)
    ends = ((0, 0), (0, 0), (0, -own.shape[2] % products.CHANNELS))
    single = np.ascontiguousarray(np.pad(own, ends))
    return Step((source,), lambda x, b: products.bits(b[source], *given, single, kinds, b[out]))


def _cuts(
    feeding: Dot | Conv2d, node: Threshold, graph: Graph, chosen: Packing
) -> tuple[Ints, Int32s]:
    """The class of each position, and the cuts, int32 ``(classes, channels, k)``.

    A threshold is reached where ``M``, or ``-M`` in falling channels, is greater than its cut.
    """
    kinds, constant = _constants(feeding, graph, chosen.base)
    own = None if node.border_classes is None else node.border_classes.ravel()
    places, (theirs, mine) = joined_classes(kinds if len(constant) > 1 else None, own)
    thresholds = node.thresholds[None] if node.border_classes is None else node.thresholds
    distance = thresholds[mine] - constant[theirs][..., None]
    falling: Bools = node.falling[:, None]
    least = np.where(falling, -(distance // chosen.gain), -(-distance // chosen.gain)) - 1
    cuts = least.clip(-WORD, WORD - 1).astype(np.int32)
    return np.zeros_like(kinds) if places is None else places, np.ascontiguousarray(cuts)


def _plain(node: Dot | Conv2d, graph: Graph) -> Step:
    """The step that lets the plain simulator compute the sums."""
    t, result = graph.types[node.source], graph.types[node.name]
    source, out = Slot(node.source, "words" if t.bit else "integers"), Slot(node.name, "integers")

    def run(x: Array, buffers: Buffers) -> None:
        samples: Array = np.empty((len(x), t.size), np.bool_ if t.bit else np.int64)
        (conversions.collect_bits if t.bit else conversions.collect)(buffers[source], samples)
        sums = plain.evaluate(node, samples.reshape(len(x), *t.shape), t)
        conversions.transpose(sums.reshape(len(x), result.size), buffers[out])

    return Step((source,), run)
