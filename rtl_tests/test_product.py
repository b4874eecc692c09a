"""hwbnn_product: products of inputs and integer weights."""

from __future__ import annotations

from itertools import product

import pytest

from rtl_tests.bench import random_tokens, signed

pytestmark = pytest.mark.hardware


def on_top(width, weight_width, dsp):
    """What the header says is added to a product."""
    return (1 << (weight_width - 1)) * ((1 << width) - (not dsp))


def latency(width, levels, dsp):
    """Cycles as the header states them."""
    return 1 if dsp else -(-(width - 1).bit_length() // levels)


@pytest.mark.parametrize(
    ("simulator", "width", "weight_width", "levels", "dsp"),
    [
        ("icarus", 3, 4, 2, 0),
        ("icarus", 3, 4, 2, 1),
        ("icarus", 2, 1, 1, 0),
        ("icarus", 2, 1, 1, 1),
        ("icarus", 8, 8, 2, 0),
        ("verilator", 9, 16, 3, 0),
        ("verilator", 9, 16, 3, 1),
    ],
)
def test_products_and_what_is_on_top(module, simulator, width, weight_width, levels, dsp):
    bits = width + weight_width
    cycles = latency(width, levels, dsp)
    bench = module(
        "product_bench", simulator, {"ready": False},
        **{"Width": width, "WeightWidth": weight_width, "Levels": levels, "Dsp": dsp},
        Latency=cycles,
    )  # fmt: skip
    corners = product((0, (1 << width) - 1), (0, 1, (1 << weight_width) - 1, 1 << weight_width - 1))
    words = [x + (w % (1 << weight_width) << width) for x, w in corners]
    words += range(1 << bits) if bits < 8 else random_tokens(1, 60, bits)
    expected = [
        signed(word >> width, weight_width) * (word & ((1 << width) - 1))
        + on_top(width, weight_width, dsp)
        for word in words
    ]
    assert min(expected) >= 0
    found = bench.check(words, expected, (bits, bits))
    assert found.given[0] - found.taken[0] == cycles


FAULTS = {
    "a weight without its sign": (1, "$signed(weight_i)", "$signed({1'b0, weight_i})"),
    "an input with a sign": (1, "$signed({1'b0, data_i})", "$signed(data_i)"),
    "a term at another place": (0, "Full'(term) << b", "Full'(term) << (b / 2)"),
    "a term of another sign": (
        0, "term[WeightWidth-1] = !term[WeightWidth-1]", "term[WeightWidth-1] = term[0]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_product_is_seen(module, fault):
    dsp, text, change = FAULTS[fault]

    def faulty(*given, **more):
        return module(*given, **more, replace=[("hwbnn_product", text, change)])

    with pytest.raises(AssertionError):
        test_products_and_what_is_on_top(faulty, "icarus", 3, 4, 2, dsp)
