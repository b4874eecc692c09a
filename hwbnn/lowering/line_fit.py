"""Fixed-point lines fitted to the network's functions, and then tried on every integer.

The function from an integer ``x`` to one side of a sum is, in each channel, a line that may end in
plateaus (hardtanh, ReLU), or two lines that meet (PReLU, Maxout). The lines are fitted to the
network's functions at points of the range, and rounded to integers. The resulting node is then
compared with these functions on *every* integer that the value can take, in every border class: the
error is the largest distance measured there, not one derived from a formula.

Values of millions of integers are compared at sample points that suffice to bound the error of a
piecewise-linear function (:func:`sample_points`): products, sums and bounds alone give a few
straight lines, up to float32's rounding, and the distance of two such functions is largest at an
end or at a kink of one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hwbnn.graph import Rescale
from hwbnn.graph.arrays import Bools, Float32s, Floats, Ints
from hwbnn.graph.nodes import SHIFT_LIMIT
from hwbnn.lowering.tables import batches, evaluate_at, is_piecewise, merged
from hwbnn.lowering.value import TracedValue

ALLOWED = 1.0
"""Largest error of a Rescale, in units of its result; rounding alone makes half a unit."""
_FLOAT32 = 2.0**-22
"""Error that the network's own rounding may add to :data:`ALLOWED`, relative to the result."""
GUARD = 4
"""Additional fraction bits of the point at which two lines meet."""
_SAMPLES = 2048
_LARGEST = 1 << 30
"""Bound of multipliers and results."""
_SMALL = 1 << 21
"""Below this, the network's own rounding moves a result by a quarter of a unit at most."""
_NEAR = 0.05
"""Points of a plateau differ by less than this, in units."""
_KINK_POINTS = 257
_KINK_ROUNDS = 3
_EVEN_POINTS = 1 << 12
"""Sample points at even distances, over the whole range of a channel."""
_MOST_KINKS = 4
"""Most kinks of a channel that sample points are placed around."""
_AROUND = 512
"""Sample points on each side of an end, and of 0, where a Rescale has its kink."""


@dataclass(frozen=True, eq=False)
class LineFit:
    """A ``Rescale`` that replaces a value's functions, and its error.

    Attributes:
        multiplier: int64 ``(channels,)``.
        bias: int64 ``(classes, channels)``; one class where there are no border classes.
        shift: right shift, the same for all channels.
        negative: the multiplier for arguments below 0, int64 ``(channels,)``; None if the same.
        low: smallest result.
        high: largest result.
        saturates: whether some results are clipped to ``low`` or ``high``.
        error: the largest distance from the functions, in units of the result.
        slope: the largest change of the result for a change of the value's integer by 1.
        ends: lowest and highest result of each channel.
        count: how many integers it was compared on.
    """

    multiplier: Ints
    bias: Ints
    shift: int
    negative: Ints | None
    low: int
    high: int
    saturates: bool
    error: float = 0.0
    slope: float = 0.0
    ends: tuple[Ints, Ints] | None = None
    count: int = 0

    def node(self, name: str, source: str, border_class: Ints | None) -> Rescale:
        """The node of the Graph."""
        shift = np.full(len(self.multiplier), self.shift, np.int64)
        bias = self.bias if border_class is not None else self.bias[0]
        return Rescale(
            name,
            source,
            self.multiplier,
            bias,
            shift,
            self.low,
            self.high,
            self.negative,
            border_class,
        )

    def apply(self, x: Ints, border_class: int) -> Ints:
        """The node's results for integers ``(rows, channels)``."""
        m = self.multiplier
        slopes = m if self.negative is None else np.where(x < 0, self.negative, m)
        half = 1 << (self.shift - 1) if self.shift else 0
        y: Ints = (x * slopes + self.bias[border_class] + half) >> self.shift
        return y.clip(self.low, self.high)


def fit(
    value: TracedValue, fraction: int, *, bent: bool = False, at: Ints | None = None
) -> LineFit | None:
    """Fit a ``Rescale`` whose results, in units of ``2^-fraction``, are the network's floats.

    Args:
        value: the integers and the functions applied to them.
        fraction: fraction bits of the result.
        bent: whether to look for two lines that meet where the node's source is 0.
        at: int64 ``(channels,)``, if the node reads ``(x << GUARD) - at`` instead of the value's
            integers ``x``.

    Returns:
        The fit, compared with the functions on all integers or on :func:`sample_points`; None if
        no such lines are within :data:`ALLOWED`.
    """
    unit = float(1 << fraction)
    whole, value = value, merged(value) if at is None else value
    points = _points(value)
    values = [
        evaluate_at(value, points, border_class).astype(np.float64) * unit
        for border_class in range(len(value.variants))
    ]
    if max(float(np.abs(v).max()) for v in values) >= _LARGEST:
        return None
    line = _lines(_read(value, points, at), values, bent)
    line = None if line is None else _tried(line, value, unit, at)
    return line if line is None or whole is value else _spread(line, whole)


def _read(value: TracedValue, integers: Ints, at: Ints | None) -> Ints:
    """The node's arguments for a value's integers, ``(rows, channels)``."""
    columns = integers if integers.ndim == 2 else integers[:, None]
    held: Ints = np.clip(columns, value.low, value.high)
    return held if at is None else (held << GUARD) - at


def _points(value: TracedValue) -> Ints:
    """Integers of the whole range: all, or some at even distances, with those around 0."""
    t = value.type
    if t.count <= 2 * _SAMPLES:
        return t.low + t.step * np.arange(t.count, dtype=np.int64)
    index = np.linspace(0, t.count - 1, _SAMPLES).astype(np.int64)
    around = np.arange(-4, 5) + (-t.low // t.step)
    ends = np.concatenate((value.low, value.high))
    inside = np.concatenate((index, around, (ends - t.low) // t.step))
    return t.low + t.step * np.unique(inside[(inside >= 0) & (inside < t.count)])


def _lines(x: Ints, values: list[Floats], bent: bool) -> LineFit | None:
    """Lines through sampled values, one or two slopes for each channel and a bias for each class.

    Args:
        x: integers ``(rows, channels)``, rising.
        values: their results, in units of the node, ``(rows, channels)`` for each class.
        bent: whether there are two slopes, which meet at 0.
    """
    low = min(float(v.min()) for v in values)
    high = max(float(v.max()) for v in values)
    sides = [x >= 0, x <= 0] if bent else [np.ones(x.shape, np.bool_)]
    # Points outside a channel's own range are clipped to its end, and so are no new points.
    new = np.concatenate((np.ones((1, x.shape[1]), np.bool_), x[1:] != x[:-1]))
    moving = [_moving(v, new, low, high) for v in values]
    free = [m & new for m in moving]
    slopes = []
    for side in sides:
        pairs = [_slope(x, v, f & side, jumps=not bent) for v, f in zip(values, free, strict=True)]
        widths = np.stack([width for _, width in pairs])
        best = widths.argmax(axis=0)
        slopes.append(np.take_along_axis(np.stack([s for s, _ in pairs]), best[None], axis=0)[0])
    reach = int(np.abs(x).max())
    shift = _shift(np.abs(np.stack(slopes)).max(), reach)
    scale = float(1 << shift)
    rounded = [np.rint(s * scale).astype(np.int64) for s in slopes]
    if max(int(np.abs(r).max()) for r in rounded) >= _LARGEST:
        return None
    lines = rounded[0] if len(rounded) == 1 else np.where(x < 0, rounded[1], rounded[0])
    biases = np.stack(
        [_bias(x * lines / scale, v, m, low, high) for v, m in zip(values, moving, strict=True)]
    )
    if float(np.abs(biases).max()) * scale >= 2.0**61:
        return None
    bias = np.rint(biases * scale).astype(np.int64)
    negative = rounded[1] if bent else None
    saturates = not all(m.all() for m in moving)
    return LineFit(rounded[0], bias, shift, negative, round(low), round(high), saturates)


def _moving(v: Floats, new: Bools, low: float, high: float) -> Bools:
    """Points that do not lie on a plateau at the lowest or the highest value of all channels."""
    moving = np.ones(v.shape, np.bool_)
    for end in (low, high):
        at = np.abs(v - end) < _NEAR
        # A single point at this value is the end of a line, not a plateau.
        moving &= ~(at & ((at & new).sum(axis=0) > 1))
    return moving


def _slope(x: Ints, v: Floats, among: Bools, *, jumps: bool) -> tuple[Floats, Ints]:
    """The slope between the outermost points of a line, and their distance; by channel.

    With fewer than two points the slope is that between the ends of the range. With ``jumps`` it is
    the steepest one between two neighbouring points, which may lead from plateau to plateau.
    """
    last = len(x) - 1
    columns = np.arange(x.shape[1])
    left, right = among.argmax(axis=0), last - among[::-1].argmax(axis=0)
    few = among.sum(axis=0) < 2
    if last and jumps:
        jump = np.abs(np.diff(v, axis=0)).argmax(axis=0)
        left, right = np.where(few, jump, left), np.where(few, jump + 1, right)
    else:
        left, right = np.where(few, 0, left), np.where(few, 0, right)
    width = x[right, columns] - x[left, columns]
    rise = v[right, columns] - v[left, columns]
    slope = np.where(width > 0, rise / np.maximum(width, 1), 0.0)
    return slope, np.where(few, 0, width)


def _shift(steepest: float, reach: int) -> int:
    """Fraction bits of multipliers: rounding a slope moves results by a quarter of a unit at most.

    Slopes that are too steep for so many bits get as many as fit.
    """
    wanted = max(0, (2 * max(reach, 1) - 1).bit_length())
    while wanted and steepest * 2.0**wanted >= _LARGEST:
        wanted -= 1
    return min(wanted, SHIFT_LIMIT)


def _bias(line: Floats, v: Floats, free: Bools, low: float, high: float) -> Floats:
    """The bias of each channel's line: the middle of the distances of the points from it.

    Points of the line itself must be near it. At points of the lower plateau, the line must be
    below the plateau; at points of the upper plateau, above it.
    """
    rest = v - line
    # Only small numbers are used, if there are any: float32 rounds large ones too much.
    small = free & (np.abs(v) < _SMALL)
    free = np.where(small.any(axis=0), small, free)
    on_low = ~free & (np.abs(v - low) < _NEAR)
    on_high = ~free & (np.abs(v - high) < _NEAR)
    ends = [
        np.where(free, rest, np.inf).min(axis=0),
        np.where(free, rest, -np.inf).max(axis=0),
        np.where(on_low, rest, np.inf).min(axis=0),
        np.where(on_high, rest, -np.inf).max(axis=0),
    ]
    known = [np.isfinite(end) for end in ends]
    least, most, below, above = (np.where(k, e, 0.0) for k, e in zip(known, ends, strict=True))
    between = np.where(known[2] & known[3], (below + above) / 2, below + above)
    bias: Floats = np.where(known[0], (least + most) / 2, between)
    return bias


def _tried(line: LineFit, value: TracedValue, unit: float, at: Ints | None) -> LineFit | None:
    """Compare a fit with the functions on all integers or the sample points; None if too far."""
    worst, count = 0.0, 0
    low = np.full(len(value.low), line.high, np.int64)
    high = np.full(len(value.low), line.low, np.int64)
    for border_class in range(len(value.variants)):
        for integers, f in _tries(value, border_class):
            count += len(integers) if border_class == 0 else 0
            y = line.apply(_read(value, integers, at), border_class)
            wanted = f.astype(np.float64) * unit
            distance = np.abs(y - wanted)
            worst = max(worst, float(distance.max()))
            if bool((distance > ALLOWED + np.abs(wanted) * _FLOAT32).any()):
                return None
            low, high = np.minimum(low, y.min(axis=0)), np.maximum(high, y.max(axis=0))
    slopes = [line.multiplier] + ([] if line.negative is None else [line.negative])
    steepest = max(int(np.abs(s).max()) for s in slopes) / (1 << line.shift)
    if at is not None:
        steepest *= 1 << GUARD
    return replace(line, error=worst, slope=steepest, ends=(low, high), count=count)


def _spread(line: LineFit, value: TracedValue) -> LineFit:
    """A fit to one channel, repeated for all channels, with the ends of each."""
    count = len(value.low)
    slopes = [line.multiplier, line.negative]
    multiplier, negative = (None if s is None else np.repeat(s, count) for s in slopes)
    assert multiplier is not None
    bias = np.repeat(line.bias, count, axis=1)
    spread = replace(line, multiplier=multiplier, negative=negative, bias=bias)
    # One line or two: the extremes are at the ends of the range, or where the two meet.
    turns = value.low, np.zeros(count, np.int64).clip(value.low, value.high), value.high
    y = spread.apply(np.stack(turns), 0)
    return replace(spread, ends=(y.min(axis=0), y.max(axis=0)))


def _tries(value: TracedValue, border_class: int) -> Iterator[tuple[Ints, Float32s]]:
    """The integers that a fit is compared on, and the results of the functions there."""
    if is_piecewise(value):
        yield from sample_points(value, border_class)
        return
    yield from batches(value, border_class=border_class)


def kinks(value: TracedValue, finer: int) -> Ints:
    """The point at which the two lines of each channel meet, in units of ``1 / finer``.

    The kink is the point farthest from the chord between the ends of the two lines. Each round
    searches a smaller interval around it. The lines to the left and right of the last interval are
    then intersected, as the kink need not be an integer.

    Args:
        value: the integers and the functions applied to them.
        finer: how many parts an integer is divided into.

    Returns:
        int64 ``(channels,)``, without meaning where a channel is one line.
    """
    ends = value.low, value.high
    values = [evaluate_at(value, end[None]).astype(np.float64)[0] for end in ends]
    low, high = ends
    for _ in range(_KINK_ROUNDS):
        low, high = _nearer(value, low, high, values)
    sides = [evaluate_at(value, end[None]).astype(np.float64)[0] for end in (low, high)]
    left = _line(ends[0], values[0], low, sides[0])
    right = _line(high, sides[1], ends[1], values[1])
    bends = left[0] != right[0]
    met = (right[1] - left[1]) / np.where(bends, left[0] - right[0], 1.0)
    at = np.where(bends, met, low).clip(low, high)
    return np.asarray(np.rint(at * finer), np.int64)


def _nearer(value: TracedValue, low: Ints, high: Ints, values: list[Floats]) -> tuple[Ints, Ints]:
    """Of points from ``low`` to ``high``, the neighbours of the one farthest from the chord."""
    x = np.linspace(low, high, _KINK_POINTS).astype(np.int64)
    y = evaluate_at(value, x).astype(np.float64)
    width = np.maximum(value.high - value.low, 1)
    chord = values[0] + (values[1] - values[0]) * ((x - value.low) / width)
    far = np.abs(y - chord).argmax(axis=0)
    columns = np.arange(x.shape[1])
    best = x[far, columns]
    # Points less than 1 apart are the same integer, so the neighbours are kept at least 1 away.
    before = np.minimum(x[np.maximum(far - 1, 0), columns], best - 1)
    behind = np.maximum(x[np.minimum(far + 1, len(x) - 1), columns], best + 1)
    return np.maximum(before, value.low), np.minimum(behind, value.high)


def _line(x: Ints, y: Floats, to: Ints, then: Floats) -> tuple[Floats, Floats]:
    """Slope and value at 0 of the line through two points; slope 0 where they are the same."""
    width = to - x
    slope = np.where(width != 0, (then - y) / np.where(width != 0, width, 1), 0.0)
    return slope, y - slope * x


def sample_points(value: TracedValue, border_class: int = 0) -> Iterator[tuple[Ints, Float32s]]:
    """Sample points that suffice to bound the error of a piecewise-linear function.

    Args:
        value: one whose functions are all ``is_piecewise_linear``.
        border_class: whose functions are evaluated.

    Yields:
        Integers, int64 ``(rows, channels)``, and the network's floats there: points at even
        distances, all integers around the ends and 0, and closer and closer around the kinks.
    """
    low, high = value.low, value.high
    near = np.arange(-_AROUND, _AROUND + 1)[:, None]
    ends = [(end + near).clip(low, high) for end in (low, np.zeros_like(low), high)]
    around = np.concatenate(ends)
    yield around, evaluate_at(value, around, border_class)
    windows = [(low, high)]
    points, count = _EVEN_POINTS, _MOST_KINKS
    while windows:
        following = []
        for start, stop in windows:
            x = np.linspace(start, stop, points).astype(np.int64)
            y = evaluate_at(value, x, border_class)
            yield x, y
            if int((stop - start).max()) >= points:
                following += _around_kinks(x, y, count)
        windows, points, count = following, _EVEN_POINTS // _MOST_KINKS, 1


def _around_kinks(x: Ints, y: Float32s, count: int) -> list[tuple[Ints, Ints]]:
    """The neighbours of the points where the slope changes most, channel by channel."""
    slopes = np.diff(y.astype(np.float64), axis=0) / np.maximum(np.diff(x, axis=0), 1)
    most = np.argsort(-np.abs(np.diff(slopes, axis=0)), axis=0)[:count]
    columns = np.arange(x.shape[1])
    return [(x[row, columns], x[row + 2, columns]) for row in most]
