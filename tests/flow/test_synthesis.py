"""Builds where a stand-in for Vitis HLS is on PATH, sound and failing, and where none is."""

from __future__ import annotations

import functools
import json
import os
from contextlib import nullcontext

import numpy as np
import pytest

from hwbnn.errors import InputError, ToolFailed
from hwbnn.flow import build, claim, steps
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan, Unrolled
from hwbnn.project import Project
from hwbnn.report import Report
from hwbnn.tools import yosys
from hwbnn.verification import verify
from tests.strategies import random_inputs
from tests.verification import stand_in

PLAN = Plan({"sums": Folded(4, 4)}, input_beat=24, output_beat=16)
SOURCE = "vitis_hls 2023.2, estimate of HLS synthesis"


@pytest.fixture(scope="module")
def graph():
    rng = np.random.default_rng(5)
    nodes = (
        Input("x", (16,), -9, 9),
        Dot("sums", "x", rng.random((8, 16)) < 0.5),
        Threshold("fires", "sums", rng.integers(-9, 9, (8, 1)), rng.random(8) < 0.5),
        Dot("scores", "fires", rng.random((6, 8)) < 0.5),
        ArgMax("class", "scores"),
        Output("y", "class"),
    )
    return Graph(nodes)


@pytest.fixture(scope="module")
def rtl(graph):
    return stand_in.exported(graph, PLAN)


@pytest.fixture(scope="module", autouse=True)
def synthesised_once():
    """The same core is synthesised in every test here: yosys runs for the first alone."""
    given, synth = [], yosys.synth
    made = functools.cache(lambda: synth(*given[0]))

    def again(*arguments):
        given.append(arguments)
        return made()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yosys, "synth", again)
        yield


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Puts a stand-in for Vitis HLS on PATH."""

    def install(*arguments):
        stand_in.vitis(tmp_path / "vitis", *arguments)
        monkeypatch.setenv("PATH", f"{tmp_path / 'vitis'}{os.pathsep}{os.environ['PATH']}")

    return install


def built(graph, folder, **options):
    x = random_inputs(graph, 20, 1)
    return build(graph, None, x, folder, plan=PLAN, backends=("fast",), **options)


class Told:
    """Remembers the steps that a build tells of."""

    def __init__(self):
        self.steps = []

    def step(self, what):
        self.steps.append(what)
        return nullcontext()

    def detail(self, what):
        pass


@pytest.mark.hardware
def test_vitis_is_run_reported_and_its_rtl_compared(graph, rtl, installed, tmp_path):
    installed(stand_in.SCRIPT, rtl)
    told = Told()
    report = built(graph, tmp_path / "out", progress=told)
    assert report.ok
    assert len(told.steps) == steps(["fast"])
    found = report.hls_synthesis["WorstLatency"]
    assert (found.value, found.unit, found.source) == (7, "cycles", SOURCE)
    assert {backend.name for backend in report.backends} == {"fast", "hls-rtl", "hls-rtl, stalled"}
    assert report.versions["vitis_hls"] == "2023.2"
    assert not any("Vitis" in each.what for each in report.not_done)
    read = Report.from_json((tmp_path / "out" / "report.json").read_bytes())
    assert read.hls_synthesis == report.hls_synthesis
    text = (tmp_path / "out" / "report.txt").read_text()
    assert "Vitis HLS, io_stream" in text
    assert SOURCE in text
    assert "synthesised" in (tmp_path / "out" / "vitis.log").read_text()
    # What was compared can be compared again, and a second build may take the folder.
    assert claim(tmp_path / "out") == tmp_path / "out"
    project = Project.read(tmp_path / "out" / "hls-vitis")
    assert verify(project, random_inputs(graph, 3, 2), backends=["hls-rtl-icarus"]).ok


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho ERROR: no licence\nexit 1\n", "ERROR: no licence"),
        ("#!/bin/sh\nexit 0\n", "no synthesis report"),
    ],
)
def test_a_failing_vitis_leaves_the_rest_of_the_report(graph, installed, tmp_path, script, said):
    installed(script)
    with pytest.raises(ToolFailed, match=said) as failed:
        built(graph, tmp_path / "out")
    assert str(failed.value).endswith(f"the log is {tmp_path / 'out' / 'vitis.log'}")
    assert (tmp_path / "out" / "vitis.log").is_file()
    report = Report.from_json((tmp_path / "out" / "report.json").read_bytes())
    assert not report.hls_synthesis
    assert report.cores[0].resources["LUT"].measured is not None
    assert [backend.name for backend in report.backends] == ["fast"]
    (told,) = [each for each in report.not_done if each.what == "synthesis by Vitis HLS"]
    assert said in told.why
    assert "\n" not in told.why


def test_a_core_of_two_families_is_compared_and_not_synthesised(graph, tmp_path):
    plan = Plan({"scores": Unrolled(form="xcup")}, Unrolled(form="xc7"))
    x = random_inputs(graph, 20, 1)
    report = build(graph, None, x, tmp_path / "out", plan=plan, backends=("fast",))
    assert [backend.name for backend in report.backends] == ["fast"]
    (told,) = [each for each in report.not_done if each.what == "synthesis"]
    assert "expected layers made for one family, found xc7 and xcup; make them all" in told.why
    assert not report.cores[0].resources


def test_rtl_with_an_unknown_border_is_one_line(graph, installed, tmp_path):
    installed(stand_in.SCRIPT, {"hwbnn_top.v": "module hwbnn_top(input ap_clk); endmodule\n"})
    with pytest.raises(ToolFailed, match="expected a port ap_rst_n"):
        built(graph, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_bytes())
    assert report["hls_synthesis"]["LUT"]["value"] == 1234
    assert [each["what"] for each in report["not_done"]][-1] == "verify hls-rtl"


def test_what_vitis_does_not_say_is_told(graph, installed, tmp_path):
    installed(f"{stand_in.SCRIPT}sed -i 's/>7</>undef</' {stand_in.XML}\n")
    report = built(graph, tmp_path / "out")
    told = {each.what: each.why for each in report.not_done}
    assert told["Vitis HLS: WorstLatency"] == "it reports 'undef'"
    assert told["verify hls-rtl"] == "Vitis HLS left no Verilog"
    assert "WorstLatency" not in report.hls_synthesis


def test_without_vitis_the_report_says_so(graph, tmp_path):
    report = built(graph, tmp_path / "out")
    (told,) = [each for each in report.not_done if each.what == "synthesis by Vitis HLS"]
    assert "neither vitis_hls nor vitis-run is on PATH" in told.why
    assert not (tmp_path / "out" / "hls-vitis").exists()


@pytest.mark.parametrize("backend", ["guess", "hls-rtl"])
def test_backends_are_checked_before_anything_is_done(graph, tmp_path, backend):
    with pytest.raises(InputError, match=f"backend '{backend}'"):
        build(graph, None, random_inputs(graph, 2, 1), tmp_path / "out", backends=("fast", backend))
    assert not (tmp_path / "out").exists()
