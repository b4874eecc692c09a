"""hwbnn_popcount: the number of ones, after the stated number of cycles."""

from __future__ import annotations

import pytest

from rtl_tests.bench import random_tokens
from tests.thorough import some

pytestmark = pytest.mark.hardware


def latency(inputs, levels):
    groups = -(-inputs // 6)
    return -(-(1 + (groups - 1).bit_length()) // levels)


@pytest.mark.parametrize("defines", [(), ("HWBNN_COUNTONES",)])
@pytest.mark.parametrize(
    ("simulator", "inputs", "levels"),
    [
        *some([("icarus", n, 1 + n % 3) for n in (1, 2, 3, 5, 6, 7, 12, 13, 36, 37, 100, 301)]),
        ("verilator", 78, 2),
    ],
)
def test_counts_are_right_in_the_stated_cycle(module, simulator, inputs, levels, defines):
    cycles = latency(inputs, levels)
    count = module(
        "popcount_bench",
        simulator,
        {"ready": False},
        defines,
        **{"Inputs": inputs, "Levels": levels, "Latency": cycles},
    )
    if inputs <= 7:
        words = list(range(1 << inputs))
    else:
        words = [0, (1 << inputs) - 1, *random_tokens(1, 150, inputs)]
        words += [1 << i for i in range(inputs)]
    expected = [word.bit_count() for word in words]
    found = count.check(words, expected, (inputs, inputs.bit_length()))
    assert found.given[0] - found.taken[0] == cycles
