"""hwbnn_lookup: a table for each channel."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "lanes", "tokens", "width", "low", "shift", "step", "entries", "out_width"),
    [
        ("icarus", 1, 1, 3, 0, 0, 1, 8, 4),
        ("icarus", 3, 1, 5, -9, 1, 1, 10, 1),
        ("icarus", 2, 4, 4, 3, 0, 1, 5, 7),
        ("icarus", 4, 2, 6, -32, 2, 1, 16, 3),
        ("icarus", 2, 3, 10, -200, 1, 3, 90, 5),
        ("icarus", 1, 1, 6, 0, 0, 63, 2, 3),
        ("verilator", 3, 3, 5, -16, 0, 1, 31, 6),
        ("verilator", 2, 2, 11, 100, 2, 5, 70, 6),
        ("icarus", 1, 1, 18, 0, 0, 15, 12802, 1),
    ],
)
def test_entries_of_each_element(
    module, simulator, lanes, tokens, width, low, shift, step, entries, out_width
):
    rng = np.random.default_rng(1)
    inverse = pow(step, -1, 1 << (entries - 1).bit_length())
    table = rng.integers(0, 1 << out_width, (tokens, lanes, entries))
    lookup = module(
        "hwbnn_lookup",
        simulator,
        {"ready": False},
        **{"Lanes": lanes, "Tokens": tokens, "Width": width, "Low": low, "Shift": shift},
        Inverse=inverse,
        **{
            "Entries": entries,
            "OutWidth": out_width,
            "Table": literal(table.transpose(1, 0, 2).ravel(), out_width),
        },
    )
    index = rng.integers(0, entries, (20 * tokens, lanes))
    index[0], index[tokens] = 0, entries - 1
    elements = (low + (index * step << shift)) & ((1 << width) - 1)
    words = [join(row, width) for row in elements.tolist()]
    expected = [
        join(table[i % tokens, np.arange(lanes), row].tolist(), out_width)
        for i, row in enumerate(index)
    ]
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        found = lookup.check(words, expected, (lanes * width, lanes * out_width), **options)
        assert found.given[0] - found.taken[0] == (1 if inverse == 1 else 2)
