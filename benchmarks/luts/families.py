"""Measures cores on UltraScale+ and ECP5, to say what an estimate for 7-series is worth there.

    python -m benchmarks.luts.families measure   # synthesises what changed
    python -m benchmarks.luts.families errors    # prints the estimate's errors by family

Estimates (`hwbnn.estimate.area`) are fitted to yosys's results for 7-series. The same cores,
synthesised for the other families, show by which factor the estimate is multiplied there, and how
far it is off then: `FAMILY_FACTORS` and `FAMILY_ERRORS` in `hwbnn/estimate/fit.py`, where a test
holds them to these measurements. Results: `results/luts_families.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.luts import calibrate, images
from hwbnn.estimate.area import area
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.tools.yosys import synth

RESULTS = Path(__file__).parents[1] / "results" / "luts_families.json"
FAMILIES = ("xcup", "ecp5")
Sample = dict[str, Any]


def samples() -> list[Sample]:
    """Single layers, and some of the whole networks that judge the estimate for 7-series."""
    chosen = [
        {"widths": [64, 16], "fold": [None]},
        {"widths": [256, 16], "fold": [None]},
        {"widths": [64, 64], "fold": [[8, 32]]},
        {"widths": [256, 256], "fold": [[16, 16]]},
        {"widths": [784, 256], "fold": [[4, 49]]},
        {"widths": [64, 64], "fold": [[4, 16]], "x": "pixels"},
    ]
    pictures = [row for row in images.SAMPLES if row["kind"] == "network"][:2]
    return [*chosen, *list(calibrate.networks())[1:3], *pictures]


def measure() -> None:
    """Synthesise what was not measured yet, or has other sources than when it was."""
    before = {calibrate.key({"family": r["family"], **r["sample"]}): r for r in read()}
    rows: list[dict[str, Any]] = []
    for sample in samples():
        circuit = calibrate.sample_circuit(sample)
        project = generate(circuit.graph, "rtl", circuit.plan)
        sources = {name: project.files[name] for name in project.text("files.f").split()}
        digest = Project("rtl", sources).digest
        estimated = area(circuit)
        for family in FAMILIES:
            row = before.get(calibrate.key({"family": family, **sample}), {})
            if row.get("sources") != digest:
                made = synth(sources, "hwbnn_top", family)
                found = made.resources
                row = {
                    "family": family,
                    "sample": sample,
                    "sources": digest,
                    "tool": f"{made.tool} {made.command}",
                    "measured": {
                        "lut": found.lut,
                        "ff": found.ff,
                        "bram18": 2 * found.bram36 + found.bram18,
                        "dsp": found.dsp,
                    },
                }
                print(family, calibrate.key(sample), row["measured"], flush=True)
            row["estimated"] = {
                "lut": estimated.lut,
                "ff": estimated.ff,
                "bram18": 2 * estimated.bram36 + estimated.bram18,
                "dsp": estimated.dsp,
            }
            rows.append(row)
            RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")


def read() -> list[dict[str, Any]]:
    """The measurements so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def ratios(family: str, resource: str) -> list[float]:
    """Measured over estimated, for each core that has some of a resource, the least first."""
    return sorted(
        row["measured"][resource] / row["estimated"][resource]
        for row in read()
        if row["family"] == family and row["estimated"][resource]
    )


def errors() -> None:
    """Print the ratios of measured to estimated resources by family."""
    for family in FAMILIES:
        for resource in ("lut", "ff", "bram18", "dsp"):
            found = ratios(family, resource)
            if found:
                middle = found[len(found) // 2]
                print(f"{family} {resource}: {found[0]:.2f} .. {middle:.2f} .. {found[-1]:.2f}")


if __name__ == "__main__":
    actions = {"measure": measure, "errors": errors}
    if sys.argv[1:] not in [[name] for name in actions]:
        sys.exit("usage: python -m benchmarks.luts.families measure|errors")
    actions[sys.argv[1]]()
