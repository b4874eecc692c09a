"""Cycles without stalls, as the solution of equations: when each token of a frame passes.

A circuit whose handshakes never depend on data is a timed event graph, whose stages have equations
(:mod:`hwbnn.estimate.equations`). Their earliest solution is found by raising times until no token
is too early.

Frames either follow those before them as soon as they can (:class:`FrameSequence`), or at a given
interval (:func:`schedule`). If the equations have a solution for an interval, the circuit reaches
it. The solution may need a source that offers tokens later than it could; but in such a system an
earlier token never delays another. No interval can be shorter than the cycles of the busiest stage,
so a schedule of that length is optimal. It also gives the depths that the FIFOs behind forks need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count

import numpy as np

from hwbnn.estimate.equations import (
    Equations,
    Events,
    FoldedEquations,
    ForkEquations,
    GateEquations,
    equations_of,
)
from hwbnn.graph.arrays import Ints
from hwbnn.plan.stages import Fork, Stage

SWEEPS = 64
"""The most sweeps over the stages in the search for a schedule of an interval."""


class System:
    """The equations of a circuit.

    Attributes:
        events: by stream, when its tokens pass; "" is the source.
        equations: stage by stage.
        last: the stream that leaves the circuit.
        moved: tokens whose times were computed, over all sweeps.
    """

    def __init__(self, stages: Sequence[Stage], interval: int | None) -> None:
        self.moved = 0
        self.events = {"": Events(stages[0].source.tokens, interval)}
        for stage in stages:
            for name in stage.outputs:
                self.events[name] = Events(stage.result.tokens, interval)
        self.equations: list[tuple[Stage, Equations]] = []
        for stage in stages:
            kind = equations_of(stage)
            taken = [self.events[name] for name in stage.inputs or ("",)]
            given = [self.events[name] for name in stage.outputs]
            self.equations.append((stage, kind(stage, taken, given, interval)))
        self.last = stages[-1].inputs[0]
        self.everything = list(self.events.values())
        for _, each in self.equations:
            self.everything += [e for e in vars(each).values() if isinstance(e, Events)]

        # In a frame that ends, no token is later than if the stages worked one after the other.
        self.longest = sum(4 * s.interval + getattr(s, "latency", 0) + 8 for s in stages)

    def solve(self, latest: int, sweeps: int | None = None) -> bool:
        """Raise times until all equations hold; False if that does not end.

        Args:
            latest: no token of a solution is later than this.
            sweeps: the most sweeps over the stages; None for any number.
        """
        changed, order = set(self.everything), self.equations
        for sweep in count():
            if not changed:
                return True
            if sweep == sweeps:
                return False
            before, changed = changed, set()
            for _, each in order:
                events = {*each.taken, *each.given}
                if before.isdisjoint(events) and changed.isdisjoint(events):
                    continue
                least = each.solve()
                self.moved += sum(len(one.now) for one in events)
                for ends, bounds in zip((each.taken, each.given), least, strict=True):
                    for one, times in zip(ends, bounds, strict=False):
                        if (times > one.now).any():
                            one.now = one.apart(np.maximum(times, one.now), 1)
                            changed.add(one)
                            if one.now[0] > latest:
                                return False
            order = order[::-1]
        raise AssertionError


class FrameSequence:
    """Successive frames, each as early as possible.

    Attributes:
        starts: when the first input beat of each frame passes.
        ends: when its last output beat passes.
        fills: by stream, the most words in the FIFO that drives it: the FIFOs of pipelines, and of
            the branches of forks.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.system = System(stages, None)
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.fills: dict[str, int] = {}

    def step(self) -> bool:
        """Compute one more frame; False if it never gets through."""
        system = self.system
        if self.starts:
            for events in system.everything:
                events.next_frame()
        begin = self.ends[-1] if self.ends else 0
        if not system.solve(begin + system.longest):
            return False
        self.starts.append(int(system.events[""].now[0]))
        self.ends.append(int(system.events[system.last].now[-1]))
        for stage, each in system.equations:
            if isinstance(each, GateEquations | FoldedEquations):
                self._fill(stage.name, each.arrivals)
            elif isinstance(each, ForkEquations):
                for name in stage.outputs:
                    self._fill(name, each.taken[0].now)
        return True

    def _fill(self, name: str, arrivals: Ints) -> None:
        """Note how full a FIFO becomes with the arrivals of this frame."""
        popped = self.system.events[name]
        counts = np.arange(len(arrivals)) + 1
        for frames in range(popped.reach + 1):
            gone = np.searchsorted(popped.before(frames, popped.now), arrivals, side="right")
            counts = counts - gone + (len(arrivals) if frames else 0)
            if (gone == len(arrivals)).all():
                break
        self.fills[name] = max(self.fills.get(name, 0), int(counts.max()))

    def state(self) -> bytes:
        """The state on which later frames depend, relative to the start of this frame."""
        state = blake2b()
        for events in self.system.everything:
            state.update((events.now - self.starts[-1]).tobytes())
        return state.digest()

    @property
    def reach(self) -> int:
        """How many of the last frames later frames depend on."""
        return max(events.reach for events in self.system.everything)


@dataclass(frozen=True)
class Schedule:
    """When the tokens of a frame pass; those of the next frame pass ``interval`` cycles later.

    Attributes:
        interval: cycles from frame to frame.
        times: by stream, the cycle in which each token of a frame passes; "" is the source.
    """

    interval: int
    times: dict[str, Ints]

    def depths(self, fork: Fork) -> tuple[int, ...]:
        """Words that the FIFO of each branch needs for this schedule; at least 2."""
        pushed = self.times[fork.inputs[0]]
        return tuple(
            max(2, _most(pushed, self.times[name], self.interval)) for name in fork.outputs
        )


def _most(pushed: Ints, popped: Ints, interval: int) -> int:
    """The most words in a FIFO; in each cycle the push is counted before the pop."""
    frames = -(-int((popped - pushed).max()) // interval) + 1
    gone = np.sort((popped - interval * np.arange(frames + 1)[:, None]).ravel())
    before = np.searchsorted(gone, pushed, side="left")
    return int((np.arange(len(pushed)) + frames * len(pushed) - before).max()) + 1


def schedule(
    stages: Sequence[Stage],
    interval: int,
    *,
    free: bool = False,
    moved: Callable[[int], None] | None = None,
) -> Schedule | None:
    """The earliest schedule of an interval, with beats offered evenly; None if none is found.

    Args:
        stages: the stages of a circuit.
        interval: cycles from frame to frame.
        free: whether the FIFOs behind forks hold any number of words, not those of the stages.
        moved: called with the number of tokens whose times were computed: a measure of work that
            is the same on every machine.
    """
    if max(stage.interval for stage in stages) > interval:
        return None
    system = System(stages, interval)
    beats = stages[0].source.tokens
    system.events[""].now = np.arange(beats) * interval // beats
    for _, each in system.equations:
        if free and isinstance(each, ForkEquations):
            each.depths = None
    solved = system.solve(system.longest + len(stages) * interval, SWEEPS)
    if moved is not None:
        moved(system.moved)
    if not solved:
        return None
    return Schedule(interval, {name: events.now for name, events in system.events.items()})
