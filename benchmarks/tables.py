"""What the tables of speed have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.interleave import Contender


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
