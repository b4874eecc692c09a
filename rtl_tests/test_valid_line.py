"""hwbnn_valid_line: a delayed valid bit that a reset clears."""

from __future__ import annotations

import pytest

from rtl_tests.bench import random_tokens

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "stages", "cut"),
    [
        ("icarus", 1, 5),
        ("icarus", 6, 5),
        ("icarus", 6, 20),
        ("icarus", 40, 30),
        ("verilator", 9, 12),
    ],
)
def test_nothing_of_before_a_reset_comes_out_after_it(module, simulator, stages, cut):
    line = module("delay_line_bench", simulator, {"ready": False}, Width=8, Stages=stages)
    words = random_tokens(1, 25, 8)
    for seed in (1, 2):
        line.check(words, words, (8, 8), cut=cut, seed=seed)
