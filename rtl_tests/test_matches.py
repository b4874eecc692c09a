"""hwbnn_matches: how many of two words' bits are equal."""

from __future__ import annotations

import pytest

from rtl_tests.bench import random_tokens
from rtl_tests.test_popcount import latency
from tests.thorough import some

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize("defines", [(), ("HWBNN_COUNTONES",)])
@pytest.mark.parametrize(
    ("simulator", "inputs", "levels"),
    [
        *some([("icarus", n, 1 + n % 3) for n in (7, 9, 12, 18, 19, 24, 36, 37, 108, 301)]),
        ("verilator", 25, 1),
    ],
)
def test_equal_places_are_counted_in_the_stated_cycle(module, simulator, inputs, levels, defines):
    cycles = latency(inputs, levels)
    matches = module(
        "matches_bench",
        simulator,
        {"ready": False},
        defines,
        **{"Inputs": inputs, "Levels": levels, "Latency": cycles},
    )
    high = (1 << inputs) - 1
    words = [0, high, high << inputs, high << inputs | high]
    words += random_tokens(1, 150, 2 * inputs)
    words += [1 << i for i in range(2 * inputs)]
    expected = [inputs - ((word & high) ^ (word >> inputs)).bit_count() for word in words]
    found = matches.check(words, expected, (2 * inputs, inputs.bit_length()))
    assert found.given[0] - found.taken[0] == cycles
