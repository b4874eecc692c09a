"""hwbnn_steps: a counter that tells the first and the last step."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import random_tokens

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
def test_the_first_and_the_last_are_told(module, steps):
    bench = module("steps_bench", "icarus", {"ready": False}, Steps=steps)
    tokens = random_tokens(2, 30, 8)
    expected = [
        (i % steps == steps - 1) << 9 | (i % steps == 0) << 8 | token
        for i, token in enumerate(tokens)
    ]
    for seed in range(2):
        bench.check(tokens, expected, (8, 10), stalls=Stalls.random(seed), cut=5, seed=seed)
