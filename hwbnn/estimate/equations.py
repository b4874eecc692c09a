"""Equations of the stages of a circuit without stalls: the earliest cycle of each token.

The cycle in which a token passes is a maximum of cycles of earlier tokens plus fixed delays
("max-plus" equations; Baccelli, Cohen, Olsder and Quadrat, "Synchronization and Linearity", 1992,
chapters 2 and 9). Each kind of stage has a class with its equations.
:mod:`hwbnn.estimate.schedule` solves them for a circuit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwbnn.graph.arrays import Ints
from hwbnn.plan.stages import (
    AddStreams,
    AxisIn,
    AxisOut,
    Fork,
    Narrow,
    Pipeline,
    SlidingWindow,
    Stage,
    Widen,
    WindowUnrolled,
)

NEVER = -(1 << 50)
"""The cycle of all tokens before the first frame: earlier than any other."""


class Events:
    """The cycles of a frame's events, and of the same events in earlier frames.

    Attributes:
        now: cycles of this frame's events.
        interval: cycles from frame to frame; None if cycles of earlier frames are kept instead.
        past: cycles of events in earlier frames, the latest frame last.
        reach: how many frames back the equations have looked.
    """

    def __init__(self, number: int, interval: int | None) -> None:
        self.now: Ints = np.arange(number)
        self.interval = interval
        self.past: list[Ints] = []
        self.reach = 1

    def before(self, frames: int, now: Ints) -> Ints:
        """The cycles of the frame that is ``frames`` before this one; ``now`` for 0."""
        if self.interval is not None:
            return now - self.interval * frames
        if not frames:
            return now
        self.reach = max(self.reach, frames)
        if frames > len(self.past):
            return np.full(len(now), NEVER)
        return self.past[-frames]

    def delayed(self, lag: int, now: Ints | None = None) -> Ints:
        """For each event, the cycle of the event that is ``lag`` events before it.

        >>> events = Events(3, 10)
        >>> events.delayed(1, np.array([0, 3, 5])).tolist()
        [-5, 0, 3]
        >>> events.delayed(5, np.array([0, 3, 5])).tolist()
        [-17, -15, -10]
        """
        now = self.now if now is None else now
        frames, rest = divmod(lag, len(now))
        near = self.before(frames, now)
        if not rest:
            return near
        far = self.before(frames + 1, now)
        return np.concatenate((far[len(now) - rest :], near[: len(now) - rest]))

    def at(self, index: Ints, now: Ints | None = None) -> Ints:
        """The cycles of events by number; numbers below 0 are events of earlier frames."""
        now = self.now if now is None else now
        frames, place = np.divmod(index, len(now))
        if self.interval is not None:
            shifted: Ints = now[place] + frames * self.interval
            return shifted
        cycles = np.empty(len(index), np.int64)
        for back in range(int(-frames.min()), int(-frames.max()) - 1, -1):
            chosen = frames == -back
            cycles[chosen] = self.before(back, now)[place[chosen]]
        return cycles

    def apart(self, times: Ints, cycles: int) -> Ints:
        """The earliest times not before these, each at least ``cycles`` after the one before it.

        >>> Events(3, 7).apart(np.array([4, 0, 0]), 2).tolist()
        [4, 6, 8]
        """
        even = cycles * np.arange(len(times))
        later = np.maximum.accumulate(times - even) + even
        carried = int(self.before(1, later)[-1]) + cycles
        if carried > later[0]:
            later[0] = carried
            later = np.maximum.accumulate(later - even) + even
        return later

    def looped(self, times: Ints, lag: int, cycles: int) -> Ints:
        """The earliest times not before these, and ``cycles`` after those ``lag`` events earlier.

        >>> Events(5, 100).looped(np.array([0, 0, 0, 0, 0]), 2, 3).tolist()
        [0, 0, 3, 3, 6]
        """
        later = np.maximum(times, self.delayed(lag, times) + cycles)
        # Each iteration covers twice as many loops as the last.
        far, delay = lag, cycles
        while far < len(later):
            later[far:] = np.maximum(later[far:], later[:-far] + delay)
            far, delay = 2 * far, 2 * delay
        return later

    def next_frame(self) -> None:
        """Keep this frame's cycles, and begin the next frame."""
        self.past = [*self.past, self.now][-self.reach - 1 :]
        self.now = self.now + len(self.now)


Solved = tuple[Sequence[Ints], Sequence[Ints]]
"""Cycles before which the tokens of a stage's inputs, and those of its outputs, cannot pass."""


class Equations:
    """The equations of a stage.

    Attributes:
        taken: events of the streams that the stage takes.
        given: events of the streams that it drives.
        interval: cycles from frame to frame; None if each frame is as early as possible.
        inner: events inside the stage on which later events depend, if there are any.
    """

    inner: Events

    def __init__(
        self, stage: Stage, taken: Sequence[Events], given: Sequence[Events], interval: int | None
    ) -> None:
        self.taken, self.given = taken, given
        self.interval = interval

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given, from the current cycles."""
        raise NotImplementedError


class AxisInEquations(Equations):
    """A FIFO of two tokens."""

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given."""
        return [self.given[0].delayed(2) + 1], [self.taken[0].now + 1]


class AxisOutEquations(Equations):
    """No equations: the receiver takes every beat at once."""

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given."""
        return [], []


class WidenEquations(Equations):
    """One wide token, and one narrow token kept aside."""

    def __init__(
        self, stage: Widen, taken: Sequence[Events], given: Sequence[Events], interval: int | None
    ) -> None:
        super().__init__(stage, taken, given, interval)
        self.inner = Events(stage.source.tokens, interval)  # narrow tokens enter a wide token
        self.wide, self.ends = stage.wide, stage.ends

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given."""
        free = self.given[0].delayed(1)[self.wide]
        self.inner.now = self.inner.apart(np.maximum(self.taken[0].now, free), 1)
        return [self.inner.delayed(1) + 1], [self.inner.now[self.ends] + 1]


class NarrowEquations(Equations):
    """A wide token is taken while at most one narrow token of the last one is left."""

    def __init__(
        self, stage: Narrow, taken: Sequence[Events], given: Sequence[Events], interval: int | None
    ) -> None:
        super().__init__(stage, taken, given, interval)
        self.wide, self.begins = stage.wide, stage.begins

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given."""
        return [self.given[0].at(self.begins - 2) + 1], [self.taken[0].now[self.wide] + 1]


class WindowEquations(Equations):
    """A buffer of tokens, and a register for the tap that is offered."""

    def __init__(
        self,
        stage: SlidingWindow,
        taken: Sequence[Events],
        given: Sequence[Events],
        interval: int | None,
    ) -> None:
        super().__init__(stage, taken, given, interval)
        taps, kept = stage.taps, stage.kept
        self.inner = Events(len(taps), interval)  # taps are read
        self.inside = np.flatnonzero(taps >= 0)
        self.read = taps[self.inside]
        self.first = max(0, int(taps[0]))
        windows, total = len(kept) - 1, stage.source.tokens
        # There is room for a token after this tap: the last one before the first window that no
        # longer keeps the token ``buffer_tokens`` earlier.
        left = np.arange(total) - stage.buffer_tokens
        earlier = (left - kept[0]) // total
        window = np.searchsorted(kept, left - earlier * total, side="right")
        self.before = (window + earlier * windows) * (len(taps) // windows) - 1

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given."""
        read = self.given[0].delayed(1).copy()
        read[self.inside] = np.maximum(read[self.inside], self.taken[0].now[self.read] + 1)
        read[0] = max(read[0], self.taken[0].now[self.first] + 1)
        self.inner.now = self.inner.apart(read, 1)
        return [self.inner.at(self.before) + 1], [self.inner.now + 1]


class WindowUnrolledEquations(Equations):
    """A FIFO of two tokens, a scan over positions, and a register for the window."""

    def __init__(
        self, stage: WindowUnrolled, taken: Sequence[Events], given: Sequence[Events],
        interval: int | None,
    ) -> None:  # fmt: skip
        super().__init__(stage, taken, given, interval)
        inside, ends = stage.grid
        self.inner = Events(len(inside), interval)  # positions are passed
        self.pixels, self.ends = np.flatnonzero(inside), np.flatnonzero(ends)
        self.behind = np.asarray(np.cumsum(ends) - ends - 1)
        self.before: Ints = _lagged(self.pixels, 2, len(inside))

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given."""
        walk = self.given[0].at(self.behind)
        walk[self.pixels] = np.maximum(walk[self.pixels], self.taken[0].now + 1)
        walk[0] = max(walk[0], self.taken[0].now[0] + 1)
        walk = self.inner.now = self.inner.apart(walk, 1)
        return [self.inner.at(self.before) + 1], [walk[self.ends] + 1]


class ForkEquations(Equations):
    """One FIFO for each branch."""

    def __init__(
        self, stage: Fork, taken: Sequence[Events], given: Sequence[Events], interval: int | None
    ) -> None:
        super().__init__(stage, taken, given, interval)
        self.depths: tuple[int, ...] | None = stage.depths

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given."""
        room = []
        if self.depths is not None:
            room = [e.delayed(d) + 1 for e, d in zip(self.given, self.depths, strict=True)]
        least = np.maximum.reduce(room) if room else self.taken[0].now
        return [least], [self.taken[0].now + 1 for _ in self.given]


class AddStreamsEquations(Equations):
    """A FIFO of two tokens for each stream, and a register for the sum."""

    def __init__(
        self,
        stage: AddStreams,
        taken: Sequence[Events],
        given: Sequence[Events],
        interval: int | None,
    ) -> None:
        super().__init__(stage, taken, given, interval)
        tokens, repeat = stage.result.tokens, max(1, stage.repeat)
        self.inner = Events(tokens, interval)  # tokens are added
        self.other = np.arange(tokens) // repeat
        ends = np.minimum((np.arange(self.other[-1] + 1) + 1) * repeat - 1, tokens - 1)
        self.before = _lagged(ends, 2, tokens)

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given."""
        met = np.maximum(self.taken[0].now, self.taken[1].now[self.other]) + 1
        met = np.maximum(met, self.given[0].delayed(1))
        self.inner.now = self.inner.apart(met, 1)
        room = [self.inner.delayed(2) + 1, self.inner.at(self.before) + 1]
        return room, [self.inner.now + 1]


def _lagged(index: Ints, lag: int, number: int) -> Ints:
    """For each event number of ``index``, the one ``lag`` entries before it, over frames."""
    frames, place = np.divmod(np.arange(len(index)) - lag, len(index))
    lagged: Ints = index[place] + frames * number
    return lagged


class GateEquations(Equations):
    """Credits for the results that are under way or wait in the FIFO."""

    def __init__(
        self,
        stage: Pipeline,
        taken: Sequence[Events],
        given: Sequence[Events],
        interval: int | None,
    ) -> None:
        super().__init__(stage, taken, given, interval)
        self.credits, self.latency, self.tokens_per_result = (
            stage.credits,
            stage.latency,
            stage.tokens_per_result,
        )
        self.inner = Events(stage.result.tokens, interval)  # first tokens of results enter

    @property
    def arrivals(self) -> Ints:
        """The cycles in which results reach the FIFO."""
        last: Ints = self.taken[0].now[self.tokens_per_result - 1 :: self.tokens_per_result]
        return last + self.latency

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given."""
        many, room = self.tokens_per_result, self.taken[0].now.copy()
        first = np.maximum(room[::many], self.given[0].delayed(self.credits) + 1)
        room[::many] = self.inner.looped(first, self.credits, self.latency + 1 + many)
        room = self.taken[0].apart(room, 1)
        self.inner.now = room[::many].copy()
        return [room], [room[many - 1 :: many] + self.latency + 1]


class FoldedEquations(Equations):
    """A buffer of tokens, passes over its vectors, and credits."""

    def __init__(
        self,
        stage: Pipeline,
        taken: Sequence[Events],
        given: Sequence[Events],
        interval: int | None,
    ) -> None:
        super().__init__(stage, taken, given, interval)
        head = stage.head
        assert head is not None
        self.steps, self.rounds, self.passes = head.steps, head.rounds, head.passes
        self.buffer_tokens = head.buffer_tokens
        self.credits, self.latency = stage.credits, stage.latency
        self.once = stage.reduces
        vectors = stage.source.tokens // self.steps
        self.inner = Events(vectors * self.passes, interval)  # last steps of passes
        self.vectors = Events(vectors, interval)  # last steps of vectors
        self.takes = Events(vectors * (1 if self.once else self.passes), interval)  # of credits
        self.last = Events(stage.source.tokens, interval)  # tokens leave the buffer

    @property
    def arrivals(self) -> Ints:
        """The cycles in which results reach the FIFO."""
        ends: Ints = self.vectors.now if self.once else self.inner.now
        return ends + self.latency

    def solve(self) -> Solved:
        """Cycles before which tokens cannot be taken and given."""
        steps, rounds, passes, at = self.steps, self.rounds, self.passes, np.arange(self.steps)
        read = self.taken[0].now.reshape(-1, steps) + 1
        read[:, 0] = np.maximum(read[:, 0], self.vectors.delayed(1) + 1)
        read = np.maximum.accumulate(read - at, axis=1) + at
        ends = self.inner.now.reshape(-1, passes).copy()
        ends[:, 0] = np.maximum(ends[:, 0], read[:, -1] + (rounds - 1) * steps)
        takes = ends[:, 0] if self.once else ends.ravel()
        takes = np.maximum(takes, self.given[0].delayed(self.credits) + 1)
        whole = self.latency + 2 + ((passes - 1) * rounds * steps if self.once else 0)
        self.takes.now = self.takes.looped(takes, self.credits, whole)
        ends[:, : 1 if self.once else passes] = self.takes.now.reshape(len(ends), -1)
        self.inner.now = self.inner.apart(ends.ravel(), rounds * steps)
        ends = self.inner.now.reshape(-1, passes)
        self.takes.now = (ends[:, 0] if self.once else self.inner.now).copy()
        self.vectors.now = ends[:, -1].copy()
        # The last round over a vector frees its tokens.
        last = read
        if passes > 1:
            last = ends[:, -2, None] + (rounds - 1) * steps + 1 + at
        elif rounds > 1:
            last = read[:, -1, None] + (rounds - 2) * steps + 1 + at
        last[:, -1] = ends[:, -1]
        self.last.now = last.ravel()
        return [self.last.delayed(self.buffer_tokens) + 1], [self.arrivals + 1]


KINDS: dict[type[Stage], type[Equations]] = {
    AxisIn: AxisInEquations,
    AxisOut: AxisOutEquations,
    Widen: WidenEquations,
    Narrow: NarrowEquations,
    SlidingWindow: WindowEquations,
    WindowUnrolled: WindowUnrolledEquations,
    Fork: ForkEquations,
    AddStreams: AddStreamsEquations,
}
"""The equations of each kind of stage; for pipelines see :func:`equations_of`."""


def equations_of(stage: Stage) -> type[Equations]:
    """The equations of a stage; for a pipeline they depend on its head."""
    if isinstance(stage, Pipeline):
        return FoldedEquations if stage.head else GateEquations
    return KINDS[type(stage)]
