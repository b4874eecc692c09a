"""Synthesis by Vitis HLS, as far as a stand-in for the program goes."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from hwbnn.errors import InputError, ToolFailed, ToolNotFound
from hwbnn.report import Figure
from hwbnn.targets import generate
from hwbnn.targets.hls import parse_report
from hwbnn.verification import vitis
from tests.targets.hls_networks import every_node
from tests.verification import stand_in


@pytest.fixture(scope="module")
def project():
    return generate(every_node(), "hls", io="io_stream")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Puts a stand-in for the program on PATH."""

    def install(*arguments):
        stand_in.vitis(tmp_path, *arguments)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return install


def test_synthesis_runs_the_build_script_and_reads_the_report(project, installed, tmp_path):
    installed(stand_in.SCRIPT, {"hwbnn_top.v": "module hwbnn_top; endmodule\n"})
    found = vitis.synthesise(project, tmp_path / "project")
    source = "vitis_hls 2023.2, estimate of HLS synthesis"
    assert found.figures == {
        "TargetClockPeriod": Figure(5.0, "ns", source),
        "EstimatedClockPeriod": Figure(3.61, "ns", source),
        "BestLatency": Figure(6, "cycles", source),
        "WorstLatency": Figure(7, "cycles", source),
        "IntervalMin": Figure(1, "cycles", source),
        "IntervalMax": Figure(1, "cycles", source),
        "LUT": Figure(1234, "", source),
        "FF": Figure(567, "", source),
        "DSP": Figure(0, "", source),
        "BRAM_18K": Figure(0, "", source),
        "URAM": Figure(0, "", source),
    }
    assert found.unknown == {}
    made = found.project.files.keys() - project.files.keys()
    assert made == {"hwbnn_top_prj/solution1/impl/verilog/hwbnn_top.v", stand_in.XML}
    # hls4ml's reading has more, such as what the part has.
    report = parse_report(tmp_path / "project")["CSynthesisReport"]
    assert report["AvailableLUT"] == "53200"


def test_the_rtl_is_exported_on_demand(project, installed, tmp_path):
    installed(stand_in.SCRIPT.replace("synth      1", "export     1"))
    with pytest.raises(ToolFailed, match="status 4"):
        vitis.synthesise(project, tmp_path / "without")
    assert vitis.synthesise(project, tmp_path / "with", export=True).figures


def test_what_is_no_number_is_told_apart(project, installed, tmp_path):
    installed(
        f"{stand_in.SCRIPT}sed -i 's/latency>7</latency>undef</' {stand_in.XML}\n".replace(
            "latency", "Latency"
        )
    )
    found = vitis.synthesise(project, tmp_path / "project")
    assert found.unknown == {"WorstLatency": "undef"}
    assert "WorstLatency" not in found.figures
    assert found.figures["BestLatency"].value == 6


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("#!/bin/sh\necho ERROR: no licence\nexit 1\n", r"ERROR: no licence.*vitis\.log"),
        ("#!/bin/sh\nexit 0\n", r"no synthesis report.*; the log is .*vitis\.log"),
        (f"{stand_in.SCRIPT}echo '<profile/>' > {stand_in.XML}\n", r"read.*vitis\.log"),
        (f"{stand_in.SCRIPT}sed -i 's/>[0-9.]*</>?</g' {stand_in.XML}\n", "no figure"),
    ],
)
def test_failed_synthesis_is_one_line(project, installed, tmp_path, script, message):
    installed(script)
    with pytest.raises(ToolFailed, match=message) as failed:
        vitis.synthesise(project, tmp_path / "project")
    assert "\n" not in str(failed.value)


def test_without_vitis_synthesis_says_what_to_do(project, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolNotFound, match="neither vitis_hls nor vitis-run is on PATH"):
        vitis.synthesise(project, tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_a_project_of_another_kind_is_refused(project, tmp_path):
    with pytest.raises(InputError, match="target 'hls', found 'rtl'"):
        vitis.synthesise(replace(project, target="rtl"), tmp_path)
