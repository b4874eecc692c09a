"""Comparison of measured cycles with those that the token model predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hwbnn.estimate import Cycles, cycles
from hwbnn.graph.arrays import Ints
from hwbnn.plan import Circuit, circuit
from hwbnn.report import Figure, Prediction
from hwbnn.verification.bench import Record, Stalls
from hwbnn.verification.core import Core
from hwbnn.verification.results import CycleCheck

FRAMES = 64
"""Frames of a run for which the token model is stepped; later frames repeat its last period."""
STEPPED = 200_000
"""About the number of cycles that the model is stepped, unless the circuit settles later."""


@dataclass
class Timing:
    """Compares runs of one core without stalls with the token model.

    A frame's start is the cycle in which its first input beat is taken; its end is the cycle in
    which its last output beat is taken.

    Attributes:
        core: the core.
        frames: the number of frames compared.
        latency: the counted latency in cycles; None before the first run.
        interval: the counted initiation interval in cycles, rounded up; None before a run that is
            long enough.
        first: the first difference from the prediction, in words; None if there is none.
    """

    core: Core
    frames: int = 0
    latency: int | None = None
    interval: int | None = None
    first: str | None = None
    _predicted: dict[int, Cycles] = field(default_factory=dict)

    @cached_property
    def circuit(self) -> Circuit:
        """The core's circuit."""
        return circuit(self.core.graph, self.core.plan)

    @cached_property
    def _settling(self) -> Cycles:
        return cycles(self.circuit)

    @property
    def settled(self) -> int:
        """The number of frames after which the pattern of the starts repeats, plus two."""
        return len(self._settling.starts) + 2

    @property
    def period(self) -> int:
        """The period of that pattern, in frames."""
        assert self._settling.period is not None
        return self._settling.period

    def predicted(self, frames: int) -> Cycles:
        """The prediction of the token model for a run of this number of frames."""
        if frames not in self._predicted:
            self._predicted[frames] = cycles(self.circuit, frames)
        return self._predicted[frames]

    def add(self, record: Record, frames: int) -> None:
        """Compare a run of ``frames`` frames, which were sent back to back and never stalled."""
        self.frames += frames
        if len(record.starts) != frames or len(record.ends) != frames:
            self._breach(f"{frames} frames sent, {len(record.ends)} came out")
            return
        few = max(1, STEPPED // max(1, self.core.interval))
        known = min(frames, max(min(FRAMES, few), self.settled + self.period))
        model = self.predicted(known)
        # Benches may begin in different cycles; align the first start.
        begin = int(record.starts[0]) - model.starts[0]
        starts, ends = record.starts - begin, record.ends - begin
        wanted = tuple(self._continued(cycles, frames) for cycles in (model.starts, model.ends))
        self._breach(_first_breach((starts, ends), (wanted[0], wanted[1])))
        self._compare_stated(starts, ends)
        self._breach(_fuller(record.most, self.core.fifos, settled=frames >= self.settled))

    def _continued(self, cycles: Sequence[int], frames: int) -> Ints:
        """Starts or ends of all frames: the known ones, then their last period repeated."""
        assert self._settling.interval is not None
        known = np.array(cycles, np.int64)
        if len(known) == frames:
            return known
        again, k = np.divmod(np.arange(frames - len(known)), self.period)
        apart = int(self._settling.interval * self.period)
        return np.concatenate([known, known[k - self.period] + (again + 1) * apart])

    def _compare_stated(self, starts: Ints, ends: Ints) -> None:
        """Compare the latency and the interval with those in ``core.json``."""
        if self.latency is None:
            self.latency = int(ends[0] - starts[0])
        if self.latency != self.core.latency:
            self._breach(f"latency: predicted {self.core.latency}, counted {self.latency}")
        if len(starts) < self.settled:
            return
        # If slow input or output returns the credits of two pipelines in bursts, frames start in
        # bursts too. The interval is therefore the mean of a whole period, rounded up.
        taken = int(starts[-1] - starts[-1 - self.period])
        self.interval = -(-taken // self.period)
        if self.interval != self.core.interval:
            self._breach(
                f"interval: predicted {self.core.interval}, counted {taken / self.period:g}"
            )

    def _breach(self, what: str | None) -> None:
        self.first = self.first or what

    def result(self, programs: Sequence[str] = ()) -> CycleCheck:
        """The result of all runs; ``programs`` are the simulators that counted the cycles."""
        source = f"counted by {', '.join(programs)}" if programs else "counted in simulation"
        latency = _prediction(self.core.latency, self.latency, source)
        interval = _prediction(self.core.interval, self.interval, source)
        return CycleCheck(latency, interval, self.frames, self.first, self.circuit, self._settling)


def _prediction(predicted: int, counted: int | None, source: str) -> Prediction:
    return Prediction(
        Figure(predicted, "cycles", "predicted by the token model"),
        None if counted is None else Figure(counted, "cycles", source),
    )


def _fuller(fills: Mapping[str, int], said: Mapping[str, int], *, settled: bool) -> str | None:
    """The first FIFO whose maximum fill is not as predicted, in words; None if there is none.

    The fill may be less than predicted if the core was not yet full (``settled`` is False).
    """
    for name, most in said.items():
        if not (fills[name] == most or (not settled and fills[name] < most)):
            return f"FIFO {name}: predicted at most {most} words, found {fills[name]}"
    return None


def check_stalled(core: Core, record: Record, stalls: Stalls, frames: int) -> str | None:
    """Compare a run under stalls with the token model under the same stalls.

    The run must be one of the C++ bench: its stall patterns begin in the first cycle in which a
    beat can be taken.

    Returns:
        The first difference, in words; None if there is none.
    """
    model = cycles(
        circuit(core.graph, core.plan),
        frames,
        source=lambda now: bool(stalls.source[now % len(stalls.source)]),
        sink=lambda now: bool(stalls.sink[now % len(stalls.sink)]),
    )
    if len(record.starts) != frames or len(record.ends) != frames:
        return f"{frames} frames sent under stalls, {len(record.ends)} came out"
    wanted = np.array(model.starts), np.array(model.ends)
    breach = _first_breach((record.starts, record.ends), wanted)
    return None if breach is None else f"under stalls: {breach}"


def _first_breach(counted: tuple[Ints, Ints], predicted: tuple[Ints, Ints]) -> str | None:
    """The first start or end, frame by frame, that is not as predicted, in words; None if none."""
    wrong = np.array([c != p for c, p in zip(counted, predicted, strict=True)])
    if not wrong.any():
        return None
    frame = int(np.argmax(wrong.any(axis=0)))
    which = 0 if wrong[0, frame] else 1
    return (
        f"{('start', 'end')[which]} of frame {frame}: predicted cycle "
        f"{predicted[which][frame]}, counted {counted[which][frame]}"
    )
