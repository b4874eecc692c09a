"""Groups hold every neuron once, and those that are alike together."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.circuits.groups import MATCHED, groups

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("neurons", [1, 7, 8, 23, 32])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 10, 12])
def test_every_neuron_is_in_one_group(neurons, size):
    weights = RNG.integers(0, 2, (neurons, 40)).astype(np.bool_)
    found = list(groups(weights, size))
    assert sorted(row for rows in found for row in rows) == list(range(neurons))
    assert all(1 <= len(rows) <= size for rows in found)
    assert len(found) <= -(-neurons // size) + (size >= MATCHED)


@pytest.mark.parametrize("size", [4, 8])
def test_neurons_that_are_equal_or_opposite_are_together(size):
    kinds = RNG.integers(0, 2, (4, 60)).astype(np.bool_)
    weights = kinds[np.arange(4 * size) % 4] ^ (RNG.random((4 * size, 1)) < 0.5)
    for rows in groups(weights, size):
        assert len({row % 4 for row in rows}) == 1


def test_halves_with_the_same_classes_of_inputs_are_matched():
    """Sixteen neurons that sort the inputs by either of two patterns."""
    patterns = [RNG.permutation(np.arange(64) % 4) for _ in range(2)]
    each = RNG.integers(0, 2, (2 * MATCHED, 4)).astype(np.bool_)
    weights = np.stack([row[patterns[k % 2]] for k, row in enumerate(each)])
    for rows in groups(weights, MATCHED):
        assert len(rows) == MATCHED
        assert len({row % 2 for row in rows}) == 1
