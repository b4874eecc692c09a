"""hwbnn_dot_unrolled: the weighted sums of all channels at once."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, signed, split
from rtl_tests.test_dot_row import row_sum
from rtl_tests.test_popcount import latency as popcount_latency

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize("defines", [(), ("HWBNN_COUNTONES",)])
@pytest.mark.parametrize(
    ("simulator", "inputs", "channels", "width", "is_signed", "levels", "groups"),
    [
        ("icarus", 1, 1, 1, 0, 2, 1),
        ("icarus", 65, 5, 1, 0, 1, 1),
        ("icarus", 11, 3, 8, 0, 3, 1),
        ("icarus", 11, 3, 3, 1, 2, 1),
        ("icarus", 9, 6, 2, 1, 2, 3),
        ("verilator", 37, 4, 2, 1, 2, 1),
        ("verilator", 5, 4, 1, 0, 2, 2),
    ],
)
def test_raw_sums_of_all_channels(
    module, simulator, inputs, channels, width, is_signed, levels, groups, defines
):
    weights = np.random.default_rng(1).integers(0, 2, (channels, inputs))
    sum_width = (inputs * ((1 << width) - 1)).bit_length()
    dot = module(
        "hwbnn_dot_unrolled",
        simulator,
        {"ready": False},
        defines,
        **{"Inputs": inputs, "Channels": channels, "Width": width, "Signed": is_signed},
        **{"SumWidth": sum_width, "Levels": levels, "Weights": literal(weights.ravel(), 1)},
        Groups=groups,
    )
    words = random_tokens(2, 50, groups * inputs * width)
    expected = []
    for word in words:
        x = split(word, width, groups * inputs)
        x = [signed(value, width) for value in x] if is_signed else x
        vectors = [x[i : i + inputs] for i in range(0, groups * inputs, inputs)]
        rows = [(vectors[c * groups // channels], row) for c, row in enumerate(weights)]
        sums = [row_sum(vector, row, width, is_signed) for vector, row in rows]
        expected.append(join(sums, sum_width))
    bits = (groups * inputs * width, channels * sum_width)
    found = dot.check(words, expected, bits, stalls=Stalls.random(1), cut=20)
    latency = popcount_latency(inputs, levels) + -(-(width - 1).bit_length() // levels)
    assert found.given[0] - found.taken[0] == latency
