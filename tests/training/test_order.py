"""Data order and augmentation as pure functions of seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.training import order
from hwbnn.training.order import batches, draws, integers, permutation

SEEDS = st.integers(0, 2**63)
EPOCHS = st.integers(0, 10_000)


def test_draws_are_those_of_splitmix64(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first outputs from the state 1234567, as other implementations print them.
    monkeypatch.setattr(order, "stream", lambda seed, epoch, purpose: 1234567)
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert draws(0, 0, "any", np.arange(5)).tolist() == published


@given(SEEDS, EPOCHS, st.integers(1, 300))
def test_an_epoch_meets_each_sample_once(seed: int, epoch: int, n: int) -> None:
    assert sorted(permutation(seed, epoch, n).tolist()) == list(range(n))


def test_order_depends_on_seed_and_epoch() -> None:
    orders = {tuple(permutation(s, e, 50).tolist()) for s in range(4) for e in range(4)}
    assert len(orders) == 16


def test_every_place_is_reached_from_every_place() -> None:
    """Sample i stands at place j in some epoch, roughly as often as any other."""
    n, epochs = 8, 4000
    seen = np.zeros((n, n), int)
    for epoch in range(epochs):
        seen[np.arange(n), permutation(3, epoch, n)] += 1
    # 500 expected; 7 standard deviations of a binomial are 146.
    assert abs(seen - epochs / n).max() < 146


@given(SEEDS, EPOCHS, st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_a_draw_depends_on_its_own_index_alone(seed: int, epoch: int, index: list[int]) -> None:
    together = draws(seed, epoch, "shift", np.array(index))
    assert [int(draws(seed, epoch, "shift", np.array([i]))[0]) for i in index] == together.tolist()


@given(SEEDS, st.integers(-5, 5), st.integers(0, 9))
def test_integers_take_all_values_in_range_and_no_other(seed: int, low: int, more: int) -> None:
    found = integers(seed, 0, "shift", np.arange(2000), low, low + more)
    assert set(found.tolist()) == set(range(low, low + more + 1))


@given(st.integers(1, 500), st.integers(1, 100))
def test_batches_keep_order_and_differ_by_one_at_most(n: int, size: int) -> None:
    cut = batches(np.arange(n), size)
    assert np.concatenate(cut).tolist() == list(range(n))
    lengths = {len(b) for b in cut}
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
