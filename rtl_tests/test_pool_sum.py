"""hwbnn_pool_sum: sums over a window."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, random_tokens, signed, split
from rtl_tests.test_pool_max import counting

pytestmark = pytest.mark.hardware

CASES = [
    # simulator, lanes, steps, width, signed, bits, width of a sum
    ("icarus", 5, 4, 1, 0, 1, 4),
    ("icarus", 2, 9, 4, 1, 0, 8),
    ("icarus", 3, 1, 3, 0, 0, 3),
    ("icarus", 1, 7, 1, 0, 0, 3),
    ("verilator", 4, 6, 5, 0, 0, 8),
]


@pytest.mark.parametrize(
    ("simulator", "lanes", "steps", "width", "is_signed", "is_bits", "out"), CASES
)
def test_sums_of_what_counts(module, simulator, lanes, steps, width, is_signed, is_bits, out):
    pool = module(
        "hwbnn_pool_sum", simulator, {"ready": False}, Lanes=lanes, Steps=steps, Width=width,
        Signed=is_signed, Bits=is_bits, OutWidth=out,
    )  # fmt: skip
    results, bits = 20, lanes * width
    counts = counting(1, results, steps)
    words = np.array(random_tokens(2, results * steps, bits), object).reshape(results, steps)
    expected = []
    for row, flags in zip(words, counts, strict=True):
        lines = np.array([split(word, width, lanes) for word in row])[flags]
        if is_bits:
            lines = 2 * lines - 1
        elif is_signed:
            lines = np.vectorize(signed)(lines, width)
        expected.append(join((lines.sum(axis=0) % (1 << out)).tolist(), out))
    sent = (words + (counts.astype(object) << bits)).ravel().tolist()
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        pool.check(sent, expected, (bits + 1, lanes * out), **options)
    found = pool.check(sent, expected, (bits + 1, lanes * out))
    assert found.given[0] - found.taken[steps - 1] == 1
