"""hwbnn_credit_gate: no more tokens in flight than there are credits."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import late, random_tokens

pytestmark = pytest.mark.hardware


def pipeline(module, simulator="icarus", **parameters):
    return module("credit_bench", simulator, Width=8, **parameters)


@pytest.mark.parametrize(
    ("simulator", "credits", "group", "stages"),
    [
        ("icarus", 1, 1, 4),
        ("icarus", 5, 1, 3),
        ("icarus", 3, 1, 9),
        ("icarus", 2, 4, 3),
        ("verilator", 4, 3, 5),
    ],
)
def test_tokens_pass_whatever_the_credits(module, simulator, credits, group, stages):
    pipe = pipeline(module, simulator, Credits=credits, TokensPerResult=group, Stages=stages)
    tokens = random_tokens(1, 20 * group, 8)
    expected = tokens[group - 1 :: group]
    for seed in range(3):
        # After a reset all credits are there again, whatever was under way.
        pipe.check(tokens, expected, (8, 8), stalls=Stalls.random(seed), cut=15 + seed, seed=seed)


@pytest.mark.parametrize("stages", [0, 1, 4])
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_rate_follows_the_credits(module, stages, missing):
    # A credit is back so many cycles after it was taken.
    needed = stages + 2
    if missing >= needed:
        return
    pipe = pipeline(module, Credits=needed - missing, TokensPerResult=1, Stages=stages)
    tokens = random_tokens(2, 60, 8)
    found = pipe.check(tokens, tokens, (8, 8))
    assert found.given[needed - missing] - found.given[0] == needed


@pytest.mark.parametrize(("credits", "group"), [(1, 1), (3, 1), (2, 3)])
def test_lets_in_no_more_than_there_are_credits_for(module, credits, group):
    pipe = pipeline(module, Credits=credits, TokensPerResult=group, Stages=3)
    tokens = random_tokens(3, 10 * group, 8)
    found = pipe.check(tokens, tokens[group - 1 :: group], (8, 8), stalls=late(300))
    assert sum(cycle < found.given[0] for cycle in found.taken) == credits * group
