"""Unrolled binary layers side by side: ours, plain RTL, and those of other generators.

    python -m benchmarks.circuits measure [--peers PYTHON] [--limit S] [NAME[/CONTENDER] ...]
    python -m benchmarks.circuits images [NAME ...]
    python -m benchmarks.circuits clock [NAME ...]
    python -m benchmarks.circuits cores [NAME ...]
    python -m benchmarks.circuits models [NAME ...]
    python -m benchmarks.circuits folded [NAME ...]
    python -m benchmarks.circuits scale [NAME ...]
    python -m benchmarks.circuits report

`measure` simulates every design on the same inputs and holds it to what its layers compute, then
synthesises it, all by the same yosys, with registers at inputs and outputs and none between.
`--peers` names the Python of an environment where alkaid and da4ml are installed. What is in
`results/circuits.json` for the same design and the same versions is kept; what did not finish is
tried again with more time. `images` computes all test images of MNIST by the netlists of trained
networks. `clock` places the portable form for ECP5 at several depths of pipelining, `cores` whole
folded cores with one and two registers behind their memories. `models` runs cores under Verilator,
as netlists and counted. `folded` synthesises the unit of folded layers, whose weights change from
cycle to cycle. `scale` generates and proves larger layers, without synthesis. `report` writes
`results/circuits.md`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.circuits import clock, folded, models, report, scale
from benchmarks.circuits.checks import check
from benchmarks.circuits.contenders import Design, limited, makers, netlist, not_done, spent
from benchmarks.circuits.layers import MODELS, TRAINED, Layer, bits_read, cases, trained
from benchmarks.circuits.report import read
from benchmarks.harness import describe
from hwbnn import tools
from hwbnn.errors import ToolFailed
from hwbnn.graph import Dot, load
from hwbnn.netlists import evaluate, latency
from hwbnn.netlists.cells import carries
from hwbnn.simulators import simulate
from hwbnn.tools.yosys import Synthesis, synth
from hwbnn.training.data import dataset

RESULTS = Path(__file__).parent.parent / "results"
SEPARATE = {
    "clock": clock.measure,
    "cores": clock.measure_cores,
    "models": models.measure,
    "folded": folded.measure,
    "scale": scale.measure,
}
"""What has results of its own, by the names of files and actions."""
OTHERS = ("sfc_adabin", "sfc_8bit")
"""Networks whose netlists compute images besides: with offsets, and with pixels of 8 bits."""
Entry = dict[str, Any]


def synthesised(design: Design, family: str, limit: float, memory: float) -> Entry:
    """One synthesis, or why there is none."""
    before = spent()
    try:
        # A busy machine takes longer by the clock; what counts is the processor.
        with limited(limit, memory):
            made = synth(design.files, "top", family, timeout=10 * limit)
    except ToolFailed as error:
        seconds = spent() - before
        why = str(error).split("; the log")[0]
        if "SIGXCPU" in why or "not done" in why:
            why = not_done(seconds)
        elif "memory" in why.lower() or "bad_alloc" in why:
            why = f"out of {memory:g} GiB of memory after {seconds:,.0f} s"
        return failed(why, limit, memory)
    return _figures(made) | {"synth_cpu_seconds": round(spent() - before, 1)}


def failed(why: str, limit: float, memory: float) -> Entry:
    """Why there are no figures, and under which limits."""
    return {"failed": why[:160], "limit": [limit, memory]}


def _figures(made: Synthesis) -> Entry:
    found = made.resources
    return {
        "lut": found.lut,
        "lut_paired": found.lut_paired,
        "carry": found.carry,
        "ff": found.ff,
        "slices": slices(found.lut_paired or 0, found.carry, found.ff, found.family),
        "logic_ns": made.logic_ns,
        "peak_mib": made.peak_bytes >> 20,
        "tool": made.tool,
    }


def slices(luts: int, carries: int, ffs: int, family: str) -> int:
    """Slices that are filled: those of a carry cell each, whose LUTs any logic may use.

    A 7-series slice has four LUTs, eight flip-flops and a CARRY4; an UltraScale+ CLB twice that.
    """
    each = 4 if family == "xc7" else 8
    return max(carries, -(-luts // each), -(-ffs // (2 * each)))


def measured(name: str, contender: str, layers: list[Layer], kept: Entry, given: Any) -> Entry:
    """One contender on one case: the entry that is kept if it still holds, or a new one."""
    make, family = makers(given.peers, given.limit)[contender]
    synapses = sum(layer.weights.size for layer in layers)
    try:
        design = make(layers)
    except ToolFailed as error:
        return {"synapses": synapses} | failed(str(error), given.limit, given.memory)
    yosys = f"yosys {tools.require('pyosys').version}, ABC's proof left out"
    same = kept.get("design") == design.digest and kept.get("yosys") == yosys
    if same and ("failed" not in kept or kept["limit"] >= [given.limit, given.memory]):
        return kept
    print(f"{name}/{contender}", flush=True)
    entry = {**design.figures, "synapses": synapses, "design": design.digest, "yosys": yosys}
    try:
        # By the clock, since Icarus may evaluate for ever.
        compared = check(design, layers, f"{name}/{contender}", timeout=10 * given.limit)
    except ToolFailed as error:
        return entry | failed(str(error), given.limit, given.memory)
    entry["values_compared"] = compared
    return entry | synthesised(design, family, given.limit, given.memory)


def measure(given: argparse.Namespace) -> None:
    """Measure what is named, or all."""
    path = RESULTS / "circuits.json"
    for name, layers in cases().items():
        for contender in makers(given.peers, given.limit):
            key = f"{name}/{contender}"
            if given.names and not {name, key} & set(given.names):
                continue
            kept = read(path) or {"measured": {}}
            found = measured(name, contender, layers, kept["measured"].get(key, {}), given)
            if found != kept["measured"].get(key):
                every = ordered({**kept["measured"], key: found})
                write(path, {"measured": every, "machine": describe()})


def ordered(entries: Entry) -> Entry:
    """The entries case by case, contender by contender."""
    return {
        f"{name}/{by}": row for name, rows in report.by_case(entries) for by, row in rows.items()
    }


def images(names: list[str]) -> None:
    """Compute all test images of MNIST by netlists, which are proved besides.

    An image is equal if all sums of the last layer are the simulator's.
    """
    path = RESULTS / "circuits_images.json"
    for name in names or (*TRAINED, *OTHERS):
        begun = time.process_time()
        graph = load(MODELS / name / "graph.npz")
        data = dataset("mnist")
        x = data.test_images.reshape(len(data.test_images), -1)
        x = (x >= 128).astype(np.uint8) if graph.input.bit else x
        values = simulate(graph, x, trace=True)
        x = bits_read(graph, x)
        layers, netlists = list(trained(name)), []
        for layer in layers:
            netlists.append(netlist(layer))
            x = evaluate(netlists[-1], x)
        counts = x.reshape(len(x), len(layers[-1].weights), -1)
        sums = 2 * (counts << np.arange(counts.shape[2])).sum(axis=2) - layers[-1].weights.shape[1]
        classes = values[graph.output.name].ravel()
        entry = {
            "images": len(x),
            "equal": int((sums == values[graph.of_type(Dot)[-1].name]).all(axis=1).sum()),
            "accuracy": round(float((classes == data.test_labels).mean()), 4),
            "luts": [made.luts for made in netlists],
            "carry4": [carries(made) for made in netlists],
            "levels": [max(made.logic_depths()) for made in netlists],
            "latency_3_levels": [latency(made, 3) for made in netlists],
            "cpu_seconds": round(time.process_time() - begun, 1),
        }
        write(path, read(path) | {name: entry})


def write(path: Path, found: Any) -> None:
    """Keep results."""
    path.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Measure, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = ("measure", "images", *SEPARATE, "report")
    parser.add_argument("action", choices=actions)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--peers", default="", help="Python that has alkaid and da4ml")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds of the processor")
    parser.add_argument("--memory", type=float, default=10.0, help="GiB")
    given = parser.parse_intermixed_args()
    if given.action == "measure":
        measure(given)
    if given.action == "images":
        images(given.names)
    if given.action in SEPARATE:
        path = RESULTS / f"circuits_{given.action}.json"
        for key, found in SEPARATE[given.action](given.names, read(path)):
            write(path, read(path) | {key: found})
    report.write(RESULTS)


if __name__ == "__main__":
    main()
