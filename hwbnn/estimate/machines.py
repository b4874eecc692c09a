"""Cycles under stalls: state machines of the modules that hold tokens, without data."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

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


class Wires:
    """The handshakes of all streams of a circuit, by number.

    Attributes:
        numbers: by name, the number of each stream; 0 is the one that enters the circuit.
        valid: by number, whether the driver offers a token in this cycle.
        ready: by number, whether the reader can take a token.
        passed: by number, whether a token passes.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        names = ["", *(name for stage in stages for name in stage.outputs)]
        self.numbers = {name: i for i, name in enumerate(names)}
        self.valid = [False] * len(names)
        self.ready = [False] * len(names)
        self.passed = [False] * len(names)


class Machine:
    """The state machine of one stage: how it drives its wires, and how a cycle changes it.

    Its wires in a cycle depend on its registers alone, as in the hardware.

    Attributes:
        stage: the stage.
        inputs: numbers of the streams that it takes.
        outputs: numbers of the streams that it drives.
        most: the most tokens that it held at each output.
    """

    def __init__(self, stage: Stage, wires: Wires) -> None:
        self.stage = stage
        self.wires = wires
        self.inputs = [wires.numbers[name] for name in stage.inputs or ("",)]
        self.outputs = [wires.numbers[name] for name in stage.outputs]
        self.taken, self.given = self.inputs[0], self.outputs[0]
        self.most = [0] * len(self.outputs)
        for number in self.inputs:
            wires.ready[number] = True

    def step(self, now: int) -> int | None:
        """Simulate one cycle.

        It must be called in each cycle in which a token passes on one of its streams, and in the
        cycles that it returned.

        Returns:
            The next cycle in which it will move by itself if no token passes before; None if there
            is no such cycle.
        """
        raise NotImplementedError

    def state(self, now: int) -> Hashable:
        """The state on which all later cycles depend, relative to ``now``."""
        raise NotImplementedError

    def offer(self, *, valid: bool, ready: bool) -> None:
        """Set the wires of a machine with one input and one output stream."""
        self.wires.valid[self.given] = valid
        self.wires.ready[self.taken] = ready

    def held(self, tokens: int, output: int = 0) -> None:
        """Note how many tokens it holds at an output."""
        if tokens > self.most[output]:
            self.most[output] = tokens


class AxisInMachine(Machine):
    """``axis_in`` while all packets have the right length: its FIFO of two tokens."""

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


class WidenMachine(Machine):
    """``stream_up``: its narrow tokens, is the wide token complete, is one kept aside?"""

    def __init__(self, stage: Widen, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.ratio, self.tokens = stage.ratio, stage.tokens
        self.count = 0  # narrow tokens of this frame that are in wide ones
        self.full = self.aside = False

    def step(self, now: int) -> int | None:
        """A narrow token in, a wide token out."""
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


class NarrowMachine(Machine):
    """``stream_down``: narrow tokens left to give, and the place of the next wide token."""

    def __init__(self, stage: Narrow, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.ratio, self.tokens = stage.ratio, stage.tokens
        self.count = 0  # narrow tokens of this frame that have been taken in wide ones
        self.left = 0

    def step(self, now: int) -> None:
        """A wide token in, a narrow token out."""
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
    """``credit_gate``, a pipeline as a list of cycles in which results leave, ``credit_fifo``."""

    def __init__(self, stage: Pipeline, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.credits = stage.credits
        self.latency = stage.latency
        self.tokens_per_result = stage.tokens_per_result
        self.count = 0  # tokens of this result that have entered
        self.due: deque[int] = deque()
        self.fill = 0

    def step(self, now: int) -> int | None:
        """A token into the pipeline, a result into the FIFO, a result out of it."""
        if self.wires.passed[self.taken]:
            self.credits -= self.count == 0
            self.count = (self.count + 1) % self.tokens_per_result
            if self.count == 0:
                self.due.append(now + self.latency)
        self.arrive(now)
        self.offer(valid=self.fill > 0, ready=self.count != 0 or self.credits > 0)
        return self.due[0] if self.due else None

    def arrive(self, now: int) -> None:
        """Move a result from the pipeline into the FIFO, and one out of it."""
        arrived = bool(self.due) and self.due[0] == now
        if arrived:
            self.due.popleft()
        pop = self.wires.passed[self.given]
        self.fill += arrived - pop
        self.credits += pop
        self.held(self.fill)

    def state(self, now: int) -> Hashable:
        """Counters, and the cycles until each result leaves the pipeline."""
        return self.count, self.credits, self.fill, tuple(t - now for t in self.due)


class FoldedMachine(GateMachine):
    """``dot_folded`` at the head of a pipeline: buffered tokens, step and pass, credits."""

    def __init__(self, stage: Pipeline, wires: Wires) -> None:
        super().__init__(stage, wires)
        head = stage.head
        assert head is not None
        self.steps, self.rounds, self.buffer_tokens = head.steps, head.rounds, head.buffer_tokens
        self.last_round = head.passes * head.rounds - 1
        self.one_per_frame = stage.reduces
        self.kept = self.fresh = 0  # tokens kept, and those of them that no pass has read
        self.at = self.round = 0  # step, and round over the tokens, through all passes
        self.idle_until = 0  # rounds that take and free no tokens are simulated at once

    def step(self, now: int) -> int | None:
        """A token into the buffer, a step of a pass, a result into the FIFO, a result out of it."""
        if now >= self.idle_until and self.can_read():
            self.read(now)
        if self.wires.passed[self.taken]:
            self.kept += 1
            self.fresh += 1
        self.arrive(now)
        self.offer(valid=self.fill > 0, ready=self.kept < self.buffer_tokens)
        due = self.due[0] if self.due else None
        if not self.can_read():
            return due
        following = max(now + 1, self.idle_until)
        return following if due is None or due > following else due

    def can_read(self) -> bool:
        """Whether there is a token to read, and a credit if this step takes one."""
        if self.round == 0 and not self.fresh:
            return False
        return self.credits > 0 or self.at < self.steps - 1 or not self.takes()

    def takes(self) -> bool:
        """Whether the last step of this round takes a credit."""
        ends = self.round % self.rounds == self.rounds - 1
        return ends and (self.round < self.rounds or not self.one_per_frame)

    def read(self, now: int) -> None:
        """Simulate one step of a pass."""
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


class WindowMachine(Machine):
    """``window``: tokens written and the next tap; a register for the tap that is offered."""

    def __init__(self, stage: SlidingWindow, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.taps: list[int] = stage.taps.tolist()
        self.first_kept: list[int] = stage.kept.tolist()
        self.buffer_tokens, self.total = stage.buffer_tokens, stage.source.tokens
        self.size = len(self.taps) // (len(self.first_kept) - 1)  # taps of a window
        self.tap = 0  # the next one
        self.written = 0  # tokens since the image of that tap began
        self.valid = False
        self.filled()

    def step(self, now: int) -> int | None:
        """A token in, a tap out."""
        pop = self.wires.passed[self.given]
        go = (not self.valid or pop) and self.there()
        self.valid = go or (self.valid and not pop)
        self.written += self.wires.passed[self.taken]
        if go:
            self.tap += 1
            if self.tap == len(self.taps):
                self.tap = 0
                self.written -= self.total
        self.filled()
        return now + 1 if not self.valid and self.there() else None

    def there(self) -> bool:
        """Whether the next tap has been written, or is outside an image that has begun."""
        if self.tap == 0:
            return self.written > max(0, self.taps[0])
        return self.taps[self.tap] < 0 or self.taps[self.tap] < self.written

    def filled(self) -> None:
        """Set its wires, and note how many tokens it keeps."""
        fill = self.written - self.first_kept[self.tap // self.size]
        self.held(fill)
        self.offer(valid=self.valid, ready=fill < self.buffer_tokens)

    def state(self, now: int) -> Hashable:
        """The registers."""
        return self.tap, self.written, self.valid


class WindowUnrolledMachine(Machine):
    """``window_unrolled``: its FIFO of two tokens, its position, a register for the window."""

    def __init__(self, stage: WindowUnrolled, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.inside, self.ends = (places.tolist() for places in stage.grid)
        self.place = self.fill = 0
        self.valid = False

    def step(self, now: int) -> int | None:
        """A pixel in, a position passed, a window out."""
        pop = self.wires.passed[self.given]
        go = (not self.valid or pop) and self.there()
        self.fill += self.wires.passed[self.taken]
        self.valid = (go and self.ends[self.place]) or (self.valid and not pop)
        if go:
            self.fill -= self.inside[self.place]
            self.place = (self.place + 1) % len(self.inside)
        self.held(self.fill)
        self.offer(valid=self.valid, ready=self.fill < 2)
        return now + 1 if not self.valid and self.there() else None

    def there(self) -> bool:
        """Whether the next position's pixel waits, or it is outside an image that has begun."""
        return self.fill > 0 or not (self.inside[self.place] or self.place == 0)

    def state(self, now: int) -> Hashable:
        """The registers."""
        return self.place, self.fill, self.valid


class ForkMachine(Machine):
    """``fork``: the fill of each branch."""

    def __init__(self, stage: Fork, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.depths = stage.depths
        self.fills = [0] * len(stage.depths)

    def step(self, now: int) -> None:
        """A token into all branches, one out of each."""
        wires = self.wires
        push, room = wires.passed[self.taken], True
        for branch, number in enumerate(self.outputs):
            fill = self.fills[branch] + push - wires.passed[number]
            self.fills[branch] = fill
            self.held(fill, branch)
            wires.valid[number] = fill > 0
            room = room and fill < self.depths[branch]
        wires.ready[self.taken] = room

    def state(self, now: int) -> Hashable:
        """The fills."""
        return tuple(self.fills)


class AddStreamsMachine(Machine):
    """``add``: a FIFO of two for each stream, and a register for the sum."""

    def __init__(self, stage: AddStreams, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.repeat = max(1, stage.repeat)
        self.count = 0  # tokens of the first stream that were added to the current one of the other
        self.fills = [0, 0]
        self.valid = False

    def step(self, now: int) -> int | None:
        """A token of either in, a sum out."""
        wires, fills = self.wires, self.fills
        pop = wires.passed[self.given]
        go = (not self.valid or pop) and self.there()
        self.valid = go or (self.valid and not pop)
        if go:
            fills[0] -= 1
            self.count = (self.count + 1) % self.repeat
            fills[1] -= self.count == 0
        wires.valid[self.given] = self.valid
        for branch, number in enumerate(self.inputs):
            fills[branch] += wires.passed[number]
            wires.ready[number] = fills[branch] < 2
        return now + 1 if not self.valid and self.there() else None

    def there(self) -> bool:
        """Whether there is a token of each stream."""
        return self.fills[0] > 0 and self.fills[1] > 0

    def state(self, now: int) -> Hashable:
        """The registers."""
        return *self.fills, self.count, self.valid


def machines(stages: Sequence[Stage], wires: Wires) -> list[Machine]:
    """The machines of a circuit's stages, in order; ``axis_out`` holds nothing and has none."""
    every: list[Machine] = []
    for stage in stages:
        if isinstance(stage, Pipeline):
            every.append((FoldedMachine if stage.head else GateMachine)(stage, wires))
        elif not isinstance(stage, AxisOut):
            every.append(_KINDS[type(stage)](stage, wires))
    return every


_KINDS: dict[type[Stage], type[Machine]] = {
    AxisIn: AxisInMachine,
    Widen: WidenMachine,
    Narrow: NarrowMachine,
    SlidingWindow: WindowMachine,
    WindowUnrolled: WindowUnrolledMachine,
    Fork: ForkMachine,
    AddStreams: AddStreamsMachine,
}
