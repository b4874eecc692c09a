"""Cycles of a circuit, by stepping a model of its handshakes through tokens without data.

One small state machine stands for each module of ``rtl/`` that holds tokens, with the same
registers; what a machine offers in a cycle depends on its registers alone, as in the hardware. All
handshakes are fixed by the numbers of tokens and never by data, so the cycles are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from hwbnn.estimate.machines import machines
from hwbnn.plan import Circuit

Pattern = Callable[[int], bool]
MOST_FRAMES = 4096
"""A circuit settles after as many frames as it can hold, far fewer than these."""


class Deadlock(Exception):
    """The circuit stands still for ever. No generated one does; one with less storage may."""


@dataclass(frozen=True)
class Cycles:
    """When frames cross the borders of a circuit.

    Cycle 0 is the first after reset in which ``s_axis_tready`` is high.

    Attributes:
        starts: for each frame, the cycle in which its first input beat is taken.
        ends: for each frame, the cycle in which its last output beat is taken.
        fills: the most tokens that each stage's FIFO held, by the stage's name.
        interval: cycles between the starts of successive frames once they repeat, on average over
            the frames that it takes to repeat (a whole number unless credits are too few); None
            if they were not seen to.
        period: frames after which the starts repeat; 1 where all are as far apart, None as above.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    fills: Mapping[str, int]
    interval: Fraction | None
    period: int | None

    @property
    def latency(self) -> int:
        """Cycles from the first input beat of the first frame to its last output beat."""
        return self.ends[0] - self.starts[0]


def cycles(
    circuit: Circuit,
    frames: int | None = None,
    *,
    source: Pattern | None = None,
    sink: Pattern | None = None,
) -> Cycles:
    """Step frames, back to back, through a circuit.

    Args:
        circuit: the circuit.
        frames: how many; by default as many as it takes until the circuit's state repeats, and at
            least 3.
        source: whether a beat that is not offered yet may be in this cycle; then it stays until it
            is taken. Always, by default.
        sink: whether the receiver is ready in this cycle. Always, by default.

    Raises:
        Deadlock: if the storage of the stages was made too small for anything to move.
    """
    return _Run(circuit, frames, source, sink).run()


class _Run:
    """The circuit's machines, the two borders, and what was seen."""

    def __init__(
        self, circuit: Circuit, frames: int | None, source: Pattern | None, sink: Pattern | None
    ) -> None:
        self.machines = machines(circuit.stages)
        self.in_beats = circuit.stages[0].source.tokens
        self.out_beats = circuit.stages[-1].result.tokens
        self.frames = frames
        self.source, self.sink = source, sink
        self.offered = False
        self.taken = self.given = 0
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.seen: dict[Hashable, int] = {}
        self.interval: Fraction | None = None
        self.period: int | None = None

    def run(self) -> Cycles:
        """Step until all frames are out."""
        now = 0
        while not self.done():
            moved = self.step(now)
            now = now + 1 if moved else self.next_event(now)
        fills = {m.stage.name: m.most for m in self.machines}
        return Cycles(tuple(self.starts), tuple(self.ends), fills, self.interval, self.period)

    def done(self) -> bool:
        """Whether enough frames are out."""
        if self.frames is not None:
            return len(self.ends) >= self.frames
        settled = self.interval is not None or len(self.starts) >= MOST_FRAMES
        return settled and len(self.ends) >= 3

    def step(self, now: int) -> bool:
        """One cycle; whether anything moved."""
        chain = self.machines
        if not self.offered and (self.frames is None or self.taken < self.frames * self.in_beats):
            self.offered = self.source is None or bool(self.source(now))
        valids = [self.offered, *(m.valid for m in chain)]
        readies = [*(m.ready for m in chain), self.sink is None or bool(self.sink(now))]
        passes = [valid and ready for valid, ready in zip(valids, readies, strict=True)]
        if passes[0]:
            self.take(now)
        moved = any(passes)
        for machine, push, pop in zip(chain, passes[:-1], passes[1:], strict=True):
            if machine.step(now, push, pop):
                moved = True
        if passes[-1]:
            self.given += 1
            if self.given % self.out_beats == 0:
                self.ends.append(now)
        return moved

    def take(self, now: int) -> None:
        """An input beat is taken."""
        if self.taken % self.in_beats == 0:
            self.starts.append(now)
            if self.frames is None and self.interval is None:
                self.settle(now)
        self.taken += 1
        self.offered = False

    def settle(self, now: int) -> None:
        """See whether the circuit is as it was at the start of an earlier frame."""
        state = (tuple(m.state(now) for m in self.machines), self.given % self.out_beats)
        before = self.seen.setdefault(state, len(self.starts) - 1)
        frames = len(self.starts) - 1 - before
        if frames:
            self.interval = Fraction(now - self.starts[before], frames)
            self.period = frames

    def next_event(self, now: int) -> int:
        """The next cycle in which something can move, after one in which nothing did."""
        if self.source is not None or self.sink is not None:
            return now + 1
        events = [e for m in self.machines if (e := m.event(now)) is not None]
        if not events:
            raise Deadlock(f"nothing can move from cycle {now} on, {len(self.ends)} frames are out")
        return min(events)
