"""hwbnn_axis_in_batch: packets of several frames."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.batches import BENCH, Batch

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "beats", "lengths"),
    [
        ("icarus", 1, [1, 4, 1, 1, 7]),
        ("icarus", 3, [3, 9, 1, 3, 4, 6, 2, 2, 11, 12, 3]),
        ("icarus", 5, [1, 5, 1, 25, 6, 5, 4, 15]),
        ("verilator", 4, [8, 4, 3, 4, 13, 1, 1, 1, 12]),
    ],
)
def test_a_packet_gives_the_frames_that_it_holds(module, simulator, beats, lengths):
    batch = Batch(lengths, beats, 16, 12)
    border = module("axis_batch_bench", simulator, BENCH, **batch.parameters(frames=8))
    for seed in range(4):
        stalls = Stalls.random(seed) if seed else Stalls()
        found = batch.check(border, stalls=stalls, seed=seed + 1, cut=[0, 9, 23, 4][seed])
        assert found.errors == sum(n % beats != 0 for n in lengths)


def test_the_error_is_high_in_the_cycle_after_the_short_packet(module):
    batch = Batch([6, 4, 6], 3, 8, 8)
    border = module("axis_batch_bench", bench=BENCH, **batch.parameters(frames=8))
    found = batch.check(border)
    assert found.errors == 1
    assert found.error == found.taken[1] + 4


def test_takes_a_beat_in_every_cycle(module):
    batch = Batch([4] * 3 + [12, 8, 4], 4, 8, 8)
    border = module("axis_batch_bench", bench=BENCH, **batch.parameters(frames=2))
    found = batch.check(border)
    assert set(found.intervals) == {1}
    assert found.given[0] - found.taken[0] == 1
