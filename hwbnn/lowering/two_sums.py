"""AdaBin's layers of two sums: an exact integer test of ``D`` and ``S``, found and then certified.

Where the weights of a channel are ``alpha s + beta`` with any real numbers (AdaBin, Tu et al.,
ECCV 2022), the layer's output is ``alpha D + beta S`` with ``D = sum s_i x_i`` and
``S = sum x_i``. Only finitely many pairs ``(D, S)`` can occur, so there are integers ``F``, ``R``
and ``T`` such that ``2^F D + R S >= T`` gives the activation's bit on each of them. These integers
are not derived from alpha and beta:

1. The trained functions are evaluated on every pair that can occur (:func:`tabulate`). With ``P``
   inputs of weight +1 and ``M`` of weight -1, bits give ``(P + 1) (M + 1)`` pairs.
2. For each ``S`` only the outermost ``D`` matter: the least with the bit set and the greatest with
   it clear (:class:`Boundaries`). Along a direction ``(1, r)`` the distance between them is
   ``room(r) = min_S (in + r S) - max_S (out + r S)``, which is concave in ``r``. So the ``r`` with
   ``room(r) > 0`` form an interval around ``beta / alpha``; bisection finds its ends. ``F`` is the
   smallest number for which a multiple of ``2^-F`` lies inside (:func:`find`).
3. The Graph's own nodes are compared with the table on every pair, and the pairs are counted
   (:func:`certify`).

Where taps of a convolution lie outside the image, fewer terms are summed and the constants differ.
Each border class is therefore treated as a layer of its own (:class:`Pending`), with its own pairs
and thresholds; ``F``, ``R`` and the direction are the same for all classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hwbnn.errors import CannotLower, Mismatch
from hwbnn.graph import Conv2d, Dot, Threshold
from hwbnn.graph.arrays import Array, Bools, Bytes, Float32s, Floats, Ints
from hwbnn.lowering.ops import ChannelwiseOp, MonotoneCheck, StepActivation

PAIR_LIMIT = 1 << 30
"""Most evaluations for one layer: about half a minute."""
MAX_FRACTION = 24
"""Most fraction bits of a ratio; float64 finds the ends of intervals far more finely."""
FAR = 1 << 32
"""Beyond every sum: for an ``S`` where all pairs have the bit set, or none."""
_STEEPEST = 1 << 10
"""Largest ``beta / alpha``, so that ``D + ratio * S`` stays below :data:`FAR`."""
_BISECTIONS = 60
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs ``(D, S)`` that each channel of a layer can reach.

    Each input element takes any of the ``levels + 1`` values ``low, low + step, ..``, independently
    of the others; a bit takes -1 or +1. Let ``a`` be the number of steps above ``low``, summed over
    the inputs with weight +1, and ``b`` the same for weight -1. ``S`` follows from ``q = a + b``,
    and ``D`` from ``q`` and ``a``.

    Attributes:
        plus: number of weights +1 of each channel, int64 ``(channels,)``.
        size: number of weights of a channel.
        low: least value of an input element.
        step: distance of its values.
        levels: how many steps it can go up.
    """

    plus: Ints
    size: int
    low: int
    step: int
    levels: int

    @property
    def count(self) -> int:
        """The number of pairs, over all channels."""
        up, down = self.plus * self.levels, (self.size - self.plus) * self.levels
        return sum((int(p) + 1) * (int(m) + 1) for p, m in zip(up, down, strict=True))

    @property
    def _width(self) -> int:
        """The largest number of pairs with the same ``S``."""
        return int(np.minimum(self.plus, self.size - self.plus).max()) * self.levels + 1

    @property
    def evaluations(self) -> int:
        """Table entries: the pairs, and repetitions in channels with fewer pairs for an ``S``."""
        return (self.size * self.levels + 1) * self._width * len(self.plus)

    @property
    def totals(self) -> Ints:
        """Every ``S``, rising, int64 ``(totals,)``."""
        return self.size * self.low + self.step * np.arange(self.size * self.levels + 1)

    def batches(self) -> Iterator[tuple[slice, Ints, Bools]]:
        """The pairs, for some values of ``S`` at a time.

        Yields:
            Positions in :attr:`totals`; ``D`` as int64 ``(totals, width, channels)``, rising along
            the second axis, whose last entry is repeated to fill it; bool of the same shape, False
            for these repetitions.
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
    """A layer whose weights have real offsets, until its activation decides ``F`` and ``R``.

    There is one for each border class of a convolution.

    Attributes:
        pairs: the pairs of sums that can occur.
        ratio: ``beta / alpha`` of each channel, float64.
        finish: from ``D`` and ``S``, float32 ``(rows, channels)`` and ``(rows, 1)``, to the layer's
            output, float32 ``(rows, channels)``.
    """

    pairs: Pairs
    ratio: Floats
    finish: Callable[[Float32s, Float32s], Float32s]


@dataclass(frozen=True, eq=False)
class PairCodes:
    """The activation's code of every pair, in the order of :meth:`Pairs.batches`.

    Attributes:
        reached: for each batch and each level the bits ``code > level``, packed.
        boundaries: the outermost ``D`` of each level.
    """

    reached: list[list[Bytes]]
    boundaries: list[Boundaries]


@dataclass(frozen=True, eq=False)
class Boundaries:
    """For each ``S`` the outermost ``D`` with the bit set (in) and clear (out).

    All int64 ``(totals, channels)``.
    """

    first_in: Ints
    last_in: Ints
    first_out: Ints
    last_out: Ints

    def room(self, falling: Bools, ratio: Floats, totals: Ints) -> Floats:
        """Distance between in and out along ``(1, ratio)``, by channel; above 0 if separable."""
        turn = ratio * totals[:, None]
        rising = (self.first_in + turn).min(axis=0) - (self.last_out + turn).max(axis=0)
        other = (self.first_out + turn).min(axis=0) - (self.last_in + turn).max(axis=0)
        room: Floats = np.where(falling, other, rising)
        return room


def tabulate(
    pending: Pending,
    ops: tuple[ChannelwiseOp, ...],
    activation: StepActivation,
    check: MonotoneCheck | None = None,
) -> PairCodes:
    """Evaluate the trained functions on every pair ``(D, S)``, and keep the boundary values.

    Args:
        pending: the layer.
        ops: the functions after it.
        activation: the activation after these.
        check: for a max pool among the functions: records the floats that it compares.

    Raises:
        CannotLower: naming the function whose result is NaN.
    """
    pairs = pending.pairs
    totals, channels = pairs.totals, len(pairs.plus)
    ends = [np.zeros((4, len(totals), channels), np.int64) for _ in range(activation.levels)]
    packed: list[list[Bytes]] = []
    for part, d, _ in pairs.batches():
        rows = d.reshape(-1, channels).astype(np.float32)
        s = np.repeat(totals[part], d.shape[1]).astype(np.float32)
        y = x = pending.finish(rows, s[:, None])
        for position, op in enumerate(ops, 1):
            x = op(x)
            y = x if check is not None and position == check.cut else y
            if np.isnan(x).any():
                raise CannotLower(
                    f"{op.label}: makes a NaN of sums that can occur; look at its parameters (a "
                    "negative running variance, infinite gains)"
                )
        flat = activation.codes(x)
        if check is not None:
            check.add(y, flat)
        code = flat.reshape(d.shape)
        packed.append([])
        for level, outermost in enumerate(ends):
            reached = code > level
            packed[-1].append(np.packbits(reached))
            outermost[:, part] = _outermost(d, reached)
    return PairCodes(packed, [Boundaries(*outermost) for outermost in ends])


def _outermost(d: Ints, reached: Bools) -> Ints:
    """The first and last ``D`` that are in, then that are out, along the second axis."""
    last = d.shape[1] - 1
    ends = []
    for inside in (reached, ~reached):
        some = inside.any(axis=1)
        first = np.take_along_axis(d, inside.argmax(axis=1)[:, None], axis=1)[:, 0]
        end = np.take_along_axis(d, last - inside[:, ::-1].argmax(axis=1)[:, None], axis=1)[:, 0]
        ends += [np.where(some, first, FAR), np.where(some, end, -FAR)]
    return np.stack(ends)


@dataclass(frozen=True, eq=False)
class HalfPlanes:
    """Exact integer tests: ``code > level`` iff ``2^fraction D + ratio S >= threshold``.

    Attributes:
        fraction: ``F``, one for the layer: the most that a channel needs.
        ratio: ``R``, int64 ``(channels,)``.
        inside: ``T``, int64 ``(classes, channels, levels)``, without meaning where ``always`` or
            ``never``.
        falling: bool ``(channels,)``, True where the test is ``<=`` instead of ``>=``.
        always: bool ``(classes, channels, levels)``, True where every pair passes the test.
        never: bool ``(classes, channels, levels)``, True where no pair passes the test.
        gap: least distance between pairs with the bit set and pairs with it clear, along
            ``(1, beta / alpha)``, in units of ``D``.
    """

    fraction: int
    ratio: Ints
    inside: Ints
    falling: Bools
    always: Bools
    never: Bools
    gap: float

    def thresholds(self, low: int, high: int) -> Ints:
        """``T`` for sums from ``low`` to ``high``, beyond which no sum lies."""
        falling = self.falling[:, None]
        never = np.where(falling, low - 1, high + 1)
        always = np.where(falling, high, low)
        return np.where(self.never, never, np.where(self.always, always, self.inside))


def find(label: str, pendings: Sequence[Pending], coded: Sequence[PairCodes]) -> HalfPlanes:
    """The integer test with the fewest fraction bits for each channel.

    Args:
        label: the layer, for messages.
        pendings: the layer, in each border class.
        coded: the result of :func:`tabulate` for each.

    Raises:
        CannotLower: if no half-plane separates a channel, or more than :data:`MAX_FRACTION`
            fraction bits would be needed.
    """
    ratio, levels = pendings[0].ratio, len(coded[0].boundaries)
    check_steepness(label, ratio)
    bounds = [
        (b, p.pairs.totals) for p, c in zip(pendings, coded, strict=True) for b in c.boundaries
    ]
    never = _by_class([(s.first_in == FAR).all(axis=0) for s, _ in bounds], levels)
    always = _by_class([(s.first_out == FAR).all(axis=0) for s, _ in bounds], levels)
    free: Bools = np.asarray((never | always).all(axis=(0, 2)))

    def room(falling: Bools, r: Floats) -> Floats:
        rooms: Floats = np.min([s.room(falling, r, totals) for s, totals in bounds], axis=0)
        return rooms

    none = np.zeros(len(ratio), np.bool_)
    falling = ~free & (room(none, ratio) <= 0)
    gap = room(falling, ratio)
    if (gap <= 0).any():
        channel = int((gap <= 0).argmax())
        raise CannotLower(
            f"{label}: no integer test of D and S describes channel {channel}, which is not "
            "monotone along its weights; use Maxout slopes above 0, or train with mode 'qat' or "
            "'drop'"
        )
    ends = [_end(lambda r: room(falling, r) > 0, ratio, side) for side in (-1.0, 1.0)]
    needed, chosen = _simplest(label, ratio, ends[0], ends[1])
    needed[free], chosen[free] = 0, 0
    inside = _by_class([_threshold(s, falling, needed, chosen, t) for s, t in bounds], levels)
    fraction = int(needed.max())
    # Channels that need fewer bits end in zeros, which cost nothing in hardware.
    spare = fraction - needed
    inside = np.where(never | always, 0, inside) << spare[:, None]
    real = gap[~free]
    least = float(real.min()) if real.size else float("inf")
    return HalfPlanes(fraction, chosen << spare, inside, falling, always, never, least)


def _by_class(rows: list[Array], levels: int) -> Array:
    """One row for each class and level, as ``(classes, channels, levels)``."""
    return np.stack(rows).reshape(-1, levels, len(rows[0])).swapaxes(1, 2)


def check_steepness(label: str, ratio: Floats) -> None:
    """Refuse offsets that are far larger than scales.

    Raises:
        CannotLower: naming the layer and the channel.
    """
    bad = ~(np.abs(ratio) <= _STEEPEST)
    if bad.any():
        channel = int(bad.argmax())
        raise CannotLower(
            f"{label}: the offset of channel {channel} is {ratio[channel]:.3g} times its scale, "
            f"more than {_STEEPEST}; its weights are all alike: train it with mode 'qat' or 'drop'"
        )


def _end(good: Callable[[Floats], Bools], ratio: Floats, side: float) -> Floats:
    """The end of the interval of ratios to one side, at most 1 away, by bisection."""
    near, far = np.zeros_like(ratio), np.ones_like(ratio)
    for _ in range(_BISECTIONS):
        middle = (near + far) / 2
        fits = good(ratio + side * middle)
        near, far = np.where(fits, middle, near), np.where(fits, far, middle)
    return ratio + side * near


def _simplest(label: str, ratio: Floats, low: Floats, high: Floats) -> tuple[Ints, Ints]:
    """The fewest fraction bits that allow a ratio between the ends, and the nearest such ratio."""
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
    bounds: Boundaries, falling: Bools, fraction: Ints, ratio: Ints, totals: Ints
) -> Ints:
    """The outermost sum that is in: the least where the code rises, the greatest where it falls."""
    turn = ratio * totals[:, None]
    least = ((bounds.first_in << fraction) + turn).min(axis=0)
    greatest = ((bounds.last_in << fraction) + turn).max(axis=0)
    outermost: Ints = np.where(falling, greatest, least)
    return outermost


def certify(
    label: str,
    pairs: Pairs,
    coded: PairCodes,
    dot: Dot | Conv2d,
    threshold: Threshold,
    border_class: int = 0,
) -> int:
    """Compare two nodes of the Graph with the table on every pair, and count the pairs.

    Args:
        label: the layer, for messages.
        pairs: the pairs that can occur.
        coded: the codes of the trained functions.
        dot: the sums, with scale and offset.
        threshold: the codes.
        border_class: the border class of these pairs.

    Returns:
        How many pairs were compared, which is all that there are.

    Raises:
        Mismatch: naming the first pair that differs, or saying that some pairs were left out.
    """
    assert dot.scale_offset is not None
    scale, offset = dot.scale_offset
    compared, totals = 0, pairs.totals
    thresholds = (
        threshold.thresholds
        if threshold.border_classes is None
        else threshold.thresholds[border_class]
    )
    for (part, d, real), packed in zip(pairs.batches(), coded.reached, strict=False):
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
