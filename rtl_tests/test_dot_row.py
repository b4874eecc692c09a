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


def row_latency(inputs, width, levels, adders=0):
    """Cycles as the module's header states them."""
    if adders:
        return -(-(inputs - 1).bit_length() // levels)
    return popcount_latency(inputs, levels) + -(-(width - 1).bit_length() // levels)


@pytest.mark.parametrize(
    ("simulator", "inputs", "width", "is_signed", "levels", "adders"),
    [
        ("icarus", 1, 1, 0, 2, 0),
        ("icarus", 17, 1, 0, 1, 0),
        ("icarus", 9, 3, 0, 2, 0),
        ("icarus", 9, 3, 1, 3, 0),
        ("icarus", 20, 8, 1, 2, 0),
        ("icarus", 1, 4, 0, 2, 1),
        ("icarus", 9, 3, 1, 1, 1),
        ("icarus", 20, 8, 0, 3, 1),
        ("verilator", 13, 5, 1, 2, 0),
        ("verilator", 13, 5, 1, 2, 1),
    ],
)
def test_raw_sums(module, simulator, inputs, width, is_signed, levels, adders):
    """With products of weights that vary where inputs are odd, of constant ones where even."""
    latency = row_latency(inputs, width, levels, adders)
    sum_width = (inputs * ((1 << width) - 1)).bit_length()
    row = module(
        "dot_row_bench",
        simulator,
        {"ready": False},
        **{"Inputs": inputs, "Width": width, "Signed": is_signed, "SumWidth": sum_width},
        **{"Levels": levels, "Latency": latency, "Adders": adders, "Varying": inputs % 2},
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
