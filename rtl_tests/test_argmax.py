"""hwbnn_argmax: the lowest index of the largest element."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "size", "lanes", "width", "is_signed", "levels"),
    [
        ("icarus", 1, 1, 4, 1, 2),
        ("icarus", 10, 10, 3, 1, 1),
        ("icarus", 10, 10, 9, 0, 4),
        ("icarus", 11, 4, 2, 1, 2),
        ("icarus", 9, 1, 4, 0, 2),
        ("icarus", 7, 3, 1, 0, 1),
        ("verilator", 13, 5, 3, 1, 2),
    ],
)
def test_the_lowest_index_of_the_largest(module, simulator, size, lanes, width, is_signed, levels):
    index_width = max(1, (size - 1).bit_length())
    argmax = module(
        "hwbnn_argmax",
        simulator,
        {"ready": False},
        **{"Size": size, "Lanes": lanes, "Width": width, "Signed": is_signed},
        **{"IndexWidth": index_width, "Levels": levels},
    )
    rng = np.random.default_rng(3)
    low = -(1 << (width - 1)) if is_signed else 0
    x = rng.integers(low, low + (1 << width), (30, size))
    x[0], x[1], x[2] = low, low + (1 << width) - 1, low  # all equal
    x[2, -1] += 1
    tokens = -(-size // lanes)
    # Lanes beyond the frame hold the largest code of all, which must not win.
    padded = np.full((len(x), tokens * lanes), (1 << (width - 1)) - 1 if is_signed else -1)
    padded[:, :size] = x
    words = [join(row, width) for row in (padded & ((1 << width) - 1)).reshape(-1, lanes).tolist()]
    expected = x.argmax(axis=1).tolist()
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        argmax.check(words, expected, (lanes * width, index_width), **options)
    found = argmax.check(words, expected, (lanes * width, index_width))
    latency = -(-(lanes - 1).bit_length() // levels) + (tokens > 1)
    assert found.given[0] - (found.taken[0] + tokens - 1) == latency
