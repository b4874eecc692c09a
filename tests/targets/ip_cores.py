"""A small core for tests of the folder of a core, and how a stranger runs what is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np

from hwbnn.graph import Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan
from hwbnn.targets import generate
from hwbnn.verification.verilator import settings

PLAN = Plan({"d1": Folded(7, 3)}, input_beat=24, output_beat=16)
"""Four beats in, four out; the first layer has its weights in a ROM, the second in logic."""


def network(flipped=None):
    """Two layers; ``flipped`` names a Dot one of whose weights is the opposite."""
    rng = np.random.default_rng(5)
    weights = {"d1": rng.random((14, 21)) < 0.5, "d2": rng.random((10, 14)) < 0.5}
    if flipped is not None:
        weights[flipped][3, 5] ^= True
    return Graph(
        (
            Input("x", (21,), 0, 15),
            Dot("d1", "x", weights["d1"]),
            Threshold("t1", "d1", rng.integers(-30, 31, (14, 1)), rng.random(14) < 0.5),
            Dot("d2", "t1", weights["d2"]),
            Output("y", "d2"),
        )
    )


def core(framing="packet", flipped=None, control="none", tags=None, **options):
    plan = replace(PLAN, framing=framing, control=control, **(tags or {}))
    return generate(network(flipped), "rtl", plan, name="my", **options)


def clean_environment():
    """No Python path of ours; Verilator, if it is that of a Python package, as doctor says."""
    environment = {**os.environ, **settings()}
    return {k: v for k, v in environment.items() if k not in ("PYTHONPATH", "MAKEFLAGS")}


def make(folder, *targets):
    """Run ``make`` as the README says: its exit status and what it prints."""
    done = subprocess.run(
        ["make", *targets, f"PYTHON={sys.executable}"],
        cwd=folder / "sim",
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    return done.returncode, done.stdout + done.stderr
