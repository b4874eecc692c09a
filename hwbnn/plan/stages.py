"""Stages: the parts of a circuit between two handshakes, and when tokens pass them unhindered.

A stage turns the cycles in which an isolated frame's tokens are offered to it into those in which
it offers its own, everything behind it being ready. These sums give the credits that a
free-running pipeline needs, and the latency where no storage is too small for a frame; the token
model in :mod:`hwbnn.estimate` steps through the same modules and is always exact.

Stages take the streams of other stages, by name, and drive streams of their own: a circuit is a
graph of them. Those of images are in :mod:`hwbnn.plan.images`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hwbnn.graph.arrays import Ints
from hwbnn.plan.blocks import Block, DotFolded
from hwbnn.plan.streams import Stream


def spaced(least: Ints, apart: int = 1) -> Ints:
    """The earliest cycles from these on that are at least so far apart.

    >>> spaced(np.array([0, 0, 5])).tolist(), spaced(np.array([0, 0, 5]), 2).tolist()
    ([0, 1, 5], [0, 2, 5])
    """
    even = apart * np.arange(len(least))
    return np.maximum.accumulate(least - even) + even


@dataclass(frozen=True, eq=False)
class Stage:
    """What all stages have.

    Attributes:
        name: of its instance and of the stream that it drives.
        source: what it takes.
        result: what it gives.
        inputs: names of the streams that it takes.
    """

    name: str
    source: Stream
    result: Stream
    inputs: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the streams that it drives."""
        return (self.name,)

    @property
    def interval(self) -> int:
        """Cycles that a frame keeps it busy."""
        return max(self.source.tokens, self.result.tokens)

    @property
    def holds(self) -> int:
        """Tokens of its source that it can have taken and not yet given."""
        return 2

    def times(self, *offered: Ints) -> Ints:
        """When it offers its tokens, if those of its sources are offered at these cycles."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class AxisIn(Stage):
    """The border where frames arrive, a token a beat (``axis_in``).

    Attributes:
        beat: bits of ``s_axis_tdata``.
    """

    beat: int

    def times(self, *offered: Ints) -> Ints:
        """One cycle after each beat."""
        return offered[0] + 1


@dataclass(frozen=True, eq=False)
class AxisOut(Stage):
    """The border where frames leave, a beat a token (``axis_out``).

    Attributes:
        beat: bits of ``m_axis_tdata``.
    """

    beat: int

    @property
    def outputs(self) -> tuple[str, ...]:
        """None: frames leave the circuit."""
        return ()

    def times(self, *offered: Ints) -> Ints:
        """At once."""
        return offered[0]


@dataclass(frozen=True, eq=False)
class Up(Stage):
    """Narrow tokens become wide ones (``stream_up``)."""

    @property
    def ratio(self) -> int:
        """Narrow tokens in a wide one; the last of a frame may have fewer."""
        return min(-(-self.result.lanes // self.source.lanes), self.source.tokens)

    @property
    def holds(self) -> int:
        """A wide token and a part kept aside."""
        return self.ratio + 1

    def times(self, *offered: Ints) -> Ints:
        """One cycle after the last part of each."""
        ends = (np.arange(self.result.tokens) + 1) * self.ratio - 1
        return offered[0][np.minimum(ends, len(offered[0]) - 1)] + 1


@dataclass(frozen=True, eq=False)
class Down(Stage):
    """Wide tokens become narrow ones (``stream_down``)."""

    @property
    def ratio(self) -> int:
        """Narrow tokens in a wide one; the last of a frame may have fewer."""
        return min(-(-self.source.lanes // self.result.lanes), self.result.tokens)

    def times(self, *offered: Ints) -> Ints:
        """Part by part; a wide token is taken while at most one part is left of the one before."""
        return spaced(offered[0][np.arange(self.result.tokens) // self.ratio] + 1)


@dataclass(frozen=True, eq=False)
class Segment(Stage):
    """A free-running pipeline: its head, blocks, and a FIFO as deep as the head's credits.

    The head is a folded product, or else a gate (``credit_gate``) in front of the first block.

    Attributes:
        blocks: in order; a folded product is the first or none.
        credits: results that may be under way or wait in the FIFO.
    """

    blocks: tuple[Block, ...]
    credits: int

    @property
    def head(self) -> DotFolded | None:
        """The folded product that lets tokens in, if there is one."""
        first = self.blocks[0]
        return first if isinstance(first, DotFolded) else None

    @property
    def latency(self) -> int:
        """Cycles from letting a token in to its result reaching the FIFO."""
        return sum(block.latency for block in self.blocks)

    @property
    def group(self) -> int:
        """Tokens, or passes of a folded product, that become one."""
        return int(np.prod([block.group for block in self.blocks]))

    @property
    def reduces(self) -> bool:
        """Whether several become one."""
        return self.group > 1

    @property
    def interval(self) -> int:
        """Steps of all passes of a folded product, or tokens."""
        return self.head.cycles if self.head else self.source.tokens

    @property
    def holds(self) -> int:
        """The tokens that a folded product keeps, and those that results under way were made of."""
        results = self.credits * -(-self.source.tokens // self.result.tokens)
        return results + (self.head.slots if self.head else 0)

    def entries(self, offered: Ints) -> Ints:
        """When tokens, or the last steps of passes, are let in."""
        if self.head is None:
            return offered
        steps, rounds, passes = self.head.steps, self.head.rounds, self.head.passes
        # The first round reads tokens as they arrive; the next vector waits for the last one.
        lags = np.arange(steps, 0, -1)
        arrived = (offered.reshape(-1, steps) + lags).max(axis=1)
        first = spaced(arrived, passes * rounds * steps)
        ends = ((np.arange(passes) + 1) * rounds - 1) * steps
        return np.asarray(first[:, None] + ends).ravel()

    def times(self, *offered: Ints) -> Ints:
        """Through the pipeline, and one cycle in the FIFO."""
        return self.entries(offered[0])[self.group - 1 :: self.group] + self.latency + 1

    def with_credits(self, offered: Ints, interval: int) -> Segment:
        """The Segment with the fewest credits that let every token in at once.

        A credit is taken when a result's first token is let in and is there again in the cycle
        after the result left the FIFO; so many are needed as results overlap in that time.

        Args:
            offered: when an isolated frame's tokens are offered.
            interval: cycles between frames.
        """
        taken = self.entries(offered)[:: self.group]
        return replace(self, credits=_overlaps(taken, self.times(offered) + 1, interval))


def settled(stages: Sequence[Stage]) -> tuple[list[Stage], int]:
    """The stages with the fewest credits that keep the full rate, and when the last token leaves.

    The first beats of a frame are offered in cycles 0, 1, ...

    Args:
        stages: each behind those that drive its streams; what none of them drives is offered a
            token a cycle.
    """
    interval = max(stage.interval for stage in stages)
    times: dict[str, Ints] = {}
    made: list[Stage] = []
    last = 0
    for stage in stages:
        border = np.arange(stage.source.tokens)
        offered = [times.get(name, border) for name in stage.inputs] or [border]
        settled = stage
        if isinstance(stage, Segment):
            settled = stage.with_credits(offered[0], interval)
        made.append(settled)
        given = settled.times(*offered)
        times |= dict.fromkeys(stage.outputs, given)
        last = int(given[-1])
    return made, last


def _overlaps(starts: Ints, ends: Ints, interval: int) -> int:
    """The most intervals ``[start, end)`` at a time, repeated every ``interval`` cycles."""
    longest = int((ends - starts).max())
    frames = -(-(longest + int(starts[-1] - starts[0])) // interval) + 1
    later = interval * np.arange(frames)[:, None]
    begun = np.sort((starts + later).ravel())
    ended = np.sort((ends + later).ravel())
    still = np.arange(1, len(begun) + 1) - np.searchsorted(ended, begun, side="right")
    return int(still.max())
