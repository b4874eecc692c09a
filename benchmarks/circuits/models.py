"""Whole cores: under Verilator, as netlists and as models that count ones instead; synthesised."""

from __future__ import annotations

import os
import re
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.circuits.contenders import spent
from benchmarks.circuits.layers import MODELS
from benchmarks.harness import is_due
from hwbnn.flow import design
from hwbnn.graph import load
from hwbnn.plan import Plan, Unrolled
from hwbnn.project import Project
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.tools.yosys import synth
from hwbnn.training.data import dataset
from hwbnn.verification import verilator
from hwbnn.verification.bench import Stimulus
from hwbnn.verification.core import Core

PLAN = Plan(default=Unrolled(form="xc7"), input_beat=784, logic_levels_per_register=3)
"""An image a cycle, registers after three levels of logic."""
FRAMES = {"behavioural": 10_000, "structural": 2_000}
"""Test images that each form computes."""
SYNTHESISED = ("tfc", "sfc", "sfc_256")
"""Cores that are synthesised whole."""


def measure(names: list[str], kept: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compile and run what is named, or what there is not."""
    for name in ("tfc", "sfc"):
        for form in FRAMES:
            key = f"{name}, {form}"
            if is_due(key, names, kept, name):
                yield key, compiled(name, form)
    for name in SYNTHESISED:
        key = f"{name}, whole"
        if is_due(key, names, kept):
            yield key, synthesised(name)


def synthesised(name: str) -> dict[str, Any]:
    """One core with its stream ports and its ArgMax, by yosys."""
    return by_yosys(generate(load(MODELS / name / "graph.npz"), "rtl", PLAN))


def by_yosys(project: Project) -> dict[str, Any]:
    """A whole core by yosys, before placement; cycles as predicted."""
    core = Core.of(project)
    before = spent()
    made = synth(*design(project))
    found = made.resources
    return {
        **{"lut": found.lut, "lut_paired": found.lut_paired, "carry": found.carry, "ff": found.ff},
        **{"bram18": found.bram18, "bram36": found.bram36, "dsp": found.dsp},
        "logic_ns": made.logic_ns,
        "latency": core.latency,
        "interval": core.interval,
        "cpu_seconds": round(spent() - before, 1),
        "tool": made.tool,
    }


def compiled(name: str, form: str) -> dict[str, Any]:
    """One core in one form, compiled anew and held to the simulator on test images."""
    graph = load(MODELS / name / "graph.npz")
    images = dataset("mnist").test_images[: FRAMES[form]]
    x = images.reshape(len(images), -1) >= 128
    project = generate(graph, "rtl", PLAN)
    os.environ["CCACHE_DISABLE"] = "1"  # what it keeps costs nothing the second time
    with tempfile.TemporaryDirectory(prefix="hwbnn-models-") as scratch:
        before = spent()
        made = verilator.build(
            project, Path(scratch), popcount=form, optimise=form == "behavioural", jobs=1
        )
        build = spent() - before
        log = next(Path(scratch).rglob("build.log")).read_text()
        # The largest process so far: of all that this command compiled.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        before = spent()
        record = made.run(Stimulus.of_frames(made.core, x, seed=1))
        run = spent() - before
    found = np.asarray(record.values[made.core.output.value])
    allocated = re.search(r"allocated ([\d.]+) MB", log)
    return {
        "frames": len(x),
        "equal": int((found.ravel() == simulate(graph, x).ravel()).sum()),
        "latency": made.core.latency,
        "interval": made.core.interval,
        "build_cpu_seconds": round(build, 1),
        "verilator_mb": float(allocated[1]) if allocated else None,
        "peak_mib": peak >> 10,
        "run_cpu_seconds": round(run, 2),
        "frames_per_cpu_second": round(len(x) / run),
    }
