"""The README's figures are those of the reports, and a stale one is noticed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from hwbnn.report import Report, number

REPOSITORY = Path(__file__).resolve().parent.parent


def _check(root: Path) -> subprocess.CompletedProcess[str]:
    script = REPOSITORY / "scripts" / "figures.py"
    return subprocess.run(
        [sys.executable, str(script), "--check", "--root", str(root)],
        capture_output=True,
        text=True,
    )


def test_the_figures_are_those_of_the_reports() -> None:
    done = _check(REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stale_figure_is_noticed(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "README.md", tmp_path)
    for path in (*REPOSITORY.glob("models/*/*.json"), *REPOSITORY.glob("benchmarks/*/*.json")):
        copy = tmp_path / path.relative_to(REPOSITORY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    assert _check(tmp_path).returncode == 0
    report = tmp_path / "models" / "digits" / "report.json"
    found = json.loads(report.read_bytes())
    found["accuracy"]["integer"] -= 0.01
    report.write_text(json.dumps(found))
    done = _check(tmp_path)
    assert done.returncode == 1
    assert "run scripts/figures" in done.stdout


def test_each_figure_stands_under_its_name() -> None:
    lines = (REPOSITORY / "README.md").read_text().splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("| core | ways |"))
    names, _, row = ([c.strip() for c in line.split("|")[1:-1]] for line in lines[head : head + 3])
    found = dict(zip(names, row, strict=True))
    report = Report.from_json((REPOSITORY / "models" / "digits" / "build.json").read_bytes())
    core = report.cores[0]
    assert found["core"] == f"{report.network}, {core.name}"
    for name, pair in (
        ("latency, cycles", core.cycles["latency"]),
        ("interval, cycles", core.cycles["initiation_interval"]),
        ("LUT", core.resources["LUT"]),
        ("FF", core.resources["FF"]),
    ):
        assert pair.measured is not None
        assert found[name] == number(pair.measured.value)
