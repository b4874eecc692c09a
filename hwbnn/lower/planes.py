"""Half-planes: an exact integer test for codes that depend on two sums, found and then certified.

Where the weights of a channel are ``alpha s + beta`` with any real numbers, what follows depends on
the pair ``D = sum s_i x_i`` and ``S = sum x_i`` through ``alpha D + beta S``. The pairs that can
occur are finitely many, so there are integers ``F``, ``R`` and ``T`` such that ``2^F D + R S >= T``
says the same on each of them. They are not derived from alpha and beta:

1. The trained modules are run on every pair that can occur (:class:`Pairs`, :func:`tabulate`). With
   ``P`` inputs of weight +1 and ``M`` of weight -1, bits make ``(P + 1) (M + 1)`` pairs.
2. For each ``S`` only the outermost ``D`` matter: the least that is in and the greatest that is out
   (:class:`Stairs`). The room between them along a direction ``(1, r)`` is
   ``room(r) = min_S (in + r S) - max_S (out + r S)``, concave in ``r``, so the ``r`` that separate
   are an interval around ``beta / alpha``, whose ends are found by bisection. The smallest ``F`` is
   the first with a multiple of ``2^-F`` inside (:func:`find`).
3. What the Graph's own nodes compute is compared with the table on every pair, and the pairs are
   counted (:func:`certify`).

Where taps of a convolution lie outside the image, fewer terms are summed and other constants
follow: each border class is a layer of its own here (:class:`Pending`), with its own pairs and
thresholds; ``F``, ``R`` and the direction are those of all classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwbnn.errors import CannotLower, Mismatch
from hwbnn.graph import Conv2d, Dot, Threshold
from hwbnn.lower.spans import Span
from hwbnn.lower.steps import Step

PAIR_LIMIT = 1 << 30
"""Most evaluations for one layer: half a minute or so."""
MAX_FRACTION = 24
"""Most fractional bits of a ratio; float64 finds the ends of intervals far more finely."""
_CHUNK = 1 << 20
_FAR = 1 << 32
"""Beyond every sum, for an ``S`` where all pairs are in, or out."""
_STEEPEST = 1 << 10
"""Largest ``beta / alpha``, so that turned sums stay below :data:`_FAR`."""
_BISECTIONS = 60

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs ``(D, S)`` that each channel of a layer can reach.

    An input element takes ``low, low + step, ..`` in ``levels + 1`` values, each by itself; a bit
    -1 and +1. ``a`` counts the steps of those with weight +1, ``b`` of those with weight -1; ``S``
    follows from ``q = a + b``, and ``D`` from ``q`` and ``a``.

    Attributes:
        plus: number of weights +1 of each channel, int64 ``(channels,)``.
        size: number of weights of a channel.
        low: least value of an input element.
        step: distance of its values.
        levels: how many steps it can go up.
    """

    plus: Integers
    size: int
    low: int
    step: int
    levels: int

    @property
    def count(self) -> int:
        """Pairs of all channels."""
        up, down = self.plus * self.levels, (self.size - self.plus) * self.levels
        return sum((int(p) + 1) * (int(m) + 1) for p, m in zip(up, down, strict=True))

    @property
    def _width(self) -> int:
        """Most pairs with one ``S``."""
        return int(np.minimum(self.plus, self.size - self.plus).max()) * self.levels + 1

    @property
    def evaluations(self) -> int:
        """Table entries: the pairs, and what fills channels that have fewer for an ``S``."""
        return (self.size * self.levels + 1) * self._width * len(self.plus)

    @property
    def totals(self) -> Integers:
        """Every ``S``, rising, int64 ``(totals,)``."""
        return self.size * self.low + self.step * np.arange(self.size * self.levels + 1)

    def chunks(self) -> Iterator[tuple[slice, Integers, Bools]]:
        """The pairs, some values of ``S`` at a time.

        Yields:
            Which of :attr:`totals`; ``D`` as int64 ``(totals, width, channels)``, rising along the
            second axis, its last repeated to fill; which are not such a repetition.
        """
        up, down = self.plus * self.levels, (self.size - self.plus) * self.levels
        width, count = self._width, self.size * self.levels + 1
        rows = max(1, _CHUNK // (width * len(up)))
        base = self.low * (2 * self.plus - self.size)
        along = np.arange(width)[:, None]
        for start in range(0, count, rows):
            q = np.arange(start, min(count, start + rows))[:, None, None]
            wanted = np.maximum(0, q - down) + along
            a = np.minimum(wanted, np.minimum(up, q))
            yield slice(start, start + len(q)), base + self.step * (2 * a - q), wanted == a


@dataclass(frozen=True, eq=False)
class Pending:
    """A layer whose weights have real offsets, until its activation tells which integers it needs.

    There is one for each border class of a convolution.

    Attributes:
        pairs: what can occur.
        ratio: ``beta / alpha`` of each channel, float64.
        finish: from ``D`` and ``S``, float32 ``(rows, channels)`` and ``(rows, 1)``, to the layer's
            output.
    """

    pairs: Pairs
    ratio: Floats
    finish: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Coded:
    """What the trained modules make of every pair, in the order of :meth:`Pairs.chunks`.

    Attributes:
        reached: for each chunk and each level the bits ``code > level``, packed.
        stairs: the outermost ``D`` of each level.
    """

    reached: list[list[NDArray[np.uint8]]]
    stairs: list[Stairs]


@dataclass(frozen=True, eq=False)
class Stairs:
    """For each ``S`` the outermost ``D`` that are in and out, int64 ``(totals, channels)``."""

    first_in: Integers
    last_in: Integers
    first_out: Integers
    last_out: Integers

    def room(self, falling: Bools, ratio: Floats, totals: Integers) -> Floats:
        """How far in and out are apart along ``(1, ratio)``, by channel; above 0 they are."""
        turn = ratio * totals[:, None]
        rising = (self.first_in + turn).min(axis=0) - (self.last_out + turn).max(axis=0)
        other = (self.first_out + turn).min(axis=0) - (self.last_in + turn).max(axis=0)
        room: Floats = np.where(falling, other, rising)
        return room


@dataclass(frozen=True, eq=False)
class Plane:
    """An exact integer test: code ``> level`` iff ``2^fraction D + ratio S >= threshold``.

    Attributes:
        fraction: ``F``, one for the layer: the most that a channel needs.
        ratio: ``R``, int64 ``(channels,)``.
        inside: ``T``, int64 ``(classes, channels, levels)``, without meaning where ``always`` or
            ``never``.
        falling: bool ``(channels,)``, where the test is ``<=`` instead.
        always: bool ``(classes, channels, levels)``.
        never: bool ``(classes, channels, levels)``.
        gap: least distance between in and out along ``(1, beta / alpha)``, in units of ``D``.
    """

    fraction: int
    ratio: Integers
    inside: Integers
    falling: Bools
    always: Bools
    never: Bools
    gap: float

    def thresholds(self, low: int, high: int) -> Integers:
        """``T`` for sums from ``low`` to ``high``, beyond which lies what never happens."""
        falling = self.falling[:, None]
        never = np.where(falling, low - 1, high + 1)
        always = np.where(falling, high, low)
        return np.where(self.never, never, np.where(self.always, always, self.inside))


def tabulate(
    pending: Pending,
    steps: tuple[Step, ...],
    codes: Callable[[Tensor], Tensor],
    levels: int,
    span: Span | None = None,
) -> Coded:
    """Run the trained modules on every pair.

    Args:
        pending: the layer.
        steps: what follows it.
        codes: the activation, from floats ``(rows, channels)`` to integers 0 to ``levels``.
        levels: the highest code.
        span: where a max pool stands among the steps: is told how codes go with what it compares.

    Raises:
        CannotLower: naming the step that makes a NaN.
    """
    pairs = pending.pairs
    totals, channels = pairs.totals, len(pairs.plus)
    found = [np.zeros((4, len(totals), channels), np.int64) for _ in range(levels)]
    packed: list[list[NDArray[np.uint8]]] = []
    for part, d, _ in pairs.chunks():
        rows = torch.from_numpy(d.reshape(-1, channels).astype(np.float32))
        s = np.repeat(totals[part], d.shape[1]).astype(np.float32)
        y = x = pending.finish(rows, torch.from_numpy(s)[:, None])
        for position, step in enumerate(steps, 1):
            x = step(x)
            y = x if span is not None and position == span.cut else y
            if bool(x.isnan().any()):
                raise CannotLower(
                    f"{step.label}: makes a NaN of sums that can occur; look at its parameters (a "
                    "negative running variance, infinite gains)"
                )
        flat = codes(x).numpy()
        if span is not None:
            span.add(y.numpy(), flat)
        code = flat.reshape(d.shape)
        packed.append([])
        for level, outermost in enumerate(found):
            reached = code > level
            packed[-1].append(np.packbits(reached))
            outermost[:, part] = _outermost(d, reached)
    return Coded(packed, [Stairs(*outermost) for outermost in found])


def _outermost(d: Integers, reached: Bools) -> Integers:
    """First and last ``D`` that are in, first and last that are out, along the second axis."""
    last = d.shape[1] - 1
    ends = []
    for inside in (reached, ~reached):
        some = inside.any(axis=1)
        first = np.take_along_axis(d, inside.argmax(axis=1)[:, None], axis=1)[:, 0]
        end = np.take_along_axis(d, last - inside[:, ::-1].argmax(axis=1)[:, None], axis=1)[:, 0]
        ends += [np.where(some, first, _FAR), np.where(some, end, -_FAR)]
    return np.stack(ends)


def find(label: str, pendings: Sequence[Pending], coded: Sequence[Coded]) -> Plane:
    """The integer test of fewest fractional bits for each channel.

    Args:
        label: the layer in messages.
        pendings: the layer, in each border class.
        coded: what :func:`tabulate` made of each.

    Raises:
        CannotLower: if no half-plane separates a channel, or more than :data:`MAX_FRACTION`
            fractional bits would be needed.
    """
    ratio, levels = pendings[0].ratio, len(coded[0].stairs)
    _check_steepness(label, ratio)
    stairs = [(s, p.pairs.totals) for p, c in zip(pendings, coded, strict=True) for s in c.stairs]
    never = _folded([(s.first_in == _FAR).all(axis=0) for s, _ in stairs], levels)
    always = _folded([(s.first_out == _FAR).all(axis=0) for s, _ in stairs], levels)
    free: Bools = (never | always).all(axis=(0, 2))

    def room(falling: Bools, r: Floats) -> Floats:
        rooms: Floats = np.min([s.room(falling, r, totals) for s, totals in stairs], axis=0)
        return rooms

    none = np.zeros(len(ratio), np.bool_)
    falling = ~free & (room(none, ratio) <= 0)
    gap = room(falling, ratio)
    if (gap <= 0).any():
        channel = int((gap <= 0).argmax())
        raise CannotLower(
            f"{label}: no integer test of D and S says what channel {channel} does, which is not "
            "monotone along its weights; use Maxout slopes above 0, or lower with mode 'qat' or "
            "'drop'"
        )
    ends = [_end(lambda r: room(falling, r) > 0, ratio, side) for side in (-1.0, 1.0)]
    needed, chosen = _simplest(label, ratio, ends[0], ends[1])
    needed[free], chosen[free] = 0, 0
    inside = _folded([_threshold(s, falling, needed, chosen, t) for s, t in stairs], levels)
    fraction = int(needed.max())
    # Channels that need fewer bits end in zeros, which cost nothing in hardware.
    spare = fraction - needed
    inside = np.where(never | always, 0, inside) << spare[:, None]
    real = gap[~free]
    least = float(real.min()) if real.size else float("inf")
    return Plane(fraction, chosen << spare, inside, falling, always, never, least)


def _folded(rows: list[NDArray[Any]], levels: int) -> NDArray[Any]:
    """What is known of each class and level, as ``(classes, channels, levels)``."""
    return np.stack(rows).reshape(-1, levels, len(rows[0])).swapaxes(1, 2)


def _check_steepness(label: str, ratio: Floats) -> None:
    bad = ~(np.abs(ratio) <= _STEEPEST)
    if bad.any():
        channel = int(bad.argmax())
        raise CannotLower(
            f"{label}: the offset of channel {channel} is {ratio[channel]:.3g} times its scale, "
            f"more than {_STEEPEST}; its weights are all alike: train it with mode 'qat' or 'drop'"
        )


def _end(good: Callable[[Floats], Bools], ratio: Floats, side: float) -> Floats:
    """How far the ratio may move to one side, at most by 1, by bisection."""
    near, far = np.zeros_like(ratio), np.ones_like(ratio)
    for _ in range(_BISECTIONS):
        middle = (near + far) / 2
        fits = good(ratio + side * middle)
        near, far = np.where(fits, middle, near), np.where(fits, far, middle)
    return ratio + side * near


def _simplest(label: str, ratio: Floats, low: Floats, high: Floats) -> tuple[Integers, Integers]:
    """The fewest fractional bits with a ratio between the ends, and the nearest such ratio."""
    needed = np.full(len(ratio), -1, np.int64)
    chosen = np.zeros(len(ratio), np.int64)
    for fraction in range(MAX_FRACTION + 1):
        unit = float(1 << fraction)
        least, most = np.ceil(low * unit), np.floor(high * unit)
        fits = (needed < 0) & (least <= most)
        nearest = np.clip(np.rint(ratio * unit), least, np.maximum(least, most))
        chosen = np.where(fits, nearest, chosen).astype(np.int64)
        needed[fits] = fraction
    if (needed < 0).any():
        raise CannotLower(
            f"{label}: channel {int((needed < 0).argmax())} needs more than {MAX_FRACTION} "
            "fractional bits to tell its sums apart; train or lower with mode 'qat' or 'drop'"
        )
    return needed, chosen


def _threshold(
    stairs: Stairs, falling: Bools, fraction: Integers, ratio: Integers, totals: Integers
) -> Integers:
    """The outermost sum that is in: the least where the code rises, the greatest where it falls."""
    turn = ratio * totals[:, None]
    least = ((stairs.first_in << fraction) + turn).min(axis=0)
    greatest = ((stairs.last_in << fraction) + turn).max(axis=0)
    outermost: Integers = np.where(falling, greatest, least)
    return outermost


def certify(
    label: str, pairs: Pairs, coded: Coded, dot: Dot | Conv2d, threshold: Threshold, place: int = 0
) -> int:
    """Compare two nodes of the Graph with the table on every pair, and count the pairs.

    Args:
        label: the layer in messages.
        pairs: what can occur.
        coded: what the trained modules made of it.
        dot: the sums, with scale and offset.
        threshold: the codes.
        place: the border class.

    Returns:
        How many pairs were compared, which is all that there are.

    Raises:
        Mismatch: naming the first pair that differs, or that some were left out.
    """
    assert dot.factors is not None
    scale, offset = dot.factors
    compared, totals = 0, pairs.totals
    thresholds = threshold.thresholds if threshold.places is None else threshold.thresholds[place]
    for (part, d, real), packed in zip(pairs.chunks(), coded.reached, strict=False):
        v = d * scale + totals[part][:, None, None] * offset
        for bits, t in zip(packed, thresholds.T, strict=True):
            test = np.where(threshold.falling, v <= t, v >= t)
            table = np.unpackbits(bits, count=d.size).reshape(d.shape).astype(np.bool_)
            if not np.array_equal(test, table):
                row, along, channel = (int(i) for i in np.argwhere(test != table)[0])
                raise Mismatch(
                    f"{label}: channel {channel}, D = {d[row, along, channel]}, "
                    f"S = {totals[part][row]}: the integer test says {test[row, along, channel]}, "
                    f"the trained modules {table[row, along, channel]}; please report this defect"
                )
        compared += int(real.sum())
    if compared != pairs.count:
        raise Mismatch(
            f"{label}: {compared} of {pairs.count} pairs were compared; please report this defect"
        )
    return compared
