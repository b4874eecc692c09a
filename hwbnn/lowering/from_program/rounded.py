"""Quantizers of many levels as fixed point: a multiplication, a shift and bounds, exactly.

A quantizer that rounds to equal steps counts ``floor(gain * x + offset) + 1`` edges, between 0 and
all. Hundreds of thresholds take hundreds of comparisons; one ``Rescale`` takes a multiplication.
The numbers of the ``Rescale`` are searched for such that it reproduces every certified threshold of
its channel: as both functions are monotone, they are then equal on all integers.

No line can round halves to even. Where a sum of dyadic numbers meets ties of both kinds, the count
of ``floor`` is too large by one at every other tie; with ``w / 2^s`` the line in units of edges and
``n = 2^(s + 1)``, the term ``floor((w - 1) / n) - floor(w / n)`` is -1 there and 0 elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf

import numpy as np

from hwbnn.graph import Add, Rescale
from hwbnn.graph.arrays import Bools, Floats, Ints
from hwbnn.graph.fields import LIMIT
from hwbnn.graph.nodes import SHIFT_LIMIT
from hwbnn.lowering.from_program.certificate import Certificate, certify
from hwbnn.lowering.from_program.real_ops import ClipOp, RationalLine, RealOp, rational_line
from hwbnn.lowering.ops import StepActivation
from hwbnn.lowering.tables import ThresholdTable, evaluate_at, read_thresholds
from hwbnn.lowering.value import GraphBuilder, TracedValue
from hwbnn.program import Quantizer

MANY_STEPS = 64
"""With more steps than this, fixed point takes less hardware than comparisons."""
_BIAS_LIMIT = 1 << 61
_MULTIPLIER_LIMIT = 1 << 30


@dataclass(frozen=True, eq=False)
class Rounded:
    """The nodes that count the edges of a quantizer of many levels, and the certificate.

    Attributes:
        value: the last node; its integers are codes, or counts where there is no base.
        certificate: of the thresholds that the nodes reproduce.
    """

    value: TracedValue
    certificate: Certificate


def rounded(
    build: GraphBuilder, layer: Quantizer, step: StepActivation, value: TracedValue
) -> Rounded | None:
    """The nodes of a quantizer in fixed point; None if no fixed point of fitting size equals it.

    Args:
        build: the Graph so far.
        layer: the quantizer, one row of edges for all channels.
        step: the same, for tabulation.
        value: its argument, without a waiting max pool.
    """
    steps, base = layer.steps, step.base or 0
    if len(layer.edges) > 1 or value.order is not None:
        return None
    if not 0 < float(layer.edges[0, -1]) - float(layer.edges[0, 0]) < inf:
        return None  # equal edges, or such that their distance is no number: there is no slope
    table, certificate = certify(value, read_thresholds(value, step), layer)
    if table.non_monotone.any():
        return None
    views = table.thresholds if value.border is not None else table.thresholds[None]
    search = _Search(value, layer, views, table)
    single, found = search.lines()
    tied = np.flatnonzero(~found).tolist()
    parts = [single]
    if tied:
        corrected = search.corrected(tied, single)
        if corrected is None:
            return None
        parts = list(corrected)
    classes = None if value.border is None else value.border.classes
    if len(parts) == 1:
        node = search.node(build, "round", parts[0], base, classes, (base, base + steps))
        if node is None:
            return None
        build.add(node)
        text = "fixed point: a multiplication and a shift"
    else:
        nodes = []
        for part in parts:
            made = search.node(build, "round", part, 0, classes, None)
            if made is None:
                return None
            build.add(made)
            nodes.append(made)
        name = nodes[0].name
        for other in nodes[1:]:
            sums = Add(build.name("add"), name, other.name)
            build.add(sums)
            name = sums.name
        channels = len(value.low)
        ones, zeros = np.ones(channels, np.int64), np.zeros(channels, np.int64)
        node = Rescale(
            *(build.name("clip"), name, ones, np.full(channels, base), zeros),
            low=base,
            high=base + steps,
        )
        build.add(node)
        text = f"fixed point, with a term for the halves of {len(tied)} channels"
    build.remark(layer.name, node, f"{text}; equal to all thresholds")
    t = build.types[node.name]
    ends = np.full(len(value.low), t.low), np.full(len(value.low), t.high)
    made_value = TracedValue(node.name, t, *ends, layer.name, is_coded=True, is_double=True)
    return Rounded(made_value, certificate)


@dataclass(frozen=True, eq=False)
class _Line:
    """``(multiplier * x + bias) >> shift`` in each channel, rounded down.

    Attributes:
        multiplier: int64 ``(channels,)``.
        bias: int64 ``(classes, channels)``, without the half that a ``Rescale`` adds.
        shift: int64 ``(channels,)``.
    """

    multiplier: Ints
    bias: Ints
    shift: Ints


@dataclass(frozen=True, eq=False)
class _Search:
    """The search for lines that reproduce certified thresholds.

    Attributes:
        value: the argument.
        layer: the quantizer.
        views: the thresholds, int64 ``(classes, channels, steps)``.
        table: the directions.
    """

    value: TracedValue
    layer: Quantizer
    views: Ints
    table: ThresholdTable

    def lines(self) -> tuple[_Line, Bools]:
        """For each channel a line that equals its thresholds, and whether there is one."""
        channels = len(self.value.low)
        shape = (len(self.views), channels)
        multiplier, shift = (np.zeros(channels, np.int64) for _ in range(2))
        bias, found = np.zeros(shape, np.int64), np.zeros(channels, np.bool_)
        with np.errstate(over="ignore", invalid="ignore"):
            slope = self._slopes()
        for s in range(SHIFT_LIMIT + 1):
            if self.layer.steps << s >= _BIAS_LIMIT or found.all():
                break
            with np.errstate(over="ignore"):
                m = np.rint(slope * 2.0**s)
            good = ~found & (np.abs(m) < _MULTIPLIER_LIMIT)
            m = np.where(good, m, 0).astype(np.int64)
            least, most = self._biases(m, s)
            good &= (least <= most).all(axis=0)
            middle = (least + most) // 2
            good &= (np.abs(middle) < _BIAS_LIMIT).all(axis=0)
            multiplier, shift = np.where(good, m, multiplier), np.where(good, s, shift)
            bias = np.where(good, middle, bias)
            found |= good
        return _Line(multiplier, bias, shift), found

    def _slopes(self) -> Floats:
        """The edges for a step of the integer, float64 ``(channels,)``, with the functions' sign.

        Between its thresholds the function rises evenly, so their distance gives the slope.
        """
        edges = self.layer.edges[0]
        distance = float(edges[-1] - edges[0]) / (self.layer.steps - 1)
        slopes = np.zeros(len(self.value.low))
        for channel in range(len(slopes)):
            line = rational_line(self._ops(0), channel)
            if line is not None:
                slopes[channel] = float(line.gain) / distance
        if not slopes.any():
            low, high = self.value.type.low, self.value.type.high
            ops = tuple(op for op in self._ops(0) if not isinstance(op, ClipOp))
            plain = replace(self.value, ops=ops, border=None)
            ends = evaluate_at(plain, np.array([low, high]), held=False)
            slopes = (ends[1] - ends[0]) / (max(1, high - low) * distance)
        return np.asarray(slopes)

    def _ops(self, border_class: int) -> list[RealOp]:
        return [op for op in self.value.variants[border_class] if isinstance(op, RealOp)]

    def _biases(self, m: Ints, s: int) -> tuple[Ints, Ints]:
        """The least and the largest bias with which a line equals the thresholds.

        Each is int64 ``(classes, channels)``. The integer at threshold ``j`` must give ``j + 1`` or
        more, its neighbour below ``j`` or less.
        """
        at, before, reached, missed = self._places()
        wanted = np.arange(1, self.layer.steps + 1) << s
        least = np.where(reached, wanted - m[:, None] * at, -_BIAS_LIMIT)
        most = np.where(missed, wanted - 1 - m[:, None] * before, _BIAS_LIMIT)
        return least.max(axis=2), most.min(axis=2)

    def _places(self) -> tuple[Ints, Ints, Bools, Bools]:
        """The first integer that reaches each threshold and the last that does not, if there are.

        Each has the shape of ``views``; the last two say whether there is such an integer.
        """
        t, falling = self.value.type, self.table.falling[:, None]
        low, high = self.value.low[:, None], self.value.high[:, None]
        at, before = self.views, self.views - np.where(falling, -t.step, t.step)
        reached = np.where(falling, at >= low, at <= high)
        missed = np.where(falling, before <= high, before >= low)
        return at.clip(low, high), before.clip(low, high), reached, missed

    def corrected(self, tied: list[int], single: _Line) -> tuple[_Line, _Line, _Line] | None:
        """The line of ``floor``, and the two of the term for halves; None if they do not equal.

        Args:
            tied: the channels that need the term.
            single: the lines of the other channels.
        """
        classes, channels = len(self.views), len(self.value.low)
        first = _Line(*(np.array(a) for a in (single.multiplier, single.bias, single.shift)))
        second, third = (
            _Line(
                np.zeros(channels, np.int64),
                np.zeros((classes, channels), np.int64),
                np.zeros(channels, np.int64),
            )
            for _ in range(2)
        )
        edges = self.layer.edges[0]
        first_edge, distance = Fraction(float(edges[0])), Fraction(float(edges[1] - edges[0]))
        odd = int(not self.layer.closed[0, 0])
        pattern = (np.arange(self.layer.steps) + odd) % 2 == 0
        if not (self.layer.closed[0] == pattern).all() or not (np.diff(edges) == distance).all():
            return None
        # Closed edges are even or odd; where the first is closed, the term is moved by one edge.
        moved = 0 if odd else 1
        for k in range(classes):
            for channel in tied:
                line = rational_line(self._ops(k), channel)
                exact = None if line is None else _in_edges(line, first_edge, distance)
                if exact is None:
                    return None
                a, b, s = exact
                n = 2 << s
                first.multiplier[channel], first.shift[channel] = a, s
                first.bias[k, channel] = b + (1 << s)
                second.multiplier[channel], second.shift[channel] = -a, s + 1
                second.bias[k, channel] = -b - (moved << s) + n - 1
                third.multiplier[channel], third.shift[channel] = a, s + 1
                third.bias[k, channel] = b + (moved << s) - 1
        parts = first, second, third
        return parts if self._equal(parts, tied) else None

    def _equal(self, parts: tuple[_Line, ...], tied: list[int]) -> bool:
        """Whether the sum of the lines equals all thresholds of these channels."""
        at, before, reached, missed = self._places()
        wanted = np.arange(1, self.layer.steps + 1)

        def total(integers: Ints) -> Ints:
            products = (
                part.multiplier[:, None] * integers + part.bias[..., None] for part in parts
            )
            shifted = zip(products, parts, strict=True)
            return np.asarray(sum(x >> part.shift[:, None] for x, part in shifted))

        good = (total(at) >= wanted) | ~reached
        good &= (total(before) < wanted) | ~missed
        return bool(good[:, tied].all())

    def node(
        self,
        build: GraphBuilder,
        kind: str,
        line: _Line,
        plus: int,
        classes: Ints | None,
        ends: tuple[int, int] | None,
    ) -> Rescale | None:
        """A ``Rescale`` of a line, ``plus`` added; None if its numbers are too large.

        ``ends`` are its bounds, by default those of the line.
        """
        if abs(plus) << int(line.shift.max()) >= _BIAS_LIMIT:  # int64 would overflow below
            return None
        half = np.where(line.shift > 0, 1 << np.maximum(line.shift - 1, 0), 0)
        bias = line.bias - half + (plus << line.shift)
        t = self.value.type
        if ends is None:
            reach = [(line.multiplier * x + line.bias) >> line.shift for x in (t.low, t.high)]
            ends = int(np.min(reach)), int(np.max(reach))
        if max(map(abs, ends)) >= LIMIT or int(np.abs(bias).max()) >= 1 << 62:
            return None
        return Rescale(
            *(build.name(kind), self.value.name, line.multiplier),
            bias if classes is not None else bias[0],
            line.shift,
            low=ends[0],
            high=ends[1],
            border_classes=classes,
        )


def _in_edges(
    line: RationalLine, first: Fraction, distance: Fraction
) -> tuple[int, int, int] | None:
    """``(a * x + b) / 2^s``, the line as edges above the first; None if it is not dyadic."""
    gain, offset = line.gain / distance, (line.offset - first) / distance
    below = max(gain.denominator, offset.denominator)
    s = below.bit_length() - 1
    if below != 1 << s or s >= SHIFT_LIMIT:
        return None
    a, b = int(gain * below), int(offset * below)
    return (a, b, s) if abs(a) < _MULTIPLIER_LIMIT and abs(b) < _BIAS_LIMIT else None
