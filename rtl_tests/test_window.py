"""hwbnn_window: the taps of a sliding window, one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.graph import Window
from hwbnn.verification.bench import Stalls
from rtl_tests.windows import Images

pytestmark = pytest.mark.hardware

CASES = {
    "3x3": (Images(Window((5, 6), (3, 3)), 7), 0),
    "same": (Images(Window((4, 5), (3, 3), padding=(1, 1, 1, 1)), 5, 2), 3),
    "stride 2, four sides": (Images(Window((7, 6), (3, 2), (2, 2), (2, 0, 0, 1)), 4, 3), 0),
    "one tap of four": (Images(Window((5, 5), (1, 1), (2, 2)), 3, 2), 0),
    "depthwise": (Images(Window((4, 4), (3, 3), padding=(1, 1, 1, 1)), 6, 3, 3), 5),
    "groups": (Images(Window((4, 3), (2, 3), (1, 2), (0, 1, 1, 0)), 6, 4, 2), 0),
    "wide": (Images(Window((3, 9), (5, 5), (1, 1), (2, 2, 2, 2)), 8), 1),
    "whole image": (Images(Window((3, 4), (3, 4)), 2, 2, 2), 0),
    "a pixel": (Images(Window((1, 1), (3, 3), padding=(1, 1, 1, 1)), 1), 0),
    "an image ahead": (Images(Window((4, 5), (3, 3), padding=(1, 1, 1, 1)), 5, 2), 40),
    "row": (Images(Window((1, 8), (1, 3), (1, 3), (0, 0, 0, 1)), 9), 2),
    # Wider than the kernel: rows of channels with some in front and behind.
    "channels in front and behind": (Images(Window((6, 2), (1, 1), padding=(0, 0, 1, 3)), 5), 1),
    "channels in front": (Images(Window((5, 3), (1, 1), padding=(0, 0, 4, 0)), 5), 2),
    "channels behind": (Images(Window((5, 3), (1, 1), padding=(0, 0, 0, 4)), 5), 2),
    "rows around": (Images(Window((2, 3), (1, 1), padding=(2, 3, 4, 5)), 5), 1),
    "rows below": (Images(Window((3, 2), (1, 1), padding=(0, 4, 0, 1)), 5), 0),
}
"""Images and windows, and slots beyond the fewest."""


def compiled(module, images, more=0, flag=1, simulator="icarus"):
    return module(
        "hwbnn_window", simulator, **images.parameters, Chunks=images.chunks, Outer=images.outer,
        Slots=images.least + more, Flag=flag,
    )  # fmt: skip


def given(images, tokens, flag=1):
    taps = [tap for image in images.taps(tokens) for window in image for tap in window]
    return [token | inside << images.width if flag else token for inside, token in taps]


class Machine:
    """The registers that decide when tokens pass, as the module's header has them."""

    def __init__(self, images, slots):
        self.images, self.slots = images, slots
        (_, columns), chunks = images.window.size, images.chunks
        rows, wide = images.window.kernel
        inner = chunks // images.outer
        self.steps = []
        inside = [tap[0] for window in images.taps([0] * images.tokens)[0] for tap in window]
        for origin, kept in zip(images.origins, images.kept, strict=True):
            for g, ky, kx, c in np.ndindex(images.outer, rows, wide, inner):
                tap = origin + (ky * columns + kx) * chunks + g * inner + c
                self.steps.append((kept, tap, inside[len(self.steps)]))

    def cycles(self, frames):
        """When each token is taken and each tap given, nothing being stalled, from cycle 0 on."""
        total = self.images.tokens
        written = step = now = 0
        valid = False
        taken, taps = [], []
        while len(taps) < frames * len(self.steps):
            frame, at = divmod(step, len(self.steps))
            kept, tap, inside = self.steps[at]
            push = len(taken) < frames * total and written - kept - frame * total < self.slots
            go = written > (tap if inside else 0 if at == 0 else -1) + frame * total
            taken += [now] * push
            taps += [now] * valid
            valid = go and step < frames * len(self.steps)
            written += push
            step += valid
            now += 1
            assert now < 100_000
        return taken, taps


@pytest.mark.parametrize(
    ("simulator", "case"), [*(("icarus", case) for case in CASES), ("verilator", "groups")]
)
def test_taps_in_order_and_when(module, simulator, case):
    images, more = CASES[case]
    window = compiled(module, images, more, simulator=simulator)
    tokens, bits = images.random(4), (images.width, images.width + 1)
    expected = given(images, tokens)
    for seed in range(2):
        stalls = Stalls.random(seed)
        cut = 7 + (17 * seed) % images.tokens
        window.check(tokens, expected, bits, stalls=stalls, cut=cut, seed=seed + 1)
    found = window.check(tokens, expected, bits)
    taken, taps = Machine(images, images.least + more).cycles(4)
    begin = found.taken[0] - taken[0]
    assert [t - begin for t in found.taken] == taken
    assert [t - begin for t in found.given] == taps


def test_with_slots_for_an_image_more_it_never_waits(module):
    images, _ = CASES["same"]
    window = compiled(module, images, images.tokens, flag=0)
    tokens = images.random(4)
    expected = given(images, tokens, flag=0)
    found = window.check(tokens, expected, (images.width, images.width))
    frame = len(expected) // 4
    assert found.given[-1] - found.given[frame] == 3 * frame - 1
