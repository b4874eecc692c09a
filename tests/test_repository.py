"""Rules of the repository itself: pinned versions, and no skipped test."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parent.parent


def _pinned() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {_plain(name): version for name, version in pairs}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _needed(name: str, extra: str, seen: set[tuple[str, str]]) -> None:
    """Everything that an installation of this distribution with this extra brings."""
    if (_plain(name), extra) in seen:
        return
    seen.add((_plain(name), extra))
    for text in importlib.metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            for inner in {"", *requirement.extras}:
                _needed(requirement.name, inner, seen)


def test_every_package_is_pinned_at_the_version_that_is_tested() -> None:
    seen: set[tuple[str, str]] = set()
    _needed("hwbnn", "dev", seen)
    pinned = _pinned()
    wrong = {}
    for name in {name for name, _ in seen} - {"hwbnn"}:
        found = importlib.metadata.version(name).partition("+")[0]
        if pinned.get(name) != found:
            wrong[name] = (pinned.get(name), found)
    assert not wrong, "constraints.txt against what is installed"


def test_torch_is_asked_for_at_its_pinned_version() -> None:
    assert f"torch=={_pinned()['torch']}" in (REPOSITORY / "scripts" / "setup").read_text()
    assert f"torch=={_pinned()['torch']}" in (REPOSITORY / "docs/install.md").read_text()


@pytest.mark.parametrize(
    ("body", "status", "workers"),
    [
        ("pass", 0, []),
        ("pytest.skip('no tool')", 1, []),
        ("assert False", 1, []),
        ("pytest.skip('no tool')", 1, ["-n", "2"]),
    ],
)
def test_a_skipped_test_fails_the_run(
    tmp_path: Path, body: str, status: int, workers: list[str]
) -> None:
    shutil.copy(REPOSITORY / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(f"import pytest\ndef test_it():\n    {body}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *workers], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == status, done.stdout.decode()


def test_scripts_are_executable_and_stop_at_errors() -> None:
    for path in (REPOSITORY / "scripts").iterdir():
        if path.suffix:
            continue
        assert path.stat().st_mode & 0o111, path
        assert "set -euo pipefail" in path.read_text(), path
    assert "scripts/test" in (REPOSITORY / ".ci" / "run").read_text()
