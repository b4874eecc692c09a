"""State machines of the modules that hold tokens, register for register, without data."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

from hwbnn.plan.stages import AxisIn, AxisOut, Down, Segment, Stage, Up


class Machine:
    """One stage: what it offers (``ready``, ``valid``), and what a cycle does to it.

    Attributes:
        stage: the stage it stands for.
        ready: whether it takes a token in this cycle.
        valid: whether it offers one.
        most: the most tokens that it held at its output.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ready = True
        self.valid = False
        self.most = 0

    def step(self, now: int, push: bool, pop: bool) -> bool:
        """One cycle, in which a token came or went; whether something moved inside."""
        raise NotImplementedError

    def event(self, now: int) -> int | None:
        """The next cycle in which it moves by itself, if it will."""
        return None

    def state(self, now: int) -> Hashable:
        """Everything that its future depends on."""
        raise NotImplementedError


class AxisInMachine(Machine):
    """``axis_in`` while all packets have the right length: its FIFO of two."""

    def __init__(self, stage: AxisIn) -> None:
        super().__init__(stage)
        self.fill = 0

    def step(self, now: int, push: bool, pop: bool) -> bool:
        """A beat in, a token out."""
        self.fill += push - pop
        self.ready = self.fill < 2
        self.valid = self.fill > 0
        self.most = max(self.most, self.fill)
        return False

    def state(self, now: int) -> Hashable:
        """The fill."""
        return self.fill


class UpMachine(Machine):
    """``stream_up``: parts of the wide token, whether it waits, whether a part is kept aside."""

    def __init__(self, stage: Up) -> None:
        super().__init__(stage)
        self.ratio, self.tokens = stage.ratio, stage.source.tokens
        self.count = 0  # narrow tokens of this frame that are in wide ones
        self.full = self.aside = False

    def step(self, now: int, push: bool, pop: bool) -> bool:
        """A part in, a wide token out."""
        waiting = push or self.aside
        take = waiting and (not self.full or pop)
        complete = False
        if take:
            self.count += 1
            complete = self.count % self.ratio == 0 or self.count == self.tokens
            self.count %= self.tokens
        self.full = complete or (self.full and not pop)
        self.aside = waiting and not take
        self.ready = not self.aside
        self.valid = self.full
        self.most = max(self.most, int(self.full))
        return take

    def state(self, now: int) -> Hashable:
        """The registers."""
        return self.count, self.full, self.aside


class DownMachine(Machine):
    """``stream_down``: parts left to give, and how far in the frame the next wide token is."""

    def __init__(self, stage: Down) -> None:
        super().__init__(stage)
        self.ratio, self.tokens = stage.ratio, stage.result.tokens
        self.count = 0  # narrow tokens of this frame that have been taken in wide ones
        self.left = 0

    def step(self, now: int, push: bool, pop: bool) -> bool:
        """A wide token in, a part out."""
        self.left -= pop
        if push:
            parts = min(self.ratio, self.tokens - self.count)
            self.left += parts
            self.count = (self.count + parts) % self.tokens
        self.ready = self.left <= 1
        self.valid = self.left > 0
        self.most = max(self.most, self.left)
        return False

    def state(self, now: int) -> Hashable:
        """The registers."""
        return self.count, self.left


class GateMachine(Machine):
    """``credit_gate``, the pipeline as the cycles in which results leave it, ``credit_fifo``."""

    def __init__(self, stage: Segment) -> None:
        super().__init__(stage)
        self.credits = stage.credits
        self.latency = stage.latency
        self.group = stage.source.tokens if stage.reduces else 1
        self.count = 0  # tokens of this group that were let in
        self.due: deque[int] = deque()
        self.fill = 0

    def step(self, now: int, push: bool, pop: bool) -> bool:
        """A token let in, a result into the FIFO, one out of it."""
        if push:
            self.credits -= self.count == 0
            self.count = (self.count + 1) % self.group
            if self.count == 0:
                self.due.append(now + self.latency)
        moved = self.arrive(now, pop)
        self.ready = self.count != 0 or self.credits > 0
        return moved

    def arrive(self, now: int, pop: bool) -> bool:
        """The end of the pipeline; whether a result arrived."""
        arrived = bool(self.due) and self.due[0] == now
        if arrived:
            self.due.popleft()
        self.fill += arrived - pop
        self.credits += pop
        self.valid = self.fill > 0
        self.most = max(self.most, self.fill)
        return arrived

    def event(self, now: int) -> int | None:
        """When the next result reaches the FIFO."""
        return self.due[0] if self.due else None

    def state(self, now: int) -> Hashable:
        """Counters, and how far the results are."""
        return self.count, self.credits, self.fill, tuple(t - now for t in self.due)


class FoldedMachine(GateMachine):
    """``dot_folded`` at the head of a pipeline: tokens kept, step and pass, credits."""

    def __init__(self, stage: Segment) -> None:
        super().__init__(stage)
        head = stage.head
        assert head is not None
        self.steps, self.rounds, self.slots = head.steps, head.rounds, head.slots
        self.last_round = head.passes * head.rounds - 1
        self.one_per_frame = stage.reduces
        self.kept = self.fresh = 0  # tokens kept, and those of them that no pass has read
        self.at = self.round = 0  # step, and round over the tokens, through all passes
        self.idle_until = 0  # rounds that touch neither end are stepped through at once

    def step(self, now: int, push: bool, pop: bool) -> bool:
        """A token kept, a step of a pass, a result into the FIFO, one out of it."""
        moved = self.read(now)
        self.kept += push
        self.fresh += push
        moved |= self.arrive(now, pop)
        self.ready = self.kept < self.slots
        return moved

    def read(self, now: int) -> bool:
        """One step, if there is a token to read and a credit to take where one is needed."""
        first, last = self.round == 0, self.round == self.last_round
        last_step = self.at == self.steps - 1
        ends = last_step and self.round % self.rounds == self.rounds - 1  # a pass
        takes = ends and (self.round < self.rounds or not self.one_per_frame)
        if now < self.idle_until or (first and not self.fresh) or (takes and not self.credits):
            return False
        self.fresh -= first
        self.kept -= last
        self.credits -= takes
        if ends and (last or not self.one_per_frame):
            self.due.append(now + self.latency)
        self.at = 0 if last_step else self.at + 1
        if last_step:
            self.round = 0 if last else self.round + 1
        elif not first and not last:
            # Steps between the first and the last one of a middle round change nothing outside.
            self.idle_until = now + self.steps - self.at
            self.at = self.steps - 1
        return True

    def event(self, now: int) -> int | None:
        """When the next result reaches the FIFO, or the next step is due."""
        due = super().event(now)
        if now >= self.idle_until:
            return due
        return self.idle_until if due is None else min(due, self.idle_until)

    def state(self, now: int) -> Hashable:
        """The gate's state and the head's."""
        idle = max(0, self.idle_until - now)
        return super().state(now), self.kept, self.fresh, self.at, self.round, idle


def machines(stages: Sequence[Stage]) -> list[Machine]:
    """The machines of a circuit's stages, in order; ``axis_out`` holds nothing and has none."""
    made: list[Machine] = []
    for stage in stages:
        if isinstance(stage, AxisIn):
            made.append(AxisInMachine(stage))
        elif isinstance(stage, Up):
            made.append(UpMachine(stage))
        elif isinstance(stage, Down):
            made.append(DownMachine(stage))
        elif isinstance(stage, Segment):
            made.append(FoldedMachine(stage) if stage.head else GateMachine(stage))
        else:
            assert isinstance(stage, AxisOut), "every stage has a machine"
    return made
