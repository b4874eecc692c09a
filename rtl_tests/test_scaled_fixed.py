"""hwbnn_scaled_fixed: sums with constant scale and offset."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, split
from rtl_tests.test_multiple import term

pytestmark = pytest.mark.hardware

MULTIPLES = [[None, None], [(0, 1), None], [(0, -1), (3, 1)], [(0, 1), (2, 1)]]
"""0, 1, 7 less 1, and 5 times the total."""
ODD, MISSING = np.array([0, 1, 7, 5]), np.array([0, 0, 1, 0])
SCALES = {1: [[(4, 1)]] * 5, 3: [[(0, 1), (1, 1), (3, 1)], [None] * 3, [(0, -1), (4, 1), None]]}


@pytest.mark.parametrize(
    ("simulator", "scales", "width", "out_width", "levels", "constant"),
    [
        ("icarus", 1, 4, 12, 2, 1),
        ("icarus", 1, 6, 7, 1, 0),
        ("icarus", 3, 5, 13, 2, 1),
        ("icarus", 3, 3, 10, 1, 0),
        ("verilator", 1, 6, 14, 3, 1),
        ("verilator", 3, 6, 14, 1, 1),
    ],
)
def test_scaled_sums_with_their_offset(
    module, simulator, scales, width, out_width, levels, constant
):
    terms = SCALES[scales]
    lanes, rng = len(terms), np.random.default_rng(width)
    which, shifts = rng.integers(0, 4, lanes), rng.integers(0, 3, lanes)
    complements = rng.integers(0, 2, lanes)
    constants = rng.integers(0, 1 << out_width, lanes) * constant
    coded, scale_coded = (
        [term(*t) if t else 0 for each in factors for t in each] for factors in (MULTIPLES, terms)
    )
    scaled = module(
        "hwbnn_scaled_fixed",
        simulator,
        {"ready": False},
        **{"Lanes": lanes, "Width": width, "OutWidth": out_width, "Levels": levels},
        **{"Multiples": 4, "Count": 2, "ScaleCount": scales, "Constant": constant},
        Terms=literal(coded, 8),
        ScaleTerms=literal(scale_coded, 8),
        Which=literal(which, 16),
        Shifts=literal(shifts, 8),
        Complements=literal(complements, 1),
        Constants=literal(constants, out_width),
    )
    scale = [sum(t[1] << t[0] for t in each if t) for each in terms]
    missing = [sum(t[1] < 0 for t in each if t) for each in terms]
    words = random_tokens(2, 40, (lanes + 1) * width)
    expected = []
    for word in words:
        *sums, total = split(word, width, lanes + 1)
        added = (ODD[which] * total - MISSING[which]) << shifts
        added = np.where(complements, ~added, added)
        y = np.array(scale) * sums - missing + added + constants
        expected.append(join((y % (1 << out_width)).tolist(), out_width))
    latency = -(-(max(2, scales) - 1).bit_length() // levels) + -(-(1 + constant) // levels)
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        bits = ((lanes + 1) * width, lanes * out_width)
        found = scaled.check(words, expected, bits, **options)
        assert found.given[0] - found.taken[0] == latency
