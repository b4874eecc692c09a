from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verify.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, signed, split

pytestmark = pytest.mark.hardware

CASES = [
    # simulator, lanes, tokens, width, signed, count
    ("icarus", 1, 1, 3, 0, 1),
    ("icarus", 4, 1, 5, 1, 1),
    ("icarus", 3, 4, 4, 0, 3),
    ("icarus", 2, 3, 1, 1, 2),
    ("verilator", 3, 2, 6, 1, 4),
]


class Comparators:
    """Random constants for every element, those that say always and never among them."""

    def __init__(self, lanes, tokens, width, is_signed, count):
        rng = np.random.default_rng(width)
        low = -(1 << (width - 1)) if is_signed else 0
        shape = (tokens, lanes, count)
        self.constants = rng.integers(low - 1, low + (1 << width) - 1, shape, endpoint=True)
        self.constants[0, 0, 0] = low - 1
        self.constants[-1, -1, -1] = low + (1 << width) - 1
        self.falling = rng.integers(0, 2, (tokens, lanes))
        self.width, self.signed, self.lanes = width, is_signed, lanes
        self.parameters = {
            **{"Lanes": lanes, "Tokens": tokens, "Width": width, "Signed": is_signed},
            **{"Count": count, "Constants": literal(self.constants.ravel(), width + 1)},
            "Falling": literal(self.falling.ravel(), 1),
        }

    def bits(self, i, word):
        """For token ``i``, the bits of each lane."""
        x = split(word, self.width, self.lanes)
        x = np.array([signed(value, self.width) for value in x] if self.signed else x)
        token = i % len(self.constants)
        return (x[:, None] > self.constants[token]) ^ (self.falling[token][:, None] == 1)


@pytest.mark.parametrize(("simulator", "lanes", "tokens", "width", "is_signed", "count"), CASES)
def test_a_bit_for_each_constant(module, simulator, lanes, tokens, width, is_signed, count):
    model = Comparators(lanes, tokens, width, is_signed, count)
    compare = module("hwbnn_compare", simulator, {"ready": False}, **model.parameters)
    words = random_tokens(2, 20 * tokens, lanes * width)
    expected = [join(model.bits(i, word).ravel().tolist(), 1) for i, word in enumerate(words)]
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        found = compare.check(words, expected, (lanes * width, lanes * count), **options)
        assert found.given[0] - found.taken[0] == 1
