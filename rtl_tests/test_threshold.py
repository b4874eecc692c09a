"""hwbnn_threshold: how many thresholds a sum reaches."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, random_tokens
from rtl_tests.test_compare import CASES, Comparators
from rtl_tests.test_popcount import latency as popcount_latency

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "lanes", "tokens", "width", "is_signed", "count", "places"), CASES
)
def test_thresholds_reached_are_counted(
    module, simulator, lanes, tokens, width, is_signed, count, places
):
    model = Comparators(lanes, tokens, width, is_signed, count, places)
    threshold = module("hwbnn_threshold", simulator, {"ready": False}, Levels=1, **model.parameters)
    words = random_tokens(2, 20 * tokens, lanes * width)
    out = count.bit_length()
    counts = [model.bits(i, word).sum(axis=1).tolist() for i, word in enumerate(words)]
    expected = [join(lane, out) for lane in counts]
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        found = threshold.check(words, expected, (lanes * width, lanes * out), **options)
        latency = 1 + (popcount_latency(count, 1) if count > 1 else 0)
        assert found.given[0] - found.taken[0] == latency
