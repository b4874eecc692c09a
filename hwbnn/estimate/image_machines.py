"""State machines of the stages of images, and of values with several readers."""

from __future__ import annotations

from collections.abc import Hashable

from hwbnn.estimate.machine import Machine, Wires
from hwbnn.plan.images import Fork, Join, Window, WindowUnrolled


class WindowMachine(Machine):
    """``window``: tokens written and the next tap; a register for the tap that is offered."""

    def __init__(self, stage: Window, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.taps: list[int] = stage.taps.tolist()
        self.origins: list[int] = stage.origins.tolist()
        self.slots, self.total = stage.slots, stage.source.tokens
        self.size = len(self.taps) // (len(self.origins) - 1)  # taps of a window
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
        """Whether the next tap has been written, or lies outside of an image that has begun."""
        if self.tap == 0:
            return self.written > max(0, self.taps[0])
        return self.taps[self.tap] < 0 or self.taps[self.tap] < self.written

    def filled(self) -> None:
        """What it offers, and how many tokens it keeps from the window's origin on."""
        fill = self.written - self.origins[self.tap // self.size]
        self.held(fill)
        self.offer(valid=self.valid, ready=fill < self.slots)

    def state(self, now: int) -> Hashable:
        """The registers."""
        return self.tap, self.written, self.valid


class WindowUnrolledMachine(Machine):
    """``window_unrolled``: its FIFO of two, its place in the grid, a register for the window."""

    def __init__(self, stage: WindowUnrolled, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.inside, self.ends = (places.tolist() for places in stage.grid)
        self.place = self.fill = 0
        self.valid = False

    def step(self, now: int) -> int | None:
        """A pixel in, a place passed, a window out."""
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
        """Whether the next place's pixel waits, or it lies outside in a walk that has begun."""
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


class JoinMachine(Machine):
    """``add``: a FIFO of two for each stream, and a register for the sum."""

    def __init__(self, stage: Join, wires: Wires) -> None:
        super().__init__(stage, wires)
        self.repeat = max(1, stage.repeat)
        self.count = 0  # tokens of the first that have met the one at hand of the other
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
        """Whether there is a token of each."""
        return self.fills[0] > 0 and self.fills[1] > 0

    def state(self, now: int) -> Hashable:
        """The registers."""
        return *self.fills, self.count, self.valid
