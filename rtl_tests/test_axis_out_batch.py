"""hwbnn_axis_out_batch: the output leaves in the packets of the input."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.batches import BENCH, Batch
from rtl_tests.bench import late

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_input_waits_where_the_output_can_know_of_no_more_frames(module, frames):
    rng = np.random.default_rng(frames)
    batch = Batch(rng.integers(1, 9, 12).tolist(), 2, 24, 20, 13)
    border = module("axis_batch_bench", bench=BENCH, **batch.parameters(frames))
    for seed in range(3):
        batch.check(border, stalls=Stalls.random(seed), seed=seed + 1, cut=5 + 8 * seed)
    # A sink that takes nothing for long: the FIFO of the data holds two, and no beat is lost.
    batch.check(border, stalls=late(200))


def test_tlast_is_on_the_last_frame_of_a_packet_alone(module):
    batch = Batch([9, 3, 6], 3, 16, 16)
    border = module("axis_batch_bench", "verilator", BENCH, **batch.parameters(frames=4))
    found = batch.check(border)
    assert [i for i, last in enumerate(found.last) if last] == [8, 11, 17]
