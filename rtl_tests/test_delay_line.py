"""hwbnn_delay_line: words delayed by a number of cycles."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import random_tokens

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "width", "stages"),
    [("icarus", 8, 0), ("icarus", 1, 1), ("icarus", 9, 2), ("icarus", 33, 7), ("verilator", 5, 3)],
)
def test_a_word_leaves_after_so_many_cycles(module, simulator, width, stages):
    line = module(
        "delay_line_bench", simulator, {"ready": False}, **{"Width": width, "Stages": stages}
    )
    words = random_tokens(1, 40, width)
    found = line.check(words, words, (width, width), stalls=Stalls.random(2))
    assert {given - taken for taken, given in zip(found.taken, found.given, strict=True)} == {
        stages
    }
