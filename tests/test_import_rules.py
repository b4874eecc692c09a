"""The import rules of ``pyproject.toml`` are seen to fail, each on an import that breaks it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

PLANTED = {
    "Knowledge flows one way": ("graph/bits.py", "import hwbnn.simulators"),
    "Only methods, nn, training and lowering import torch": (
        "verification/results.py",
        "import torch",
    ),
    "The integer rooms never reach torch or hls4ml": ("plan/plan.py", "import hwbnn.methods"),
    "Of lowering only from_torch reaches torch": ("lowering/tables.py", "import torch.fx"),
    "Only targets.hls imports hls4ml": ("simulators/plain.py", "import hls4ml"),
    "Only tools and verification start other programs": ("project.py", "import subprocess"),
}


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    shutil.copytree(
        REPOSITORY / "hwbnn", folder / "hwbnn", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    for file, line in PLANTED.values() if folder.name == "planted" else ():
        path = folder / "hwbnn" / file
        path.write_text(f"{path.read_text()}\n\ndef _planted() -> None:\n    {line}\n")
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


def test_the_rule_of_lowering_names_all_its_files_but_the_torch_way_in() -> None:
    rules = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    (rule,) = [c for c in rules["contracts"] if c["id"] == "seam"]
    room = REPOSITORY / "hwbnn/lowering"
    places = {file.stem for file in room.glob("*.py")} | {
        i.parent.name for i in room.glob("*/__init__.py")
    }
    names = {f"hwbnn.lowering.{place}" for place in places - {"__init__", "from_torch"}}
    assert set(rule["source_modules"]) == names


def test_tabulation_runs_where_torch_is_not_installed() -> None:
    program = """
import sys
sys.modules["torch"] = None
from hwbnn.lowering import activations, layers, line_fit, pools, shapes, shortcuts, tables, two_sums
import hwbnn.lowering.from_file, hwbnn.readers
assert not any(name.startswith("torch.") for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_rule_fails_on_a_planted_import(tmp_path: Path) -> None:
    (tmp_path / "planted").mkdir()
    done = _lint(tmp_path / "planted")
    assert done.returncode == 1, done.stdout
    for rule in PLANTED:
        assert f"{rule} BROKEN" in done.stdout, done.stdout


def test_the_package_keeps_them(tmp_path: Path) -> None:
    done = _lint(tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"{len(PLANTED)} kept, 0 broken" in done.stdout
