"""hwbnn_credit_fifo: a FIFO that relies on credits."""

from __future__ import annotations

import pytest

from hwbnn.errors import Mismatch
from rtl_tests.bench import late, random_tokens

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_a_token_without_a_credit_ends_the_simulation(module, simulator):
    fifo = module("credit_fifo_bench", simulator, Width=8, Credits=3)
    tokens = random_tokens(1, 10, 8)
    assert fifo.check(tokens, tokens, (8, 8)).intervals == [1] * 9
    # Three wait, the fourth finds no room.
    fifo.check(tokens[:3], tokens[:3], (8, 8), stalls=late(50))
    with pytest.raises(Mismatch, match="a token came without a credit"):
        fifo.run(tokens[:4], 4, (8, 8), stalls=late(50))
