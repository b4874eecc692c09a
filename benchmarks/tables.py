"""What the benchmarks' tables have in common."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.interleave import Contender


def arguments(about: str, kinds: Iterable[str], results: Path) -> argparse.Namespace:
    """What the command line says: how long to measure, which kinds of ways, where to write."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each way")
    parser.add_argument("--seconds", type=float, default=0.5, help="about what one turn takes")
    parser.add_argument("--only", default=",".join(kinds), help="kinds of ways, by commas")
    parser.add_argument("--out", type=Path, default=results, help="folder of the results")
    return parser.parse_args()


def entry(c: Contender) -> dict[str, Any]:
    """What the results keep of a contender."""
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
    """A rate as a whole number, a small one with two digits behind the point."""
    return round(rate) if rate >= 100 else round(rate, 2)


def core_seconds(work: Callable[[], object], times: int = 20) -> float:
    """Seconds on the core, of all threads together, of the quickest of some runs."""
    found = []
    for _ in range(times):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def heading(found: dict[str, Any]) -> Iterator[str]:
    """What was measured, and on what."""
    machine = found["machine"]
    yield f"{found['what']}."
    yield (
        f"{machine['cpu']} (family {machine['family']}), {machine['cores']} cores, load "
        f"{machine['load_before']} before and {machine['load_after']} after; "
        + ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
        + f"; median of {found['rounds']} rounds in turn."
    )


def ways(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The table of images a second."""
    first = entries[0]["a_core_second"]
    yield "| way | images/s | lowest to highest | images in a core's second | of the first's | |"
    yield "|---|---:|---:|---:|---:|---|"
    for e in entries:
        yield (
            f"| {e['name']} | {e['median']:,} | {e['lowest']:,} to {e['highest']:,} | "
            f"{e['a_core_second']:,} | {e['a_core_second'] / first:.3g} | {e['note']} |"
        )


def is_due(key: str, names: Sequence[str], kept: Container[str], *others: str) -> bool:
    """Whether a case is measured, which is then told: if it is named, or if none is and it is new.

    Args:
        key: the case, by which it may be named.
        names: those that are named.
        kept: cases that there are results of.
        others: what else it may be named by, for several cases.
    """
    due = not {key, *others}.isdisjoint(names) if names else key not in kept
    if due:
        print(key, flush=True)
    return due
