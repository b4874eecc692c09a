"""hwbnn_axis_out: tlast and the AXI4-Stream rules at the output."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import random_tokens

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "beat", "width", "last_used", "a_frame"),
    [
        ("icarus", 8, 8, 8, 1),
        ("icarus", 8, 4, 4, 1),
        ("icarus", 64, 60, 60, 3),
        ("icarus", 64, 60, 13, 3),
        ("icarus", 24, 21, 7, 5),
        ("verilator", 80, 70, 20, 4),
    ],
)
def test_the_border_is_as_promised(module, simulator, beat, width, last_used, a_frame):
    border = module(
        "hwbnn_axis_out",
        simulator,
        {"axis": ("sink",)},
        **{"Beat": beat, "Width": width, "LastUsed": last_used, "Beats": a_frame},
    )
    tokens = random_tokens(1, 12 * a_frame, width)
    ends = [i % a_frame == a_frame - 1 for i in range(len(tokens))]
    used = [last_used if end else width for end in ends]
    expected = [token % (1 << bits) for token, bits in zip(tokens, used, strict=True)]
    kept = [-(-last_used // 8) if end else beat // 8 for end in ends]
    for seed in range(3):
        stalls = Stalls.random(seed)
        # A reset in the middle of a frame must not shift tlast.
        found = border.check(tokens, expected, (width, beat), stalls=stalls, seed=seed, cut=13)
        assert found.last == ends
        assert found.keep == [(1 << n) - 1 for n in kept]
