"""Pairing of small LUTs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hwbnn.tools.lut_pairs import INPUTS, REACH, pairs, small_luts

LUTS = st.lists(st.frozensets(st.integers(0, 9), max_size=INPUTS), max_size=9)


def _most(luts: list[frozenset[int]]) -> int:
    """The most pairs that fit, by trying all."""
    if len(luts) < 2:
        return 0
    first, *rest = luts
    best = _most(rest)
    for i, other in enumerate(rest):
        if len(first | other) <= INPUTS:
            best = max(best, 1 + _most(rest[:i] + rest[i + 1 :]))
    return best


@given(LUTS)
def test_pairs_are_possible_and_no_two_that_fit_are_left(luts: list[frozenset[int]]) -> None:
    # A set of pairs that cannot be added to has at least half of the most.
    most = _most(luts)
    assert (most + 1) // 2 <= pairs(luts) <= most


@given(LUTS)
def test_the_same_netlist_gives_the_same_number(luts: list[frozenset[int]]) -> None:
    assert pairs(luts) == pairs([frozenset(lut) for lut in luts])


def test_equal_inputs_pair_before_smaller_luts_take_them() -> None:
    five = frozenset(range(5))
    assert pairs([frozenset({0}), five, frozenset({1}), five]) == 2


def test_luts_that_share_nothing_pair_by_size() -> None:
    assert pairs([frozenset({1, 2}), frozenset({3, 4, 5})]) == 1
    assert pairs([frozenset({1, 2, 6}), frozenset({3, 4, 5})]) == 0


def test_a_signal_that_all_read_stays_quick() -> None:
    luts = [frozenset({0, 4 * i + 1, 4 * i + 2, 4 * i + 3, 4 * i + 4}) for i in range(20_000)]
    assert len(luts) > 100 * REACH
    assert pairs(luts) == 0
    assert pairs([*luts, *luts]) > 0


def test_inputs_are_read_from_a_netlist_without_constants() -> None:
    cells = {
        "a": {"type": "LUT3", "connections": {"I0": [2], "I1": ["1"], "I2": [3], "O": [4]}},
        "b": {"type": "LUT6", "connections": {f"I{i}": [i] for i in range(6)}},
        "c": {"type": "FDRE", "connections": {"D": [4], "Q": [5]}},
    }
    assert small_luts({"cells": cells}) == [frozenset({2, 3})]
