"""hwbnn_threshold: counts that begin at a base."""

from __future__ import annotations

import pytest

from hwbnn.graph.values import ValueType
from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, random_tokens
from rtl_tests.test_compare import CASES, Comparators
from rtl_tests.test_popcount import latency as popcount_latency

pytestmark = pytest.mark.hardware


def check(module, case, base, out):
    simulator, lanes, tokens, width, is_signed, count, places = case
    model = Comparators(lanes, tokens, width, is_signed, count, places)
    threshold = module(
        "hwbnn_threshold_base", simulator, {"ready": False}, Levels=2, OutWidth=out,
        Base=f"{out}'h{base % (1 << out):x}", **model.parameters,
    )  # fmt: skip
    words = random_tokens(2, 20 * tokens, lanes * width)
    counts = [model.bits(i, word).sum(axis=1) for i, word in enumerate(words)]
    expected = [join(((lane + base) % (1 << out)).tolist(), out) for lane in counts]
    options = {"stalls": Stalls.random(1), "cut": 7}
    found = threshold.check(words, expected, (lanes * width, lanes * out), **options)
    latency = 1 + (popcount_latency(count, 2) if count > 1 else 0)
    assert found.given[0] - found.taken[0] == latency


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("negative", [False, True])
def test_counts_begin_at_the_base(module, case, negative):
    """From 3, or up to 0: then as many thresholds can take fewer bits than their count."""
    base = -case[5] if negative else 3
    check(module, case, base, ValueType((1,), base, base + case[5]).width)


def test_a_base_off_by_one_is_seen(module):
    def faulty(*given, **more):
        text = "count[OutWidth-1:0] + Base"
        change = ("hwbnn_threshold_base", text, f"{text} + 1'b1")
        return module(*given, **more, replace=[change])

    with pytest.raises(AssertionError):
        check(faulty, CASES[0], -1, 4)
