"""hwbnn_axis_in_counted: frames told apart by counting beats."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import random_tokens

pytestmark = pytest.mark.hardware

AXIS = {"axis": ("source",), "error": True}


@pytest.mark.parametrize(
    ("simulator", "beats", "share"),
    [("icarus", 1, 0.5), ("icarus", 5, 0.0), ("icarus", 3, 1.0), ("verilator", 4, 0.3)],
)
def test_tlast_changes_nothing(module, simulator, beats, share):
    border = module("hwbnn_axis_in_counted", simulator, AXIS, Beat=16, Width=12, Beats=beats)
    sent = random_tokens(1, 12 * beats, 16)
    expected = [beat % (1 << 12) for beat in sent]
    for seed in range(3):
        last = (np.random.default_rng(seed).random(len(sent)) < share).astype(int).tolist()
        last[-1] = 1  # the bench sends whole packets
        options = {"stalls": Stalls.random(seed), "seed": seed + 1, "cut": 11 + 7 * seed}
        found = border.check(sent, expected, (16, 12), last=last, **options)
        assert found.error is None


def test_takes_a_beat_in_every_cycle(module):
    border = module("hwbnn_axis_in_counted", bench=AXIS, Beat=8, Width=8, Beats=3)
    sent = random_tokens(2, 30, 8)
    last = [0, 1, 1] * 9 + [0, 0, 1]
    found = border.check(sent, sent, (8, 8), last=last)
    assert set(found.intervals) == {1}
    assert found.given[0] - found.taken[0] == 1
