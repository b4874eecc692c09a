"""Multipliers, biases and shifts that say what trained modules do, fitted and then tried.

What stands between an integer ``x`` and a sum of two streams is, channel by channel, a line, which
may end in plateaus (hardtanh, ReLU), or two lines that meet (PReLU, Maxout). The lines are read off
the modules themselves at points of the range, rounded to integers, and the node that results is
then compared with the modules on *every* integer that the value can take, in every border class:
what counts as error is the distance found there, never what a formula promises. Values of millions
of integers are compared where lines tell all about themselves (:mod:`hwbnn.lowering.telling`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import Rescale
from hwbnn.graph.arrays import Bools, Floats, Ints
from hwbnn.graph.nodes import SHIFT_LIMIT
from hwbnn.lowering.streams import Stream
from hwbnn.lowering.tables import chunks, evaluate_at, is_long, merged
from hwbnn.lowering.telling import telling

ALLOWED = 1.0
"""Largest error of a Rescale, in units of its result; rounding alone makes half a unit."""
_FLOAT32 = 2.0**-22
"""What the modules' own roundings may add to it, relative."""
GUARD = 4
"""More fractional bits where the point is found in which two lines meet."""
_SAMPLES = 2048
_LARGEST = 1 << 30
"""Bound of multipliers and results."""
_SMALL = 1 << 21
"""Results below which the modules' own roundings are a quarter of a unit at most."""
_NEAR = 0.05
"""Plateaus are points that differ by less than this, in units."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A node that says what the steps of a stream do, and how far it is from them.

    Attributes:
        multiplier: int64 ``(channels,)``.
        bias: int64 ``(channels,)``, with border classes ``(classes, channels)``.
        shift: one for all channels.
        negative: int64 ``(channels,)``, or None.
        low: smallest result.
        high: largest result.
        saturates: whether results are held at one of these.
        error: the largest distance from the modules, in units of the result.
        slope: the largest change of the result for one of the stream's integers.
        ends: lowest and highest result of each channel.
        count: how many integers it was tried on.
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

    def node(self, name: str, source: str, places: Ints | None) -> Rescale:
        """The node."""
        shift = np.full(len(self.multiplier), self.shift, np.int64)
        bias = self.bias if places is not None else self.bias[0]
        return Rescale(
            name, source, self.multiplier, bias, shift, self.low, self.high, self.negative, places
        )

    def apply(self, x: Ints, place: int) -> Ints:
        """What the node makes of integers ``(rows, channels)``."""
        m = self.multiplier
        slopes = m if self.negative is None else np.where(x < 0, self.negative, m)
        half = 1 << (self.shift - 1) if self.shift else 0
        found: Ints = (x * slopes + self.bias[place] + half) >> self.shift
        return found.clip(self.low, self.high)


def fit(stream: Stream, fraction: int, *, bent: bool = False, at: Ints | None = None) -> Fit | None:
    """The node that makes integers in units of ``2^-fraction`` of what torch sees.

    Args:
        stream: the integers and the steps behind them.
        fraction: fractional bits of the result.
        bent: whether to look for two lines that meet where the node's source is 0.
        at: if the node's source is not the integers ``x`` but ``(x << GUARD) - at``, int64
            ``(channels,)``.

    Returns:
        A node tried on all integers; None if no such lines are within :data:`ALLOWED`.
    """
    unit = float(1 << fraction)
    whole, stream = stream, merged(stream) if at is None else stream
    points = _points(stream)
    values = [
        evaluate_at(stream, points, place).astype(np.float64) * unit
        for place in range(len(stream.variants))
    ]
    if max(float(np.abs(v).max()) for v in values) >= _LARGEST:
        return None
    found = _lines(_read(stream, points, at), values, bent)
    found = None if found is None else _tried(found, stream, unit, at)
    return found if found is None or whole is stream else _spread(found, whole)


def _read(stream: Stream, integers: Ints, at: Ints | None) -> Ints:
    """What the node reads of a stream's integers, ``(rows, channels)``."""
    columns = integers if integers.ndim == 2 else integers[:, None]
    held: Ints = np.clip(columns, stream.low, stream.high)
    return held if at is None else (held << GUARD) - at


def _points(stream: Stream) -> Ints:
    """Integers of the whole range: all, or some at even distances, with those around 0."""
    t = stream.type
    if t.count <= 2 * _SAMPLES:
        return t.low + t.step * np.arange(t.count, dtype=np.int64)
    index = np.linspace(0, t.count - 1, _SAMPLES).astype(np.int64)
    around = np.arange(-4, 5) + (-t.low // t.step)
    ends = np.concatenate((stream.low, stream.high))
    inside = np.concatenate((index, around, (ends - t.low) // t.step))
    return t.low + t.step * np.unique(inside[(inside >= 0) & (inside < t.count)])


def _lines(x: Ints, values: list[Floats], bent: bool) -> Fit | None:
    """Lines through sampled values, one or two slopes for each channel and a bias for each class.

    Args:
        x: integers ``(rows, channels)``, rising.
        values: what they become, in units of the result, ``(rows, channels)`` for each class.
        bent: whether there are two slopes, which meet at 0.
    """
    low = min(float(v.min()) for v in values)
    high = max(float(v.max()) for v in values)
    sides = [x >= 0, x <= 0] if bent else [np.ones(x.shape, np.bool_)]
    # A channel that reaches less than the others stays where it ends: no new points.
    new = np.concatenate((np.ones((1, x.shape[1]), np.bool_), x[1:] != x[:-1]))
    moving = [_moving(v, new, low, high) for v in values]
    free = [m & new for m in moving]
    slopes = []
    for side in sides:
        found = [_slope(x, v, f & side, jumps=not bent) for v, f in zip(values, free, strict=True)]
        widths = np.stack([width for _, width in found])
        best = widths.argmax(axis=0)
        slopes.append(np.take_along_axis(np.stack([s for s, _ in found]), best[None], axis=0)[0])
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
    return Fit(rounded[0], bias, shift, negative, round(low), round(high), saturates)


def _moving(v: Floats, new: Bools, low: float, high: float) -> Bools:
    """Points that are on no plateau at the lowest or the highest value of all channels."""
    moving = np.ones(v.shape, np.bool_)
    for end in (low, high):
        at = np.abs(v - end) < _NEAR
        # One point alone at an end is where a line ends.
        moving &= ~(at & ((at & new).sum(axis=0) > 1))
    return moving


def _slope(x: Ints, v: Floats, among: Bools, *, jumps: bool) -> tuple[Floats, Ints]:
    """The slope between the outermost points of a line, and their distance; by channel.

    A line that no two points are on is level; with ``jumps``, where it may lead from one plateau to
    the other, as steep as the plateaus ask for.
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
    """Fractional bits of multipliers: a slope rounded to them is a quarter of a unit off at most.

    Slopes that would not fit get as many as do.
    """
    wanted = max(0, (2 * max(reach, 1) - 1).bit_length())
    while wanted and steepest * 2.0**wanted >= _LARGEST:
        wanted -= 1
    return min(wanted, SHIFT_LIMIT)


def _bias(line: Floats, v: Floats, free: Bools, low: float, high: float) -> Floats:
    """What is added to a line: the middle of what its points ask for; by channel.

    On a line the distance is to be small; on the lower plateau the line is to be below it, on the
    upper one above.
    """
    rest = v - line
    # Where there are smaller numbers, float32's rounding of large ones does not move the line.
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
    found: Floats = np.where(known[0], (least + most) / 2, between)
    return found


def _tried(found: Fit, stream: Stream, unit: float, at: Ints | None) -> Fit | None:
    """A node compared with the modules on all integers, or on those that tell."""
    worst, count = 0.0, 0
    low = np.full(len(stream.low), found.high, np.int64)
    high = np.full(len(stream.low), found.low, np.int64)
    for place in range(len(stream.variants)):
        for integers, f in _tries(stream, place):
            count += len(integers) if place == 0 else 0
            y = found.apply(_read(stream, integers, at), place)
            wanted = f.astype(np.float64) * unit
            distance = np.abs(y - wanted)
            worst = max(worst, float(distance.max()))
            if bool((distance > ALLOWED + np.abs(wanted) * _FLOAT32).any()):
                return None
            low, high = np.minimum(low, y.min(axis=0)), np.maximum(high, y.max(axis=0))
    slopes = [found.multiplier] + ([] if found.negative is None else [found.negative])
    steepest = max(int(np.abs(s).max()) for s in slopes) / (1 << found.shift)
    if at is not None:
        steepest *= 1 << GUARD
    return replace(found, error=worst, slope=steepest, ends=(low, high), count=count)


def _spread(found: Fit, stream: Stream) -> Fit:
    """A node that was fitted to one channel for all, with the ends of each."""
    count = len(stream.low)
    slopes = [found.multiplier, found.negative]
    multiplier, negative = (None if s is None else np.repeat(s, count) for s in slopes)
    assert multiplier is not None
    bias = np.repeat(found.bias, count, axis=1)
    made = replace(found, multiplier=multiplier, negative=negative, bias=bias)
    # One line or two: the extremes are at the ends of the range, or where the two meet.
    turns = stream.low, np.zeros(count, np.int64).clip(stream.low, stream.high), stream.high
    y = made.apply(np.stack(turns), 0)
    return replace(made, ends=(y.min(axis=0), y.max(axis=0)))


def _tries(stream: Stream, place: int) -> Iterator[tuple[Ints, NDArray[np.float32]]]:
    """What a node is compared on: integers, and what the modules make of them."""
    if is_long(stream):
        yield from telling(stream, place)
        return
    for integers, f in chunks(stream, place=place):
        yield integers, f.numpy()
