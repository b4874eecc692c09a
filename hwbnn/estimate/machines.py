"""State machines of the modules that hold tokens, register for register, without data."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

from hwbnn.estimate.image_machines import (
    ForkMachine,
    JoinMachine,
    WindowMachine,
    WindowUnrolledMachine,
)
from hwbnn.estimate.machine import Machine, Wires
from hwbnn.plan.images import Fork, Join, Window, WindowUnrolled
from hwbnn.plan.stages import AxisIn, AxisOut, Down, Segment, Stage, Up


class AxisInMachine(Machine):
    """``axis_in`` while all packets have the right length: its FIFO of two."""

    fill = 0

    def step(self, now: int) -> None:
        """A beat in, a token out."""
        passed = self.wires.passed
        self.fill += passed[self.taken] - passed[self.given]
        self.held(self.fill)
        self.offer(valid=self.fill > 0, ready=self.fill < 2)

    def state(self, now: int) -> Hashable:
        """The fill."""
        return self.fill


class UpMachine(Machine):
    """``stream_up``: parts of the wide token, whether it waits, whether a part is kept aside."""

    def __init__(self, stage: Up, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.ratio, self.tokens = stage.ratio, stage.source.tokens
        self.count = 0  # narrow tokens of this frame that are in wide ones
        self.full = self.aside = False

    def step(self, now: int) -> int | None:
        """A part in, a wide token out."""
        push, pop = self.wires.passed[self.taken], self.wires.passed[self.given]
        waiting = push or self.aside
        take = waiting and (not self.full or pop)
        complete = False
        if take:
            self.count += 1
            complete = self.count % self.ratio == 0 or self.count == self.tokens
            self.count %= self.tokens
        self.full = complete or (self.full and not pop)
        self.aside = waiting and not take
        self.held(int(self.full))
        self.offer(valid=self.full, ready=not self.aside)
        return now + 1 if self.aside and not self.full else None

    def state(self, now: int) -> Hashable:
        """The registers."""
        return self.count, self.full, self.aside


class DownMachine(Machine):
    """``stream_down``: parts left to give, and how far in the frame the next wide token is."""

    def __init__(self, stage: Down, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.ratio, self.tokens = stage.ratio, stage.result.tokens
        self.count = 0  # narrow tokens of this frame that have been taken in wide ones
        self.left = 0

    def step(self, now: int) -> None:
        """A wide token in, a part out."""
        self.left -= self.wires.passed[self.given]
        if self.wires.passed[self.taken]:
            parts = min(self.ratio, self.tokens - self.count)
            self.left += parts
            self.count = (self.count + parts) % self.tokens
        self.held(self.left)
        self.offer(valid=self.left > 0, ready=self.left <= 1)

    def state(self, now: int) -> Hashable:
        """The registers."""
        return self.count, self.left


class GateMachine(Machine):
    """``credit_gate``, the pipeline as the cycles in which results leave it, ``credit_fifo``."""

    def __init__(self, stage: Segment, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.credits = stage.credits
        self.latency = stage.latency
        self.group = stage.group
        self.count = 0  # tokens of this group that were let in
        self.due: deque[int] = deque()
        self.fill = 0

    def step(self, now: int) -> int | None:
        """A token let in, a result into the FIFO, one out of it."""
        if self.wires.passed[self.taken]:
            self.credits -= self.count == 0
            self.count = (self.count + 1) % self.group
            if self.count == 0:
                self.due.append(now + self.latency)
        self.arrive(now)
        self.offer(valid=self.fill > 0, ready=self.count != 0 or self.credits > 0)
        return self.due[0] if self.due else None

    def arrive(self, now: int) -> None:
        """The end of the pipeline."""
        arrived = bool(self.due) and self.due[0] == now
        if arrived:
            self.due.popleft()
        pop = self.wires.passed[self.given]
        self.fill += arrived - pop
        self.credits += pop
        self.held(self.fill)

    def state(self, now: int) -> Hashable:
        """Counters, and how far the results are."""
        return self.count, self.credits, self.fill, tuple(t - now for t in self.due)


class FoldedMachine(GateMachine):
    """``dot_folded`` at the head of a pipeline: tokens kept, step and pass, credits."""

    def __init__(self, stage: Segment, wires: Wires) -> None:
        super().__init__(stage, wires)
        head = stage.head
        assert head is not None
        self.steps, self.rounds, self.slots = head.steps, head.rounds, head.slots
        self.last_round = head.passes * head.rounds - 1
        self.one_per_frame = stage.reduces
        self.kept = self.fresh = 0  # tokens kept, and those of them that no pass has read
        self.at = self.round = 0  # step, and round over the tokens, through all passes
        self.idle_until = 0  # rounds that touch neither end are stepped through at once

    def step(self, now: int) -> int | None:
        """A token kept, a step of a pass, a result into the FIFO, one out of it."""
        if now >= self.idle_until and self.can_read():
            self.read(now)
        if self.wires.passed[self.taken]:
            self.kept += 1
            self.fresh += 1
        self.arrive(now)
        self.offer(valid=self.fill > 0, ready=self.kept < self.slots)
        due = self.due[0] if self.due else None
        if not self.can_read():
            return due
        following = max(now + 1, self.idle_until)
        return following if due is None or due > following else due

    def can_read(self) -> bool:
        """Whether there is a token to read, and a credit where the last step of a pass takes it."""
        if self.round == 0 and not self.fresh:
            return False
        return self.credits > 0 or self.at < self.steps - 1 or not self.takes()

    def takes(self) -> bool:
        """Whether the last step of this round takes a credit."""
        ends = self.round % self.rounds == self.rounds - 1
        return ends and (self.round < self.rounds or not self.one_per_frame)

    def read(self, now: int) -> None:
        """One step."""
        first, last = self.round == 0, self.round == self.last_round
        self.fresh -= first
        self.kept -= last
        if self.at < self.steps - 1:
            self.at += 1
            if not first and not last:
                # Steps between the first and the last of a middle round change nothing outside.
                self.idle_until = now + self.steps - self.at
                self.at = self.steps - 1
            return
        if self.round % self.rounds == self.rounds - 1:  # a pass ends
            self.credits -= self.takes()
            if last or not self.one_per_frame:
                self.due.append(now + self.latency)
        self.at = 0
        self.round = 0 if last else self.round + 1

    def state(self, now: int) -> Hashable:
        """The gate's state and the head's."""
        idle = max(0, self.idle_until - now)
        return super().state(now), self.kept, self.fresh, self.at, self.round, idle


def machines(stages: Sequence[Stage], wires: Wires) -> list[Machine]:
    """The machines of a circuit's stages, in order; ``axis_out`` holds nothing and has none."""
    made: list[Machine] = []
    for stage in stages:
        if isinstance(stage, Segment):
            made.append((FoldedMachine if stage.head else GateMachine)(stage, wires))
        elif not isinstance(stage, AxisOut):
            made.append(_KINDS[type(stage)](stage, wires))
    return made


_KINDS: dict[type[Stage], type[Machine]] = {
    AxisIn: AxisInMachine,
    Up: UpMachine,
    Down: DownMachine,
    Window: WindowMachine,
    WindowUnrolled: WindowUnrolledMachine,
    Fork: ForkMachine,
    Join: JoinMachine,
}
