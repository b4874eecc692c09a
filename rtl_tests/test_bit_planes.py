"""hwbnn_bit_planes: the bits of integers, plane by plane."""

from __future__ import annotations

import pytest

from rtl_tests.bench import join, random_tokens, split

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "inputs", "width", "signed"),
    [
        ("icarus", 5, 1, 0),
        ("icarus", 7, 3, 0),
        ("icarus", 7, 3, 1),
        ("icarus", 1, 8, 1),
        ("verilator", 9, 4, 1),
    ],
)
def test_plane_b_holds_bit_b_and_the_sign_is_inverted(module, simulator, inputs, width, signed):
    planes = module(
        "bit_planes_bench",
        simulator,
        {"ready": False},
        **{"Inputs": inputs, "Width": width, "Signed": signed},
    )
    bits = inputs * width
    words = random_tokens(1, 60, bits)
    flip = signed << (width - 1)
    expected = [
        join([(x ^ flip) >> b & 1 for b in range(width) for x in split(word, width, inputs)], 1)
        for word in words
    ]
    planes.check(words, expected, (bits, bits))
