"""hwbnn_add: elementwise sums of two streams."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, signed, split

pytestmark = pytest.mark.hardware

CASES = [
    # simulator, lanes, width and sign of a, of b, width of a sum, repeat, willing
    ("icarus", 1, (4, 1), (4, 1), 5, 0, [0xFFFF, 0xFFFF]),
    ("icarus", 3, (6, 1), (3, 0), 7, 0, [0xA53C, 0xFF00]),
    ("icarus", 2, (2, 0), (5, 0), 6, 0, [0x8001, 0xFFFF]),
    ("icarus", 2, (4, 1), (6, 1), 7, 3, [0xFF0F, 0x3333]),
    ("icarus", 4, (5, 0), (5, 1), 4, 1, [0xFFFF, 0x7777]),
    ("verilator", 2, (4, 1), (3, 0), 6, 5, [0x5555, 0xF0F0]),
]


@pytest.mark.parametrize(("simulator", "lanes", "a", "b", "out", "repeat", "willing"), CASES)
def test_sums_of_two_streams(module, simulator, lanes, a, b, out, repeat, willing):
    lanes_b = 1 if repeat else lanes
    add = module(
        "add_bench", simulator, Lanes=lanes, WidthA=a[0], SignedA=a[1], WidthB=b[0], SignedB=b[1],
        Repeat=repeat, OutWidth=out, BitsB=lanes_b * b[0], Willing=literal(willing, 16),
    )  # fmt: skip
    bits = lanes * a[0] + lanes_b * b[0]
    tokens = random_tokens(1, 60, bits)
    expected = []
    for i, token in enumerate(tokens):
        left = split(token, a[0], lanes)
        # The token of b that all of this group share comes with the last of them.
        last = tokens[i // repeat * repeat + repeat - 1] if repeat else token
        right = split(last >> (lanes * a[0]), b[0], lanes_b) * (lanes if repeat else 1)
        pairs = zip(left, right, strict=True)
        sums = [number(x, *a) + number(y, *b) for x, y in pairs]
        expected.append(join([s % (1 << out) for s in sums], out))
    for seed in range(3):
        stalls = Stalls.random(seed)
        add.check(tokens, expected, (bits, lanes * out), stalls=stalls, cut=23, seed=seed + 1)
    found = add.check(tokens, expected, (bits, lanes * out))
    if set(willing) == {0xFFFF}:
        assert set(found.intervals) == {1}
        # The fork, the FIFO, the sum.
        assert found.given[0] - found.taken[0] == 3


def number(code, width, is_signed):
    return signed(code, width) if is_signed else code
