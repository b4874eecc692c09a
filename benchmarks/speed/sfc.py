"""SFC images a second by every way of computing it, and the distance from the machine's limit.

usage: python -m benchmarks.speed sfc [--rounds N] [--seconds S] [--only simulators,torch,...]

Writes ``benchmarks/results/simulators.json`` and the table beside it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import harness, limit
from benchmarks.harness import describe, race
from benchmarks.speed.instrumented import Instrumented
from benchmarks.speed.networks import SFC_MACS, bits, sfc
from benchmarks.speed.ways import SFC
from hwbnn.graph import Graph
from hwbnn.graph.bits import pack_words
from hwbnn.simulators import fast

RESULTS = Path(__file__).parent.parent / "results"
TURNS = 5
"""How often the limit and the network are measured, one behind the other."""
KINDS = tuple(dict.fromkeys(way.kind for way in SFC))


def main() -> None:
    """Measure, print, write."""
    given = harness.arguments(__doc__, KINDS, RESULTS)
    machine = describe()
    graph, which = sfc()
    with tempfile.TemporaryDirectory(prefix="hwbnn-bench-") as scratch:
        chosen = [way for way in SFC if way.kind in given.only.split(",")]
        x = bits(max(way.most for way in chosen))
        entries = [way.contender(graph, x, Path(scratch)) for way in chosen]
        race(entries, given.rounds, given.seconds)
    found = {
        "what": f"SFC 784-256-256-256-10, {SFC_MACS:,} multiply-accumulates an image; {which}",
        "digest": graph.digest,
        "machine": {**machine, "load_after": describe()["load_before"]},
        "rounds": given.rounds,
        "images_per_second": [harness.entry(c) for c in entries],
        "limit": distance(graph, Instrumented(graph)),
    }
    table = _table(found)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "simulators.json").write_text(json.dumps(found, indent=2) + "\n")
    (given.out / "simulators.md").write_text(table)
    print(table)


def distance(graph: Graph, network: Instrumented) -> dict[str, Any]:
    """Achieved and possible multiply-accumulates in a second of one core.

    Args:
        graph: SFC.
        network: the same, compiled; what is measured.
    """
    x = bits(8 * fast.SAMPLES)
    words = pack_words(x)
    ways = {
        "whole network from packed words": lambda: network.run_words(words, 1),
        "whole network from bool arrays": lambda: network.run(x, 1),
    }
    hertz, possible = limit.clock_hz(), 0.0
    seconds = dict.fromkeys(ways, float("inf"))
    # In turn, so that a machine that is busy for a while is so for the limit as well.
    for _ in range(TURNS):
        possible = max(possible, limit.macs_per_second())
        for name, way in ways.items():
            seconds[name] = min(seconds[name], harness.core_seconds(way, 4))
    achieved = {name: SFC_MACS * len(x) / took for name, took in seconds.items()}
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


def _table(found: dict[str, Any]) -> str:
    """The results for people, in Markdown."""
    bound = found["limit"]
    lines = [
        *harness.heading(found),
        "",
        *harness.ways(found["images_per_second"]),
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
