"""hwbnn_compare: one bit for each comparison with a constant."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, signed, split
from rtl_tests.places import Places

pytestmark = pytest.mark.hardware

CASES = [
    # simulator, lanes, tokens, width, signed, count, classes of positions
    ("icarus", 1, 1, 3, 0, 1, Places()),
    ("icarus", 4, 1, 5, 1, 1, Places()),
    ("icarus", 3, 4, 4, 0, 3, Places()),
    ("icarus", 2, 3, 1, 1, 2, Places(4, 9)),
    ("verilator", 3, 2, 6, 1, 4, Places()),
    ("verilator", 2, 1, 4, 0, 1, Places(3, 5)),
]


class Comparators:
    """Random constants for every element, those that say always and never among them."""

    def __init__(self, lanes, tokens, width, is_signed, count, places):
        rng = np.random.default_rng(width)
        low = -(1 << (width - 1)) if is_signed else 0
        shape = (places.classes * tokens, lanes, count)
        self.constants = rng.integers(low - 1, low + (1 << width) - 1, shape, endpoint=True)
        self.constants[0, 0, 0] = low - 1
        self.constants[-1, -1, -1] = low + (1 << width) - 1
        self.falling = rng.integers(0, 2, (tokens, lanes))
        self.width, self.signed, self.lanes = width, is_signed, lanes
        self.tokens, self.places = tokens, places
        self.parameters = {
            **{"Lanes": lanes, "Tokens": tokens, "Width": width, "Signed": is_signed},
            **{"Count": count, "Constants": literal(self.constants.ravel(), width + 1)},
            "Falling": literal(self.falling.ravel(), 1),
            **places.parameters,
        }

    def bits(self, i, word):
        """For token ``i``, the bits of each lane."""
        x = split(word, self.width, self.lanes)
        x = np.array([signed(value, self.width) for value in x] if self.signed else x)
        constants = self.constants[self.places.row(i, self.tokens)]
        return (x[:, None] > constants) ^ (self.falling[i % self.tokens][:, None] == 1)


@pytest.mark.parametrize(
    ("simulator", "lanes", "tokens", "width", "is_signed", "count", "places"), CASES
)
def test_a_bit_for_each_constant(module, simulator, lanes, tokens, width, is_signed, count, places):
    model = Comparators(lanes, tokens, width, is_signed, count, places)
    compare = module("hwbnn_compare", simulator, {"ready": False}, **model.parameters)
    words = random_tokens(2, 20 * tokens, lanes * width)
    expected = [join(model.bits(i, word).ravel().tolist(), 1) for i, word in enumerate(words)]
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        found = compare.check(words, expected, (lanes * width, lanes * count), **options)
        assert found.given[0] - found.taken[0] == 1
