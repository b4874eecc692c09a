"""Measures single stages of images and shortcuts with yosys, to say how far off estimates are.

    python -m benchmarks.luts.images measure   # synthesises what is not there yet
    python -m benchmarks.luts.images errors    # prints the errors by kind

Measurements are kept in `results/luts_images.json`. Each sample is one stage of its kind between
the borders of a core, which take part in the error; `network` is a small network with a shortcut.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn.estimate import area
from hwbnn.graph import (
    Add,
    Conv2d,
    Graph,
    Input,
    MaxPool,
    Node,
    Output,
    Rescale,
    SumPool,
    Threshold,
)
from hwbnn.plan import Circuit, Folded, Plan, circuit
from hwbnn.targets.rtl import generate
from hwbnn.tools.yosys import synth

RESULTS = Path(__file__).parents[1] / "results" / "luts_images.json"
Sample = dict[str, Any]
SAMPLES: tuple[Sample, ...] = (
    {"kind": "rescale", "beat": 8},
    {"kind": "rescale", "beat": 64},
    {"kind": "rescale", "beat": 32, "factor": 12, "shifts": 0},
    {"kind": "rescale", "beat": 16, "channels": 32, "high": 1000, "factor": 10},
    {"kind": "rescale", "beat": 16, "factor": 4, "shifts": 1},
    {"kind": "add", "beat": 16},
    {"kind": "add", "beat": 8, "channels": 16},
    {"kind": "max pool", "beat": 8},
    {"kind": "max pool", "beat": 32, "channels": 16},
    {"kind": "sum pool", "beat": 16},
    {"kind": "sum pool", "beat": 8, "side": 10},
    {"kind": "convolution", "beat": 8},
    {"kind": "convolution", "beat": 16, "side": 8, "channels": 16, "pad": 1},
    {"kind": "network", "beat": 16},
    {"kind": "network", "beat": 8, "channels": 16, "side": 8},
)


def graph(
    kind: str, side: int = 6, channels: int = 8, high: int = 100, factor: int = 8, shifts: int = 3,
    pad: int = 0, **_: object,
) -> Graph:  # fmt: skip
    """A network of one stage with random constants, or a convolution with a shortcut around it.

    Args:
        kind: what stands between the borders.
        side: rows and columns of the image.
        channels: of the image.
        high: the largest input, the smallest being its negative; bits for a convolution alone.
        factor: bits of a factor of `rescale`.
        shifts: how many places its shifts differ by.
        pad: rows and columns around the image of a convolution.
    """
    rng = np.random.default_rng(1)
    half, shape = 1 << (factor - 1), (side, side, channels)
    nodes: list[Node] = [Input("x", shape, -high, high)]
    bits, fires = "x", np.zeros((channels, 1), np.int64)
    rescale = Rescale(
        "rescaled", "conv" if kind == "network" else "x",
        rng.integers(-half, half, channels), rng.integers(-500, 500, channels),
        factor + rng.integers(0, shifts, channels, endpoint=True), -128, 127,
    )  # fmt: skip
    if kind == "convolution":
        nodes = [Input.bits(shape)]
    if kind == "network":
        bits, pad = "bits", 1
        nodes.append(Threshold(bits, "x", fires, np.zeros(channels, np.bool_)))
    if kind in ("convolution", "network"):
        weights = rng.random((channels, 3, 3, channels)) < 0.5
        nodes.append(Conv2d("conv", bits, weights, padding=(pad,) * 4))
    if kind == "convolution":
        nodes.append(Threshold("fires", "conv", fires, np.zeros(channels, np.bool_)))
    if kind == "max pool":
        nodes.append(MaxPool("pooled", "x", (2, 2), (2, 2)))
    if kind == "sum pool":
        nodes.append(SumPool("pooled", "x", (2, 2), (2, 2)))
    if kind in ("rescale", "add", "network"):
        nodes.append(rescale)
    if kind in ("add", "network"):
        nodes.append(Add("sum", "x", "rescaled"))
    return Graph((*nodes, Output("y", nodes[-1].name)))


def core(sample: Sample) -> Circuit:
    """The circuit of a sample."""
    made = graph(**sample)
    layers = {node.name: Folded(2, 8) for node in made.of_type(Conv2d)}
    beat = sample["beat"]
    width = made.types[made.input.name].width
    taken = max(beat, -(-width // 8) * 8)
    return circuit(made, Plan(layers, input_beat=taken, output_beat=max(64, 2 * taken)))


def measure() -> None:
    """Synthesise what was not measured yet."""
    rows = read()
    known = [row["sample"] for row in rows]
    for sample in SAMPLES:
        if sample in known:
            continue
        made = core(sample)
        project = generate(made.graph, made.plan)
        sources = {name: project.files[name] for name in project.text("files.f").split()}
        result = synth(sources, "hwbnn_top")
        found = result.resources
        taken = {"lut": found.lut, "ff": found.ff, "dsp": found.dsp}
        rows.append(
            {"sample": sample, "measured": taken, "tool": f"{result.tool} {result.command}"}
        )
        RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
        print(sample, taken, flush=True)


def read() -> list[dict[str, Any]]:
    """The measurements so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def errors(rows: list[dict[str, Any]]) -> dict[str, list[tuple[float, float, int]]]:
    """By kind, for each sample: relative errors of LUTs and flip-flops, DSPs too many."""
    made: dict[str, list[tuple[float, float, int]]] = {}
    for row in rows:
        estimate, found = area(core(row["sample"])), row["measured"]
        error = estimate.lut / found["lut"] - 1, estimate.ff / found["ff"] - 1
        made.setdefault(row["sample"]["kind"], []).append((*error, estimate.dsp - found["dsp"]))
    return made


def show() -> None:
    """Print the errors by kind."""
    for kind, found in errors(read()).items():
        luts, ffs, dsps = zip(*found, strict=True)
        print(
            f"{kind}: LUTs {min(luts):+.0%} to {max(luts):+.0%}, flip-flops {min(ffs):+.0%} to "
            f"{max(ffs):+.0%}, DSP {min(dsps):+d} to {max(dsps):+d}"
        )


if __name__ == "__main__":
    {"measure": measure, "errors": show}[sys.argv[1]]()
