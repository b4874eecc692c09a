"""Half-planes: an exact integer test for codes that depend on two sums, found and then certified.

Where the weights of a channel are ``alpha s + beta`` with any real numbers, what follows depends on
the pair ``D = sum s_i x_i`` and ``S = sum x_i`` through ``alpha D + beta S``. The pairs that can
occur are finitely many, so there are integers ``F``, ``R`` and ``T`` such that ``2^F D + R S >= T``
says the same on each of them. They are not derived from alpha and beta:

1. The trained modules are run on every pair that can occur (:mod:`~hwbnn.lowering.pairs`,
   :func:`~hwbnn.lowering.stairs.tabulate`). With ``P`` inputs of weight +1 and ``M`` of weight -1,
   bits make ``(P + 1) (M + 1)`` pairs.
2. For each ``S`` only the outermost ``D`` matter: the least that is in and the greatest that is out
   (:class:`~hwbnn.lowering.stairs.Stairs`). The room between them along a direction ``(1, r)`` is
   ``room(r) = min_S (in + r S) - max_S (out + r S)``, concave in ``r``, so the ``r`` that separate
   are an interval around ``beta / alpha``, whose ends are found by bisection. The smallest ``F`` is
   the first with a multiple of ``2^-F`` inside (:func:`find`).
3. What the Graph's own nodes compute is compared with the table on every pair, and the pairs are
   counted (:func:`certify`).

Where taps of a convolution lie outside the image, fewer terms are summed and other constants
follow: each border class is a layer of its own here (:class:`~hwbnn.lowering.pairs.Pending`), with
its own pairs and thresholds; ``F``, ``R`` and the direction are those of all classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import CannotLower, Mismatch
from hwbnn.graph import Conv2d, Dot, Threshold
from hwbnn.graph.arrays import Bools, Floats, Ints
from hwbnn.lowering.pairs import Pairs, Pending
from hwbnn.lowering.stairs import FAR, Coded, Stairs

MAX_FRACTION = 24
"""Most fractional bits of a ratio; float64 finds the ends of intervals far more finely."""
_STEEPEST = 1 << 10
"""Largest ``beta / alpha``, so that turned sums stay below :data:`~hwbnn.lowering.stairs.FAR`."""
_BISECTIONS = 60


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
    ratio: Ints
    inside: Ints
    falling: Bools
    always: Bools
    never: Bools
    gap: float

    def thresholds(self, low: int, high: int) -> Ints:
        """``T`` for sums from ``low`` to ``high``, beyond which lies what never happens."""
        falling = self.falling[:, None]
        never = np.where(falling, low - 1, high + 1)
        always = np.where(falling, high, low)
        return np.where(self.never, never, np.where(self.always, always, self.inside))


def find(label: str, pendings: Sequence[Pending], coded: Sequence[Coded]) -> Plane:
    """The integer test of fewest fractional bits for each channel.

    Args:
        label: the layer in messages.
        pendings: the layer, in each border class.
        coded: what :func:`~hwbnn.lowering.stairs.tabulate` made of each.

    Raises:
        CannotLower: if no half-plane separates a channel, or more than :data:`MAX_FRACTION`
            fractional bits would be needed.
    """
    ratio, levels = pendings[0].ratio, len(coded[0].stairs)
    _check_steepness(label, ratio)
    stairs = [(s, p.pairs.totals) for p, c in zip(pendings, coded, strict=True) for s in c.stairs]
    never = _folded([(s.first_in == FAR).all(axis=0) for s, _ in stairs], levels)
    always = _folded([(s.first_out == FAR).all(axis=0) for s, _ in stairs], levels)
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


def _simplest(label: str, ratio: Floats, low: Floats, high: Floats) -> tuple[Ints, Ints]:
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


def _threshold(stairs: Stairs, falling: Bools, fraction: Ints, ratio: Ints, totals: Ints) -> Ints:
    """The outermost sum that is in: the least where the code rises, the greatest where it falls."""
    turn = ratio * totals[:, None]
    least = ((stairs.first_in << fraction) + turn).min(axis=0)
    greatest = ((stairs.last_in << fraction) + turn).max(axis=0)
    outermost: Ints = np.where(falling, greatest, least)
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
    assert dot.scale_offset is not None
    scale, offset = dot.scale_offset
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
