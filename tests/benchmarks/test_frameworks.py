"""The benchmark of other frameworks' networks compares what it says, and sees what differs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.frameworks.compare import compared, sums_behind, tied
from benchmarks.frameworks.networks import NETWORKS

READERS = Path(__file__).resolve().parent.parent / "readers"
NAMES = ("FINN-ONNX dense", "QKeras digits, dense", "QKeras digits, ternary convolutions")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of networks and references: those that are in the tests."""
    for name in NAMES:
        network = NETWORKS[name]
        forms = [file for pair in network.forms for file in pair if file]
        for file in (network.file, network.reference, *forms):
            shutil.copy(next(READERS.glob(f"*/files/{file}")), tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_networks_equal_their_references(name: str, folder: Path) -> None:
    found = compared(NETWORKS[name], folder)["compared"]
    assert len(found) >= 2
    assert all(count and not differing for count, differing in found.values()), found


def test_a_class_and_a_sum_that_differ_are_counted(folder: Path) -> None:
    network = NETWORKS["FINN-ONNX dense"]
    with np.load(folder / network.reference) as arrays:
        changed = dict(arrays)
    changed["y"][3] += 1
    changed["scores"][7, 2] += 0.5
    np.savez(folder / network.reference, **changed)
    found = compared(network, folder)["compared"]
    assert found["y"][1] == 1
    assert found["scores"][1] == 1


def test_logits_between_two_sums_are_no_reference() -> None:
    sums = np.array([[0, 4], [3, -2], [7, 1]])
    own = sums * np.array([0.5, -0.25]) + 1
    assert np.array_equal(sums_behind(own, own.astype(np.float32) + np.float32(1e-4), sums), sums)
    with pytest.raises(AssertionError, match="no logits of integer sums"):
        sums_behind(own, own + 0.1, sums)


def test_frames_with_two_largest_scores_are_counted() -> None:
    assert tied(np.array([[1, 3, 3], [3, 1, 1], [2, 2, 2]])) == 2
