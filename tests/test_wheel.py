"""The built wheel, outside the checkout, with what it declares to need and nothing else."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sources as they are."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def _needed(requirements: list[str], extra: str) -> Iterator[str]:
    """Names of the distributions that these requirements come to, their own ones among them."""
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement.name
            for inner in requirement.extras or {""}:
                yield from _needed(importlib.metadata.requires(requirement.name) or [], extra=inner)


def _environment(folder: Path, wheel: Path, extra: str) -> Path:
    """A virtual environment of the wheel and links to what it needs; returns its interpreter."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        (metadata,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    wanted = importlib.metadata.PathDistribution(site / Path(metadata).parent).requires or []
    assert f"Name: {Requirement('hwbnn').name}" in text
    for name in set(_needed(wanted, extra)):
        distribution = importlib.metadata.distribution(name)
        for top in {Path(str(file)).parts[0] for file in distribution.files or ()}:
            source, link = Path(str(distribution.locate_file(top))), site / top
            if top != ".." and source.exists() and not link.exists():
                link.symlink_to(source)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the base installation alone."""
    return _environment(tmp_path_factory.mktemp("base") / "venv", wheel, extra="")


def _run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-I", "-W", "error", *arguments], cwd=cwd, capture_output=True, text=True
    )


def test_the_wheel_carries_the_hardware_sources(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for kind in ("rtl", "hls"):
        for file in (REPOSITORY / kind).rglob("*"):
            if file.is_file():
                inside = f"hwbnn/_{kind}/{file.relative_to(REPOSITORY / kind).as_posix()}"
                assert inside in names
    assert not any(name.startswith(("tests", "rtl/", "hls/")) for name in names)
    assert "hwbnn/py.typed" in names


def test_the_base_has_no_optional_package(base: Path, tmp_path: Path) -> None:
    code = """if True:
        from importlib.util import find_spec
        found = [n for n in ("torch", "numba", "hls4ml", "cocotb", "sklearn") if find_spec(n)]
        assert not found, found
    """
    done = _run(base, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


BASE = """if True:
    import sys
    from pathlib import Path
    import numpy as np
    import hwbnn
    from hwbnn.graph import ArgMax, Dot, Output, Threshold

    def bits(*shape):
        return np.random.default_rng(0).integers(0, 2, shape).astype(bool)

    graph = hwbnn.Graph((
        hwbnn.Input.bits(16),
        Dot("hidden", "x", bits(8, 16)),
        Threshold("fires", "hidden", np.zeros((8, 1), np.int64), bits(8)),
        Dot("scores", "fires", bits(4, 8)),
        ArgMax("class", "scores"),
        Output("y", "class"),
    ))
    hwbnn.save(graph, "graph.npz")
    again = hwbnn.load("graph.npz")
    assert again == graph
    x = bits(50, 16)
    np.save("x.npy", x)
    found = hwbnn.simulate(again, x)
    assert found.shape == (50, 1)
    project = hwbnn.generate(again, "rtl", hwbnn.Plan())
    assert Path(hwbnn.__file__).is_relative_to(sys.prefix)
    folder = project.write("core")
    assert any(file.suffix == ".sv" for file in (folder / "rtl").iterdir())
"""


def test_the_base_loads_simulates_and_generates(base: Path, tmp_path: Path) -> None:
    done = _run(base, "-c", BASE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for arguments in (
        ["doctor"],
        ["--help"],
        ["predict", "graph.npz", "x.npy"],
        ["simulate", "graph.npz", "x.npy", "--out", "y.npy"],
        ["generate", "graph.npz", "--out", "again"],
    ):
        done = _run(base, "-c", "from hwbnn.cli import main; main()", *arguments, cwd=tmp_path)
        assert done.returncode == 0, (arguments, done.stderr)
    missing = _run(
        base,
        "-c",
        "from hwbnn.cli import main; main()",
        "train",
        "digits",
        "--out",
        "run",
        cwd=tmp_path,
    )
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: ")
    assert "hwbnn[train]" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1
