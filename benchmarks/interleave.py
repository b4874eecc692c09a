"""Contenders measured in turn, round after round: a busy machine is then busy for all of them."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

Run = Callable[[int], float | None]
"""Computes this many samples; returns the seconds that count, or None for all of the call's."""


@dataclass
class Contender:
    """One way of computing the network.

    Attributes:
        name: as the table shows it.
        run: see :data:`Run`.
        most: samples that it can be given at once.
        note: what a reader of the table must know.
        samples: how many it is given in each round, found by :func:`calibrate`.
        seconds: what each round took.
        core_seconds: what each round took of the cores, all threads and programs together.
    """

    name: str
    run: Run
    most: int
    note: str = ""
    samples: int = 0
    seconds: list[float] = field(default_factory=list)
    core_seconds: list[float] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Samples a second in each round."""
        return [self.samples / s for s in self.seconds]

    @property
    def rate(self) -> float:
        """Samples a second, the median of the rounds."""
        return median(self.rates)

    @property
    def core_rate(self) -> float:
        """Samples in a second of one core, the best of the rounds.

        Unlike the rate it hardly depends on what else the machine does.
        """
        return max(self.samples / s for s in self.core_seconds)


def timed(contender: Contender, samples: int) -> float:
    """Seconds that the samples take."""
    begin = time.perf_counter()
    own = contender.run(samples)
    return own if own is not None else time.perf_counter() - begin


def calibrate(contender: Contender, seconds: float) -> None:
    """Choose how many samples make a round of about this length; compiles what is compiled."""
    samples = min(16, contender.most)
    timed(contender, samples)
    while (took := timed(contender, samples)) < seconds / 2 and samples < contender.most:
        samples = min(contender.most, int(samples * min(16, 1 + seconds / max(took, 1e-9))))
    contender.samples = samples


def race(contenders: Sequence[Contender], rounds: int, seconds: float) -> None:
    """Measure all of them in turn ``rounds`` times; their order alternates."""
    for contender in contenders:
        calibrate(contender, seconds)
    for number in range(rounds):
        for contender in contenders[:: -1 if number % 2 else 1]:
            before = _core_seconds()
            contender.seconds.append(timed(contender, contender.samples))
            contender.core_seconds.append(_core_seconds() - before)


def _core_seconds() -> float:
    """Time that this program and those that it ran have had on cores."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
