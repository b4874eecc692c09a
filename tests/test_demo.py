"""The demo as a new user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hwbnn.demo import steps
from hwbnn.graph import load
from hwbnn.project import Project
from hwbnn.report import Report, page


@pytest.mark.hardware
def test_the_demo_leaves_what_it_says(tmp_path: Path) -> None:
    hwbnn = Path(sys.executable).parent / "hwbnn"
    done = subprocess.run([str(hwbnn), "demo"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all equal -> hwbnn-demo/report.html"
    assert f"[{steps()}/{steps()}] synthesise" in done.stderr

    folder = tmp_path / "hwbnn-demo"
    report = Report.from_json((folder / "report.json").read_bytes())
    assert report.ok
    assert (folder / "report.txt").read_text().splitlines()[-1] in done.stdout
    assert (folder / "report.html").read_text(encoding="utf-8") == page(report)
    (accuracy,) = report.accuracy
    assert accuracy.frames == 355
    assert accuracy.float_network is not None
    assert accuracy.float_network.value == accuracy.integer_graph.value > 95
    backends = {backend.name: backend for backend in report.backends}
    assert {"float network", "fast", "hls", "rtl", "rtl-cocotb"} <= set(backends)
    assert all(backend.bits > 0 == backend.mismatches for backend in backends.values())
    (core,) = report.cores
    for pair in core.cycles.values():
        assert pair.predicted is not None
        assert pair.measured is not None
        assert pair.predicted.value == pair.measured.value
    assert {"LUT", "FF", "CARRY4", "BRAM_36K", "DSP"} <= set(core.resources)
    assert load(folder / "graph.npz").digest == report.digest
    for target in ("rtl", "hls"):
        assert Project.read(folder / target).target == target
