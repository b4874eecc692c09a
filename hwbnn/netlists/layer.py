"""A layer of neurons as a netlist, in which neurons share parts of their sums.

Take two neurons: over the inputs that have equal weights in both, their sums are the same number
``a``; over the other ``n_d`` inputs, one sum is ``d`` and the other ``n_d - d``. So ``a`` and ``d``
are counted once, and the neurons compare ``a + d`` and ``a - d``. A cluster of ``r`` neurons sorts
the inputs into ``2^(r-1)`` *classes* by their columns of weights up to sign; each input is counted
once for the whole cluster. The cluster is then halved again and again; each half adds up the class
sums it needs, until single neurons are left. The best cluster size is found by building some
clusters of each size. Neurons are clustered by similarity, which saves a few percent in trained
layers and nothing in random ones. Constant neurons cost nothing; equal neurons are built once.

Integer weights are rows of digits (:mod:`hwbnn.netlists.digits`), one row for each place of a
neuron. Rows share sums as neurons do, whether they belong to one neuron or to several. An input
whose digits are 0 in all rows of a cluster is in none of its classes. A neuron adds up its rows,
each shifted to its place, in one heap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import InputError
from hwbnn.graph.arrays import Bools, Ints, Signs
from hwbnn.netlists.bit_heap import BitHeap, compressed
from hwbnn.netlists.chains import LEVEL, compress, to_number
from hwbnn.netlists.digits import Digits, integers
from hwbnn.netlists.layer_inputs import LayerInputs
from hwbnn.netlists.netlist import FALSE, TRUE, Netlist, NetlistBuilder
from hwbnn.netlists.threshold import reaches
from hwbnn.netlists.totals import Totals

CLUSTER_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12)
"""Sizes of clusters that are tried."""
TRIES = 3
"""Clusters of each size that are built to compare sizes."""
WHOLE = 1 << 12
"""Up to this many synapses, all clusters are built to compare sizes."""
LUT_INPUTS = 6
"""Inputs of a LUT."""
SAMPLED = 24
"""In larger layers, rows of digits that are built to compare sizes: all rows of some neurons."""


@dataclass(frozen=True)
class _Class:
    """The inputs with the same signs, or the opposite signs, in all rows of a cluster.

    Attributes:
        heap: their sum with the signs of the first row in which these are not 0.
        high: that sum plus the sum with the opposite signs, which is a constant.
    """

    heap: BitHeap
    high: int


_Classes = dict[tuple[int, ...], _Class]
"""Classes by their column of signs; the first sign that is not 0 is +1."""
_Finish = Callable[[NetlistBuilder, int, BitHeap], None]


def thresholds(
    weights: Ints | Bools,
    wanted: Ints,
    *,
    width: int = 1,
    signed: bool = False,
    cluster_size: int | None = None,
    scale_offset: tuple[Ints, Ints] | None = None,
    drivers: Sequence[int] | None = None,
) -> Netlist:
    """A layer whose outputs are ``raw sum >= wanted``, one for each neuron.

    :mod:`hwbnn.netlists.digits` says what a raw sum is: under weights of -1 and +1 over bits, the
    number of inputs that equal their weight. With scale and offset, ``scale * raw + offset *
    total`` is compared, with the sum of all ``u`` as total.

    Args:
        weights: integers ``(neurons, inputs)``, or bools for -1 and +1.
        wanted: int64 ``(neurons,)``, the least value with which a neuron gives 1.
        width: bits of an input; input ``i`` begins at signal ``1 + i * width``, lowest bit first.
        signed: whether inputs are two's complement.
        cluster_size: rows of a cluster; by default the size that costs least.
        scale_offset: scale and offset, int64 ``(neurons,)`` each, no scale negative.
        drivers: the output literals of the netlist that drives the inputs, if there is one.
            Constant inputs are then not counted, and equal or opposite inputs are counted once.

    Raises:
        InputError: for arrays that do not fit each other.
    """
    _check(weights, width, wanted, *(scale_offset or ()))
    inputs = LayerInputs(weights.shape[1], width, signed, drivers)
    scale, offset = scale_offset or (np.ones_like(wanted), np.zeros_like(wanted))
    if (scale < 0).any():
        raise InputError(f"layer: expected no scale below 0, found {scale.min()}")
    low, high = inputs.ends(Digits.of(weights), scale, offset)
    outputs = [TRUE if always else FALSE for always in wanted <= low]
    between = np.flatnonzero((low < wanted) & (wanted <= high))
    equal = _distinct(between, weights, wanted, scale, offset)
    rows = list(dict.fromkeys(equal.values()))
    totals = Totals(scale[rows], offset[rows], inputs.total) if scale_offset else None

    def finish(builder: NetlistBuilder, row: int, heap: BitHeap) -> None:
        whole = heap if totals is None else totals.weighed(row, heap)
        outputs[rows[row]] = reaches(builder, whole, int(wanted[rows[row]]))

    builder = _layer(weights[rows], inputs, cluster_size, finish, totals)
    for neuron, first in equal.items():
        outputs[neuron] = outputs[first]
    return builder.netlist(outputs)


def sums(
    weights: Ints | Bools, *, width: int = 1, signed: bool = False, cluster_size: int | None = None,
    drivers: Sequence[int] | None = None,
) -> Netlist:  # fmt: skip
    """A layer whose outputs are the raw sums, lowest bit first, neuron after neuron.

    All have the bits of the largest, :meth:`~hwbnn.netlists.digits.Digits.width`.

    Args:
        weights: integers ``(neurons, inputs)``, or bools for -1 and +1.
        width: bits of an input.
        signed: whether inputs are two's complement.
        cluster_size: rows of a cluster; by default the size that costs least.
        drivers: as in :func:`thresholds`.

    Raises:
        InputError: for weights that are not a matrix, or drivers that do not fit.
    """
    _check(weights, width)
    inputs = LayerInputs(weights.shape[1], width, signed, drivers)
    bits = Digits.of(weights).width(inputs.high)
    equal = _distinct(range(len(weights)), weights)
    rows = list(dict.fromkeys(equal.values()))
    outputs: dict[int, list[int]] = {}

    def finish(builder: NetlistBuilder, row: int, heap: BitHeap) -> None:
        outputs[rows[row]] = _number(builder, heap, bits)

    builder = _layer(weights[rows], inputs, cluster_size, finish)
    return builder.netlist([literal for first in equal.values() for literal in outputs[first]])


def _distinct(neurons: Iterable[int], *numbers: NDArray[np.generic]) -> dict[int, int]:
    """For each of these neurons, the first one that has the same numbers."""
    firsts: dict[bytes, int] = {}
    same = {}
    for neuron in map(int, neurons):
        own = b"".join(array[neuron].tobytes() for array in numbers)
        same[neuron] = firsts.setdefault(own, neuron)
    return same


def _check(weights: Ints | Bools, width: int, *numbers: Ints) -> None:
    rows = weights.shape[:1]
    if weights.ndim != 2 or not weights.size or width < 1 or any(n.shape != rows for n in numbers):
        found = ", ".join(str(n.shape) for n in (weights, *numbers))
        raise InputError(
            "layer: expected weights (neurons, inputs) and as many thresholds, scales and offsets, "
            f"found shapes {found}, inputs of {width} bits"
        )


def _number(builder: NetlistBuilder, heap: BitHeap, bits: int) -> list[int]:
    """A heap's value as ``bits`` literals."""
    rest = BitHeap([list(column) for column in heap.columns])
    # A negative constant wraps around: the sum itself is in range.
    constant = heap.constant % (1 << bits)
    ones = [constant >> i & 1 for i in range(bits)]
    rest = _with_ones(rest, ones)
    rest = compressed(builder, rest, to_number(rest.arrivals(builder)))
    if rest.constant % (1 << bits):
        return _number(builder, rest, bits)
    columns = [*rest.columns, *([[]] * bits)][:bits]
    return [column[0] if column else 0 for column in columns]


def _with_ones(heap: BitHeap, ones: Sequence[int]) -> BitHeap:
    """A heap plus a constant: ``1 + x`` is ``~x`` and, in the next column, ``x``."""
    columns = [list(column) for column in heap.columns]
    columns += [[] for _ in range(len(ones) + 1 - len(columns))]
    for i, one in enumerate(ones):
        if not one:
            continue
        if columns[i]:
            literal = columns[i].pop()
            columns[i].append(literal ^ 1)
            columns[i + 1].append(literal)
        else:
            columns[i].append(1)
    return BitHeap(columns[: len(ones)])


@dataclass(frozen=True)
class _Sums:
    """The rows of digits of a layer, and the sums of its neurons so far.

    Attributes:
        signs: the rows, int8 ``(rows, inputs)`` of -1, 0 and +1, none all 0.
        owners: the neuron and the place of each row.
        finish: called with the complete heap of each neuron.
        left: by neuron with several rows, its heap so far and how many rows are missing.
    """

    signs: Signs
    owners: tuple[tuple[int, int], ...]
    finish: _Finish
    left: dict[int, tuple[BitHeap, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, weights: Ints | Bools, finish: _Finish) -> _Sums:
        """The rows of a layer's weights."""
        return cls(*Digits.of(weights).rows(), finish)

    @property
    def neurons(self) -> int:
        """The number of neurons that have rows."""
        return len({neuron for neuron, _ in self.owners})

    def again(self) -> _Sums:
        """A copy in which no row has been counted yet."""
        return _Sums(self.signs, self.owners, self.finish)

    def some(self) -> _Sums:
        """A copy with the rows of some neurons, spread evenly over the layer."""
        neurons = sorted({neuron for neuron, _ in self.owners})
        enough = -(-SAMPLED * len(neurons) // len(self.owners))
        kept = set(neurons[:: max(1, len(neurons) // max(2, enough))])
        rows = [row for row, (neuron, _) in enumerate(self.owners) if neuron in kept]
        return _Sums(self.signs[rows], tuple(self.owners[row] for row in rows), self.finish)

    def counted(self, builder: NetlistBuilder, row: int, heap: BitHeap) -> None:
        """Take the sum of a row; with the last row of a neuron, finish the neuron."""
        neuron, place = self.owners[row]
        rows = self._rows[neuron]
        if rows == 1 and not place:
            self.finish(builder, neuron, heap)
            return
        whole, missing = self.left.pop(neuron, (BitHeap(), rows))
        whole.add_all(heap, 1, place)
        if missing > 1:
            self.left[neuron] = whole, missing - 1
            return
        whole.cancelled()
        self.finish(builder, neuron, whole)

    @cached_property
    def _rows(self) -> Counter[int]:
        return Counter(neuron for neuron, _ in self.owners)


def _layer(
    weights: Ints | Bools,
    inputs: LayerInputs,
    cluster_size: int | None,
    finish: _Finish,
    totals: Totals | None = None,
) -> NetlistBuilder:
    """A builder with all neurons of a layer; ``finish`` is called with the heap of each."""
    if not len(weights):
        return _begun(inputs, None)
    layer = _Sums.of(weights, finish)
    size = cluster_size or _best_size(layer, inputs, totals)
    builder = _begun(inputs, totals)
    for rows in clusters(layer.signs, size):
        _halved(builder, rows, _classes(builder, layer.signs, rows, inputs), layer)
    for neuron in {*range(len(weights))} - {neuron for neuron, _ in layer.owners}:
        finish(builder, neuron, BitHeap())
    return builder


def _begun(inputs: LayerInputs, totals: Totals | None) -> NetlistBuilder:
    """A new builder, with the multiples of the total if neurons add these."""
    builder = NetlistBuilder(inputs.count * inputs.width)
    if totals is not None:
        totals.begin(builder)
    return builder


def _best_size(layer: _Sums, inputs: LayerInputs, totals: Totals | None) -> int:
    """The size of clusters with the least LUTs and levels for a neuron, found by building some."""
    bits = Counter[int]()
    for (neuron, _), row in zip(layer.owners, layer.signs, strict=True):
        bits[neuron] += int(np.count_nonzero(row)) * inputs.width
    if totals is None and max(bits.values(), default=0) <= LUT_INPUTS:
        return 1  # each neuron is one LUT: there is nothing to share
    costs: dict[int, float] = {}
    large = layer.signs.size > WHOLE
    if large and layer.neurons < len(layer.signs):
        layer, large = layer.some(), False
    for size in CLUSTER_SIZES:
        if size > len(layer.signs):
            break
        builder = _begun(inputs, totals)
        common = builder.luts
        chosen, tried = list(clusters(layer.signs, size)), layer.again()
        if large:
            # The first clusters are more alike than the last: take some of all.
            whole = [rows for rows in chosen if len(rows) == size]
            chosen = whole[:: -(-len(whole) // TRIES)]
        for rows in chosen:
            _halved(builder, rows, _classes(builder, layer.signs, rows, inputs), tried)
        # Levels are weighed against the LUTs of a neuron, however many rows it has.
        neurons = sum(map(len, chosen)) * layer.neurons / len(layer.signs)
        costs[size] = (builder.luts - common) / neurons + LEVEL * max(builder.depth)
    return min(costs, key=lambda size: costs[size], default=1)


def _leading(columns: Signs) -> Signs:
    """The first sign of each column that is not 0; 0 where there is none."""
    first = (columns != 0).argmax(axis=0)
    made: Signs = columns[first, np.arange(columns.shape[1])]
    return made


def _classes(
    builder: NetlistBuilder, signs: Signs, rows: tuple[int, ...], inputs: LayerInputs
) -> _Classes:
    """The classes of a cluster, compressed."""
    own = signs[list(rows)]
    leading = _leading(own)
    columns = (own * leading).T.tolist()
    heaps: dict[tuple[int, ...], BitHeap] = {}
    highs: Counter[tuple[int, ...]] = Counter()
    for i in np.flatnonzero(leading).tolist():
        pattern = tuple(columns[i])
        heap = heaps.setdefault(pattern, BitHeap())
        for literal, bit in inputs.bits(i):
            heap.add(literal ^ int(leading[i] < 0), bit)
        highs[pattern] += inputs.high
    return {
        pattern: _Class(_settled(builder, heap, len(rows)), highs[pattern])
        for pattern, heap in heaps.items()
    }


def _halves(size: int) -> tuple[range, ...]:
    return range(size // 2 + size % 2), range(size // 2 + size % 2, size)


def _settled(builder: NetlistBuilder, heap: BitHeap, size: int) -> BitHeap:
    """A class compressed as far as it pays in a cluster of this size."""
    heap.cancelled()
    if size == 1:
        return heap
    return compressed(builder, heap, compress(heap.arrivals(builder), 2))


def _halved(
    builder: NetlistBuilder, rows: tuple[int, ...], classes: _Classes, layer: _Sums
) -> None:
    """Go from the classes of a cluster to those of its halves, down to single rows."""
    if len(rows) == 1:
        (only,) = classes.values()
        layer.counted(builder, rows[0], only.heap)
        return
    for half in _halves(len(rows)):
        heaps: dict[tuple[int, ...], tuple[BitHeap, int]] = {}
        for pattern, summed in classes.items():
            part = tuple(pattern[i] for i in half)
            sign = next((sign for sign in part if sign), 0)
            if not sign:  # no row of this half has these inputs
                continue
            key = tuple(sign * each for each in part)
            heap, high = heaps.setdefault(key, (BitHeap(), 0))
            heap.add_all(summed.heap, sign)
            heap.constant += summed.high * (sign < 0)
            heaps[key] = (heap, high + summed.high)
        below = {
            key: _Class(_settled(builder, heap, len(half)), high)
            for key, (heap, high) in heaps.items()
        }
        _halved(builder, tuple(rows[i] for i in half), below, layer)


# ---- Clusters of rows that are alike ----

Rows = tuple[int, ...]

MATCHED = 8
"""Least size of clusters whose halves are found first, and then matched."""
APART = 2
"""The first so many inputs of a class save nothing: each half could as well add them up itself."""


def clusters(signs: Signs | Bools, size: int) -> Iterator[Rows]:
    """The rows in clusters of ``size``; the last may be smaller.

    Args:
        signs: ``(rows, inputs)`` of -1, 0 and +1, or bools for -1 and +1.
        size: rows of a cluster.
    """
    own: Signs = integers(signs).astype(np.int8)
    if size < MATCHED or size % 2:
        yield from _alike(own, size)
        return
    halves = list(_alike(own, size // 2))
    codes = [_column_classes(own, rows) for rows in halves]
    pairs = list(combinations(range(len(halves)), 2))
    shared = [_shared(codes[i], codes[j]) for i, j in pairs]
    left = set(range(len(halves)))
    for at in sorted(range(len(pairs)), key=lambda at: -shared[at]):
        i, j = pairs[at]
        if {i, j} <= left and len(halves[j]) == size // 2:
            left -= {i, j}
            yield *halves[i], *halves[j]
    yield from (halves[i] for i in sorted(left))


def _alike(signs: Signs, size: int) -> Iterator[Rows]:
    """Clusters of rows that are most alike, or most opposite, one after the other."""
    if size == 1:
        yield from ((row,) for row in range(len(signs)))
        return
    own = signs.astype(np.float32)
    likeness = np.abs(own @ own.T)  # whole numbers, far below 2^24
    np.fill_diagonal(likeness, -1)
    left = np.arange(len(signs))
    while len(left):
        among = likeness[np.ix_(left, left)]
        cluster = [int(left[among.max(axis=1).argmax()])]
        left = left[left != cluster[0]]
        while len(left) and len(cluster) < size:
            cluster.append(int(left[likeness[np.ix_(cluster, left)].sum(axis=0).argmax()]))
            left = left[left != cluster[-1]]
        yield tuple(cluster)


def _column_classes(signs: Signs, rows: Rows) -> Ints:
    """A number for each input's class in a cluster, with its leading sign in bit 0; -1 for none."""
    own = signs[list(rows)]
    leading = _leading(own)
    places = 3 ** np.arange(len(rows), dtype=np.int64)
    codes: Ints = (own * leading + 1) * places[:, None]
    made: Ints = np.where(leading == 0, -1, 2 * codes.sum(axis=0) + (leading > 0))
    return made


def _shared(one: Ints, other: Ints) -> int:
    """The number of inputs that two clusters share in classes, without the first few of each."""
    both = (one >= 0) & (other >= 0)
    one, other = one[both], other[both]
    joint = (one >> 1) << 32 | (other >> 1) << 1 | (one ^ other) & 1
    _, counts = np.unique(joint, return_counts=True)
    return int(np.maximum(counts - APART, 0).sum())
