"""LUTs and multipliers of layers with integer weights.

    python -m benchmarks.luts.integers density  # unrolled netlists, by the share of weights not 0
    python -m benchmarks.luts.integers layers   # cores, synthesised, beside what is estimated
    python -m benchmarks.luts.integers folded   # an int8 layer of 256 x 256, its cycles counted
    python -m benchmarks.luts.integers table

Weights are random: ternary, or of 8 bits, of which a share is kept and the others are 0. `density`
counts the LUTs of the netlist of a layer of 256 neurons over 256 bits, thresholds in the middle
included, and proves the netlist for all inputs. Rows are kept in `results/luts_integers.json`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn.estimate import area, cycles
from hwbnn.graph import Dot, Graph, Input, Output, Threshold
from hwbnn.graph.arrays import Ints
from hwbnn.netlists import prove_thresholds, thresholds
from hwbnn.netlists.digits import Digits
from hwbnn.plan import Folded, Layout, Plan, Unrolled, circuit
from hwbnn.targets import generate
from hwbnn.tools.yosys import synth
from hwbnn.verification import verify

RESULTS = Path(__file__).parent.parent / "results" / "luts_integers.json"
SIZE = 256
DENSITIES = (100, 50, 25, 10, 5)
"""Weights that are not 0, in percent."""
FRAMES = 40
Row = dict[str, Any]


def weights(kind: str, density: int, outputs: int, inputs: int, seed: int = 1) -> Ints:
    """Random weights: ``ternary``, or ``int4``, ``int8`` and so on, symmetric around 0."""
    rng = np.random.default_rng(seed)
    most = 1 if kind == "ternary" else (1 << int(kind.removeprefix("int")) - 1) - 1
    size = rng.integers(1, most + 1, (outputs, inputs))
    sign = rng.choice((-1, 1), size.shape)
    return np.where(rng.random(size.shape) < density / 100, size * sign, 0).astype(np.int64)


def density() -> None:
    """Netlists of layers, by the share of weights that are not 0."""
    for kind in ("ternary", "int8"):
        for share in DENSITIES:
            key = {"group": "density", "kind": kind, "density": share, "size": SIZE}
            if known(key):
                continue
            start = time.perf_counter()
            own = weights(kind, share, SIZE, SIZE)
            digits = Digits.of(own)
            wanted = (digits.weights.sum(axis=1) // 2) + digits.minus.sum(axis=1)
            made = thresholds(own, wanted)
            prove_thresholds(made, own, wanted)
            seconds = round(time.perf_counter() - start, 1)
            keep(key, {"lut": made.luts, "levels": max(made.logic_depths()), "seconds": seconds})


def network(kind: str, x: str, outputs: int, inputs: int, density: int = 100) -> Graph:
    """One layer and thresholds in the middle of its range."""
    node = Input.bits(inputs) if x == "bits" else Input("x", (inputs,), *RANGES[x])
    dot = Dot("layer", node.name, weights(kind, density, outputs, inputs))
    t = Graph((node, dot, Output("y", "layer"))).types["layer"]
    cuts = np.full((outputs, 1), (t.low + t.high) // 2)
    fires = Threshold("fires", "layer", cuts, np.zeros(outputs, np.bool_))
    return Graph((node, dot, fires, Output("y", "fires")))


RANGES = {"int8": (-128, 127), "uint8": (0, 255), "uint4": (0, 15), "int4": (-8, 7)}


def cores() -> Iterator[tuple[tuple[str, str, int, int, int], Layout]]:
    """Layers that are synthesised: kind of weights and inputs, outputs, inputs, density; layout."""
    for kind, x in (("ternary", "bits"), ("int4", "bits"), ("ternary", "uint4"), ("int4", "uint4")):
        yield (kind, x, 16, 48, 100), Unrolled()
        yield (kind, x, 16, 48, 25), Unrolled()
    yield ("int4", "uint4", 16, 48, 100), Unrolled("adder_tree")
    for kind, x in (("ternary", "bits"), ("int8", "bits"), ("ternary", "uint4")):
        yield (kind, x, 64, 96, 100), Folded(8, 24)
    for kind, x in (("int8", "int8"), ("int4", "uint4")):
        yield (kind, x, 32, 64, 100), Folded(4, 8, multipliers="luts")
        yield (kind, x, 32, 64, 100), Folded(4, 8, "adder_tree", "luts")
        yield (kind, x, 32, 64, 100), Folded(4, 8, "bit_serial")
        yield (kind, x, 32, 64, 100), Folded(4, 8, multipliers="dsp")


def layers() -> None:
    """Cores of one layer by yosys, and what is estimated."""
    for made, layout in cores():
        name = asdict(layout) | {"layout": type(layout).__name__}
        key = {"group": "layer", "layer": list(made), **name}
        if not known(key):
            keep(key, measured(network(*made), Plan(default=layout, input_beat=64)))


def folded() -> None:
    """An int8 layer, folded, for both kinds of multipliers; cycles predicted and counted."""
    graph = network("int8", "int8", SIZE, SIZE)
    for multipliers in ("dsp", "luts"):
        layout = Folded(4, 16, multipliers=multipliers)
        key = {"group": "folded", **asdict(layout), "size": SIZE}
        if known(key):
            continue
        plan = Plan(default=layout, input_beat=128)
        x = np.random.default_rng(1).integers(-128, 128, (FRAMES, SIZE))
        project = generate(graph, "rtl", plan)
        found = verify(project, x, backends=["fast", "rtl"]).raise_for_mismatch()
        run = found.backends[1].cycles
        counted: dict[str, object] = {"frames": FRAMES}
        for name, held in (("interval", run.interval), ("latency", run.latency)):
            counted |= {name: held.predicted.value, f"counted {name}": held.measured.value}
        keep(key, measured(graph, plan) | {name: str(value) for name, value in counted.items()})


def measured(graph: Graph, plan: Plan) -> Row:
    """What yosys makes of a core, and what was foreseen."""
    made = circuit(graph, plan)
    foreseen, seen = area(made), cycles(made)
    sources = generate(graph, "rtl", plan).files
    synthesis = synth({n: t for n, t in sources.items() if n.startswith("rtl/")}, "hwbnn_top")
    found = synthesis.resources
    kinds = ("lut", "ff", "bram18", "bram36", "dsp")
    return {
        "tool": f"{synthesis.tool} {synthesis.command}",
        "seconds": round(synthesis.seconds, 1),
        "measured": {kind: getattr(found, kind) for kind in kinds},
        "estimated": {kind: getattr(foreseen, kind) for kind in kinds},
        "cycles": str(seen.interval),
    }


def read() -> list[Row]:
    """The measurements so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def known(key: Row) -> bool:
    """Whether a row is there."""
    return any(row["key"] == key for row in read())


def keep(key: Row, found: Row) -> None:
    """Add a row."""
    rows = [*read(), {"key": key, **found}]
    RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    print(json.dumps(rows[-1]), flush=True)


def table() -> None:
    """Print what was measured."""
    for row in read():
        print(json.dumps(row, sort_keys=True))


if __name__ == "__main__":
    actions = {"density": density, "layers": layers, "folded": folded, "table": table}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit(f"usage: python -m benchmarks.luts.integers {'|'.join(actions)}")
    actions[sys.argv[1]]()
