"""Near pairs: integers so close to a threshold that a float32 executor may decide differently.

A file's network is defined in real numbers; executors of the file round. For every threshold, the
nearest integers that its channel can reach are checked. A pair of integer and threshold is near if
rounding may decide it: the distance is at most 1e-6 relative to the terms of the sum, plus the
rounding error of float32 sums if scales are no powers of two. Rational arithmetic decides near
pairs, and they are counted: an executor in float32 may decide them differently. If there are none,
the Graph equals every executor unconditionally.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from hwbnn.graph.arrays import Bools, Floats, Ints
from hwbnn.lowering.from_program.real_numbers import RealNumber
from hwbnn.lowering.from_program.real_ops import (
    AffineOp,
    ClipOp,
    LinearOp,
    RationalLine,
    RealOp,
    rational_line,
)
from hwbnn.lowering.tables import ThresholdTable, evaluate_at
from hwbnn.lowering.value import TracedValue
from hwbnn.program import Quantizer

BAND = 1e-6
"""Relative distance within which a pair of integer and threshold is decided exactly."""


@dataclass(frozen=True)
class Certificate:
    """The number of thresholds that were checked, and of near pairs.

    Attributes:
        thresholds: all thresholds of the layer, in all border classes.
        ties: thresholds with an integer exactly on an edge, where float32 computes this exactly.
        near: all other near pairs, which float32 may decide differently.
        moved: near pairs and ties that float64 decided differently.
        nearest: least distance from an integer to an edge, without near pairs and ties, relative to
            the terms of the sum; infinite if there are none.
    """

    thresholds: int = 0
    ties: int = 0
    near: int = 0
    moved: int = 0
    nearest: float = np.inf

    def plus(self, other: Certificate) -> Certificate:
        """The counts of both."""
        return Certificate(
            self.thresholds + other.thresholds,
            self.ties + other.ties,
            self.near + other.near,
            self.moved + other.moved,
            min(self.nearest, other.nearest),
        )

    def __str__(self) -> str:
        text = f"{self.thresholds} thresholds certified"
        if np.isfinite(self.nearest):
            text += f", nearest integer at {self.nearest:.1g}"
        text += f", {self.ties} exact ties" if self.ties else ""
        if self.near:
            text += f", {self.near} near pairs decided by rationals (float32 may go the other way)"
        return text


def certify(
    value: TracedValue, table: ThresholdTable, quantizer: Quantizer
) -> tuple[ThresholdTable, Certificate]:
    """The exact thresholds, from those that float64 gives, and the certificate.

    Args:
        value: the argument of the quantizer; its functions are :class:`RealOp`.
        table: the thresholds that float64 gives; all channels monotone.
        quantizer: has the edges.

    Raises:
        CannotLower: if a sum of several square roots cannot be told from 0.
    """
    thresholds, falling = np.array(table.thresholds), np.array(table.falling)
    views = thresholds[None] if value.border is None else thresholds
    # A channel whose code never changes counts as rising. If its exact numbers fall, it is treated
    # as falling first, as deciding a near pair may show that the code does change.
    turned = np.array(table.constant)
    for channel in np.flatnonzero(turned).tolist():
        turned[channel] = _falls(value, channel)
    _turn(value, views, falling, turned)
    whole = Certificate()
    for border_class in range(len(views)):
        whole = whole.plus(_certify(value, views[border_class], falling, quantizer, border_class))
    never = (views < value.type.low) | (views > value.type.high)
    always = views == np.where(falling, value.type.high, value.type.low)[:, None]
    constant = np.asarray((never | always).all(axis=(0, 2)))
    _turn(value, views, falling, turned & constant)
    return replace(table, thresholds=thresholds, falling=falling, constant=constant), whole


def _falls(value: TracedValue, channel: int) -> bool:
    """Whether the exact numbers of a channel fall as its integers rise."""
    ends = []
    for integer in (int(value.low[channel]), int(value.high[channel])):
        x = RealNumber.of(integer)
        for op in value.variants[0]:
            assert isinstance(op, RealOp)
            x = op.exact(channel, x)
        ends.append(x)
    return ends[1].plus(ends[0].times(-1)).sign < 0


def _turn(value: TracedValue, views: Ints, falling: Bools, channels: Bools) -> None:
    """Reverse the direction of constant channels, thresholds included, in place."""
    t = value.type
    never = (views < t.low) | (views > t.high)
    falling[channels] = ~falling[channels]
    ends = (
        np.where(falling, t.high, t.low)[:, None],
        np.where(falling, t.low - 1, t.high + 1)[:, None],
    )
    views[...] = np.where(channels[:, None], np.where(never, ends[1], ends[0]), views)


def _certify(
    value: TracedValue, thresholds: Ints, falling: Bools, quantizer: Quantizer, border_class: int
) -> Certificate:
    """Correct the thresholds of one border class in place, int64 ``(channels, steps)``."""
    ops = [op for op in value.variants[border_class] if isinstance(op, RealOp)]
    assert len(ops) == len(value.variants[border_class])
    t, low, high = value.type, value.low, value.high
    step = np.where(falling, -t.step, t.step)
    near: Bools = np.zeros(thresholds.shape, np.bool_)
    nearest = np.inf
    for integers in (thresholds, thresholds - step[:, None]):
        distance, band, size = _distances(value, ops, integers, quantizer, border_class)
        is_near = distance <= band
        near |= is_near.T
        with np.errstate(divide="ignore", invalid="ignore"):
            nearest = min(nearest, float(np.where(is_near, np.inf, distance / size).min()))
    rows = len(quantizer.edges)
    lines: dict[int, RationalLine | None] = {}
    ties = close = moved = 0
    for channel, j in np.argwhere(near).tolist():
        row = channel if rows > 1 else 0
        if channel not in lines:
            lines[channel] = rational_line(ops, channel)
        edge = _ExactEdge(
            *(ops, channel, Fraction(float(quantizer.edges[row, j]))),
            closed=bool(quantizer.closed[row, j]),
            line=lines[channel],
        )
        old, down = int(thresholds[channel, j]), bool(falling[channel])
        new = _decided(edge, old, int(step[channel]), (int(low[channel]), int(high[channel])))
        if new is None:
            new = t.low - 1 if down else t.high + 1
        elif new == (high[channel] if down else low[channel]):
            new = t.high if down else t.low
        thresholds[channel, j] = new
        moved += new != old
        if edge.ties and all(_keeps_ties(op, channel) for op in ops):
            ties += 1
        else:
            close += 1
    return Certificate(thresholds.size, ties, close, moved, nearest)


@dataclass
class _ExactEdge:
    """The exact decision of integers against one edge of one channel.

    Attributes:
        line: the functions as one line with rational numbers, if they are.
        ties: how many integers lay on the edge.
    """

    ops: list[RealOp]
    channel: int
    edge: Fraction
    closed: bool
    line: RationalLine | None = None
    ties: int = 0

    def reached(self, integer: int) -> bool:
        """Whether the integer reaches the edge."""
        if self.line is not None:
            y = self.line.at(integer)
            sign = (y > self.edge) - (y < self.edge)
        else:
            x = RealNumber.of(integer)
            for op in self.ops:
                x = op.exact(self.channel, x)
            sign = x.plus(-self.edge).sign
        self.ties += sign == 0
        return sign > 0 or (sign == 0 and self.closed)


def _decided(edge: _ExactEdge, start: int, step: int, ends: tuple[int, int]) -> int | None:
    """The first integer, in the direction of ``step``, that reaches the edge; None if none does.

    Args:
        edge: the decisions, which change once along ``step``.
        start: the integer that float64 found.
        step: distance of integers, below 0 in falling channels.
        ends: the lowest and the highest integer that the channel reaches.
    """
    low, high = ends
    first, last = (low, high) if step > 0 else (high, low)
    count = (last - first) // step
    below, above = -1, count + 1
    near = (start - first) // step
    # Nearly always the integers next to ``start`` decide; otherwise the change is bisected.
    tried = [near, near - 1]
    while below + 1 < above:
        at = tried.pop(0) if tried else (below + above) // 2
        if below < at < above:
            if edge.reached(first + at * step):
                above = at
            else:
                below = at
    return first + above * step if above <= count else None


def _keeps_ties(op: RealOp, channel: int) -> bool:
    """Whether float32 computes a number that lies on an edge exactly."""
    if isinstance(op, LinearOp):
        return not op.error[channel if len(op.error) > 1 else 0]
    if isinstance(op, AffineOp):
        factors = (p[channel if len(p) > 1 else 0] for p in (op.scale, op.divisor))
        return all(abs(np.frexp(factor)[0]) == 0.5 for factor in factors)  # powers of two
    return isinstance(op, ClipOp)


def _distances(
    value: TracedValue, ops: list[RealOp], integers: Ints, quantizer: Quantizer, border_class: int
) -> tuple[Floats, Floats, Floats]:
    """Distances to the edges, near if at most these bands, and sizes of the terms.

    All are float64 ``(steps, channels)``.
    """
    held = integers.T.clip(value.low, value.high)
    y = evaluate_at(value, held, border_class)
    edges = np.broadcast_to(quantizer.edges.T, y.shape)
    bound = np.abs(held).astype(np.float64), np.zeros(y.shape)
    for op in ops:
        bound = op.bound(bound)
    size = bound[0] + np.abs(edges)
    return np.abs(y - edges), BAND * size + bound[1], size
