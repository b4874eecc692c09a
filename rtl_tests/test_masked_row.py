"""hwbnn_masked_row: the sum of one channel with ternary weights."""

from __future__ import annotations

import numpy as np
import pytest

from rtl_tests.bench import join, signed
from rtl_tests.test_dot_row import row_latency

pytestmark = pytest.mark.hardware

CASES = [
    # inputs, width, signed, levels, adders
    ("icarus", (1, 1, 0, 2, 0)),
    ("icarus", (17, 1, 0, 1, 0)),
    ("icarus", (9, 3, 1, 2, 0)),
    ("icarus", (9, 4, 0, 3, 1)),
    ("verilator", (13, 5, 1, 2, 0)),
]


def check(module, simulator, case):
    """Random rows of -1, 0 and +1 against the sum that the header states."""
    inputs, width, is_signed, levels, adders = case
    top, half = (1 << width) - 1, (1 << (width - 1)) * is_signed
    latency = row_latency(inputs, width, levels, adders)
    sum_width = (inputs * top).bit_length()
    row = module(
        "weighted_row_bench", simulator, {"ready": False},
        **{"Inputs": inputs, "Width": width, "Signed": is_signed, "SumWidth": sum_width},
        **{"Levels": levels, "Latency": latency, "Adders": adders, "Masked": 1},
    )  # fmt: skip
    rng = np.random.default_rng(1)
    codes = rng.integers(0, top + 1, (60, inputs))
    codes[0], codes[1] = 0, top
    weights = rng.integers(-1, 2, (60, inputs))
    weights[0], weights[1], weights[2] = -1, 1, 0
    words = [
        join(x, width) + (join((w % 4).tolist(), 2) << (inputs * width))
        for x, w in zip(codes.tolist(), weights, strict=True)
    ]
    values = np.array([[signed(c, width) if is_signed else c for c in x] for x in codes.tolist()])
    raw = ((values + half) * weights).sum(axis=1) + top * (weights < 0).sum(axis=1)
    found = row.check(words, raw.tolist(), (inputs * (width + 2), sum_width))
    assert found.given[0] - found.taken[0] == latency


@pytest.mark.parametrize(("simulator", "case"), CASES)
def test_sums_under_masks_and_signs(module, simulator, case):
    check(module, simulator, case)


FAULTS = {
    "a zero that is counted": ("masked", "& weights_i[2*i];", "| (1'b0 & weights_i[2*i]);"),
    "the sign of a weight": ("masked", "^ weights_i[2*i + 1])", "~^ weights_i[2*i + 1])"),
    "the mask of another input": ("masked", "& weights_i[2*i];", "& weights_i[0];"),
    "weights of the sum": ("masked", "{Inputs{1'b1}}", "Inputs'(1)"),
    "a plane's weight doubled": (
        "dot", "SumWidth'(count) << b", "SumWidth'(count) << (b == 1 ? 2 : b)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_row_is_seen(module, fault):
    row, *change = FAULTS[fault]

    def faulty(*given, **more):
        return module(*given, **more, replace=[(f"hwbnn_{row}_row", *change)])

    with pytest.raises(AssertionError):
        check(faulty, "icarus", (9, 3, 1, 2, 0))
