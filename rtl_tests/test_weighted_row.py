"""hwbnn_weighted_row: the sum of one channel with integer weights."""

from __future__ import annotations

import numpy as np
import pytest

from rtl_tests.bench import join, signed
from rtl_tests.test_product import latency as product_latency
from rtl_tests.test_product import on_top

pytestmark = pytest.mark.hardware

CASES = [
    # inputs, width, signed, weight_width, levels, products, dsp
    ("icarus", (1, 1, 0, 2, 2, 0, 0)),
    ("icarus", (17, 1, 0, 4, 1, 0, 0)),
    ("icarus", (9, 3, 1, 5, 2, 0, 0)),
    ("icarus", (9, 4, 0, 3, 2, 1, 0)),
    ("icarus", (5, 4, 1, 8, 3, 1, 1)),
    ("verilator", (13, 8, 1, 8, 2, 0, 0)),
    ("verilator", (13, 8, 0, 8, 2, 1, 1)),
]


def row_latency(inputs, width, levels, products, dsp):
    """Cycles as the header states them."""
    tree = -(-(inputs - 1).bit_length() // levels)
    if products:
        return product_latency(width, levels, dsp) + tree
    return tree + -(-(width - 1).bit_length() // levels)


def check(module, simulator, case):
    """Random rows of weights against the sum that the header states."""
    inputs, width, is_signed, weight_width, levels, products, dsp = case
    half, low = (1 << (width - 1)) * is_signed, 1 << (weight_width - 1)
    latency = row_latency(inputs, width, levels, products, dsp)
    above = inputs * on_top(width, weight_width, dsp)
    sum_width = (2 * above).bit_length()
    row = module(
        "weighted_row_bench", simulator, {"ready": False},
        **{"Inputs": inputs, "Width": width, "Signed": is_signed, "SumWidth": sum_width},
        **{"WeightWidth": weight_width, "Levels": levels, "Latency": latency},
        **{"Adders": products, "Dsp": dsp},
    )  # fmt: skip
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 1 << width, (60, inputs))
    codes[0], codes[1], codes[2], codes[3] = 0, (1 << width) - 1, 0, (1 << width) - 1
    weights = rng.integers(-low, low, (60, inputs))
    weights[0], weights[1], weights[2], weights[3] = -low, -low, low - 1, low - 1
    words = [
        join(x, width) + (join((w % (2 * low)).tolist(), weight_width) << (inputs * width))
        for x, w in zip(codes.tolist(), weights, strict=True)
    ]
    values = np.array([[signed(c, width) if is_signed else c for c in x] for x in codes.tolist()])
    sums = ((values + half) * weights).sum(axis=1) + above
    found = row.check(words, sums.tolist(), (inputs * (width + weight_width), sum_width))
    assert found.given[0] - found.taken[0] == latency


@pytest.mark.parametrize(("simulator", "case"), CASES)
def test_sums_of_products(module, simulator, case):
    check(module, simulator, case)


FAULTS = {
    "a weight let through by another plane": (
        2, "planes_i[b*Inputs + i]}}", "planes_i[i]}}",
    ),
    "the sign of a weight": (
        2, "^ (WeightWidth'(1) << (WeightWidth - 1))", "^ (WeightWidth'(0))",
    ),
    "a plane's weight doubled": (2, "SumWidth'(sum) << b", "SumWidth'(sum) << (b == 1 ? 2 : b)"),
    "the weight of another input": (
        3, ".weight_i(weights_i[i*WeightWidth +: WeightWidth])",
        ".weight_i(weights_i[0 +: WeightWidth])",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_row_is_seen(module, fault):
    case, text, change = FAULTS[fault]

    def faulty(*given, **more):
        return module(*given, **more, replace=[("hwbnn_weighted_row", text, change)])

    with pytest.raises(AssertionError):
        check(faulty, *CASES[case])
