"""Measures generated cores with yosys, to fit and to check what `hwbnn.estimate.area` foresees.

    python -m benchmarks.luts.calibrate measure   # synthesises what changed (all: an hour)
    python -m benchmarks.luts.calibrate fit       # prints coefficients and errors

The measurements are kept in `results/luts.json`, those of stages of images and shortcuts in
`results/luts_images.json` (`benchmarks.luts.images`). The coefficients printed by `fit` are fitted
to both and stand in `hwbnn/estimate/area.py`, where a test holds them to the measurements.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.luts import images
from hwbnn.estimate.amounts import Amounts, amounts, border_options
from hwbnn.graph import ArgMax, Dot, Graph, Input, Lookup, Node, Output, Threshold
from hwbnn.plan import Circuit, Folded, Layout, Plan, Sums, Unrolled, circuit
from hwbnn.project import Project
from hwbnn.targets.ip import generate
from hwbnn.tools.yosys import synth

RESULTS = Path(__file__).parent.parent / "results" / "luts.json"
FIXED = {"memory", "exact"}
"""Parts that take what their rules say: nothing is fitted to them."""
Sample = dict[str, Any]
"""How to make a Graph and a Plan: the arguments of :func:`graph` and :func:`plan`."""


def graph(
    widths: list[int], x: str = "bits", k: int = 1, end: str = "bits", fraction: int | None = None,
    **_: object,
) -> Graph:  # fmt: skip
    """A network with random weights and thresholds.

    Args:
        widths: inputs, then the channels of each layer.
        x: `bits` or `pixels`.
        k: thresholds of a channel between layers.
        end: `bits` (thresholds), `sums`, `argmax`, or `ranks` (a Lookup before the ArgMax).
        fraction: if given, every layer has this power of two as scale, and random offsets up to
            half of it.
    """
    rng = np.random.default_rng(len(widths) + sum(widths))
    nodes: list[Node] = [(Input.bits if x == "bits" else Input.pixels)(widths[0])]
    for i, (n, m) in enumerate(pairwise(widths)):
        weights = rng.integers(0, 2, (m, n)).astype(np.bool_)
        factors: tuple[Any, ...] = ()
        if fraction is not None:
            half = 1 << (fraction - 1)
            factors = np.full(m, 1 << fraction), rng.integers(-half, half, m, endpoint=True)
        nodes.append(Dot(f"dot{i}", nodes[-1].name, weights, *factors))
        if i + 2 < len(widths) or end == "bits":
            spread = np.sqrt(n) * (1 if x == "bits" or i else 128) * (1 << (fraction or 0))
            cuts = np.sort((rng.normal(0, 1, (m, k)) * spread).astype(np.int64), axis=1)
            falling = rng.integers(0, 2, m).astype(np.bool_)
            nodes.append(Threshold(f"act{i}", nodes[-1].name, cuts, falling))
    if end == "ranks":
        count = Graph((*nodes, Output("y", nodes[-1].name))).types[nodes[-1].name].count
        table = np.sort(rng.integers(0, 10 * count, (widths[-1], count)), axis=1)
        nodes.append(Lookup("ranks", nodes[-1].name, table))
    if end in ("argmax", "ranks"):
        nodes.append(ArgMax("best", nodes[-1].name))
    return Graph((*nodes, Output("y", nodes[-1].name)))


def plan(
    fold: list[list[int] | None], beats: tuple[int, int] = (64, 64), levels: int = 2,
    fuse: bool = True, sums: Sums = "bit_planes", **_: object,
) -> Plan:  # fmt: skip
    """A Plan: for each layer `pe` and `simd`, or None where it is unrolled."""
    dots: dict[str, Layout] = {
        f"dot{i}": Folded(*pair, sums) if pair else Unrolled(sums) for i, pair in enumerate(fold)
    }
    return Plan(
        dots, input_beat=beats[0], output_beat=beats[1], logic_levels_per_register=levels, fuse=fuse
    )


def unrolled() -> Iterator[Sample]:
    sizes = [(6, 8), (12, 16), (24, 16), (33, 5), (64, 16), (64, 64), (100, 10), (128, 32)]
    for n, m in [*sizes, (256, 16), (784, 8)]:
        yield {"widths": [n, m], "fold": [None]}
    for levels in (1, 3, 8):
        yield {"widths": [64, 16], "fold": [None], "levels": levels}
    for end in ("sums", "argmax", "ranks"):
        yield {"widths": [64, 10], "fold": [None], "end": end}
    yield {"widths": [64, 16], "fold": [None], "fuse": False}
    yield {"widths": [40, 12], "fold": [None], "k": 3}
    for n, m in ((16, 8), (64, 8), (49, 16)):
        yield {"widths": [n, m], "fold": [None], "x": "pixels"}
    yield {"widths": [64, 4], "fold": [None], "x": "pixels", "end": "argmax"}
    yield {"widths": [64, 16], "fold": [None], "beats": [8, 8]}
    yield {"widths": [256, 16], "fold": [None], "beats": [256, 16]}


def folded() -> Iterator[Sample]:
    for pe, simd in ((1, 1), (1, 8), (2, 16), (4, 4), (8, 32), (16, 64), (64, 1), (64, 8)):
        yield {"widths": [64, 64], "fold": [[pe, simd]]}
    for pe, simd in ((1, 8), (4, 16), (8, 64), (16, 16), (2, 128)):
        yield {"widths": [256, 256], "fold": [[pe, simd]]}
    for pe, simd in ((2, 16), (4, 49), (16, 56), (1, 784)):
        yield {"widths": [784, 256], "fold": [[pe, simd]]}
    for pe, simd in ((1, 4), (4, 16), (8, 8)):
        yield {"widths": [64, 64], "fold": [[pe, simd]], "x": "pixels"}
    yield {"widths": [784, 64], "fold": [[2, 16]], "x": "pixels"}
    for end in ("sums", "argmax", "ranks"):
        yield {"widths": [64, 10], "fold": [[2, 16]], "end": end}
        yield {"widths": [64, 10], "fold": [[10, 8]], "end": end}
    yield {"widths": [64, 64], "fold": [[4, 16]], "fuse": False}
    yield {"widths": [64, 60], "fold": [[4, 16]], "k": 3}
    yield {"widths": [64, 64], "fold": [[4, 16]], "levels": 1}
    yield {"widths": [64, 64], "fold": [[4, 16]], "beats": [8, 8]}
    # Neither divides, as a search chooses them for layers of odd sizes.
    for fold in ([15, 16], [9, 51], [26, 9]):
        yield {"widths": [101, 257], "fold": [fold]}
    for fold in ([5, 30], [10, 30], [17, 33]):
        yield {"widths": [257, 131], "fold": [fold]}


def pairs() -> Iterator[Sample]:
    """Two layers, so that what stands once in a core is told from what stands once in a layer."""
    for fold in ([[2, 16], [2, 8]], [[8, 32], [4, 16]], [[1, 64], [1, 32]], [[4, 16], [2, 32]]):
        yield {"widths": [64, 32, 16], "fold": fold}
    yield {"widths": [64, 32, 16], "fold": [[4, 16], None]}
    yield {"widths": [64, 32, 16], "fold": [None, None]}
    yield {"widths": [48, 40, 24], "fold": [[10, 12], [6, 8]], "end": "argmax"}


def forms() -> Iterator[Sample]:
    """Other ways to sum inputs of several bits; layers with scale and offset."""
    for widths in ([16, 8], [49, 16]):
        yield {"widths": widths, "fold": [None], "x": "pixels", "sums": "adder_tree"}
    for sums in ("adder_tree", "bit_serial"):
        yield {"widths": [64, 64], "fold": [[4, 16]], "x": "pixels", "sums": sums}
        yield {"widths": [64, 64], "fold": [[8, 8]], "x": "pixels", "sums": sums}
    yield {"widths": [64, 16], "fold": [None], "fraction": 4}
    yield {"widths": [40, 12], "fold": [None], "fraction": 6, "end": "sums"}
    yield {"widths": [64, 60], "fold": [[4, 16]], "fraction": 4}
    yield {"widths": [64, 16], "fold": [[2, 16]], "fraction": 6, "end": "sums"}


def networks() -> Iterator[Sample]:
    """What no coefficient is fitted to: whole networks, by which the estimate is judged."""
    digits = {"widths": [64, 64, 64, 10], "end": "argmax"}
    yield {**digits, "fold": [None, None, None]}
    yield {**digits, "fold": [[2, 16], [2, 16], [2, 16]]}
    yield {**digits, "fold": [[16, 32], [8, 64], [5, 16]]}
    yield {**digits, "fold": [[64, 64], None, [10, 64]]}
    yield {**digits, "x": "pixels", "fold": [[4, 8], [4, 16], [1, 16]]}
    tfc = {"widths": [784, 64, 64, 64, 10], "end": "argmax"}
    yield {**tfc, "fold": [[8, 49], [8, 8], [8, 8], [2, 8]]}
    sfc = {"widths": [784, 256, 256, 256, 10], "end": "ranks"}
    yield {**sfc, "fold": [[4, 16], [4, 16], [4, 16], [2, 8]]}
    yield {**sfc, "fold": [[16, 49], [16, 16], [16, 16], [2, 16]]}


def samples() -> list[tuple[str, Sample]]:
    """All samples, each with the group that it belongs to."""
    layers = (*unrolled(), *folded(), *pairs(), *forms())
    groups = {"layer": layers, "network": tuple(networks())}
    return [(group, sample) for group, made in groups.items() for sample in made]


def measure() -> None:
    """Synthesise what was not measured yet, or has other sources than when it was."""
    before = {key(row["sample"]): row for row in read()}
    rows = []
    for group, sample in samples():
        project = generate(graph(**sample), plan(**sample))
        sources = {name: project.files[name] for name in project.text("files.f").split()}
        digest = Project("rtl", sources).digest
        row = before.pop(key(sample), {})
        if row.get("sources") != digest:
            row = measured(sources) | {"group": group, "sample": sample, "sources": digest}
            print(key(sample), row["measured"], row["seconds"], flush=True)
        rows.append(row)
        # What is still to come keeps its old row, in case this is interrupted.
        write([*rows, *before.values()])
    write(rows)


def key(sample: Sample) -> str:
    """A sample as text, whatever the order of its entries."""
    return json.dumps(sample, sort_keys=True)


def write(rows: list[dict[str, Any]]) -> None:
    """Keep measurements."""
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
        },
    }


def read() -> list[dict[str, Any]]:
    """The measurements so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


Table = dict[str, float]


def everything() -> list[dict[str, Any]]:
    """The measurements of dense layers, and those of stages of images and shortcuts behind them."""
    stages = [
        {"group": "network" if row["sample"]["kind"] == "network" else "layer", **row}
        for row in images.read()
    ]
    return [*read(), *stages]


def sample_circuit(sample: Sample) -> Circuit:
    """The circuit of a sample of either sort."""
    if "kind" in sample:
        return images.core(sample)
    return circuit(graph(**sample), plan(**sample))


def sample_amounts(row: dict[str, Any]) -> Amounts:
    """The amounts of a measured sample."""
    made = sample_circuit(row["sample"])
    total = border_options(made)
    for stage in made.stages:
        total.add(amounts(stage))
    return total


def coefficients(rows: list[dict[str, Any]], kind: str) -> Table:
    """Least squares of relative errors over the layers, none negative, two digits kept.

    Args:
        rows: measurements; only those of the group `layer` count.
        kind: `lut` or `ff`.
    """
    from scipy.optimize import nnls

    layers = [row for row in rows if row["group"] == "layer"]
    counted = [getattr(sample_amounts(row), kind) for row in layers]
    names = sorted({name for each in counted for name in each} - FIXED)
    free = np.array([[each[name] for name in names] for each in counted], float)
    known = np.array([sum(each[name] for name in FIXED) for each in counted], float)
    found = np.array([row["measured"][kind] for row in layers], float)
    weight = 1 / found
    solved, _ = nnls(free * weight[:, None], (found - known) * weight)
    return dict.fromkeys(sorted(FIXED), 1.0) | {
        name: float(f"{value:.2g}") for name, value in zip(names, solved, strict=True)
    }


def errors(rows: list[dict[str, Any]], kind: str, table: Table) -> list[float]:
    """Relative error of the estimate for each measurement."""
    made = []
    for row in rows:
        counted = getattr(sample_amounts(row), kind)
        estimate = sum(amount * table[name] for name, amount in counted.items())
        made.append(estimate / row["measured"][kind] - 1)
    return made


def fit() -> None:
    """Print the coefficients and what they are worth."""
    rows = everything()
    for kind in ("lut", "ff"):
        table = coefficients(rows, kind)
        print(kind.upper(), json.dumps(table))
        for group in ("layer", "network"):
            chosen = [row for row in rows if row["group"] == group]
            off = np.array(errors(chosen, kind, table))
            rms, most = np.sqrt((off**2).mean()), np.abs(off).max()
            print(f"  {group}s: {len(chosen)}, rms {rms:.1%}, at most {most:.1%}")
            for row, error in sorted(zip(chosen, off, strict=True), key=lambda e: -abs(e[1]))[:5]:
                print(f"    {error:+.0%} {json.dumps(row['sample'])}")


if __name__ == "__main__":
    actions = {"measure": measure, "fit": fit}
    if sys.argv[1:] not in [[name] for name in actions]:
        sys.exit("usage: python -m benchmarks.luts.calibrate measure|fit")
    actions[sys.argv[1]]()
