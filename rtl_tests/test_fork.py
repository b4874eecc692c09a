"""hwbnn_fork: one stream for several readers, each behind a FIFO."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens

pytestmark = pytest.mark.hardware

CASES = [
    # simulator, depth of each branch, in which of 16 cycles each is willing
    ("icarus", [2, 2], [0xFFFF, 0xFFFF]),
    ("icarus", [1, 5], [0xA53C, 0xFF00]),
    ("icarus", [3, 1, 2], [0x0F0F, 0xFFFF, 0x8001]),
    ("verilator", [2, 4], [0x5555, 0xF0F0]),
]


@pytest.mark.parametrize(("simulator", "depths", "willing"), CASES)
def test_every_branch_has_every_token(module, simulator, depths, willing):
    fork = module(
        "fork_bench", simulator, Width=5, Branches=len(depths), Depths=literal(depths, 32),
        Willing=literal(willing, 16),
    )  # fmt: skip
    tokens = random_tokens(1, 60, 5)
    expected = [join([token] * len(depths), 5) for token in tokens]
    for seed in range(3):
        stalls = Stalls.random(seed)
        fork.check(tokens, expected, (5, 5 * len(depths)), stalls=stalls, cut=19, seed=seed + 1)
    found = fork.check(tokens, expected, (5, 5 * len(depths)))
    if set(willing) == {0xFFFF} and min(depths) > 1:
        assert found.taken == list(range(found.taken[0], found.taken[0] + len(tokens)))


@pytest.mark.parametrize("depth", [2, 7])
def test_a_branch_lags_by_its_depth(module, depth):
    """One branch never willing: as many tokens are taken as its FIFO holds, and no more."""
    fork = module(
        "fork_bench", Width=4, Branches=2, Depths=literal([2, depth], 32),
        Willing=literal([0xFFFF, 0x0000], 16),
    )  # fmt: skip
    found = fork.run(random_tokens(2, 20, 4), 0, (4, 8))
    assert len(found.taken) == min(depth, 4)
