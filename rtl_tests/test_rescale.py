"""hwbnn_rescale: multiplication, shift and saturation for each channel."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, signed, split
from rtl_tests.places import Places

pytestmark = pytest.mark.hardware

FACTOR = 6
"""Bits of a factor."""
CASES = [
    # simulator, lanes, tokens, width, signed, slopes, shift, more, range of results, places
    ("icarus", 1, 1, 8, 1, 1, 3, 0, None, Places()),
    ("icarus", 3, 2, 6, 1, 2, 0, 0, (-20, 90), Places()),
    ("icarus", 2, 3, 5, 0, 1, 2, 3, (0, 15), Places(3, 5)),
    ("icarus", 2, 1, 7, 1, 2, 4, 2, (-8, 7), Places(2, 3)),
    ("verilator", 3, 2, 9, 1, 2, 5, 1, (-100, -3), Places(4, 6)),
    ("verilator", 2, 1, 4, 0, 1, 0, 0, None, Places()),
]


class Constants:
    """Random factors, biases and shifts of every element."""

    def __init__(self, lanes, tokens, slopes, shift, more, places):
        rng = np.random.default_rng(lanes + tokens)
        self.lanes, self.tokens, self.places, self.slopes = lanes, tokens, places, slopes
        half = 1 << (FACTOR - 1)
        self.factors = rng.integers(-half, half, (tokens, lanes, slopes))
        self.factors[0, 0] = -half
        self.more = (
            rng.integers(0, 1 << more, (tokens, lanes)) if more else 0 * self.factors[..., 0]
        )
        self.biases = rng.integers(-500, 500, (places.classes * tokens, lanes))
        self.shift = shift

    def apply(self, token, x):
        """The sum of each lane, shifted."""
        at, elements = token % self.tokens, np.arange(self.lanes)
        which = np.where(x < 0, self.slopes - 1, 0)
        bias = self.biases[self.places.row(token, self.tokens)]
        y = x * self.factors[at, elements, which] + bias
        return y >> (self.shift + self.more[at])

    def parameters(self, sum_width, more):
        parts = np.concatenate([self.factors, self.more[..., None]], axis=-1).reshape(
            -1, self.slopes + 1
        )
        rows = [
            join([int(f) % (1 << FACTOR) for f in row[:-1]], FACTOR)
            | int(row[-1]) << (self.slopes * FACTOR)
            for row in parts
        ]
        return {
            **{"Lanes": self.lanes, "Tokens": self.tokens, "Slopes": self.slopes},
            **{"FactorWidth": FACTOR, "SumWidth": sum_width, "Shift": self.shift},
            **{"ShiftWidth": more, "Factors": literal(rows, self.slopes * FACTOR + more)},
            **{"Biases": literal(self.biases.ravel(), sum_width), **self.places.parameters},
        }


@pytest.mark.parametrize(
    ("simulator", "lanes", "tokens", "width", "is_signed", "slopes", "shift", "more", "ends",
     "places"), CASES
)  # fmt: skip
def test_scaled_shifted_and_clipped(
    module, simulator, lanes, tokens, width, is_signed, slopes, shift, more, ends, places
):
    constants = Constants(lanes, tokens, slopes, shift, more, places)
    sum_width = max(width + FACTOR, 11) + 1
    low, high = ends or (0, 0)
    out = max((low ^ low >> 63).bit_length(), high.bit_length()) + (low < 0) if ends else sum_width
    rescale = module(
        "hwbnn_rescale", simulator, {"ready": False}, Width=width, Signed=is_signed, OutWidth=out,
        Clip=int(ends is not None), Low=literal([low], out + 1), High=literal([high], out + 1),
        **constants.parameters(sum_width, more),
    )  # fmt: skip
    words = random_tokens(2, 25 * tokens, lanes * width)
    expected = []
    for i, word in enumerate(words):
        x = split(word, width, lanes)
        y = constants.apply(i, np.array([signed(v, width) if is_signed else v for v in x]))
        y = np.clip(y, low, high) if ends else y
        expected.append(join([int(v) % (1 << out) for v in y], out))
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        found = rescale.check(words, expected, (lanes * width, lanes * out), **options)
        assert found.given[0] - found.taken[0] == 3
