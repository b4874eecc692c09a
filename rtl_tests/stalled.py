"""Cores that are compiled already, under more stalls than verification gives them."""

from __future__ import annotations

import numpy as np

from hwbnn.simulators import simulate
from hwbnn.verification import verilator
from hwbnn.verification.bench import Stalls, Stimulus
from hwbnn.verification.results import compare_batch, first_difference
from hwbnn.verification.timing import check_stalled


def check_more_stalls(graph, project, x, folder, seed):
    """Four more runs, each after a reset in the middle of a frame: values, protocol and cycles."""
    simulation = verilator.build(project, folder, optimise=False)
    assert simulation.build_seconds == 0
    expected = simulate(graph, x, trace=True)
    for i in range(4):
        stalls = Stalls.random(100 * seed + i)
        cut = int(np.random.default_rng(i).integers(1, 3 * simulation.core.latency))
        stimulus = Stimulus.of_frames(simulation.core, x, stalls=stalls, cut=cut, seed=i + 1)
        record = simulation.run(stimulus)
        assert record.faults == ()
        assert first_difference(compare_batch(graph, expected, record.values)) is None
        assert check_stalled(simulation.core, record, stalls, len(x)) is None
