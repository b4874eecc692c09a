"""LUTs of a layer over inputs of several bits, by each way to sum them, and of its thresholds.

    python -m benchmarks.luts.multibit

A layer of 64 channels over 64 unsigned inputs of 2, 4 and 8 bits, random weights, unrolled and
folded by 8 x 8: its product alone (module ``hwbnn_raw_layer``), and behind it 2^bits - 1 thresholds
a channel, which make a value of as many bits again (``hwbnn_v_levels``), each synthesised by yosys
for Xilinx 7-series without borders and FIFOs. Rows are kept in `results/multibit.json`; a row that
is there with the same sources is not measured again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn.graph import Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Layout, Plan, Unrolled, circuit
from hwbnn.project import Project
from hwbnn.targets.ip import generate
from hwbnn.tools.yosys import synth

RESULTS = Path(__file__).parent.parent / "results" / "multibit.json"
SIZE = 64
BITS = (2, 4, 8)
PRODUCT, THRESHOLDS = "hwbnn_raw_layer", "hwbnn_v_levels"
UNROLLED_BITS = 4
"""Unrolled thresholds of more bits are not synthesised: 8 bits are 16,320 comparators."""


def graph(bits: int) -> Graph:
    """One layer with as many thresholds a channel as keep the width of its inputs."""
    rng = np.random.default_rng(bits)
    x = Input("x", (SIZE,), 0, (1 << bits) - 1)
    dot = Dot("layer", "x", rng.random((SIZE, SIZE)) < 0.5)
    t = Graph((x, dot, Output("y", "layer"))).types["layer"]
    cuts = np.sort(rng.integers(t.low // 3, t.high // 3, (SIZE, (1 << bits) - 1)), axis=1)
    levels = Threshold("levels", "layer", cuts, np.zeros(SIZE, np.bool_))
    return Graph((x, dot, levels, Output("y", "levels")))


def layouts() -> Iterator[Layout]:
    yield Unrolled("bit_planes")
    yield Unrolled("adder_tree")
    yield Folded(8, 8, "bit_planes")
    yield Folded(8, 8, "adder_tree")
    yield Folded(8, 8, "bit_serial")


def samples() -> Iterator[tuple[int, Layout, str]]:
    """What is measured, the quick ones first."""
    for kind in (Folded, Unrolled):
        for bits in BITS:
            yield from ((bits, layout, PRODUCT) for layout in layouts() if isinstance(layout, kind))
            if kind is Folded:
                yield bits, Folded(8, 8), THRESHOLDS
            elif bits <= UNROLLED_BITS:
                yield bits, Unrolled(), THRESHOLDS


def measured(bits: int, layout: Layout, module: str, kept: dict[str, Any]) -> dict[str, Any]:
    """One row; ``kept`` if its sources are the same."""
    plan = Plan({"layer": layout}, input_beat=512, output_beat=512)
    made = graph(bits)
    project = generate(made, plan)
    sources = {name: project.files[name] for name in project.text("files.f").split()}
    digest = Project("rtl", sources).digest
    if kept.get("sources") == digest:
        return kept
    found = synth(sources, module)
    head = circuit(made, plan)
    return {
        "bits": bits,
        "layout": "folded 8 x 8" if isinstance(layout, Folded) else "unrolled",
        "sums": layout.sums,
        "module": module,
        "lut": found.resources.lut,
        "ff": found.resources.ff,
        "bram18": found.resources.bram18,
        "bram36": found.resources.bram36,
        "cycles_a_frame": max(segment.interval for segment in head.pipelines),
        "tool": f"{found.tool} {found.command}",
        "sources": digest,
    }


def key(row: dict[str, Any]) -> str:
    return f"{row['bits']} {row['layout']} {row['sums']} {row['module']}"


def main() -> None:
    """Measure what changed."""
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    kept = {key(row): row for row in before}
    rows = []
    for bits, layout, module in samples():
        name = "folded 8 x 8" if isinstance(layout, Folded) else "unrolled"
        row = measured(bits, layout, module, kept.get(f"{bits} {name} {layout.sums} {module}", {}))
        rows.append(row)
        # What is still to come keeps its old row, in case this is interrupted.
        later = [row for name, row in kept.items() if name not in map(key, rows)]
        RESULTS.write_text(json.dumps([*rows, *later], indent=1) + "\n")
        sys.stdout.write(f"{key(row)}: {row['lut']} LUT, {row['ff']} FF\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
