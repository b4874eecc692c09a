"""Measures what a network costs whose sizes no fold divides, beside one a neuron or so smaller.

    python -m benchmarks.luts.uneven   # synthesises what changed

For each number of cycles the Plans that the search finds for 100-256-128-8 and for 101-257-131-7,
both on pixels, are synthesised for 7-series. Results: `results/luts_uneven.json`.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn.estimate import area, plan_for_ii
from hwbnn.graph import ArgMax, Dot, Graph, Input, Node, Output, Threshold
from hwbnn.plan import circuit
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.tools.yosys import synth

RESULTS = Path(__file__).parents[1] / "results" / "luts_uneven.json"
SIZES = ((100, 256, 128, 8), (101, 257, 131, 7))
INTERVALS = (784, 256, 128, 64, 32, 16)
"""The longest first: these take the least time to synthesise."""


def network(*sizes: int) -> Graph:
    """A chain of binary layers on pixels, with random weights and thresholds."""
    rng = np.random.default_rng(1)
    nodes: list[Node] = [Input.pixels(sizes[0])]
    for i, (n, m) in enumerate(pairwise(sizes)):
        nodes.append(Dot(f"dot{i}", nodes[-1].name, rng.integers(0, 2, (m, n)).astype(np.bool_)))
        if i + 2 < len(sizes):
            spread = 1000 if i == 0 else 8
            cuts = rng.integers(-spread, spread + 1, (m, 1))
            falling = rng.integers(0, 2, m).astype(np.bool_)
            nodes.append(Threshold(f"act{i}", nodes[-1].name, cuts, falling))
    return Graph((*nodes, ArgMax("best", nodes[-1].name), Output("y", "best")))


def read() -> list[dict[str, Any]]:
    """The measurements so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def measure() -> None:
    """Synthesise what was not measured yet, or has other sources than when it was."""
    rows = {(tuple(row["sizes"]), row["interval"]): row for row in read()}
    for interval in INTERVALS:
        for sizes in SIZES:
            graph = network(*sizes)
            plan = plan_for_ii(graph, interval)
            project = generate(graph, "rtl", plan)
            sources = {name: project.files[name] for name in project.text("files.f").split()}
            digest = Project("rtl", sources).digest
            if rows.get((sizes, interval), {}).get("sources") == digest:
                continue
            hardware = circuit(graph, plan)
            made, estimated = synth(sources, "hwbnn_top", "xc7"), area(hardware)
            found = made.resources
            rows[sizes, interval] = {
                "sizes": list(sizes),
                "interval": interval,
                "reached": hardware.interval,
                "sources": digest,
                "tool": f"{made.tool} {made.command}",
                "measured": {
                    "lut": found.lut,
                    "ff": found.ff,
                    "bram18": 2 * found.bram36 + found.bram18,
                },
                "estimated": {
                    "lut": estimated.lut,
                    "ff": estimated.ff,
                    "bram18": 2 * estimated.bram36 + estimated.bram18,
                },
            }
            print(rows[sizes, interval], flush=True)
            RESULTS.write_text(json.dumps(list(rows.values()), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    measure()
