"""The commands generate, verify, synth and core."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwbnn.errors import ToolFailed
from hwbnn.graph import Graph
from hwbnn.plan import Folded, Plan
from hwbnn.project import Project
from hwbnn.report import Report
from tests.cli.conftest import Call, missed, refused

PLAN = Plan({"hidden": Folded(2, 4), "scores": Folded(1, 6)})


def _files(folder: Path = Path()) -> list[str]:
    return sorted(p.as_posix() for p in folder.rglob("*"))


def test_generate_writes_a_project(call: Call, graph_file: Path) -> None:
    Path("plan.json").write_text(PLAN.to_json())
    for target, options in (
        ("rtl", []),
        ("rtl", ["--plan", "plan.json"]),
        ("hls", ["--io", "io_stream"]),
    ):
        done = call("generate", graph_file, "--target", target, "--out", "out", *options, "--json")
        assert done.exit_code == 0, done.output
        facts = json.loads(done.stdout)
        assert Project.read("out").digest == facts["digest"]
        assert Project.read("out").target == target


def test_generate_names_a_core(call: Call, graph_file: Path) -> None:
    assert call("generate", graph_file, "--name", "mine", "--out", "core").exit_code == 0
    assert json.loads(Path("core/core.json").read_bytes())["top"] == "mine_top"
    refused(
        call("generate", graph_file, "--name", "my_core", "--out", "none"), "core name 'my_core'"
    )
    assert not Path("none").exists()


def test_a_rate_is_an_interval(call: Call, graph_file: Path) -> None:
    rate = ("--fps", 4_000_000, "--mhz", 100)
    told = call("generate", graph_file, *rate, "--out", "fast", "--table", "--json")
    facts = json.loads(told.stdout)
    same = call("generate", graph_file, "--interval", 25, "--mhz", 100, "--out", "slow", "--json")
    assert facts["digest"] == json.loads(same.stdout)["digest"]
    about = json.loads(Path("fast/core.json").read_bytes())
    busiest = max(facts["stages"], key=lambda row: row["busy"])
    assert busiest["cycles"] <= about["cycles"]["initiation_interval"] <= 25
    shown = call("generate", graph_file, *rate, "--out", "fast", "--table")
    assert all(row["stage"] in shown.stdout for row in facts["stages"])
    assert f"busiest: {busiest['stage']}" in shown.stderr
    for fps in (-1, 0, 1e9):
        refused(call("generate", graph_file, "--fps", fps, "--out", "none"), "plan: ", "expected")
    both = call("generate", graph_file, "--fps", 9, "--interval", 25, "--mhz", 100, "--out", "both")
    assert both.exit_code == 0
    assert Project.read("both").digest == Project.read("slow").digest


def test_generate_finds_a_plan(call: Call, graph_file: Path) -> None:
    assert call("generate", graph_file, "--interval", 24, "--out", "slow").exit_code == 0
    about = json.loads(Path("slow/core.json").read_bytes())
    assert about["cycles"]["initiation_interval"] <= 24
    assert call("generate", graph_file, "--luts", 10_000, "--out", "small").exit_code == 0
    missed(
        call("generate", graph_file, "--luts", 1, "--out", "none"), "within 1 LUTs; the smallest"
    )
    both = call("generate", graph_file, "--luts", 9, "--interval", 9, "--out", "none")
    missed(both, "a frame every 9 cycles needs", "LUT of 9, and no Plan", "the smallest takes")
    Path("plan.json").write_text(Plan().to_json())
    both = call("generate", graph_file, "--luts", 9, "--plan", "plan.json", "--out", "none")
    refused(both, "--plan plan.json says the layout of every layer")
    assert not Path("none").exists()


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ('{"layers": {"hidden": {"pe": 0, "simd": 4}}}', ["pe", "positive integer", "found 0"]),
        ('{"layers": {"none": "unrolled"}}', ["'none' is no Dot", "hidden, scores"]),
        ('{"input_beat": 12}', ["input_beat", "multiple of 8"]),
        ('{"colour": 1}', ["plan.json", "unknown key 'colour'", "clock_ns"]),
        ("{", ["plan.json: not JSON"]),
    ],
)
def test_plans_that_do_not_fit_are_refused(
    call: Call, graph_file: Path, plan: str, words: list[str]
) -> None:
    Path("plan.json").write_text(plan)
    before = _files()
    options = ("--plan", "plan.json", "--out", "out")
    refused(call("generate", graph_file, *options), *words)
    refused(call("build", "--graph", graph_file, "--samples", "x.npy", *options))
    assert _files() == before


def test_build_takes_the_goals_of_generate(
    call: Call, graph_file: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save("x.npy", x)
    before = _files()
    options = ("--graph", graph_file, "--samples", "x.npy", "--backends", "fast")
    missed(call("build", *options, "--luts", 9, "--interval", 9, "--out", "none"), "LUT of 9")
    missed(call("build", *options, "--luts", 1, "--out", "none"), "LUT")
    refused(call("build", *options[:-1], "fast,guess", "--out", "none"), "backend 'guess'")
    refused(call("build", *options[:-1], "hls-rtl", "--out", "none"), "backend 'hls-rtl'")
    refused(call("build", *options, "--tolerance", 7, "--out", "none"), "tolerance", "found 7")
    assert _files() == before
    synth = import_module("hwbnn.tools.yosys")
    monkeypatch.setattr(synth, "synth", lambda *_: SimpleNamespace(figures=dict))
    assert call("build", *options, "--interval", 24, "--out", "slow").exit_code == 0
    call("generate", graph_file, "--interval", 24, "--out", "core")
    assert Project.read("slow/rtl").digest == Project.read("core").digest


def test_folders_that_hold_something_else_are_left_alone(call: Call, graph_file: Path) -> None:
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("years of work")
    np.save("x.npy", np.zeros((2, 8), int))
    before = _files()
    refused(call("generate", graph_file, "--out", "full"), "full", "empty or a new folder")
    refused(
        call("build", "--graph", graph_file, "--samples", "x.npy", "--out", "full"),
        "full: holds 'thesis.txt'",
    )
    refused(call("demo", "--out", "full"), "full: holds 'thesis.txt'")
    refused(call("generate", graph_file, "--out", "x.npy/out"), "x.npy/out", "cannot be written")
    refused(call("demo", "--out", "x.npy"), "x.npy")
    assert _files() == before


@pytest.mark.parametrize("tool", ["verilator", "make"])
def test_a_missing_simulator_is_said(
    call: Call, graph_file: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    find = import_module("hwbnn.tools.find")
    there = find.find
    monkeypatch.setattr(find, "find", lambda name: None if name == tool else there(name))
    assert call("generate", graph_file, "--out", "core").exit_code == 0
    before = _files()
    refused(call("verify", "core", "--backends", "rtl"), tool, "install")
    assert _files() == before


def test_what_is_no_project_is_refused(call: Call, graph_file: Path) -> None:
    refused(call("verify", "nowhere"), "nowhere: expected a Graph file")
    refused(call("verify", graph_file, "--backends", "guess"), "'guess'", "fast, hls")
    refused(call("verify", graph_file, "--ways", "guess"), "backend 'guess'")  # as it was called
    call("generate", graph_file, "--target", "hls", "--out", "core")
    refused(call("synth", "core"), "core", "expected a project of target 'rtl'")
    refused(call("report", "core"), "core/report.json")


@pytest.mark.hardware
def test_verify_passes_a_good_core_and_names_a_planted_fault(
    call: Call, graph_file: Path, x: np.ndarray
) -> None:
    Path("plan.json").write_text(PLAN.to_json())
    np.save("x.npy", x)
    assert call("generate", graph_file, "--plan", "plan.json", "--out", "core").exit_code == 0
    good = call("verify", "core", "x.npy")
    assert good.exit_code == 0, good.output
    assert good.stdout.splitlines()[-1].startswith("all equal: ")
    options = ("--backends", "rtl-icarus", "--wave", "core.fst", "--rtl-frames", 2, "--json")
    waved = call("verify", "core", "x.npy", *options)
    assert waved.exit_code == 0, waved.output
    assert {backend["frames"] for backend in json.loads(waved.stdout)["backends"]} == {2}
    assert Path("core.fst").stat().st_size > 0

    rom = Path("core/rtl/hwbnn_rom_hidden.sv")
    text = rom.read_text()
    at = text.index("rows[0] = 8'h") + len("rows[0] = 8'h")
    rom.write_text(f"{text[:at]}{int(text[at], 16) ^ 1:x}{text[at + 1 :]}")
    bad = call("verify", "core", "x.npy", "--json")
    assert bad.exit_code == 1
    facts = json.loads(bad.stdout)
    assert facts["ok"] is False
    assert facts["backends"][1]["failure"].startswith("rtl: node 'fires': frame ")


@pytest.mark.hardware
def test_build_leaves_everything_where_it_says(
    call: Call, graph: Graph, graph_file: Path, x: np.ndarray
) -> None:
    np.savetxt("x.csv", x / 15, delimiter=",")
    np.savetxt("y.csv", np.arange(len(x)) % 3, "%d")
    done = call(
        *("build", "--graph", graph_file, "--samples", "x.csv", "--labels", "y.csv"),
        *("--out", "made", "--backends", "fast,hls"),
    )
    assert done.exit_code == 0, done.output
    report = Report.from_json(Path("made/report.json").read_bytes())
    assert report.ok
    assert report.digest == graph.digest
    assert [backend.name for backend in report.backends] == ["fast", "hls"]
    assert {"LUT", "FF", "CARRY4", "BRAM_36K", "DSP"} <= set(report.cores[0].resources)
    assert report.accuracy[0].frames == len(x)
    assert {Project.read(f"made/{target}").target for target in ("rtl", "hls")} == {"rtl", "hls"}
    assert call("report", "made").stdout.splitlines()[-1].endswith("made/report.json")


def test_build_of_no_samples_is_refused(call: Call, graph_file: Path) -> None:
    np.save("none.npy", np.zeros((0, 8), np.int64))
    given = call("build", "--graph", graph_file, "--samples", "none.npy", "--out", "core")
    refused(given, "none.npy: holds no samples")
    assert not Path("core").exists()


@pytest.mark.hardware
def test_build_without_a_tool_says_what_is_missing(
    call: Call, graph_file: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = import_module("hwbnn.tools.find")
    there = find.find
    gone = ("verilator", "pyosys")
    monkeypatch.setattr(find, "find", lambda name: None if name in gone else there(name))
    np.save("x.npy", x)
    done = call(
        *("build", "--graph", graph_file, "--samples", "x.npy"),
        *("--out", "made", "--backends", "fast,rtl", "--json"),
    )
    assert done.exit_code == 0, done.output
    report = Report.from_json(done.stdout)
    *missing, vitis = report.not_done
    assert [each.what for each in missing] == ["verify rtl", "synthesis"]
    assert all("pip install" in each.why for each in missing)
    assert vitis.what == "synthesis by Vitis HLS"
    assert [backend.name for backend in report.backends] == ["fast"]


@pytest.mark.hardware
def test_build_keeps_what_it_found_when_a_tool_fails(
    call: Call, graph_file: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ToolFailed("yosys: ended by SIGKILL: it printed nothing")

    monkeypatch.setattr("hwbnn.tools.yosys.synth", fail)
    np.save("x.npy", x)
    done = call(
        *("build", "--graph", graph_file, "--samples", "x.npy"),
        *("--out", "made", "--backends", "fast"),
    )
    assert done.exit_code == 2
    assert "error: yosys: ended by SIGKILL" in done.stderr
    report = Report.from_json(Path("made/report.json").read_bytes())
    assert [backend.name for backend in report.backends] == ["fast"]
    assert [each.what for each in report.not_done] == ["synthesis", "synthesis by Vitis HLS"]
