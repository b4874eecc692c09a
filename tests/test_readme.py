"""The README's blocks are run as they stand there, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def _blocks() -> list[tuple[str, str]]:
    """Kind and text of each block, neighbouring ones of a kind joined: they share their names."""
    found = BLOCK.findall((REPOSITORY / "README.md").read_text())
    return [
        (kind, "".join(text for _, text in group))
        for kind, group in groupby(found, lambda block: block[0])
    ]


def _run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@pytest.mark.hardware
def test_the_blocks_run(tmp_path: Path) -> None:
    blocks = _blocks()
    assert {kind for kind, _ in blocks} == {"python", "console"}
    for kind, text in blocks:
        if kind == "python":
            _run([sys.executable, "-W", "error", "-c", text], tmp_path)
            continue
        for line in text.splitlines():
            assert line.startswith("$ "), line
            _run(["bash", "-c", line.removeprefix("$ ")], tmp_path)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    for target in LINK.findall((REPOSITORY / page).read_text()):
        assert (REPOSITORY / target).exists(), target


def test_paths_that_are_named_exist() -> None:
    named = re.findall(r"`((?:hwbnn|tests|rtl|rtl_tests|hls|scripts)/[^`<>* ]*)`", _contributing())
    assert len(named) > 10
    for path in named:
        assert (REPOSITORY / path).exists(), path


def _contributing() -> str:
    return (REPOSITORY / "CONTRIBUTING.md").read_text()
