"""hwbnn_stream_down: wide tokens given in parts."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, random_tokens

pytestmark = pytest.mark.hardware

CASES = [(8, 2, 2), (1, 5, 5), (3, 4, 7), (9, 3, 1), (16, 8, 9)]
"""Width, Ratio, Tokens: whole frames, frames of a part, frames that end in the middle."""


def widened(tokens, width, ratio, a_frame):
    """The wide tokens that hold these narrow ones, nonsense in the parts beyond a frame."""
    frames = [tokens[i : i + a_frame] for i in range(0, len(tokens), a_frame)]
    groups = [frame[i : i + ratio] for frame in frames for i in range(0, a_frame, ratio)]
    filler = (1 << width) - 1
    return [join(group + [filler] * (ratio - len(group)), width) for group in groups]


@pytest.mark.parametrize(
    ("simulator", "case"), [*(("icarus", case) for case in CASES), ("verilator", CASES[2])]
)
def test_parts_leave_lowest_first(module, simulator, case):
    width, ratio, a_frame = case
    down = module("hwbnn_stream_down", simulator, Width=width, Ratio=ratio, Tokens=a_frame)
    tokens = random_tokens(1, 12 * a_frame, width)
    wide = widened(tokens, width, ratio, a_frame)
    for seed in range(3):
        stalls = Stalls.random(seed)
        down.check(wide, tokens, (ratio * width, width), stalls=stalls, seed=seed, cut=7 + 9 * seed)


@pytest.mark.parametrize("case", CASES)
def test_gives_a_token_in_every_cycle(module, case):
    width, ratio, a_frame = case
    down = module("hwbnn_stream_down", Width=width, Ratio=ratio, Tokens=a_frame)
    tokens = random_tokens(2, 10 * a_frame, width)
    found = down.check(widened(tokens, width, ratio, a_frame), tokens, (ratio * width, width))
    assert set(found.intervals) == {1}
