"""The minimal port: constant latency, a frame in every cycle; refused where a core can wait."""

from __future__ import annotations

import json
import re
import subprocess

import numpy as np
import pytest

from hwbnn.errors import PlanError
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan, Unrolled, circuit
from hwbnn.project import Project
from hwbnn.targets import generate
from tests.targets.ip_cores import clean_environment


def network():
    rng = np.random.default_rng(8)
    return Graph(
        (
            Input.bits(30),
            Dot("d1", "x", rng.random((12, 30)) < 0.5),
            Threshold("t1", "d1", rng.integers(-6, 7, (12, 1)), rng.random(12) < 0.5),
            Dot("d2", "t1", rng.random((5, 12)) < 0.5),
            ArgMax("a", "d2"),
            Output("y", "a"),
        )
    )


def project(form="modules", **options):
    graph = network()
    plan = Plan(default=Unrolled(form=form), port="minimal", **options).with_wide_beats(graph)
    return generate(graph, "rtl", plan, name="my", vectors=24)


def make(folder, target):
    done = subprocess.run(
        ["make", target],
        cwd=folder / "minimal",
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.hardware
@pytest.mark.parametrize("form", ["modules", "xc7"])
def test_the_latency_is_constant(form, tmp_path):
    made = project(form)
    folder = made.write(tmp_path / "core")
    targets = ("icarus", "verilator", "lint") if form == "modules" else ("icarus",)
    for target in targets:
        status, said = make(folder, target)
        assert status == 0, said
        assert "FAIL" not in said
        if target != "lint":
            assert "PASS: build" in said
            latency = json.loads(made.text("core.json"))["minimal"]["latency"]
            assert f"run 0: 24 frames, 24 results, each after {latency} cycles" in said


FAULTS = {
    "a register more": (
        "minimal/my_minimal.sv", r"assign valid_o = (\w+);",
        r"always_ff @(posedge aclk) valid_o <= \1;",
    ),
    "another frame": ("minimal/my_minimal.sv", r"assign data_o = (\w+);", r"assign data_o = ~\1;"),
    "a reset that leaves frames inside": (
        "rtl/hwbnn_valid_line.sv", r"if \(!rst_ni\)", "if (1'b0)",
    ),
    "vectors of another build": ("sim/vectors/input.hex", r"build \w", "build z"),
}  # fmt: skip


@pytest.mark.hardware
@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_fails_on(fault, tmp_path):
    file, there, instead = FAULTS[fault]
    right = project()
    text, count = re.subn(there, instead, right.text(file), count=1)
    assert count == 1
    broken = Project("rtl", {**right.files, file: text.encode()})
    status, said = make(broken.write(tmp_path / "core"), "icarus")
    assert status != 0, said
    assert "FAIL" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"default": Folded(4, 6)}, "port minimal: .* does not take a frame in every cycle"),
        ({"input_beat": 8}, "port minimal: a frame is 4 beats by input_beat, .* input_beat 32"),
    ],
)
def test_it_is_refused_where_a_core_can_wait(options, said):
    plan = Plan(**{"input_beat": 32, "port": "minimal", **options})
    with pytest.raises(PlanError, match=said):
        circuit(network(), plan)


def test_other_cores_have_no_such_module():
    graph = network()
    files = generate(graph, "rtl", Plan.default_of(graph)).files
    assert not any(name.startswith("minimal/") for name in files)
