"""hwbnn_dot_row: the weighted sum of one channel."""

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


SUMS = [(9, 1, 0, 0, 0), (8, 1, 0, 0, 1), (9, 4, 0, 0, 1), (9, 4, 1, 0, 0), (9, 4, 1, 1, 0)]
"""Inputs, Width, Signed, Adders, Varying: every way to sum, for each kind of input."""


def signed_sums(module, case, replace=()):
    """The sums of signed inputs, from what a row gives and the constants of its header.

    Returns:
        For each word the sum by the module, and the sum of products itself.
    """
    inputs, width, is_signed, adders, varying = case
    sum_width = (inputs * ((1 << width) - 1)).bit_length()
    latency = row_latency(inputs, width, 2, adders)
    row = module(
        "dot_row_bench",
        "icarus",
        {"ready": False},
        replace=replace,
        **{"Inputs": inputs, "Width": width, "Signed": is_signed, "SumWidth": sum_width},
        **{"Levels": 2, "Latency": latency, "Adders": adders, "Varying": varying},
    )
    bits = inputs * (width + 1)
    words = [0, (1 << bits) - 1, *random_tokens(3, 60, bits)]
    found, wanted = [], []
    for word, raw in zip(words, row.run(words, len(words), (bits, sum_width)).tokens, strict=True):
        weights = split(word >> (inputs * width), 1, inputs)
        plus, half, top = sum(weights), 1 << (width - 1), (1 << width) - 1
        minus, x = inputs - plus, split(word, width, inputs)
        if width == 1:
            x, found_sum = [2 * value - 1 for value in x], 2 * raw - inputs
        elif is_signed:
            x = [signed(value, width) for value in x]
            found_sum = raw - plus * half - minus * (half - 1)
        else:
            found_sum = raw - minus * top
        found.append(found_sum)
        wanted.append(sum(v if w else -v for v, w in zip(x, weights, strict=True)))
    return found, wanted


@pytest.mark.parametrize("case", SUMS)
def test_raw_sums_and_signed_sums_differ_by_the_stated_constants(module, case):
    found, wanted = signed_sums(module, case)
    assert found == wanted


FAULTS = {
    "a product inverted": (
        "planes_i[b*Inputs +: Inputs] ~^ weights_i", "planes_i[b*Inputs +: Inputs] ^ weights_i",
        (6, 1, 0, 0, 1),
    ),
    "a plane of another weight": ("SumWidth'(count) << b", "SumWidth'(count) << (b / 2)", SUMS[2]),
    "planes in the wrong place": (
        ".a_i(planes_i[b*Inputs +: Inputs])", ".a_i(planes_i[0 +: Inputs])", (9, 4, 1, 0, 1),
    ),
    "weights of matches inverted": (".b_i(weights_i)", ".b_i(~weights_i)", SUMS[2]),
    "terms inverted": (
        "planes_i[b*Inputs + i] ~^ weights_i[i]", "planes_i[b*Inputs + i] ^ weights_i[i]", SUMS[4],
    ),
}  # fmt: skip
"""What is changed in the module, by what, and a case in which that counts."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_row_is_seen_in_signed_sums(module, fault):
    text, change, case = FAULTS[fault]
    found, wanted = signed_sums(module, case, [("hwbnn_dot_row", text, change)])
    assert found != wanted
