"""On the same network hls4ml's own binary lowering is wrong where ours is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed.hls4ml_dense import (
    Block,
    blocks_of,
    float_sums,
    graph_of,
    lowered,
    random_blocks,
    sums,
)
from hwbnn.verification import hls

WIDTHS = (64, 32, 32, 10)


def right(found: np.ndarray, expected: np.ndarray) -> float:
    """The share of samples of which all ten sums are equal."""
    return float((found == expected).all(axis=1).mean())


def compared(blocks: tuple[Block, ...], folder: Path) -> tuple[float, float]:
    """Shares of samples that hls4ml's own lowering and ours get right, in C simulation."""
    x = np.random.default_rng(3).random((400, WIDTHS[0])) < 0.5
    expected = float_sums(blocks, x)
    ours = hls.run(graph_of(blocks), x).values["y"]
    return right(sums(lowered(blocks, folder), x), expected), right(ours, expected)


@pytest.mark.hardware
def test_both_are_right_where_all_gains_are_positive_and_means_odd(tmp_path: Path) -> None:
    blocks = random_blocks(WIDTHS, 1, falling=0, odd=True)
    assert compared(blocks, tmp_path) == (1.0, 1.0)


@pytest.mark.hardware
def test_hls4mls_own_is_wrong_where_gains_are_of_both_signs(tmp_path: Path) -> None:
    blocks = random_blocks(WIDTHS, 1, falling=0.5, odd=True)
    assert compared(blocks, tmp_path) == (0.0, 1.0)


@pytest.mark.hardware
def test_hls4mls_own_is_wrong_where_thresholds_are_no_integers(tmp_path: Path) -> None:
    theirs, ours = compared(random_blocks(WIDTHS, 1, falling=0, odd=False), tmp_path)
    assert theirs < 0.5
    assert ours == 1.0


def test_a_network_survives_the_backend_to_a_graph_and_back() -> None:
    blocks = random_blocks(WIDTHS, 2, falling=0.5, odd=False)
    graph = graph_of(blocks)
    x = np.random.default_rng(3).random((400, WIDTHS[0])) < 0.5
    assert np.array_equal(float_sums(blocks_of(graph), x), float_sums(blocks, x))
    assert graph_of(blocks_of(graph)) == graph
