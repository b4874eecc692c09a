"""hwbnn_affine: raw sums shifted by constants."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, split
from rtl_tests.places import Places

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "lanes", "tokens", "width", "out_width", "shift", "places"),
    [
        ("icarus", 1, 1, 3, 4, 1, Places()),
        ("icarus", 5, 1, 7, 9, 1, Places()),
        ("icarus", 3, 4, 8, 6, 0, Places()),
        ("icarus", 2, 3, 4, 4, 1, Places(3, 7)),
        ("verilator", 2, 5, 6, 7, 1, Places(2, 4)),
    ],
)
def test_shifted_sums_less_their_constants(
    module, simulator, lanes, tokens, width, out_width, shift, places
):
    constants = random_tokens(1, places.classes * lanes * tokens, out_width)
    affine = module(
        "hwbnn_affine",
        simulator,
        {"ready": False},
        **{"Lanes": lanes, "Tokens": tokens, "Width": width, "OutWidth": out_width},
        **{"Shift": shift, "Constants": literal(constants, out_width)},
        **places.parameters,
    )
    words = random_tokens(2, 10 * tokens, lanes * width)
    expected = []
    for i, word in enumerate(words):
        row = constants[places.row(i, tokens) * lanes :]
        sums = [(x << shift) - row[lane] for lane, x in enumerate(split(word, width, lanes))]
        expected.append(join([y % (1 << out_width) for y in sums], out_width))
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        found = affine.check(words, expected, (lanes * width, lanes * out_width), **options)
        assert found.given[0] - found.taken[0] == 1
