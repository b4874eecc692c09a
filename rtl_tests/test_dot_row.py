from __future__ import annotations

import pytest

from rtl_tests.bench import random_tokens, signed, split
from rtl_tests.test_popcount import latency as popcount_latency

pytestmark = pytest.mark.hardware


def row_sum(inputs, weights, width, is_signed):
    """The sum over +-1 weights from the module's definition of a raw sum."""
    top = (1 << width) - 1
    shift = (1 << (width - 1)) if is_signed else 0
    return sum(x + shift if w else top - x - shift for x, w in zip(inputs, weights, strict=True))


@pytest.mark.parametrize(
    ("simulator", "inputs", "width", "is_signed", "levels"),
    [
        ("icarus", 1, 1, 0, 2),
        ("icarus", 17, 1, 0, 1),
        ("icarus", 9, 3, 0, 2),
        ("icarus", 9, 3, 1, 3),
        ("icarus", 20, 8, 1, 2),
        ("verilator", 13, 5, 1, 2),
    ],
)
def test_raw_sums(module, simulator, inputs, width, is_signed, levels):
    planes = (width - 1).bit_length()
    latency = popcount_latency(inputs, levels) + -(-planes // levels)
    sum_width = (inputs * ((1 << width) - 1)).bit_length()
    row = module(
        "dot_row_bench",
        simulator,
        {"ready": False},
        **{"Inputs": inputs, "Width": width, "Signed": is_signed, "SumWidth": sum_width},
        **{"Levels": levels, "Latency": latency},
    )
    bits = inputs * (width + 1)
    words = [0, (1 << bits) - 1, *random_tokens(1, 80, bits)]
    expected = []
    for word in words:
        x = split(word, width, inputs)
        x = [signed(value, width) for value in x] if is_signed else x
        weights = split(word >> (inputs * width), 1, inputs)
        expected.append(row_sum(x, weights, width, is_signed))
    found = row.check(words, expected, (bits, sum_width))
    assert found.given[0] - found.taken[0] == latency


def test_raw_sums_and_signed_sums_differ_by_the_stated_constants():
    rows = random_tokens(3, 30, 9)
    for width, is_signed in ((1, 0), (4, 0), (4, 1)):
        for row in rows:
            weights = split(row, 1, 9)
            x = split(random_tokens(row, 1, 9 * width)[0], width, 9)
            x = [signed(value, width) for value in x] if is_signed else x
            raw, plus = row_sum(x, weights, width, is_signed), sum(weights)
            minus, top = 9 - plus, (1 << width) - 1
            dot = sum(value if w else -value for value, w in zip(x, weights, strict=True))
            if width == 1:
                bits = [2 * value - 1 for value in x]
                assert 2 * raw - 9 == sum(
                    b if w else -b for b, w in zip(bits, weights, strict=True)
                )
            elif is_signed:
                half = 1 << (width - 1)
                assert dot == raw - plus * half - minus * (half - 1)
            else:
                assert dot == raw - minus * top
