"""hwbnn_column_sum: a sum of bits, each with the weight of its column."""

from __future__ import annotations

import pytest

from rtl_tests.bench import literal, random_tokens
from rtl_tests.test_popcount import latency as popcount_latency

pytestmark = pytest.mark.hardware

CASES = [
    # heights, bits of the sum, levels
    ((1,), 1, 2),
    ((3, 0, 1), 4, 2),
    ((17, 40, 2, 7), 8, 1),
    ((5, 6, 7, 12, 1), 12, 3),
]


def check(module, simulator, heights, sum_width, levels, defines=()):
    latency = popcount_latency(max(heights), levels) + -(-(len(heights) - 1).bit_length() // levels)
    bits = sum(heights)
    bench = module(
        "column_sum_bench", simulator, {"ready": False}, defines,
        **{"Columns": len(heights), "Bits": bits, "SumWidth": sum_width, "Levels": levels},
        **{"Tallest": max(heights), "Latency": latency, "Heights": literal(heights, 32)},
    )  # fmt: skip
    words = [0, (1 << bits) - 1, *random_tokens(1, 60, bits)]
    expected = []
    for word in words:
        total = 0
        for column, height in enumerate(heights):
            total += (word & ((1 << height) - 1)).bit_count() << column
            word >>= height
        expected.append(total)
    found = bench.check(words, expected, (bits, sum_width))
    assert found.given[0] - found.taken[0] == latency


@pytest.mark.parametrize(("heights", "sum_width", "levels"), CASES)
def test_bits_count_by_their_columns(module, heights, sum_width, levels):
    check(module, "icarus", heights, sum_width, levels)


def test_the_same_under_verilator_with_ones_counted(module):
    check(module, "verilator", *CASES[2], defines=("HWBNN_COUNTONES",))


FAULTS = {
    "a column of another weight": ("SumWidth'(delayed) << k", "SumWidth'(delayed) << (k ? 1 : 0)"),
    "bits of another column": ("bits_i[First +: Height]", "bits_i[0 +: Height]"),
    "a shorter column that is not delayed": (
        "Longest - ($clog2((Height + 5) / 6) + Levels) / Levels", "0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_sum_is_seen(module, fault):
    def faulty(*given, **more):
        return module(*given, **more, replace=[("hwbnn_column_sum", *FAULTS[fault])])

    with pytest.raises(AssertionError):
        check(faulty, "icarus", *CASES[2])
