"""Networks on parts: the fastest core that fits, the smallest for a rate, and what is missed.

    python -m benchmarks.parts    # a few minutes; writes results/parts.json

Everything is estimated before synthesis (`hwbnn.estimate`); `scripts/figures` makes the table of
docs/hardware.md of it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from hwbnn.devices import BOARDS
from hwbnn.errors import GoalMissed
from hwbnn.estimate import Goal, plan_for
from hwbnn.estimate.planned import PlannedCore
from hwbnn.graph import Graph, load

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "parts.json"
NETWORKS = ("lenet", "cnv", "sfc", "resnet20_rbnn")
GOALS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("arty-a7-35", {"fps": 1000.0}),
    ("pynq-z2", {"fps": 1000.0}),
    ("pynq-z2", {"fps": 30_000.0}),
    ("pynq-z2", {"latency_ns": 50_000.0}),
    ("zcu104", {"fps": 30_000.0}),
    ("pynq-z2", {}),
    ("zcu104", {}),
)
"""Boards, and the rate or the latency that is wanted there; with neither, the fastest that fits."""
MHZ = 100.0


def measure() -> None:
    """Write a row for each network and goal."""
    rows = []
    for name in NETWORKS:
        graph = load(ROOT / "models" / name / "graph.npz")
        for board, wanted in GOALS:
            rows.append(core(name, graph, board, wanted))
            print(json.dumps(rows[-1]))
            RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")


def core(name: str, graph: Graph, board: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """The core for a goal on a board, or by what the goal is missed."""
    part = BOARDS[board].part
    row: dict[str, Any] = {"network": name, "board": board, "part": part, "mhz": MHZ}
    row["goal"] = wanted
    before = time.process_time()
    try:
        plan = plan_for(graph, Goal(part=part, mhz=MHZ, **wanted))
    except GoalMissed as missed:
        row["missed"] = str(missed)
    else:
        planned = PlannedCore.of(graph, plan)
        assert planned.fit is not None
        row |= planned.facts() | {"size": planned.fit.shares(), "verdict": planned.fit.verdict}
    row["cpu_seconds"] = round(time.process_time() - before, 1)
    return row


if __name__ == "__main__":
    measure()
