"""Measures stages of images and shortcuts with yosys, to fit and to check their estimates.

    python -m benchmarks.luts.images measure   # synthesises what changed (all: half an hour)
    python -m benchmarks.luts.images errors    # prints the errors by kind

Measurements are kept in `results/luts_images.json`; `benchmarks.luts.calibrate` fits coefficients
to them and to those of dense layers together. Each sample is one stage of its kind between the
borders of a core: of random constants, or a node of a bundled network by itself. `network` samples
are several stages and judge the estimate: nothing is fitted to them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn.estimate.area import area
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
    load,
)
from hwbnn.plan import Circuit, Folded, Layout, Plan, Unrolled, circuit
from hwbnn.project import Project
from hwbnn.targets.ip import generate
from hwbnn.tools.yosys import synth

RESULTS = Path(__file__).parents[1] / "results" / "luts_images.json"
MODELS = Path(__file__).parents[2] / "models"
Sample = dict[str, Any]
RBNN, ADABIN = "resnet20_rbnn", "resnet20_conv_adabin"


def _of(kind: str, model: str, *nodes: tuple[str, int]) -> tuple[Sample, ...]:
    """A sample for each node of a bundled network with its lanes."""
    return tuple(
        {"kind": kind, "model": model, "node": node, "lanes": lanes} for node, lanes in nodes
    )


SAMPLES: tuple[Sample, ...] = (
    {"kind": "rescale", "beat": 8},
    {"kind": "rescale", "beat": 16, "channels": 32, "high": 1000, "factor": 10},
    *_of("rescale", RBNN, ("rescale_1", 1), ("rescale_1", 4), ("rescale_2", 1), ("rescale_14", 2)),
    *_of("rescale", RBNN, ("rescale_8", 8), ("rescale_17", 1)),
    *_of("rescale", ADABIN, ("rescale_15", 2), ("rescale_28", 1), ("rescale_40", 5)),
    *_of("rescale, two slopes", ADABIN, ("rescale_3", 1), ("rescale_29", 2), ("rescale_38", 1)),
    *_of("rescale, clip alone", RBNN, ("rescale_4", 1), ("rescale_4", 4), ("rescale_20", 1)),
    *_of("rescale, clip alone", RBNN, ("rescale_16", 2),),
    {"kind": "add", "beat": 16},
    {"kind": "add", "beat": 8, "channels": 16},
    *_of("add", RBNN, ("add_1", 1), ("add_1", 4), ("add_7", 2)),
    *_of("add", ADABIN, ("add_18", 1), ("add_3", 8)),
    *(
        {**_of("fifo", RBNN, ("add_1", lanes))[0], "depths": [2, depth]}
        for lanes, depth in ((1, 12), (1, 40), (2, 100), (1, 300), (4, 40), (1, 700))
    ),
    {"kind": "border", "beat": 8, "framing": "counted"},
    {"kind": "border", "beat": 8, "framing": "batch"},
    {"kind": "max pool", "beat": 8},
    {"kind": "max pool", "beat": 32, "channels": 16},
    *_of("max pool", RBNN, ("pool_1", 1), ("pool_1", 4), ("pool_2", 2)),
    *_of("max pool", "cnv", ("pool_1", 8), ("pool_1", 64)),
    *_of("max pool", "lenet", ("pool_2", 16),),
    {"kind": "sum pool", "beat": 16},
    {"kind": "sum pool", "beat": 8, "side": 10},
    *_of("sum pool", RBNN, ("sum_1", 1), ("sum_1", 4)),
    *_of("sum pool", ADABIN, ("sum_1", 2),),
    *_of("channel pad", RBNN, ("pad_1", 1), ("pad_1", 8), ("pad_2", 2)),
    *_of("channel pad", ADABIN, ("pad_2", 4),),
    {"kind": "convolution", "beat": 8},
    {"kind": "convolution", "beat": 16, "side": 8, "channels": 16, "pad": 1},
    {"kind": "convolution", "model": RBNN, "node": "conv_2", "lanes": 16, "fold": [1, 16]},
    {"kind": "convolution", "model": RBNN, "node": "conv_2", "lanes": 16, "fold": [4, 48]},
    {"kind": "convolution", "model": RBNN, "node": "conv_8", "lanes": 8, "fold": [2, 32]},
    {"kind": "convolution", "model": "lenet", "node": "conv_1", "lanes": 1, "fold": [4, 5]},
    {"kind": "network", "beat": 16},
    {"kind": "network", "beat": 8, "channels": 16, "side": 8},
    {"kind": "network", "model": RBNN, "until": "add_1", "fold": [1, 16]},
)  # fmt: skip


@cache
def _bundled(model: str) -> Graph:
    return load(MODELS / model / "graph.npz")


def graph(sample: Sample) -> Graph:
    """The network of a sample."""
    if "model" not in sample:
        return _random(**sample)
    whole = _bundled(sample["model"])
    nodes: list[Node]
    if sample["kind"] == "network":
        names = [node.name for node in whole.nodes]
        until = sample.get("until", names[-2])
        nodes = list(whole.nodes[: names.index(until) + 1])
        return Graph((*nodes, Output("y", until)))
    node = next(node for node in whole.nodes if node.name == sample["node"])
    t = whole.types[node.sources[0]]
    nodes = [Input("x", t.shape, 0, 1, bit=True) if t.bit else Input("x", t.shape, t.low, t.high)]
    alone: Any = node
    if isinstance(node, Add):
        nodes.append(Add("stage", "x", "x"))
    else:
        nodes.append(replace(alone, name="stage", source="x"))
    if isinstance(node, Conv2d):
        (behind,) = (n for n in whole.nodes if isinstance(n, Threshold) and n.source == node.name)
        nodes.append(replace(behind, name="fires", source="stage"))
    return Graph((*nodes, Output("y", nodes[-1].name)))


def _random(
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
    if kind in ("max pool", "border"):
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
    made = graph(sample)
    width, out = (made.types[node.name].width for node in (made.input, made.output))
    fold = sample.get("fold", [2, 8])
    layout: Layout = Folded(*fold) if fold else Unrolled()
    if "lanes" in sample:
        taken, given = (-(-sample["lanes"] * w // 8) * 8 for w in (width, out))
    else:
        taken = max(sample.get("beat", 8), -(-width // 8) * 8)
        given = max(64, 2 * taken)
    depths = {"x": tuple(sample["depths"])} if "depths" in sample else {}
    if sample["kind"] == "add" and "lanes" in sample:
        depths = {"x": (2, 2)}
    framing = sample.get("framing", "packet")
    return circuit(
        made,
        Plan(
            default=layout, input_beat=taken, output_beat=given, depths=depths, framing=framing
        ),
    )  # fmt: skip


def measure() -> None:
    """Synthesise what was not measured yet, or has other sources than when it was."""
    before = {key(row["sample"]): row for row in read()}
    rows: list[dict[str, Any]] = []
    for sample in SAMPLES:
        made = core(sample)
        project = generate(made.graph, made.plan)
        sources = {name: project.files[name] for name in project.text("files.f").split()}
        digest = Project("rtl", sources).digest
        row = before.pop(key(sample), {})
        if row.get("sources") != digest:
            row = {"sample": sample, "sources": digest, **measured(sources)}
            print(key(sample), row["measured"], row["seconds"], flush=True)
        rows.append(row)
        # What is still to come keeps its old row, in case this is interrupted.
        RESULTS.write_text(json.dumps([*rows, *before.values()], indent=1, sort_keys=True) + "\n")
    RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")


def measured(sources: dict[str, bytes]) -> dict[str, Any]:
    """What yosys makes of a core."""
    made = synth(sources, "hwbnn_top")
    found = made.resources
    return {
        "tool": f"{made.tool} {made.command}",
        "seconds": round(made.seconds, 1),
        "cells": dict(found.cells),
        "measured": {
            "lut": found.lut,
            "lut_paired": found.lut_paired,
            "ff": found.ff,
            "bram18": found.bram18,
            "bram36": found.bram36,
            "dsp": found.dsp,
        },
    }


def key(sample: Sample) -> str:
    """A sample as text, whatever the order of its entries."""
    return json.dumps(sample, sort_keys=True)


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
