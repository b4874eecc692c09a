"""Exact cycles of a circuit: its handshakes depend on numbers of tokens, never on data.

Without stalls the cycles solve equations (:mod:`hwbnn.estimate.schedule`). Under stalls, and for
the framing ``batch``, where output may wait for input, a model of the handshakes is simulated with
tokens without data: each module of ``rtl/`` that holds tokens is a small state machine with the
same registers. The wires that a machine drives in a cycle depend on its registers alone, as in the
hardware.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from hwbnn.arguments import checked_call
from hwbnn.errors import PlanError
from hwbnn.estimate.machines import Wires, machines
from hwbnn.estimate.schedule import FrameSequence
from hwbnn.plan import Circuit
from hwbnn.plan.stages import Fork, Pipeline

Pattern = Callable[[int], bool]
_SHALLOW = "plan: nothing can move {}; depths and buffer_tokens need to be larger, or left out"
MOST_FRAMES = 4096
"""The most frames to compute: a circuit settles after as many as it can hold, far fewer."""


class Deadlock(PlanError):
    """The circuit stalls for ever; this takes a Plan with less storage than by default."""


@dataclass(frozen=True)
class Cycles:
    """When frames cross the borders of a circuit.

    Cycle 0 is the first after reset in which ``s_axis_tready`` is high.

    Attributes:
        starts: for each frame, the cycle in which its first input beat is taken.
        ends: for each frame, the cycle in which its last output beat is taken.
        fills: by stream, the most words in the FIFO that drives it: the FIFOs of pipelines, and of
            the branches of forks.
        interval: cycles between the starts of successive frames in the steady state, averaged over
            a period (a whole number unless credits are too few); None if no steady state was
            reached.
        period: frames after which the distances of starts repeat, 1 if all are equal; None if no
            steady state was reached.
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


@checked_call(classes=("Circuit",))
def cycles(
    circuit: Circuit,
    frames: int | None = None,
    *,
    source: Pattern | None = None,
    sink: Pattern | None = None,
) -> Cycles:
    """The cycles in which back-to-back frames enter and leave a circuit.

    Args:
        circuit: the circuit.
        frames: how many; by default as many as it takes until the circuit's state repeats, and at
            least 3.
        source: whether the sender begins to offer a beat in a cycle if none is offered; the beat
            stays until it is taken. By default it always does.
        sink: whether the receiver is ready in a cycle. By default it always is.

    Raises:
        Deadlock: if the storage of the stages was made too small for anything to move.
        PlanError: if ``frames`` is below 1.
    """
    if frames is not None and frames < 1:
        raise PlanError(f"plan: frames: expected at least 1, found {frames!r}")
    # The equations leave out that output in batches may wait for the end of its input.
    if source is None and sink is None and circuit.plan.framing != "batch":
        return _free(circuit, frames)
    return _Steps(circuit, frames, source, sink).run()


def _free(circuit: Circuit, frames: int | None) -> Cycles:
    """Frames as early as possible: a given number, or until they repeat."""
    run = FrameSequence(circuit.stages)
    states: list[bytes] = []
    seen: dict[tuple[object, ...], int] = {}
    interval: Fraction | None = None
    period: int | None = None
    most = MOST_FRAMES if frames is None else frames
    while len(run.starts) < most and interval is None:
        if not run.step():
            raise Deadlock(_SHALLOW.format(f"behind frame {len(run.starts)}"))
        states.append(run.state() if frames is None else b"")
        now, reach = len(run.starts) - 1, run.reach
        if frames is not None or now < max(2, reach):
            continue
        apart = [b - a for a, b in pairwise(run.starts[now - reach :])]
        before = seen.setdefault((*states[now - reach :], *apart), now)
        if before < now:
            period = now - before
            interval = Fraction(run.starts[now] - run.starts[before], period)
    return Cycles(tuple(run.starts), tuple(run.ends), run.fills, interval, period)


@checked_call(classes=("Circuit",))
def frames_held(circuit: Circuit) -> int:
    """The most frames whose last input beat was taken and whose last output beat has not left.

    These are inside when all storage is full and one beat of the first frame has not left.
    """
    run = _Steps(circuit, MOST_FRAMES, None, None)
    run.sink = lambda now: run.given < run.out_beats - 1
    now = 0
    run.cycle(now)
    while run.live or run.soon or run.calls or run.wires.ready[0]:
        now += 1
        run.cycle(now)
        if run.taken == MOST_FRAMES * run.in_beats:
            break
    return run.taken // run.in_beats


class _Steps:
    """The simulation of a circuit's machines and its two borders, with its results.

    In each cycle only those machines are stepped that a token enters or leaves, or that asked for
    this cycle; the others do not change.
    """

    def __init__(
        self, circuit: Circuit, frames: int | None, source: Pattern | None, sink: Pattern | None
    ) -> None:
        stages = circuit.stages
        self.wires = Wires(stages)
        self.machines = machines(stages, self.wires)
        self.last = self.wires.numbers[stages[-1].inputs[0]]
        self.streams = [(*m.inputs, *m.outputs) for m in self.machines]
        ends: list[list[int]] = [[] for _ in self.wires.valid]
        for i, numbers in enumerate(self.streams):
            for number in numbers:
                ends[number].append(i)
        self.ends_of = ends
        self.live: set[int] = set()  # streams on which a token passes in this cycle
        self.soon: list[int] = []  # machines that move by themselves in this cycle
        self.calls: list[tuple[int, int]] = []  # later cycles, and the machines that move in them
        self.in_beats = stages[0].source.tokens
        self.out_beats = stages[-1].result.tokens
        self.batch = circuit.plan.framing == "batch"
        self.frames = frames
        self.source, self.sink = source, sink
        self.taken = self.given = 0
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.seen: dict[Hashable, int] = {}
        self.interval: Fraction | None = None
        self.period: int | None = None

    def run(self) -> Cycles:
        """Step until all frames are out."""
        now = 0
        self.cycle(now)
        while not self.done():
            now = self.next_cycle(now)
            self.cycle(now)
        fills = {
            name: most
            for machine in self.machines
            if isinstance(machine.stage, Pipeline | Fork)
            for name, most in zip(machine.stage.outputs, machine.most, strict=True)
        }
        return Cycles(tuple(self.starts), tuple(self.ends), fills, self.interval, self.period)

    def done(self) -> bool:
        """Whether enough frames are out."""
        if self.frames is not None:
            return len(self.ends) >= self.frames
        settled = self.interval is not None or len(self.starts) >= MOST_FRAMES
        return settled and len(self.ends) >= 3

    def cycle(self, now: int) -> None:
        """Simulate one cycle, in which something may move."""
        self.borders(now)
        self.step(now)

    def borders(self, now: int) -> None:
        """Set which beats are offered and taken outside the circuit."""
        wires = self.wires
        more = self.frames is None or self.taken < self.frames * self.in_beats
        if not wires.valid[0] and more:
            wires.valid[0] = self.source is None or bool(self.source(now))
        wires.ready[self.last] = self.sink is None or bool(self.sink(now))
        if self.batch and self.given % self.out_beats == self.out_beats - 1:
            # Whether a frame ends its packet is known a cycle after its last beat was taken.
            whole = self.taken // self.in_beats > self.given // self.out_beats
            wires.ready[self.last] &= whole
        for number in (0, self.last):
            self.look(number)

    def look(self, number: int) -> None:
        """Note whether a token passes on a stream in the coming cycle."""
        if self.wires.valid[number] and self.wires.ready[number]:
            self.live.add(number)
        else:
            self.live.discard(number)

    def step(self, now: int) -> None:
        """Step the machines for which this cycle matters."""
        live, wires, calls = self.live, self.wires, self.calls
        valid, ready, passed = wires.valid, wires.ready, wires.passed
        if 0 in live:
            self.take(now)
        if self.last in live:
            self.given += 1
            if self.given % self.out_beats == 0:
                self.ends.append(now)
        called = set(self.soon)
        for number in live:
            passed[number] = True
            called.update(self.ends_of[number])
        while calls and calls[0][0] <= now:
            called.add(heapq.heappop(calls)[1])
        self.soon = []
        for i in called:
            following = self.machines[i].step(now)
            if following == now + 1:
                self.soon.append(i)
            elif following is not None:
                heapq.heappush(calls, (following, i))
        for number in live:
            passed[number] = False
        # Both ends of a stream on which a token passed were stepped: no other can pass one next.
        streams = self.streams
        self.live = {n for i in called for n in streams[i] if valid[n] and ready[n]}

    def take(self, now: int) -> None:
        """Take an input beat."""
        if self.taken % self.in_beats == 0:
            self.starts.append(now)
            if self.frames is None and self.interval is None:
                self.settle(now)
        self.taken += 1
        self.wires.valid[0] = False

    def settle(self, now: int) -> None:
        """Check whether the circuit's state is that at the start of an earlier frame."""
        state = (tuple(m.state(now) for m in self.machines), self.given % self.out_beats)
        before = self.seen.setdefault(state, len(self.starts) - 1)
        frames = len(self.starts) - 1 - before
        if frames:
            self.interval = Fraction(now - self.starts[before], frames)
            self.period = frames

    def next_cycle(self, now: int) -> int:
        """The next cycle in which something can move."""
        if self.live or self.soon or self.source is not None or self.sink is not None:
            return now + 1
        more = self.frames is None or self.taken < self.frames * self.in_beats
        if more and not self.wires.valid[0]:
            return now + 1
        if not self.calls:
            where = f"from cycle {now} on, {len(self.ends)} frames are out"
            raise Deadlock(_SHALLOW.format(where))
        return max(now + 1, self.calls[0][0])
