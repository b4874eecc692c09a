"""Stages: the parts of a circuit between two handshakes, and when tokens pass them unhindered.

A stage turns the cycles in which an isolated frame's tokens are offered to it into those in which
it offers its own, everything behind it being ready. These sums give the latency, and the credits
that a free-running pipeline needs; the token model in :mod:`hwbnn.estimate` steps through the same
modules and must agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwbnn.plan.blocks import Block, DotFolded
from hwbnn.plan.streams import Stream

Times = list[int]


@dataclass(frozen=True, eq=False)
class Stage:
    """What all stages have.

    Attributes:
        name: of its instance and of the stream that it drives.
        source: what it takes.
        result: what it gives.
    """

    name: str
    source: Stream
    result: Stream

    @property
    def interval(self) -> int:
        """Cycles that a frame keeps it busy."""
        return max(self.source.tokens, self.result.tokens)

    def times(self, offered: Times) -> Times:
        """When it offers its tokens, if its source's are offered at these cycles."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class AxisIn(Stage):
    """The border where frames arrive, a token a beat (``axis_in``).

    Attributes:
        beat: bits of ``s_axis_tdata``.
    """

    beat: int

    def times(self, offered: Times) -> Times:
        """One cycle after each beat."""
        return [t + 1 for t in offered]


@dataclass(frozen=True, eq=False)
class AxisOut(Stage):
    """The border where frames leave, a beat a token (``axis_out``).

    Attributes:
        beat: bits of ``m_axis_tdata``.
    """

    beat: int

    def times(self, offered: Times) -> Times:
        """At once."""
        return offered


@dataclass(frozen=True, eq=False)
class Up(Stage):
    """Narrow tokens become wide ones (``stream_up``)."""

    @property
    def ratio(self) -> int:
        """Narrow tokens in a wide one; the last of a frame may have fewer."""
        return min(-(-self.result.lanes // self.source.lanes), self.source.tokens)

    def times(self, offered: Times) -> Times:
        """One cycle after the last part of each."""
        last = len(offered) - 1
        ends = (min((i + 1) * self.ratio - 1, last) for i in range(self.result.tokens))
        return [offered[end] + 1 for end in ends]


@dataclass(frozen=True, eq=False)
class Down(Stage):
    """Wide tokens become narrow ones (``stream_down``)."""

    @property
    def ratio(self) -> int:
        """Narrow tokens in a wide one; the last of a frame may have fewer."""
        return min(-(-self.source.lanes // self.result.lanes), self.result.tokens)

    def times(self, offered: Times) -> Times:
        """Part by part; a wide token is taken while at most one part is left of the one before."""
        given: Times = []
        for i in range(self.result.tokens):
            if i % self.ratio == 0:
                free = given[-2] + 1 if i > 1 and self.ratio > 1 else 0
                taken = max(offered[i // self.ratio], free)
            given.append(max(taken + 1, given[-1] + 1 if given else 0))
        return given


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
    def reduces(self) -> bool:
        """Whether a whole frame of several tokens becomes one."""
        return any(block.reduces for block in self.blocks)

    @property
    def interval(self) -> int:
        """Steps of all passes of a folded product, or tokens."""
        return self.head.cycles if self.head else self.source.tokens

    def entries(self, offered: Times) -> Times:
        """When tokens, or the last steps of passes, are let in."""
        if self.head is None:
            return offered
        step = -1
        for t in offered:
            step = max(step, t) + 1
        rounds, steps = self.head.rounds, self.head.steps
        return [step + ((i + 1) * rounds - 1) * steps for i in range(self.head.passes)]

    def times(self, offered: Times) -> Times:
        """Through the pipeline, and one cycle in the FIFO."""
        entries = self.entries(offered)
        ends = entries[-1:] if self.reduces else entries
        return [t + self.latency + 1 for t in ends]

    def with_credits(self, offered: Times, interval: int) -> Segment:
        """The Segment with the fewest credits that let every token in at once.

        A credit is taken when a result's first token is let in and is there again in the cycle
        after the result left the FIFO; so many are needed as results overlap in that time.

        Args:
            offered: when an isolated frame's tokens are offered.
            interval: cycles between frames.
        """
        entries = self.entries(offered)
        taken = entries[:1] if self.reduces else entries
        back = [t + 1 for t in self.times(offered)]
        return replace(self, credits=_overlaps(taken, back, interval))


def settled(stages: Sequence[Stage]) -> tuple[list[Stage], Times]:
    """The stages with the fewest credits that keep the full rate, and when the last gives tokens.

    The first beats of a frame are offered in cycles 0, 1, ...
    """
    interval = max(stage.interval for stage in stages)
    times: Times = list(range(stages[0].source.tokens))
    made: list[Stage] = []
    for stage in stages:
        made.append(stage.with_credits(times, interval) if isinstance(stage, Segment) else stage)
        times = stage.times(times)
    return made, times


def _overlaps(starts: Sequence[int], ends: Sequence[int], interval: int) -> int:
    """The most intervals ``[start, end)`` at a time, repeated every ``interval`` cycles."""
    longest = max(end - start for start, end in zip(starts, ends, strict=True))
    frames = -(-(longest + starts[-1] - starts[0]) // interval) + 1
    events = [
        (t + frame * interval, change)
        for frame in range(frames)
        for times, change in ((starts, 1), (ends, -1))
        for t in times
    ]
    most = now = 0
    for _, change in sorted(events):
        now += change
        most = max(most, now)
    return most
