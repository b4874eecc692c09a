"""hwbnn_window_unrolled: whole windows, one a cycle."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.graph import Window
from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join
from rtl_tests.windows import Images

pytestmark = pytest.mark.hardware

CASES = {
    "3x3": Images(Window((5, 6), (3, 3)), 7),
    "same": Images(Window((4, 5), (3, 3), padding=(1, 1, 1, 1)), 5),
    "stride 2, four sides": Images(Window((7, 6), (3, 2), (2, 2), (2, 0, 0, 1)), 4),
    "rows left over": Images(Window((8, 7), (3, 3), (3, 2), (0, 0, 1, 0)), 3),
    "one tap of four": Images(Window((5, 5), (1, 1), (2, 2)), 3),
    "a column": Images(Window((6, 1), (3, 1), (2, 1), (1, 1, 0, 0)), 6),
    "a pixel": Images(Window((1, 1), (3, 3), padding=(1, 1, 1, 1)), 1),
    "whole image": Images(Window((3, 4), (3, 4)), 2),
}


def places(window):
    """For each place of the grid, row by row: whether it is inside, and whether a window ends."""
    sizes = []
    for axis in range(2):
        first = -window.padding[2 * axis]
        steps = (window.output[axis] - 1) * window.stride[axis]
        ends = {
            first + i + window.kernel[axis] - 1 for i in range(0, steps + 1, window.stride[axis])
        }
        sizes.append(
            [
                (0 <= i < window.size[axis], i in ends)
                for i in range(first, max(window.size[axis], max(ends) + 1))
            ]
        )
    return [(a and c, b and d) for a, b in sizes[0] for c, d in sizes[1]]


def cycles(images, frames):
    """When each pixel is taken and each window given, nothing being stalled, from cycle 0 on."""
    grid = places(images.window)
    now = step = fill = 0
    valid = False
    taken, windows = [], []
    while step < frames * len(grid) or valid:
        inside, ends = grid[step % len(grid)]
        push = fill < 2 and len(taken) < frames * images.tokens
        go = fill > 0 or not (inside or step % len(grid) == 0)
        taken += [now] * push
        windows += [now] * valid
        valid = go and ends
        fill += push - (go and inside)
        step += go
        now += 1
        assert now < 100_000
    return taken, windows


@pytest.mark.parametrize(
    ("simulator", "case"), [*(("icarus", case) for case in CASES), ("verilator", "same")]
)
def test_whole_windows_one_a_cycle(module, simulator, case):
    images = CASES[case]
    window = module("hwbnn_window_unrolled", simulator, **images.parameters)
    tokens = images.random(4)
    taps = [w for image in images.taps(tokens) for w in image]
    expected = [join([token for _, token in window], images.width) for window in taps]
    bits = (images.width, images.width * int(np.prod(images.window.kernel)))
    for seed in range(2):
        stalls = Stalls.random(seed)
        cut = 7 + (17 * seed) % images.tokens
        window.check(tokens, expected, bits, stalls=stalls, cut=cut, seed=seed + 1)
    found = window.check(tokens, expected, bits)
    taken, windows = cycles(images, 4)
    begin = found.taken[0] - taken[0]
    assert [t - begin for t in found.taken] == taken
    assert [t - begin for t in found.given] == windows
    a_frame = len(expected) // 4
    grid = len(places(images.window))
    assert set(np.diff(found.given[a_frame - 1 :: a_frame])) == {grid}
