"""The example of docs/qkeras.md, as it was trained: Keras against simulator, HLS and RTL."""

from __future__ import annotations

import importlib.util
import shutil
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwbnn

REPOSITORY = Path(__file__).resolve().parents[3]
FILES = Path(__file__).parent / "files"


def script(name: str) -> Any:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What ``scripts/qkeras_digits.py`` wrote."""
    for suffix in ("keras", "npz"):
        shutil.copy(FILES / f"qkeras_digits.{suffix}", tmp_path / f"digits.{suffix}")
    return tmp_path


@pytest.mark.hardware
def test_simulator_hls_and_rtl_compute_what_keras_computed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script("qkeras_compare").main(folder) == 0
    told = capsys.readouterr().out
    for what in ("q_activation:", "q_activation_1:", "classes differ", "hls: 0", "rtl: 0"):
        assert what in told, told
    assert "0 of 207360 activations" in told


def test_a_changed_activation_or_answer_is_seen(folder: Path) -> None:
    compare = script("qkeras_compare").main
    assert compare(folder, ()) == 0
    arrays = dict(np.load(folder / "digits.npz"))
    for name, place in (("q_activation", (0, 0, 0, 0)), ("q_activation_1", (5, 7))):
        changed = {**arrays, name: arrays[name].copy()}
        changed[name][place] *= -1
        np.savez(folder / "digits.npz", **changed)
        assert compare(folder, ()) == 1
    changed = {**arrays, "probabilities": np.roll(arrays["probabilities"], 1, axis=1)}
    np.savez(folder / "digits.npz", **changed)
    assert compare(folder, ()) == len(arrays["images"])


def test_the_network_is_binary_throughout() -> None:
    pixels = hwbnn.Input("x", (8, 8, 1), 0, 16, scale=1 / 16)
    graph = hwbnn.read(FILES / "qkeras_digits.keras", pixels)
    weighted = [node for node in graph.nodes if hasattr(node, "binary")]
    assert len(weighted) == 3
    assert all(node.binary for node in weighted)


def test_the_page_shows_the_network_that_the_script_trains() -> None:
    text = (REPOSITORY / "scripts" / "qkeras_digits.py").read_text()
    shown = text.partition("shows from here\n")[2].partition("    # docs/qkeras.md shows to")[0]
    page = (REPOSITORY / "docs" / "qkeras.md").read_text()
    assert f"```py\n{textwrap.dedent(shown)}```\n" in page
