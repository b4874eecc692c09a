"""Runs of several methods over the same seeds, compared with a baseline seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, median, stdev

from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Run:
    """What one finished run came to.

    Attributes:
        method: its method.
        seed: its seed.
        accuracy: share of the whole test set that is right after the last epoch.
        cpu_seconds: processor time of training.
    """

    method: str
    seed: int
    accuracy: float
    cpu_seconds: float


@dataclass(frozen=True)
class Row:
    """A method over its seeds, against the baseline over the same ones.

    Attributes:
        method: its name.
        seeds: how many runs it has.
        accuracy: their mean accuracy, 0 to 1.
        lowest: the lowest of them.
        highest: the highest of them.
        pairs: seeds that the baseline has too.
        difference: mean accuracy less that of the baseline over these seeds; None without any.
        half: half of the 95 % interval of the difference, by Student's t; None below two pairs.
        time: processor time over that of the baseline, the median over these seeds.
    """

    method: str
    seeds: int
    accuracy: float
    lowest: float
    highest: float
    pairs: int
    difference: float | None
    half: float | None
    time: float | None

    @property
    def is_below(self) -> bool:
        """Whether the whole interval lies below the baseline."""
        return (
            self.difference is not None
            and self.half is not None
            and (self.difference + self.half < 0)
        )


def half_interval(values: Sequence[float]) -> float | None:
    """Half of the 95 % interval of the values' mean, by Student's t; None below two values."""
    n = len(values)
    if n < 2:
        return None
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * stdev(values) / sqrt(n)


def rows(runs: Sequence[Run], baseline: str) -> list[Row]:
    """A row for each method, in the order in which they come.

    Args:
        runs: each method and seed once.
        baseline: the method that the others are compared with.
    """
    by_method: dict[str, dict[int, Run]] = {}
    for run in runs:
        by_method.setdefault(run.method, {})[run.seed] = run
    base = by_method.get(baseline, {})
    return [_row(method, found, base) for method, found in by_method.items()]


def _row(method: str, found: Mapping[int, Run], base: Mapping[int, Run]) -> Row:
    accuracies = [run.accuracy for run in found.values()]
    shared = sorted(found.keys() & base.keys())
    differences = [found[s].accuracy - base[s].accuracy for s in shared]
    times = [found[s].cpu_seconds / base[s].cpu_seconds for s in shared]
    return Row(
        method=method,
        seeds=len(found),
        accuracy=mean(accuracies),
        lowest=min(accuracies),
        highest=max(accuracies),
        pairs=len(shared),
        difference=mean(differences) if shared else None,
        half=half_interval(differences),
        time=median(times) if shared else None,
    )
