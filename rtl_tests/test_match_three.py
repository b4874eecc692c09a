"""hwbnn_match_three: matches of three synapses in two LUTs."""

from __future__ import annotations

import pytest

from hwbnn.assets import assets
from hwbnn.tools.yosys import synth
from rtl_tests.bench import join, random_tokens, split

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(("simulator", "groups"), [("icarus", 1), ("icarus", 5), ("verilator", 2)])
def test_equal_places_are_added_up_by_threes(module, simulator, groups):
    match = module("match_three_bench", simulator, {"ready": False}, Counts=groups)
    words = list(range(64)) if groups == 1 else random_tokens(1, 100, 6 * groups)
    expected = []
    for word in words:
        a, b = (split(word >> s, 1, 3 * groups) for s in (0, 3 * groups))
        equal = [x == y for x, y in zip(a, b, strict=True)]
        sums = [sum(equal[g::groups]) for g in range(groups)]
        expected.append(join([s & 1 for s in sums] + [s >> 1 for s in sums], 1))
    match.check(words, expected, (6 * groups, 2 * groups))


def test_three_synapses_take_two_luts():
    source = (assets("rtl") / "hwbnn_match_three.sv").read_bytes()
    found = synth({"match.sv": source}, "hwbnn_match_three", parameters={"Counts": 7}).resources
    assert found.cells == {"LUT6": 14}
