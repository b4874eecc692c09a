"""hwbnn_count_six: 6:3 counters."""

from __future__ import annotations

import pytest

from rtl_tests.bench import join, random_tokens, split

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(("simulator", "groups"), [("icarus", 1), ("icarus", 4), ("verilator", 3)])
def test_every_sixth_bit_is_counted(module, simulator, groups):
    count = module("count_six_bench", simulator, {"ready": False}, Counts=groups)
    words = list(range(64)) if groups == 1 else random_tokens(1, 100, 6 * groups)
    expected = [
        join([sum(split(word, 1, 6 * groups)[g::groups]) for g in range(groups)], 3)
        for word in words
    ]
    count.check(words, expected, (6 * groups, 3 * groups))
