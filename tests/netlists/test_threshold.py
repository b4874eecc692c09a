"""Comparisons of any heap with any number, whatever chains and tables they become."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbnn.netlists import evaluate, prove_thresholds, thresholds
from hwbnn.netlists.bit_heap import BitHeap
from hwbnn.netlists.netlist import FALSE, TRUE, NetlistBuilder
from hwbnn.netlists.proof import checked
from hwbnn.netlists.threshold import WIDEST, cheapest, reaches

INPUTS = 6
EVERY = (np.arange(1 << INPUTS)[:, None] >> np.arange(INPUTS) & 1).astype(np.bool_)
LITERALS = st.integers(2, 2 * INPUTS + 1)
COLUMNS = st.lists(st.lists(LITERALS, max_size=4), min_size=1, max_size=5)


@given(COLUMNS, st.integers(-5, 5), st.floats(0, 1))
@settings(max_examples=150)
def test_heaps_are_compared_whatever_bits_are_equal_or_opposite(columns, constant, share):
    builder, heap = NetlistBuilder(INPUTS), BitHeap(constant=constant)
    value = np.full(len(EVERY), constant)
    for i, column in enumerate(columns):
        for literal in column:
            heap.add(literal, i)
            value += (EVERY[:, (literal >> 1) - 1] ^ bool(literal & 1)).astype(np.int64) << i
    threshold = constant - 1 + round(share * (heap.high + 3))
    literal = reaches(builder, heap, threshold)
    assert literal in (FALSE, TRUE) or not literal & 1
    netlist = builder.netlist([literal])
    assert np.array_equal(evaluate(netlist, EVERY)[:, 0], value >= threshold)
    checked(netlist)


def test_small_comparisons_are_tables_and_large_ones_chains():
    found = cheapest((6,), 3)
    assert found is not None
    assert (found.tables, found.luts) == (True, 1)
    found = cheapest((1,) * 10, 341)
    assert found is not None
    assert (found.tables, found.luts) == (True, 2)
    found = cheapest((3,) * 20, 1 << 20)
    assert found is not None
    assert not found.tables


def test_a_bit_that_does_not_matter_is_still_proved():
    """Even sums that are odd by one bit reach an even number without it."""
    rng = np.random.default_rng(2)
    for inputs in range(12, 28):
        weights = rng.integers(0, 2, (3, inputs)).astype(np.bool_)
        for least in range(inputs // 2 - 2, inputs // 2 + 3):
            wanted = np.full(3, least)
            prove_thresholds(thresholds(weights, wanted, cluster_size=1), weights, wanted)


def test_empty_columns_of_large_scales_make_no_large_masks():
    found = cheapest((*[0] * 30, 1), 1 << 30)
    assert found is not None
    assert max(window.columns for window in found.windows) <= WIDEST
    weights, wanted = np.array([[True, False]]), np.array([1 << 30])
    scale_offset = np.array([1 << 30]), np.array([0])
    netlist = thresholds(weights, wanted, scale_offset=scale_offset)
    prove_thresholds(netlist, weights, wanted, scale_offset=scale_offset)
    assert netlist.luts == 1
