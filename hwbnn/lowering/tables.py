"""Tabulation: evaluate the trained modules on every integer that a value can take.

Nothing is derived. A segment of steps between a sum and the next activation is run on all integers
of the sum, in torch, and what it does is read off: thresholds and their direction, a table, or the
ranks of the logits. A channel that reaches fewer integers than the whole value holds its outermost
output beyond them, so that what cannot happen never makes a channel look worse than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwbnn.errors import CannotLower
from hwbnn.graph.arrays import Ints
from hwbnn.lowering.streams import Stream

COUNT_LIMIT = 1 << 22
"""Most integers that a value may take if it is to be tabulated."""
FIXED_LIMIT = 1 << 30
"""Most integers, over all channels, that a fixed-point value may take: half a minute or so."""
TABLE_LIMIT = 1 << 16
"""Most entries of a channel's ``Lookup``."""
LONG = 1 << 22
"""Integers, over all channels, of a fixed-point value from which on order is made use of."""
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Cuts:
    """What a table of codes says, channel by channel.

    Attributes:
        thresholds: int64 ``(channels, levels)``, with border classes ``(classes, channels,
            levels)``: canonical, see :func:`read_cuts`; without meaning for tangled channels.
        falling: bool ``(channels,)``.
        tangled: bool ``(channels,)``, channels that rise and fall: no thresholds say them.
        constant: bool ``(channels,)``, channels whose code never changes.
    """

    thresholds: Ints
    falling: NDArray[np.bool_]
    tangled: NDArray[np.bool_]
    constant: NDArray[np.bool_]


def evaluate(
    stream: Stream, start: int, stop: int, *, reachable: bool = True, place: int = 0
) -> tuple[Ints, Tensor]:
    """What the float network makes of the integers number ``start`` to ``stop`` of a stream.

    Args:
        stream: the value and its steps.
        start: position in ``low, low + step, ..``.
        stop: the position after the last.
        reachable: hold each channel within the integers that it can reach.
        place: which border class.

    Returns:
        The integers, int64 ``(rows,)``, and float32 ``(rows, channels)``.

    Raises:
        CannotLower: naming the step that makes a NaN.
    """
    t = stream.type
    integers = t.low + t.step * np.arange(start, stop, dtype=np.int64)
    return integers, _run(stream, integers, reachable, place)


def evaluate_at(
    stream: Stream, integers: Ints, place: int = 0, *, held: bool = True
) -> NDArray[np.float32]:
    """:func:`evaluate` for some integers.

    Args:
        stream: the value and its steps.
        integers: int64 ``(rows,)``, or ``(rows, channels)``.
        place: which border class.
        held: whether each channel is held within the integers that it can reach.
    """
    found: NDArray[np.float32] = _run(stream, integers, held, place).numpy()
    return found


def _run(stream: Stream, integers: Ints, reachable: bool, place: int) -> Tensor:
    columns = integers if integers.ndim == 2 else integers[:, None]
    held = np.broadcast_to(columns, (len(integers), len(stream.low)))
    if reachable:
        held = np.clip(held, stream.low, stream.high)
    x = torch.from_numpy(held.astype(np.float32))
    for step in stream.variants[place]:
        x = step(x)
        if bool(x.isnan().any()):
            channel = int(x.isnan().any(dim=0).nonzero()[0])
            raise CannotLower(
                f"{step.label}: channel {channel} makes a NaN of a sum that can occur; look at its "
                "parameters (a negative running variance, infinite gains)"
            )
    return x


def merged(stream: Stream) -> Stream:
    """A stream whose steps do the same to all channels as one channel that reaches all of theirs.

    What holds on each of its integers holds on all of every channel, at a fraction of the time.
    Others are returned as they are.
    """
    if stream.places is not None or not all(step.is_elementwise for step in stream.steps):
        return stream
    ends = np.array([stream.low.min()]), np.array([stream.high.max()])
    return replace(stream, low=ends[0], high=ends[1])


def chunks(
    stream: Stream, *, reachable: bool = True, place: int = 0
) -> Iterator[tuple[Ints, Tensor]]:
    """All of :func:`evaluate`, in pieces that fit a cache.

    Raises:
        CannotLower: if the value takes more than :data:`COUNT_LIMIT` integers.
    """
    count = stream.type.count
    if stream.fixed is not None and count * len(stream.low) > FIXED_LIMIT:
        raise CannotLower(
            f"layer '{stream.layer}': its fixed-point numbers, {stream.type}, are too many to "
            "tabulate; lower with a smaller fraction, or put nn.Hardtanh behind the sums"
        )
    if stream.fixed is None and count > COUNT_LIMIT:
        raise CannotLower(
            f"layer '{stream.layer}': it makes {count} different integers, more than "
            f"{COUNT_LIMIT} to tabulate; use a smaller input range or fewer inputs"
        )
    rows = max(1, _CHUNK // len(stream.low))
    for start in range(0, count, rows):
        stop = min(count, start + rows)
        yield evaluate(stream, start, stop, reachable=reachable, place=place)


def read_cuts(stream: Stream, codes: Callable[[Tensor], Tensor], levels: int) -> Cuts:
    """The thresholds of an activation behind a stream.

    A rising channel has code ``j + 1`` or more from ``thresholds[c, j]`` on, a falling one up to
    it. Thresholds are integers that the value takes, or, for what never happens, one above its
    highest (rising) or below its lowest (falling). A channel of one code for all is rising. A
    channel has one direction for all border classes.

    Args:
        stream: what the activation reads.
        codes: the activation, from floats ``(rows, channels)`` to integers 0 to ``levels``.
        levels: the highest code.
    """
    found = [_scan(stream, codes, levels, place) for place in range(len(stream.variants))]
    rises = np.any([f.rises for f in found], axis=0)
    falls = np.any([f.falls for f in found], axis=0)
    thresholds = np.stack([np.where(falls[:, None], f.last, f.first) for f in found])
    if stream.places is None:
        thresholds = thresholds[0]
    return Cuts(thresholds, falls, rises & falls, ~(rises | falls))


@dataclass(frozen=True, eq=False)
class _Scan:
    """Where each level is first reached and where it is last seen, and how codes move."""

    first: Ints
    last: Ints
    rises: NDArray[np.bool_]
    falls: NDArray[np.bool_]


def _scan(stream: Stream, codes: Callable[[Tensor], Tensor], levels: int, place: int) -> _Scan:
    if is_long(stream):
        return _halved(stream, codes, levels, place)
    low, high, channels = stream.type.low, stream.type.high, len(stream.low)
    rises = np.zeros(channels, np.bool_)
    falls = np.zeros(channels, np.bool_)
    # Both ends, as the direction shows late.
    first = np.full((channels, levels), high + 1, np.int64)
    last = np.full((channels, levels), low - 1, np.int64)
    before: NDArray[Any] | None = None
    for integers, x in chunks(stream, place=place):
        found = codes(x).numpy()
        joined = found if before is None else np.concatenate((before, found))
        rises |= (joined[1:] > joined[:-1]).any(axis=0)
        falls |= (joined[1:] < joined[:-1]).any(axis=0)
        for level in range(levels):
            reached = found > level
            some = reached.any(axis=0)
            start = integers[reached.argmax(axis=0)]
            end = integers[len(integers) - 1 - reached[::-1].argmax(axis=0)]
            first[:, level] = np.where(some, np.minimum(first[:, level], start), first[:, level])
            last[:, level] = np.where(some, end, last[:, level])
        before = found[-1:]
    return _Scan(first, last, rises, falls)


def is_long(stream: Stream) -> bool:
    """Whether a value has more integers than are tabulated where there is a quicker way."""
    count = stream.type.count * len(stream.low)
    known = all(step.is_monotone for steps in stream.variants for step in steps)
    return stream.fixed is not None and known and count > LONG


def _halved(stream: Stream, codes: Callable[[Tensor], Tensor], levels: int, place: int) -> _Scan:
    """:func:`_scan` where codes are known to rise, or to fall, in each channel: by halving.

    Activations keep the order of what they read, as the steps in front of them do; so what is found
    is what all integers would say.
    """
    t, channels = stream.type, len(stream.low)

    def reached(index: Ints) -> NDArray[np.bool_]:
        integers = (t.low + t.step * index).T
        found = codes(torch.from_numpy(evaluate_at(stream, integers, place))).numpy().T
        of: NDArray[np.bool_] = found > level
        return of

    first = np.full((channels, levels), t.high + 1, np.int64)
    last = np.full((channels, levels), t.low - 1, np.int64)
    rises, falls = (np.zeros(channels, np.bool_) for _ in range(2))
    for level in range(levels):
        ends = np.array([[0, t.count - 1]]).repeat(channels, axis=0)
        at_low, at_high = reached(ends).T
        rises |= at_high & ~at_low
        falls |= at_low & ~at_high
        low, high = ends.T.copy()
        while (high - low > 1).any():
            middle = (low + high) // 2
            as_low = reached(middle[:, None])[:, 0] == at_low
            low, high = np.where(as_low, middle, low), np.where(as_low, high, middle)
        turn = t.low + t.step * np.stack([low, high])
        first[:, level] = np.select([at_low, at_high], [t.low, turn[1]], t.high + 1)
        last[:, level] = np.select([at_high, at_low], [t.high, turn[0]], t.low - 1)
    return _Scan(first, last, rises, falls)


def read_table(stream: Stream, codes: Callable[[Tensor], Tensor]) -> Ints:
    """The codes themselves, int64 ``(channels, count)``.

    Raises:
        CannotLower: if the table would be too large.
    """
    _check_size(stream, "a channel that is not monotone becomes a table")
    return np.concatenate([codes(x).numpy() for _, x in chunks(stream)]).T.astype(np.int64)


def rises_alike(stream: Stream) -> bool:
    """Whether all channels have the same floats, strictly rising with the integers.

    Then the integers themselves are ordered, ties included, as the floats are, within a channel and
    between channels. For fixed-point numbers, of which float32 may round some together, the floats
    need not rise strictly.
    """
    before: Tensor | None = None
    first: Tensor | None = None
    stream = merged(stream)
    some = np.array([stream.type.low, 0, stream.type.high]).clip(stream.type.low, stream.type.high)
    ends = evaluate_at(stream, some, held=False)
    if not (ends == ends[:, :1]).all():
        return False
    for _, x in chunks(stream, reachable=False):
        if not bool((x == x[:, :1]).all()):
            return False
        column = x[:, 0] if before is None else torch.cat((before, x[:, 0]))
        strictly = stream.fixed is None
        rises = column[1:] > column[:-1] if strictly else column[1:] >= column[:-1]
        if not bool(rises.all()):
            return False
        first = column[0] if first is None else first
        before = x[-1:, 0]
    assert first is not None
    assert before is not None
    return stream.fixed is None or bool(before[0] > first)


def read_ranks(stream: Stream) -> Ints:
    """The dense rank of each logit among all logits that can occur, int64 ``(channels, count)``.

    Equal floats share a rank, so that comparing ranks is comparing logits.

    Raises:
        CannotLower: if a logit is infinite, or the table would be too large.
    """
    _check_size(stream, "logits with a gain for each class become a table of ranks")
    logits = torch.cat([x for _, x in chunks(stream)]).numpy()
    if not np.isfinite(logits).all():
        channel = int((~np.isfinite(logits)).any(axis=0).argmax())
        label = stream.steps[-1].label if stream.steps else f"layer '{stream.layer}'"
        raise CannotLower(
            f"{label}: logit {channel} is infinite for a sum that can occur; look at its parameters"
        )
    _, ranks = np.unique(logits, return_inverse=True)
    return ranks.reshape(logits.shape).T.astype(np.int64)


def is_identity(stream: Stream) -> bool:
    """Whether torch sees exactly the integers of the Graph here (for bits: -1 and +1)."""
    if stream.places is not None or stream.pool is not None:
        return False
    for integers, x in chunks(stream):
        wanted = integers * 2 - 1 if stream.type.bit else integers
        held = np.broadcast_to(wanted[:, None], x.shape)
        if not stream.type.bit:
            held = np.clip(held, stream.low, stream.high)
        if not np.array_equal(x.numpy(), held):
            return False
    return True


def _check_size(stream: Stream, why: str) -> None:
    if stream.type.count > TABLE_LIMIT:
        raise CannotLower(
            f"layer '{stream.layer}': {why}, and its sums take {stream.type.count} values, more "
            f"than the {TABLE_LIMIT} that a table may have; use a smaller input range or fewer "
            "inputs, gains that do not change sign (PReLU slopes above 0), or for logits "
            "hwbnn.nn.Scale"
        )
