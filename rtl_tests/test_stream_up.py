"""hwbnn_stream_up: narrow tokens joined to wide ones."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, random_tokens

pytestmark = pytest.mark.hardware

CASES = [(8, 2, 2), (1, 5, 5), (3, 4, 7), (9, 3, 1), (16, 8, 9)]
"""Width, Ratio, Tokens: whole frames, frames of a part, frames that end in the middle."""


def widened(tokens, width, ratio, a_frame):
    frames = [tokens[i : i + a_frame] for i in range(0, len(tokens), a_frame)]
    groups = [frame[i : i + ratio] for frame in frames for i in range(0, a_frame, ratio)]
    return [join(group, width) for group in groups], [len(group) * width for group in groups]


@pytest.mark.parametrize(
    ("simulator", "case"), [*(("icarus", case) for case in CASES), ("verilator", CASES[2])]
)
def test_parts_are_joined_lowest_first(module, simulator, case):
    width, ratio, a_frame = case
    up = module("hwbnn_stream_up", simulator, Width=width, Ratio=ratio, Tokens=a_frame)
    tokens = random_tokens(1, 12 * a_frame, width)
    expected, used = widened(tokens, width, ratio, a_frame)
    for seed in range(3):
        stalls = Stalls.random(seed)
        bits = (width, ratio * width)
        up.check(tokens, expected, bits, used=used, stalls=stalls, seed=seed, cut=7 + 9 * seed)


@pytest.mark.parametrize("case", CASES)
def test_takes_a_token_in_every_cycle(module, case):
    width, ratio, a_frame = case
    up = module("hwbnn_stream_up", Width=width, Ratio=ratio, Tokens=a_frame)
    tokens = random_tokens(2, 10 * a_frame, width)
    expected, used = widened(tokens, width, ratio, a_frame)
    found = up.check(tokens, expected, (width, ratio * width), used=used)
    assert found.taken == list(range(found.taken[0], found.taken[0] + len(tokens)))
