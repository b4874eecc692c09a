"""What the command line's tests share: a small network, its input, and a way to call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from hwbnn.cli.app import app
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Threshold, save

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run the command line in an empty folder; unforeseen exceptions escape."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return run


@pytest.fixture(scope="session")
def graph() -> Graph:
    """8 pixels of 4 bits, 6 neurons, 3 classes."""
    rng = np.random.default_rng(1)
    return Graph(
        (
            Input("x", (8,), 0, 15, scale=1 / 15),
            Dot("hidden", "x", rng.integers(0, 2, (6, 8)).astype(bool)),
            Threshold("fires", "hidden", np.zeros((6, 1), np.int64), np.zeros(6, bool)),
            Dot("scores", "fires", rng.integers(0, 2, (3, 6)).astype(bool)),
            ArgMax("class", "scores"),
            Output("y", "class"),
        )
    )


@pytest.fixture
def graph_file(graph: Graph, tmp_path: Path) -> Path:
    """The network as a file."""
    return save(graph, tmp_path / "graph.npz")


@pytest.fixture
def x() -> np.ndarray:
    """A batch that fits it, as integers."""
    return np.random.default_rng(2).integers(0, 16, (30, 8))


def refused(result: Result, *words: str) -> str:
    """The one line of a command that refused its input."""
    return _one_line(result, 2, *words)


def missed(result: Result, *words: str) -> str:
    """The one line of a command whose goal no core meets."""
    return _one_line(result, 1, *words)


def _one_line(result: Result, status: int, *words: str) -> str:
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line, line
    return line
