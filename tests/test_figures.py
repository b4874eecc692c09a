"""The READMEs' figures are those of the reports, and a stale one is noticed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import methods
from hwbnn.report import Figure, FixedPointFigures, Report, number

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
    pages = ("README.md", "models/README.md", "benchmarks/README.md", "docs/*.md")
    files = ("models/*/*.json", "models/*/recipe.toml", "models/*/graph.npz", "benchmarks/*/*.json")
    for path in (p for name in (*pages, *files) for p in REPOSITORY.glob(name)):
        copy = tmp_path / path.relative_to(REPOSITORY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    assert _check(tmp_path).returncode == 0
    report = tmp_path / "models" / "digits" / "report.json"
    found = json.loads(report.read_bytes())
    found["accuracy"][0]["integer_graph"]["value"] -= 1
    report.write_text(json.dumps(found))
    done = _check(tmp_path)
    assert done.returncode == 1
    stale = [line for line in done.stdout.splitlines() if "run scripts/figures" in line]
    assert len(stale) == 2  # both pages show the accuracy


def test_each_figure_stands_under_its_name() -> None:
    lines = (REPOSITORY / "models" / "README.md").read_text().splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("| core | backends "))
    of_digits = next(line for line in lines[head:] if line.startswith("| digits "))
    names, row = ([c.strip() for c in line.split("|")[1:-1]] for line in (lines[head], of_digits))
    found = dict(zip(names, row, strict=True))
    report = Report.from_json((REPOSITORY / "models" / "digits" / "build.json").read_bytes())
    core = report.cores[0]
    assert found["core"] == f"{report.network}, {core.name}"
    for name, pair in (
        ("latency, cycles", core.cycles["latency"]),
        ("interval, cycles", core.cycles["initiation_interval"]),
        ("LUT sites", core.resources["LUT_paired"]),
        ("LUTs", core.resources["LUT"]),
        ("FF", core.resources["FF"]),
    ):
        assert pair.measured is not None
        assert found[name] == number(pair.measured.value)


def test_methods_are_shown_beside_the_baseline(tmp_path: Path) -> None:
    assert "Not measured yet" in next(methods(tmp_path))
    base = {"method": "bnn_ste", "accuracy": 0.9, "difference": 0.0, "half": 0.0, "time": 1.0}
    other = {"method": "x", "accuracy": 0.88, "difference": -0.02, "half": 0.005, "time": 1.25}
    once = {**other, "half": None, "below": False}
    found = {
        "baseline": "bnn_ste",
        "experiments": {
            "digits": {"seeds": 3, "rows": [{**base, "below": False}, {**other, "below": True}]},
            "sfc": {"seeds": 1, "rows": [{**base, "below": False}, {**once, "method": "y"}, once]},
        },
    }
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    (results / "methods.json").write_text(json.dumps(found))
    assert list(methods(tmp_path)) == [
        "| method | digits, 3 seeds | difference, points | time "
        "| sfc, 1 seed | difference, points | time |",
        "|---|---:|---:|---:|---:|---:|---:|",
        "| `bnn_ste` | 90.00% | baseline | 1 | 90.00% | baseline | 1 |",
        "| `x` | 88.00% | -2.00 ± 0.50 \\* | 1.25 | 88.00% | -2.00 | 1.25 |",
        "| `y` |  |  |  | 88.00% | -2.00 | 1.25 |",
    ]


def test_word_lengths_of_shortcuts_are_shown(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("figures", REPOSITORY / "scripts" / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    folder = tmp_path / "models" / "net"
    folder.mkdir(parents=True)
    off, share = (Figure(0.5, "", "x"), Figure(2.0, "", "x")), Figure(99.0, "%", "x")
    told = FixedPointFigures("x", 9, 18, 24, True, off[1], off[0], off[0], share, share, share)
    for entries, shown in (((), "No network"), ((told,), "| 24 | 0.5 | 2 | 99.00%")):
        text = Report("x", "y", fixed_point=entries).to_json()
        (folder / "report.json").write_text(text)
        assert shown in "\n".join(figures.shortcuts(tmp_path))
