"""SFC images a second by every way of computing it, and the distance from the machine's limit.

usage: python -m benchmarks.simulators [--rounds N] [--seconds S] [--only simulators,torch,...]

Writes ``benchmarks/results/simulators.json`` and the table beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import contenders, limit
from benchmarks.interleave import Contender, race
from benchmarks.machine import describe
from benchmarks.networks import MACS, images, sfc
from hwbnn.graph import Graph
from hwbnn.graph.bits import pack_words
from hwbnn.plan import Plan
from hwbnn.simulate import fast

RESULTS = Path(__file__).parent / "results"
KINDS: dict[str, Callable[[Graph, Path], list[Contender]]] = {
    "simulators": lambda graph, folder: contenders.simulators(graph),
    "torch": lambda graph, folder: contenders.torches(graph),
    "hls": contenders.our_hls,
    "hls4ml": contenders.their_hls,
    "rtl": lambda graph, folder: contenders.our_rtl(
        graph, folder, {"unrolled": Plan(input_beat=784), "folded": contenders.folded(graph)}
    ),
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each way")
    parser.add_argument("--seconds", type=float, default=0.5, help="about what one turn takes")
    parser.add_argument("--only", default=",".join(KINDS), help="kinds of ways, by commas")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    machine = describe()
    graph, which = sfc()
    with tempfile.TemporaryDirectory(prefix="hwbnn-bench-") as scratch:
        entries = [c for kind in given.only.split(",") for c in KINDS[kind](graph, Path(scratch))]
        race(entries, given.rounds, given.seconds)
    found = {
        "what": f"SFC 784-256-256-256-10, {MACS:,} multiply-accumulates an image; {which}",
        "digest": graph.digest,
        "machine": {**machine, "load_after": describe()["load_before"]},
        "rounds": given.rounds,
        "images_per_second": [_entry(c) for c in entries],
        "limit": _distance(graph),
    }
    table = _table(found)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "simulators.json").write_text(json.dumps(found, indent=2) + "\n")
    (given.out / "simulators.md").write_text(table)
    print(table)


def _entry(c: Contender) -> dict[str, Any]:
    rates = sorted(c.rates)
    return {
        "name": c.name,
        "median": round(c.rate),
        "lowest": round(rates[0]),
        "highest": round(rates[-1]),
        "a_core_second": round(c.core_rate),
        "images_a_turn": c.samples,
        "note": c.note,
    }


def _distance(graph: Graph) -> dict[str, Any]:
    """Achieved and possible multiply-accumulates in a second of one core."""
    hertz, possible = limit.clock_hz(), limit.macs_per_second()
    x = images(20 * fast.SAMPLES)
    words, network = pack_words(x), fast.compiled(graph)
    ways = {
        "whole network from packed words": lambda: network.run_words(words, 1),
        "whole network from bool arrays": lambda: network.run(x, 1),
    }
    achieved = {name: MACS * len(x) / _core_seconds(way) for name, way in ways.items()}
    return {
        "clock_ghz": round(hertz / 1e9, 2),
        "limit_gmacs": round(possible / 1e9),
        "limit_macs_per_cycle": round(possible / hertz),
        "achieved": {
            name: {
                "gmacs": round(rate / 1e9),
                "macs_per_cycle": round(rate / hertz),
                "of_limit": round(rate / possible, 3),
                "of_512_a_cycle": round(rate / hertz / 512, 3),
            }
            for name, rate in achieved.items()
        },
    }


def _core_seconds(work: Callable[[], object]) -> float:
    """Seconds on the core, of all threads together, of the quickest of some runs."""
    times = []
    for _ in range(20):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return float(np.min(times))


def _table(found: dict[str, Any]) -> str:
    """The results for people, in Markdown."""
    machine, entries, bound = found["machine"], found["images_per_second"], found["limit"]
    first = entries[0]["a_core_second"]
    lines = [
        f"{found['what']}.",
        f"{machine['cpu']} (family {machine['family']}), {machine['cores']} cores, load "
        f"{machine['load_before']} before and {machine['load_after']} after; "
        + ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
        + f"; median of {found['rounds']} rounds in turn.",
        "",
        "| way | images/s | lowest to highest | images in a core's second | of the first's | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {e['name']} | {e['median']:,} | {e['lowest']:,} to {e['highest']:,} | "
        f"{e['a_core_second']:,} | {e['a_core_second'] / first:.3g} | {e['note']} |"
        for e in entries
    ]
    lines += [
        "",
        f"Limit of one core by XOR, popcount and addition in registers: {bound['limit_gmacs']:,} "
        f"GMAC/s, {bound['limit_macs_per_cycle']} a cycle at {bound['clock_ghz']} GHz "
        "(time on the core, not on the wall).",
        "",
        "| fast simulator, one thread | GMAC/s | MAC/cycle | of the limit | of 512 MAC/cycle |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {a['gmacs']:,} | {a['macs_per_cycle']} | {a['of_limit']:.1%} | "
        f"{a['of_512_a_cycle']:.1%} |"
        for name, a in bound["achieved"].items()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
