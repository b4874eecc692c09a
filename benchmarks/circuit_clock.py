"""The clock that netlists reach: their portable form placed for ECP5, at several depths."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.circuit_contenders import hwbnn, netlist, spent
from benchmarks.circuit_layers import cases
from hwbnn.circuits import latency
from hwbnn.errors import ToolFailed
from hwbnn.tools.nextpnr import place
from hwbnn.tools.yosys import synth

CLOCKED = {
    "64x32": (1, 2, 3, 4, 6, 10),
    "sfc layer 4": (1, 2, 3, 4),
    "tfc layer 2": (1, 2, 3, 4),
    "256x64": (1, 2, 3, 4, 6),
    "sfc layer 3": (2, 3),
    "sfc layer 2": (2, 3),
}
"""Parts that fit the largest ECP5, and levels of logic between two registers."""
TARGET_MHZ = 250.0


def measure(names: list[str], kept: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place what is named, or what there is not."""
    for name, depths in CLOCKED.items():
        for levels in depths:
            key = f"{name}, {levels} levels"
            if (names and name not in names) or (not names and key in kept):
                continue
            print(key, flush=True)
            yield key, placed(name, levels)


def placed(name: str, levels: int) -> dict[str, Any]:
    """One part at one depth."""
    layers = cases()[name]
    design = hwbnn(layers, "portable", levels)
    # A register at the inputs and one at the outputs besides.
    cycles = 2 + sum(latency(netlist(layer), levels) for layer in layers)
    entry = {"levels": levels, "cycles": cycles, "design": design.digest}
    before = spent()
    with tempfile.TemporaryDirectory(prefix="hwbnn-clock-") as scratch:
        mapped = Path(scratch) / "netlist.json"
        made = synth(design.files, "top", "ecp5", netlist=mapped)
        entry |= {"lut4": made.resources.lut, "ff": made.resources.ff}
        entry |= {"ccu2c": made.resources.carry, "yosys": made.tool}
        try:
            put = place(mapped, target_mhz=TARGET_MHZ)
        except ToolFailed as error:
            return entry | {"failed": str(error).split("; the log")[0][:160]}
    return entry | {
        "fmax_mhz": round(put.fmax_mhz, 1),
        "latency_ns": round(1000 * cycles / put.fmax_mhz, 1),
        "logic_ns": round(put.logic_ns, 2),
        "routing_ns": round(put.routing_ns, 2),
        "used": dict(put.used),
        "device": put.device,
        "seed": put.seed,
        "tool": put.tool,
        "cpu_seconds": round(spent() - before, 1),
    }
