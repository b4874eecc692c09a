"""hwbnn_multiple: multiplication by a constant, by shifts and additions."""

from __future__ import annotations

import pytest

from rtl_tests.bench import literal, random_tokens

pytestmark = pytest.mark.hardware


def term(place, sign):
    """One term as the module's header has it."""
    return 128 + 64 * (sign < 0) + place


CASES = [
    # terms as (place, sign); None is none
    [(0, 1)],
    [None],
    [(0, -1), (3, 1)],
    [(1, 1), (4, 1), None],
    [(0, 1), (2, -1), (5, -1), (9, 1), (11, 1)],
]


@pytest.mark.parametrize("terms", CASES)
@pytest.mark.parametrize(
    ("simulator", "width", "out_width", "levels"),
    [("icarus", 3, 6, 2), ("icarus", 7, 4, 1), ("verilator", 5, 20, 2)],
)
def test_the_multiple_less_its_complements(module, simulator, width, out_width, levels, terms):
    latency = -(-(len(terms) - 1).bit_length() // levels)
    multiple = module(
        "multiple_bench",
        simulator,
        {"ready": False},
        **{"Width": width, "OutWidth": out_width, "Count": len(terms), "Levels": levels},
        **{"Latency": latency, "Terms": literal([term(*t) if t else 0 for t in terms], 8)},
    )
    factor = sum(sign << place for place, sign in filter(None, terms))
    complements = sum(sign < 0 for _, sign in filter(None, terms))
    words = [0, (1 << width) - 1, *random_tokens(1, 40, width)]
    expected = [(factor * x - complements) % (1 << out_width) for x in words]
    found = multiple.check(words, expected, (width, out_width))
    assert found.given[0] - found.taken[0] == latency
