"""Tabulation: evaluate the network's own functions on every integer that a value can take.

Nothing is derived from parameters. The functions between a sum and the next activation are
evaluated on all integers of the sum, which gives thresholds and their direction, a table, or the
ranks of the logits. A channel that reaches fewer integers than the whole value keeps its outermost
output beyond them, so that integers that cannot occur never make a channel look non-monotone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph.arrays import Array, Bools, Ints
from hwbnn.lowering.ops import StepActivation
from hwbnn.lowering.value import TracedValue

COUNT_LIMIT = 1 << 22
"""Most integers that a value may take if it is to be tabulated."""
FIXED_LIMIT = 1 << 30
"""Most integers, over all channels, that a fixed-point value may take: about half a minute."""
TABLE_LIMIT = 1 << 16
"""Most entries of a channel's ``Lookup``."""
LONG = 1 << 22
"""With more integers than this, over all channels, monotone functions are bisected."""
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class ThresholdTable:
    """The thresholds of an activation, channel by channel.

    Attributes:
        thresholds: int64 ``(channels, levels)``, with border classes ``(classes, channels,
            levels)``: canonical, see :func:`read_thresholds`; without meaning for non-monotone
            channels.
        falling: bool ``(channels,)``.
        non_monotone: bool ``(channels,)``, channels that rise and fall: they have no thresholds.
        constant: bool ``(channels,)``, channels whose code never changes.
    """

    thresholds: Ints
    falling: Bools
    non_monotone: Bools
    constant: Bools


def evaluate(
    value: TracedValue, start: int, stop: int, *, reachable: bool = True, border_class: int = 0
) -> tuple[Ints, Array]:
    """The float network's numbers for the integers at positions ``start`` to ``stop - 1``.

    Args:
        value: the value and its functions.
        start: position in ``low, low + step, ..``.
        stop: the position after the last.
        reachable: whether to clip the integers to those that each channel can reach.
        border_class: whose functions are evaluated.

    Returns:
        The integers, int64 ``(rows,)``, and floats ``(rows, channels)``.

    Raises:
        CannotLower: naming the function whose result is NaN.
    """
    t = value.type
    integers = t.low + t.step * np.arange(start, stop, dtype=np.int64)
    return integers, _run(value, integers, reachable, border_class)


def evaluate_at(
    value: TracedValue, integers: Ints, border_class: int = 0, *, held: bool = True
) -> Array:
    """The float network's numbers, ``(rows, channels)``, for given integers.

    Args:
        value: the value and its functions.
        integers: int64 ``(rows,)``, or ``(rows, channels)``.
        border_class: whose functions are evaluated.
        held: whether to clip the integers to those that each channel can reach.

    Raises:
        CannotLower: naming the function whose result is NaN.
    """
    return _run(value, integers, held, border_class)


def _run(value: TracedValue, integers: Ints, reachable: bool, border_class: int) -> Array:
    columns = integers if integers.ndim == 2 else integers[:, None]
    held = np.broadcast_to(columns, (len(integers), len(value.low)))
    if reachable:
        held = np.clip(held, value.low, value.high)
    x: Array = held.astype(np.float64 if value.is_double else np.float32)
    for op in value.variants[border_class]:
        x = op(x)
        bad = np.isnan(x)
        if bad.any():
            channel = int(bad.any(axis=0).argmax())
            raise CannotLower(
                f"{op.label}: channel {channel} makes a NaN of a sum that can occur; look at its "
                "parameters (a negative running variance, infinite gains)"
            )
    return x


def merged(value: TracedValue) -> TracedValue:
    """A value whose functions treat all channels alike, as one channel that reaches all integers.

    A property that holds for all integers of this channel holds for every channel, and is checked
    in a fraction of the time. Any other value is returned as it is.
    """
    if value.border is not None or not all(op.is_elementwise for op in value.ops):
        return value
    ends = np.array([value.low.min()]), np.array([value.high.max()])
    return replace(value, low=ends[0], high=ends[1])


def batches(
    value: TracedValue, *, reachable: bool = True, border_class: int = 0
) -> Iterator[tuple[Ints, Array]]:
    """:func:`evaluate` on all integers of a value, in pieces that fit a cache.

    Raises:
        CannotLower: if the value takes more than :data:`COUNT_LIMIT` integers, or, in fixed point,
            more than :data:`FIXED_LIMIT` over all channels.
    """
    count = value.type.count
    if value.fixed is not None and count * len(value.low) > FIXED_LIMIT:
        raise CannotLower(
            f"layer '{value.layer}': its fixed-point numbers, {value.type}, are too many to "
            "tabulate; lower with a smaller fraction, or put nn.Hardtanh behind the sums"
        )
    if value.fixed is None and count > COUNT_LIMIT:
        raise CannotLower(
            f"layer '{value.layer}': it makes {count} different integers, more than "
            f"{COUNT_LIMIT} to tabulate; use a smaller input range or fewer inputs"
        )
    rows = max(1, _CHUNK // len(value.low))
    for start in range(0, count, rows):
        stop = min(count, start + rows)
        yield evaluate(value, start, stop, reachable=reachable, border_class=border_class)


def read_thresholds(value: TracedValue, activation: StepActivation) -> ThresholdTable:
    """The thresholds of an activation that reads a value.

    A rising channel has code ``j + 1`` or more for integers from ``thresholds[c, j]`` on, a falling
    one for integers up to it. Thresholds are integers that the value takes, or, for a code that
    never occurs, one above its highest (rising) or below its lowest (falling). A channel whose code
    never changes counts as rising. A channel has one direction for all border classes.

    Args:
        value: the argument of the activation.
        activation: with codes in the order of the value's channels.
    """
    scans = [_scan(value, activation, k) for k in range(len(value.variants))]
    rises = np.any([s.rises for s in scans], axis=0)
    falls = np.any([s.falls for s in scans], axis=0)
    thresholds = np.stack([np.where(falls[:, None], s.last, s.first) for s in scans])
    if value.border is None:
        thresholds = thresholds[0]
    return ThresholdTable(thresholds, falls, rises & falls, ~(rises | falls))


@dataclass(frozen=True, eq=False)
class _Scan:
    """The first and last integer of each level, and the directions in which codes move."""

    first: Ints
    last: Ints
    rises: Bools
    falls: Bools


def _scan(value: TracedValue, activation: StepActivation, border_class: int) -> _Scan:
    if is_long(value, activation.levels):
        return _bisected(value, activation, border_class)
    levels = activation.levels
    low, high, channels = value.type.low, value.type.high, len(value.low)
    rises = np.zeros(channels, np.bool_)
    falls = np.zeros(channels, np.bool_)
    # Both ends are kept, as the direction is known only after the last integer.
    first = np.full((channels, levels), high + 1, np.int64)
    last = np.full((channels, levels), low - 1, np.int64)
    before: Array | None = None
    for integers, x in batches(value, border_class=border_class):
        codes = activation.codes(x)
        joined = codes if before is None else np.concatenate((before, codes))
        rises |= (joined[1:] > joined[:-1]).any(axis=0)
        falls |= (joined[1:] < joined[:-1]).any(axis=0)
        for level in range(levels):
            reached = codes > level
            some = reached.any(axis=0)
            start = integers[reached.argmax(axis=0)]
            end = integers[len(integers) - 1 - reached[::-1].argmax(axis=0)]
            first[:, level] = np.where(some, np.minimum(first[:, level], start), first[:, level])
            last[:, level] = np.where(some, end, last[:, level])
        before = codes[-1:]
    return _Scan(first, last, rises, falls)


def is_long(value: TracedValue, levels: int = 1) -> bool:
    """Whether a value is bisected: its functions are monotone, and its integers are many.

    Args:
        value: the value.
        levels: how many levels are searched; it counts for values in float64 only.
    """
    known = all(op.is_monotone for ops in value.variants for op in ops)
    return known and _is_large(value, levels if value.is_double else 1)


def is_piecewise(value: TracedValue) -> bool:
    """Whether a value of many integers has functions that consist of a few straight lines."""
    known = all(op.is_piecewise_linear for ops in value.variants for op in ops)
    return known and _is_large(value)


def _is_large(value: TracedValue, times: int = 1) -> bool:
    return value.type.count * len(value.low) * times > LONG


def _bisected(value: TracedValue, activation: StepActivation, border_class: int) -> _Scan:
    """:func:`_scan` by bisection, where the codes of each channel are known to rise, or to fall.

    The activation and the functions before it are monotone, so the result is the same as that of a
    scan of all integers.
    """
    t, channels, levels = value.type, len(value.low), activation.levels
    first = np.full((channels, levels), t.high + 1, np.int64)
    last = np.full((channels, levels), t.low - 1, np.int64)
    rises, falls = (np.zeros(channels, np.bool_) for _ in range(2))
    # Many levels at once: a pass over all channels costs little more for hundreds of levels.
    together = max(1, _CHUNK // channels)
    for start in range(0, levels, together):
        some = np.arange(start, min(levels, start + together))

        def reached(index: Ints, some: Ints = some) -> Bools:
            integers = t.low + t.step * index
            codes = activation.codes(evaluate_at(value, integers, border_class))
            above: Bools = codes > some[:, None]
            return above

        low = np.zeros((len(some), channels), np.int64)
        high = np.full((len(some), channels), t.count - 1, np.int64)
        at_low, at_high = reached(low), reached(high)
        rises |= (at_high & ~at_low).any(axis=0)
        falls |= (at_low & ~at_high).any(axis=0)
        while (high - low > 1).any():
            middle = (low + high) // 2
            as_low = reached(middle) == at_low
            low, high = np.where(as_low, middle, low), np.where(as_low, high, middle)
        low, high = t.low + t.step * low, t.low + t.step * high
        first[:, some] = np.select([at_low, at_high], [t.low, high], t.high + 1).T
        last[:, some] = np.select([at_high, at_low], [t.high, low], t.low - 1).T
    return _Scan(first, last, rises, falls)


def read_table(value: TracedValue, activation: StepActivation) -> Ints:
    """The codes of an activation for every integer of a value, int64 ``(channels, count)``.

    Raises:
        CannotLower: if the table would be too large.
    """
    _check_size(value, "a channel that is not monotone becomes a table")
    return np.concatenate([activation.codes(x) for _, x in batches(value)]).T.astype(np.int64)


@dataclass(frozen=True, eq=False)
class IntervalTable:
    """Codes that change at thresholds, in any direction.

    Attributes:
        thresholds: int64 ``(classes, channels, count)``, rising; one above the highest integer
            where a channel has fewer.
        codes: int64 ``(channels, count + 1)``: the code below the first threshold, between the
            first and the second, and so on.
    """

    thresholds: Ints
    codes: Ints


def read_intervals(
    value: TracedValue, activation: StepActivation, most: int
) -> IntervalTable | None:
    """The thresholds and codes of an activation whose channels need not be monotone.

    A channel has the same sequence of codes in all border classes. A class may skip a code: the
    thresholds below and above this code are then equal.

    Args:
        value: the argument of the activation.
        activation: with codes in the order of the value's channels.
        most: the largest number of thresholds of a channel.

    Returns:
        The table; None if a channel needs more than ``most`` thresholds.
    """
    channels = len(value.low)
    runs: list[list[list[tuple[int, int]]]] = []
    for border_class in range(len(value.variants)):
        changes: list[list[tuple[int, int]]] = [[] for _ in range(channels)]
        before: Array | None = None
        for integers, x in batches(value, border_class=border_class):
            codes = activation.codes(x)
            if before is None:
                for channel, first in enumerate(codes[0].tolist()):
                    changes[channel].append((int(integers[0]), int(first)))
                joined, at = codes, integers[1:]
            else:
                joined, at = np.concatenate((before, codes)), integers
            rows, columns = np.nonzero(joined[1:] != joined[:-1])
            for row, channel in zip(rows.tolist(), columns.tolist(), strict=True):
                changes[channel].append((int(at[row]), int(joined[row + 1, channel])))
                if len(changes[channel]) > most + 1:
                    return None
            before = codes[-1:]
        runs.append(changes)
    merged_runs = [_common([run[c] for run in runs], value.type.high + 1) for c in range(channels)]
    count = max(len(codes) for codes, _ in merged_runs) - 1
    if count > most:
        return None
    thresholds = np.full((len(runs), channels, count), value.type.high + 1, np.int64)
    table = np.zeros((channels, count + 1), np.int64)
    for channel, (through, places) in enumerate(merged_runs):
        table[channel] = through[-1]
        table[channel, : len(through)] = through
        for border_class, starts in enumerate(places):
            thresholds[border_class, channel, : len(starts)] = starts
    return IntervalTable(thresholds, table)


def _common(runs: list[list[tuple[int, int]]], never: int) -> tuple[list[int], list[list[int]]]:
    """A sequence of codes that contains those of all border classes, and where it changes in each.

    Args:
        runs: for each border class pairs of the integer from which on a code holds, rising, and
            this code.
        never: an integer above all.

    Returns:
        The codes; and for each class the integers from which on codes 1, 2, .. of the sequence hold
        or are skipped.
    """
    codes = [code for _, code in runs[0]]
    for run in runs[1:]:
        codes = _supersequence(codes, [code for _, code in run])
    places = []
    for run in runs:
        row: list[int] = []
        # From the end: a skipped code begins at the same integer as the next one.
        following = never
        position = len(run) - 1
        for at in range(len(codes) - 1, -1, -1):
            if position >= 0 and run[position][1] == codes[at]:
                following = run[position][0]
                position -= 1
            row.append(following)
        places.append(row[::-1][1:])
    return codes, places


def _supersequence(one: list[int], other: list[int]) -> list[int]:
    """A shortest sequence that contains both as subsequences."""
    lengths = np.zeros((len(one) + 1, len(other) + 1), np.int64)
    for i in range(len(one) - 1, -1, -1):
        for j in range(len(other) - 1, -1, -1):
            same = one[i] == other[j]
            lengths[i, j] = (
                1 + lengths[i + 1, j + 1] if same else max(lengths[i + 1, j], lengths[i, j + 1])
            )
    i = j = 0
    common = []
    while i < len(one) and j < len(other):
        if one[i] == other[j]:
            common.append(one[i])
            i, j = i + 1, j + 1
        elif lengths[i + 1, j] >= lengths[i, j + 1]:
            common.append(one[i])
            i += 1
        else:
            common.append(other[j])
            j += 1
    return common + one[i:] + other[j:]


def rises_alike(value: TracedValue) -> bool:
    """Whether all channels have the same floats, strictly rising with the integers.

    Then the integers have the order of the floats, ties included, within a channel and between
    channels. The floats of fixed-point numbers need not rise strictly, as float32 may round two
    neighbours to the same float.
    """
    before: Array | None = None
    first: Any = None
    value = merged(value)
    some = np.array([value.type.low, 0, value.type.high]).clip(value.type.low, value.type.high)
    ends = evaluate_at(value, some, held=False)
    if not (ends == ends[:, :1]).all():
        return False
    for _, x in batches(value, reachable=False):
        if not (x == x[:, :1]).all():
            return False
        column = x[:, 0] if before is None else np.concatenate((before, x[:, 0]))
        strictly = value.fixed is None
        rises = column[1:] > column[:-1] if strictly else column[1:] >= column[:-1]
        if not rises.all():
            return False
        first = column[0] if first is None else first
        before = x[-1:, 0]
    assert first is not None
    assert before is not None
    return value.fixed is None or bool(before[0] > first)


def read_ranks(value: TracedValue) -> Ints:
    """The dense rank of each logit among all logits that can occur, int64 ``(channels, count)``.

    Equal floats share a rank, so that comparing ranks is comparing logits.

    Raises:
        CannotLower: if a logit is infinite, or the table would be too large.
    """
    _check_size(value, "logits with a gain for each class become a table of ranks")
    logits = np.concatenate([x for _, x in batches(value)])
    if not np.isfinite(logits).all():
        channel = int((~np.isfinite(logits)).any(axis=0).argmax())
        label = value.ops[-1].label if value.ops else f"layer '{value.layer}'"
        raise CannotLower(
            f"{label}: logit {channel} is infinite for a sum that can occur; look at its parameters"
        )
    _, ranks = np.unique(logits, return_inverse=True)
    return ranks.reshape(logits.shape).T.astype(np.int64)


def is_identity(value: TracedValue) -> bool:
    """Whether the network's floats are exactly the Graph's integers here (for bits: -1 and +1)."""
    if value.border is not None or value.pool is not None:
        return False
    for integers, x in batches(value):
        wanted = integers * 2 - 1 if value.type.bit else integers
        held = np.broadcast_to(wanted[:, None], x.shape)
        if not value.type.bit:
            held = np.clip(held, value.low, value.high)
        if not np.array_equal(x, held):
            return False
    return True


def _check_size(value: TracedValue, why: str) -> None:
    if value.type.count > TABLE_LIMIT:
        raise CannotLower(
            f"layer '{value.layer}': {why}, and its sums take {value.type.count} values, more "
            f"than the {TABLE_LIMIT} that a table may have; use a smaller input range or fewer "
            "inputs, gains that do not change sign (PReLU slopes above 0), or for logits "
            "hwbnn.nn.Scale"
        )
