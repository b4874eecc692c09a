"""Groups hold every neuron once, and those that are alike together."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from hwbnn.netlists.layer import APART, MATCHED, clusters


@pytest.mark.parametrize("neurons", [1, 7, 8, 23, 32])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 10, 12])
def test_every_neuron_is_in_one_group(neurons, size):
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 2, (neurons, 40)).astype(np.bool_)
    found = list(clusters(weights, size))
    assert sorted(row for rows in found for row in rows) == list(range(neurons))
    assert all(1 <= len(rows) <= size for rows in found)
    assert len(found) <= -(-neurons // size) + (size >= MATCHED)


@pytest.mark.parametrize("size", [4, 8])
def test_neurons_that_are_equal_or_opposite_are_together(size):
    rng = np.random.default_rng(1)
    kinds = rng.integers(0, 2, (4, 60)).astype(np.bool_)
    weights = kinds[np.arange(4 * size) % 4] ^ (rng.random((4 * size, 1)) < 0.5)
    for rows in clusters(weights, size):
        assert len({row % 4 for row in rows}) == 1


def test_halves_that_share_most_inputs_are_matched_first():
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 2, (5 * MATCHED, 64)).astype(np.bool_)
    halves = list(clusters(weights, MATCHED // 2))
    for rows in clusters(weights, MATCHED):
        one, other = rows[: MATCHED // 2], rows[MATCHED // 2 :]
        most = max(shared(weights, (*a, *b)) for a, b in combinations(halves, 2))
        assert shared(weights, rows) == most
        halves.remove(one)
        halves.remove(other)
    assert not halves


def shared(weights, rows):
    """Inputs in the classes of a cluster_size, without the first few of each."""
    own = weights[list(rows)]
    _, counts = np.unique(own ^ own[0], axis=1, return_counts=True)
    return np.maximum(counts - APART, 0).sum()
