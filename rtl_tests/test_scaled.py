"""hwbnn_scaled: sums with a scale and an offset for each channel."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, split
from rtl_tests.places import Places

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    (
        "simulator",
        "lanes",
        "tokens",
        "width",
        "out_width",
        "shift",
        "scale_width",
        "constant",
        "places",
    ),
    [
        ("icarus", 1, 2, 3, 12, 0, 0, True, Places()),
        ("icarus", 3, 4, 5, 9, 4, 0, False, Places()),
        ("icarus", 2, 3, 6, 16, 0, 5, True, Places(3, 4)),
        ("icarus", 2, 1, 4, 5, 0, 3, False, Places()),
        ("verilator", 4, 3, 7, 18, 6, 0, True, Places(2, 7)),
        ("verilator", 2, 5, 4, 10, 0, 4, False, Places()),
    ],
)
def test_scaled_sums_with_their_offset(
    module, simulator, lanes, tokens, width, out_width, shift, scale_width, constant, places
):
    rng, count, offset_width = (
        np.random.default_rng(lanes + tokens),
        places.classes * lanes * tokens,
        5,
    )
    offsets = rng.integers(-16, 16, count)
    constants = rng.integers(0, 1 << out_width, count) * constant
    scales = rng.integers(0, 1 << scale_width, count) if scale_width else np.full(count, 1 << shift)
    below = offset_width + out_width * constant
    rows = [
        int(o) % (1 << offset_width)
        | int(c) << offset_width
        | (int(s) << below if scale_width else 0)
        for o, c, s in zip(offsets, constants, scales, strict=True)
    ]
    scaled = module(
        "hwbnn_scaled",
        simulator,
        {"ready": False},
        **{"Lanes": lanes, "Tokens": tokens, "Width": width, "OutWidth": out_width},
        **{"Shift": shift, "ScaleWidth": scale_width, "OffsetWidth": offset_width},
        **{"ConstantWidth": out_width * constant, "Rows": literal(rows, below + scale_width)},
        **places.parameters,
    )
    words = random_tokens(2, 10 * tokens, (lanes + 1) * width)
    expected = []
    for i, word in enumerate(words):
        *sums, total = split(word, width, lanes + 1)
        first = places.row(i, tokens) * lanes
        at = slice(first, first + lanes)
        y = scales[at] * sums + offsets[at] * total + constants[at]
        expected.append(join((y % (1 << out_width)).tolist(), out_width))
    for seed in range(2):
        options = {"stalls": Stalls.random(seed), "cut": 7, "seed": seed}
        bits = ((lanes + 1) * width, lanes * out_width)
        found = scaled.check(words, expected, bits, **options)
        assert found.given[0] - found.taken[0] == 2
