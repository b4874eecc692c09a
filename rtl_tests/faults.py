"""Faults in generated cores: planting one, and what verification says of it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import NamedTuple

from hwbnn.project import Project
from hwbnn.simulators import simulate
from hwbnn.verification import CycleCheck, cocotb_run, verify
from hwbnn.verification.bench import Stimulus
from hwbnn.verification.results import Difference, compare_batch, first_difference
from hwbnn.verification.timing import Timing


def broken(project, name, pattern, replacement):
    """The project with one change of one file, which must be possible in exactly one place."""
    text, count = re.subn(pattern, replacement, project.text(name))
    assert count == 1, f"{name}: {pattern} is there {count} times"
    return Project(project.target, {**project.files, name: text.encode()})


def failures(project, x, backend="rtl-icarus"):
    """What each result of verification says is wrong: at full rate, and under stalls."""
    found = verify(project, x, backends=[backend])
    assert len(found.backends) == 2
    return [result.failure for result in found.backends]


class Found(NamedTuple):
    """What one run at full rate came to: the first wrong value, rules broken, cycles and fills."""

    difference: Difference | None
    faults: tuple[str, ...]
    cycles: CycleCheck


def at_full_rate(project, x, *, cut=0):
    """One run under Icarus, judged by the parts of verification that judge values and cycles.

    After so many cycles of a first part, if any, which a reset cuts off.
    """
    with tempfile.TemporaryDirectory() as folder:
        simulation = cocotb_run.build(project, Path(folder))
        core = simulation.core
        record = simulation.run(Stimulus.of_frames(core, x, cut=cut))
        expected = simulate(core.graph, x, trace=True)
        difference = first_difference(compare_batch(core.graph, expected, record.values))
        timing = Timing(core)
        timing.add(record, len(x))
        return Found(difference, record.faults, timing.result())


def named(result):
    assert result is not None
    assert result.startswith("rtl"), result
    return re.search(r"node '(\w+)'", result)[1]


def flipped(match):
    """The same text with the lowest bit of its last hexadecimal digit inverted."""
    return match[0][:-1] + f"{int(match[0][-1], 16) ^ 1:x}"
