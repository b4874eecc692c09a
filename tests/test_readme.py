"""The pages for users: their blocks are run as they stand there, their links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
RUN = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
"""Pages whose blocks are run, each in a folder that is empty but for the files in ``GIVEN``."""
_QKERAS = REPOSITORY / "tests" / "readers" / "keras" / "files"
_ONNX = REPOSITORY / "tests" / "readers" / "onnx" / "files"
GIVEN = {
    "docs/qkeras.md": {
        "digits.keras": _QKERAS / "qkeras_digits.keras",
        "digits.npz": _QKERAS / "qkeras_digits.npz",
    },
    "docs/hardware.md": {"graph.npz": REPOSITORY / "models" / "digits" / "graph.npz"},
    "docs/ways-in.md": {"net.onnx": _ONNX / "ours_qonnx_mixed_conv.onnx"},
}
"""Files that pages tell how to make by other programs."""
ROOMS = ("benchmarks", "docs", "hls", "models", "recipes", "rtl", "rtl_tests")
PAGES = sorted(p for room in (".", *ROOMS) for p in (REPOSITORY / room).glob("*.md"))


def _name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def _blocks(page: Path) -> list[tuple[str, str]]:
    """Kind and text of each block, neighbouring ones of a kind joined: they share their names."""
    found = BLOCK.findall(page.read_text())
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
@pytest.mark.parametrize("page", [p for p in RUN if _blocks(p)], ids=_name)
def test_the_blocks_run(page: Path, tmp_path: Path) -> None:
    for name, file in GIVEN.get(_name(page), {}).items():
        shutil.copy(file, tmp_path / name)
    for kind, text in _blocks(page):
        if kind == "python":
            _run([sys.executable, "-W", "error", "-c", text], tmp_path)
            continue
        for line in text.splitlines():
            assert line.startswith("$ "), line
            _run(["bash", "-c", line.removeprefix("$ ")], tmp_path)


def test_there_are_blocks_to_run() -> None:
    kinds = {_name(page): {kind for kind, _ in _blocks(page)} for page in RUN}
    assert kinds["README.md"] == kinds["docs/images.md"] == {"python", "console"}
    assert kinds["docs/methods.md"] == {"python"}
    assert kinds["docs/qkeras.md"] == {"python", "console"}


def test_the_first_page_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 220


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), target
        if anchor:
            assert anchor in _anchors(path.read_text()), f"{target}#{anchor}"


def _anchors(text: str) -> set[str]:
    """The places of a page that a link may name: its headings, as GitHub spells them."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_pages_that_are_linked_to_from_nowhere_do_not_exist(page: Path) -> None:
    linked = {
        (other.parent / target).resolve()
        for other in PAGES
        for target, _ in LINK.findall(other.read_text())
        if target
    }
    # The bench of `rtl_tests` is told of in CONTRIBUTING by its path.
    assert page in linked or _name(page) in ("README.md", "rtl_tests/README.md")


def test_paths_that_are_named_exist() -> None:
    rooms = "hwbnn|tests|rtl|rtl_tests|hls|scripts|benchmarks|models|docs"
    named = re.findall(rf"`((?:{rooms})/[^`<>* ]*)`", _contributing())
    assert len(named) > 10
    for path in named:
        assert (REPOSITORY / path).exists(), path


def _contributing() -> str:
    return (REPOSITORY / "CONTRIBUTING.md").read_text()
