"""hwbnn_pool_max: the largest or smallest element of a window."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, signed, split

pytestmark = pytest.mark.hardware

CASES = [
    # simulator, lanes, tokens, steps, width, signed
    ("icarus", 5, 1, 4, 1, 0),
    ("icarus", 2, 3, 9, 4, 1),
    ("icarus", 3, 2, 1, 3, 0),
    ("icarus", 1, 4, 2, 2, 1),
    ("verilator", 4, 2, 6, 5, 0),
]


def counting(seed, results, steps):
    """For each token whether it counts: at least one of each result does, in some all do."""
    rng = np.random.default_rng(seed)
    counts = rng.random((results, steps)) < rng.choice([0.1, 0.6, 1.0], (results, 1))
    counts[np.arange(results), rng.integers(0, steps, results)] = True
    return counts


@pytest.mark.parametrize(("simulator", "lanes", "tokens", "steps", "width", "is_signed"), CASES)
def test_largest_and_smallest(module, simulator, lanes, tokens, steps, width, is_signed):
    smallest = np.random.default_rng(steps).integers(0, 2, (tokens, lanes))
    pool = module(
        "hwbnn_pool_max", simulator, {"ready": False}, Lanes=lanes, Tokens=tokens, Steps=steps,
        Width=width, Signed=is_signed, Smallest=literal(smallest.ravel(), 1),
    )  # fmt: skip
    results, bits = 12 * tokens, lanes * width
    counts = counting(1, results, steps)
    words = np.array(random_tokens(2, results * steps, bits), object).reshape(results, steps)
    expected = []
    for i, (row, flags) in enumerate(zip(words, counts, strict=True)):
        lines = np.array([split(word, width, lanes) for word in row])[flags]
        kept = np.vectorize(signed)(lines, width) if is_signed else lines
        best = np.where(smallest[i % tokens], kept.min(axis=0), kept.max(axis=0))
        expected.append(join((best % (1 << width)).tolist(), width))
    sent = (words + (counts.astype(object) << bits)).ravel().tolist()
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        pool.check(sent, expected, (bits + 1, bits), **options)
    found = pool.check(sent, expected, (bits + 1, bits))
    assert found.given[0] - found.taken[steps - 1] == 1
