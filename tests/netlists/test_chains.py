"""Compression of bit heaps by carry chains."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.netlists.bit_heap import BitHeap, compressed
from hwbnn.netlists.chains import compress, to_number
from hwbnn.netlists.netlist import NetlistBuilder
from hwbnn.netlists.proof import checked
from hwbnn.netlists.simulation import evaluate

HEIGHTS = st.lists(st.integers(0, 9), min_size=1, max_size=6).map(tuple)


def early(heights):
    """A heap whose bits are all there at once."""
    return tuple((0,) * height for height in heights)


def built(heights, compression, inverted):
    """A heap of inputs, some of them inverted, and what its chains leave."""
    builder, heap = NetlistBuilder(sum(heights)), BitHeap()
    for i, height in enumerate(heights):
        for _ in range(height):
            signal = 1 + sum(heap.heights)
            heap.add(2 * signal + (inverted >> signal & 1), i)
    return builder, heap, compressed(builder, heap, compression)


def value(heap, builder, x):
    literals = [(literal, i) for i, column in enumerate(heap.columns) for literal in column]
    bits = evaluate(builder.netlist([literal for literal, _ in literals]), x)
    return bits @ np.array([1 << i for _, i in literals], np.int64) + heap.constant


@given(HEIGHTS, st.integers(0, 1 << 60), st.integers(1, 3))
def test_compression_keeps_the_weighted_sum(heights, inverted, uses):
    builder, before, after = built(heights, compress(early(heights), uses), inverted)
    x = np.random.default_rng(inverted).integers(0, 2, (64, sum(heights))).astype(np.bool_)
    assert np.array_equal(value(before, builder, x), value(after, builder, x))
    checked(builder.netlist([literal for column in after.columns for literal in column]))


@given(HEIGHTS, st.integers(0, 1 << 60))
def test_a_number_has_one_bit_a_column(heights, inverted):
    builder, before, after = built(heights, to_number(early(heights)), inverted)
    assert max(after.heights, default=0) <= 1
    x = np.random.default_rng(inverted).integers(0, 2, (64, sum(heights))).astype(np.bool_)
    assert np.array_equal(value(before, builder, x), value(after, builder, x))


def test_a_lut_takes_nearly_two_bits_off_a_large_heap():
    for bits in (31, 64, 128, 256):
        made = compress(early((bits,)), 2)
        assert bits - sum(made.left) >= 1.7 * made.luts


def test_known_counters():
    assert compress(early((7,)), 2).luts == 2
    assert compress(early((7,)), 2).left == (1, 1, 1)
    assert compress(early((7, 0, 6)), 2).luts == 4
    assert compress(early((7, 0, 6)), 2).left == (1, 1, 1, 1, 1)
    assert compress(early((5,)), 2).luts == 1
    assert compress(early((5,)), 2).left == (1, 2)
