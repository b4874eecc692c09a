"""hwbnn_stream_fifo: a FIFO between two streams."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import late, random_tokens

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "width", "depth"),
    [
        ("icarus", 8, 2),
        ("icarus", 1, 1),
        ("icarus", 70, 3),
        ("icarus", 5, 7),
        ("verilator", 33, 3),
    ],
)
def test_words_leave_in_order(module, simulator, width, depth):
    fifo = module("hwbnn_stream_fifo", simulator, Width=width, Depth=depth)
    words = random_tokens(1, 100, width)
    for seed in range(3):
        fifo.check(words, words, (width, width), stalls=Stalls.random(seed), seed=seed, cut=40)


@pytest.mark.parametrize(("depth", "interval"), [(1, 2), (2, 1), (3, 1)])
def test_rate(module, depth, interval):
    fifo = module("hwbnn_stream_fifo", Width=8, Depth=depth)
    words = random_tokens(2, 50, 8)
    found = fifo.check(words, words, (8, 8))
    assert set(found.intervals) == {interval}
    assert found.given[0] - found.taken[0] == 1


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_holds_as_many_words_as_it_is_deep(module, depth):
    fifo = module("hwbnn_stream_fifo", Width=8, Depth=depth)
    words = random_tokens(3, 20, 8)
    found = fifo.check(words, words, (8, 8), stalls=late(200))
    assert sum(cycle < found.given[0] for cycle in found.taken) == depth
