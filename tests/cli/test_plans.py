"""What the command line says of a core's layout: ``--form``; goals are in test_hardware.py."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwbnn.estimate import plan_for_ii, plan_for_luts
from hwbnn.flow import netlist_family
from hwbnn.graph import Graph
from hwbnn.plan import Plan, Unrolled
from hwbnn.project import Project
from hwbnn.report import Report
from hwbnn.targets import generate
from tests.cli.conftest import Call, refused

NETLISTS = Plan(default=Unrolled(form="xc7"))


def test_unrolled_layers_are_made_as_netlists(call: Call, graph: Graph, graph_file: Path) -> None:
    wanted = {
        (): NETLISTS,
        ("--interval", 1): plan_for_ii(graph, 1, NETLISTS),
        ("--luts", 400): plan_for_luts(graph, 400, NETLISTS),
    }
    for i, (goal, plan) in enumerate(wanted.items()):
        done = call("generate", graph_file, *goal, "--form", "xc7", "--out", f"core{i}")
        assert done.exit_code == 0, done.output
        made = Project.read(f"core{i}")
        assert made.digest == generate(graph, "rtl", plan).digest
        assert netlist_family(made) == "xc7"
        assert "rtl/hwbnn_net_hidden.sv" in made.files
    # Without it the same goal has none.
    assert call("generate", graph_file, "--interval", 1, "--out", "modules").exit_code == 0
    assert netlist_family(Project.read("modules")) is None


def test_vendor_tools_are_asked_for_a_device_that_has_the_primitives(
    call: Call, graph_file: Path
) -> None:
    for made, part in (("xc7", "xc7z020"), ("xcup", "xczu7ev")):
        assert call("generate", graph_file, "--form", made, "--out", made).exit_code == 0
        assert f"set part {part}" in (Path(made) / "vivado" / "core.tcl").read_text()


def test_what_it_cannot_do_is_refused(call: Call, graph_file: Path) -> None:
    Path("plan.json").write_text(Plan().to_json())
    np.save("x.npy", np.zeros((2, 8), int))
    build = ("build", "--graph", graph_file, "--samples", "x.npy")
    for command in (("generate", graph_file), build):
        line = refused(call(*command, "--form", "asic", "--out", "none"), "form", "'asic'")
        assert line.endswith("expected one of modules, portable, xc7, xcup, found 'asic'")
        with_plan = call(*command, "--form", "xc7", "--plan", "plan.json", "--out", "none")
        refused(with_plan, "--form has no effect on --plan plan.json")
    hls = call("generate", graph_file, "--target", "hls", "--form", "xc7", "--out", "none")
    refused(hls, "--form has no effect on --target hls")
    for option, value in (("--control", "axi4lite"), ("--port", "minimal"), ("--tid-bits", "3")):
        line = call("generate", graph_file, "--target", "hls", option, value, "--out", "none")
        refused(line, option, "no effect on --target hls")
        refused(call("generate", graph_file, option, "-1", "--out", "none"), "expected")
    assert not Path("none").exists()


def test_netlists_are_synthesised_for_their_family(
    call: Call, graph_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(call("synth", graph_file, "--form", "xc7", "--place"), "primitives of xc7", "portable")
    refused(call("synth", graph_file, "--form", "xcup", "--family", "xc7"), "primitives of xcup")
    families: list[object] = []

    def synth(*given: object) -> SimpleNamespace:
        families.append(given[2])
        return SimpleNamespace(figures=dict)

    monkeypatch.setattr(import_module("hwbnn.tools.yosys"), "synth", synth)
    np.save("x.npy", np.zeros((2, 8), int))
    options = ("--graph", graph_file, "--samples", "x.npy", "--backends", "fast", "--json")
    for made in ("xcup", "xc7", "portable"):
        done = call("build", *options, "--form", made, "--out", made)
        assert done.exit_code == 0, done.output
    assert families == ["xcup", "xc7", "xc7"]
    done = call("build", *options, "--form", "xcup", "--place", "--out", "xcup")
    (why,) = (n.why for n in Report.from_json(done.stdout).not_done if n.what == "place and route")
    assert "primitives of xcup" in why
    assert json.loads(Path("xcup/rtl/plan.json").read_bytes())["default"] == {"form": "xcup"}
