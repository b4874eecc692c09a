"""hwbnn_sum_tree: a tree of adders."""

from __future__ import annotations

import pytest

from rtl_tests.bench import random_tokens, split

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "inputs", "width", "sum_width", "levels", "before"),
    [
        ("icarus", 1, 4, 4, 2, 0),
        ("icarus", 1, 4, 3, 1, 1),
        ("icarus", 2, 1, 2, 2, 1),
        ("icarus", 7, 3, 6, 1, 0),
        ("icarus", 13, 5, 6, 3, 1),  # the sum's high bits are dropped
        ("icarus", 33, 2, 8, 2, 1),
        ("verilator", 10, 3, 7, 2, 0),
    ],
)
def test_sums(module, simulator, inputs, width, sum_width, levels, before):
    depth = (inputs - 1).bit_length()
    latency = -(-(before + depth) // levels) - before // levels if inputs > 1 else 0
    sizes = {"Inputs": inputs, "Width": width, "SumWidth": sum_width}
    tree = module(
        "sum_tree_bench",
        simulator,
        {"ready": False},
        **sizes,
        **{"Levels": levels, "Before": before, "Latency": latency},
    )
    bits = inputs * width
    words = [0, (1 << bits) - 1, *random_tokens(1, 100, bits)]
    expected = [sum(split(word, width, inputs)) % (1 << sum_width) for word in words]
    found = tree.check(words, expected, (bits, sum_width))
    assert found.given[0] - found.taken[0] == latency
