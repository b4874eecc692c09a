"""Packing of bits, little-endian."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.graph.bits import pack_bits, pack_words, row_integer, unpack_bits


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_packing_is_undone(n: int, seed: int) -> None:
    bits = np.random.default_rng(seed).random((3, n)) < 0.5
    assert np.array_equal(unpack_bits(pack_bits(bits), n), bits)


@pytest.mark.parametrize("word", [8, 16, 32, 64])
@given(n=st.integers(1, 200), seed=st.integers(0, 2**32 - 1))
def test_bit_i_of_a_row_is_bit_i_of_its_words(word: int, n: int, seed: int) -> None:
    bits = np.random.default_rng(seed).random((2, n)) < 0.5
    words = pack_words(bits, word)
    assert words.shape == (2, -(-n // word))
    assert words.dtype == np.dtype(f"u{word // 8}")
    for row, packed in zip(bits, words, strict=True):
        whole = sum(int(w) << (word * k) for k, w in enumerate(packed))
        assert whole == sum(1 << i for i, bit in enumerate(row) if bit) == row_integer(row)
