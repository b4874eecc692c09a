"""The clock of netlists (their portable form) and of folded cores, placed for ECP5."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.circuits.contenders import hwbnn, netlist, spent
from benchmarks.circuits.layers import MODELS, cases
from benchmarks.harness import is_due
from hwbnn.errors import ToolFailed
from hwbnn.estimate import cycles, plan_for_ii
from hwbnn.flow import design
from hwbnn.graph import load
from hwbnn.netlists import latency
from hwbnn.plan import circuit
from hwbnn.targets import generate
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
CORES = (("sfc", 784), ("sfc", 64), ("lenet", 25_000))
"""Published networks that are folded, and cycles for a frame."""
TARGET_MHZ = 250.0
PICTURE = "circuits-clock.png"


def draw(told: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """The trade-off as a picture: latency against the clock, a line for each part.

    Args:
        told: what :func:`measure` gave, by name.
        path: file of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for key, row in told.items():
        if "fmax_mhz" in row:
            parts.setdefault(key.rsplit(",", 1)[0], []).append(row)
    for name, rows in parts.items():
        points = [(row["fmax_mhz"], row["latency_ns"]) for row in rows]
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=name)
        for row, at in zip(rows, points, strict=True):
            where = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": 7}
            axes.annotate(str(row["cycles"]), at, **where)
    axes.set_xlabel("Fmax on ECP5, placed, MHz")
    axes.set_ylabel("latency, ns (beside each point: cycles)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def measure(names: list[str], kept: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place what is named, or what there is not."""
    for name, depths in CLOCKED.items():
        for levels in depths:
            key = f"{name}, {levels} levels"
            if is_due(key, names, kept, name):
                yield key, placed(name, levels)


def placed(name: str, levels: int) -> dict[str, Any]:
    """One part at one depth."""
    layers = cases()[name]
    design = hwbnn(layers, "portable", levels)
    # A register at the inputs and one at the outputs besides.
    taken = 2 + sum(latency(netlist(layer), levels) for layer in layers)
    entry = {"levels": levels, "cycles": taken, "design": design.digest}
    entry |= on_ecp5(design.files, "top")
    if "fmax_mhz" in entry:
        entry["latency_ns"] = round(1000 * taken / entry["fmax_mhz"], 1)
    return entry


def measure_cores(names: list[str], kept: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place the folded cores that are named, or those that there are not."""
    for name, interval in CORES:
        for registers in (1, 2):
            key = f"{name}, {interval:,} cycles, memory registers {registers}"
            if is_due(key, names, kept, name):
                yield key, placed_core(name, interval, registers)


def placed_core(name: str, interval: int, registers: int) -> dict[str, Any]:
    """A published network as the smallest folded core of this interval."""
    graph = load(MODELS / name / "graph.npz")
    plan = replace(plan_for_ii(graph, interval), memory_registers=registers)
    predicted = cycles(circuit(graph, plan))
    files, top = design(generate(graph, "rtl", plan))
    entry: dict[str, Any] = {"name": name, "registers": registers}
    entry |= {"interval": int(predicted.interval), "cycles": predicted.latency}
    entry |= on_ecp5(files, top)
    if "fmax_mhz" in entry:
        entry["frames_per_second"] = round(1e6 * entry["fmax_mhz"] / entry["interval"])
    return entry


def on_ecp5(files: Mapping[str, bytes], top: str) -> dict[str, Any]:
    """A design mapped by yosys, placed and routed by nextpnr: its cells, Fmax and slowest path."""
    before = spent()
    entry: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="hwbnn-clock-") as scratch:
        mapped = Path(scratch) / "netlist.json"
        made = synth(files, top, "ecp5", netlist=mapped)
        entry |= {"lut4": made.resources.lut, "ff": made.resources.ff}
        entry |= {"ccu2c": made.resources.carry, "yosys": made.tool}
        try:
            put = place(mapped, target_mhz=TARGET_MHZ)
        except ToolFailed as error:
            return entry | {"failed": str(error).split("; the log")[0][:160]}
    return entry | {
        "fmax_mhz": round(put.fmax_mhz, 1),
        "logic_ns": round(put.logic_ns, 2),
        "routing_ns": round(put.routing_ns, 2),
        "path": [put.path[0].cell, put.path[-1].cell],
        "used": dict(put.used),
        "device": put.device,
        "seed": put.seed,
        "tool": put.tool,
        "cpu_seconds": round(spent() - before, 1),
    }
