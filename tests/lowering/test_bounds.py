"""The bounds that lowering computes: of errors, of sums, of counts, each against its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwbnn.errors import CannotLower
from hwbnn.graph import Input, ValueType
from hwbnn.lowering import layers, pools, shortcuts
from hwbnn.lowering.layers import Weights, check_exact, check_pairs
from hwbnn.lowering.line_fit import fit, kinks
from hwbnn.lowering.ops import ChannelwiseOp, TableFunction
from hwbnn.lowering.two_sums import Pairs
from hwbnn.lowering.value import BorderClasses, FixedPointError, GraphBuilder, TracedValue

EXACT = 1 << 24
UNIT = 2.0**-24


def bent(kink: float, steep: float) -> TableFunction:
    """One below the kink, ``steep`` above it; continuous."""

    def function(x: Any) -> Any:
        above = (x - np.float32(kink)).clip(min=0)
        return x + above * np.float32(steep - 1)

    return TableFunction(f"kink at {kink}", function, is_monotone=True)


def line(gain: float, bias: float = 0.0) -> TableFunction:
    factor, shift = np.float32(gain), np.float32(bias)
    return TableFunction("line", lambda x: x * factor + shift, is_monotone=True)


def fixed(
    build: GraphBuilder,
    ops: tuple[ChannelwiseOp, ...],
    *,
    high: int = 1000,
    size: int = 2,
    **more: Any,
) -> TracedValue:
    """A value of fixed-point numbers of 6 fraction bits, its node an input of the Graph."""
    t = build.add(Input(f"x{len(build.nodes)}", (1, 1, size), -high, high))
    ends = np.full(size, -high), np.full(size, high)
    error = more.pop("error", FixedPointError(10.0, 4.0))
    name = build.nodes[-1].name
    return TracedValue(name, t, *ends, "layer", (shortcuts.reading(6), *ops), fixed=error, **more)


def plain(sums: Any, total: Any, border: int) -> Any:
    return sums


@pytest.mark.parametrize(("low", "high"), [(1 - EXACT, 0), (0, EXACT - 1)])
def test_sums_that_float32_holds_are_taken(low: int, high: int) -> None:
    check_exact("layer 'a'", ValueType((1,), low, high))


@pytest.mark.parametrize(("low", "high"), [(-EXACT, 0), (0, EXACT)])
def test_sums_beyond_the_integers_of_float32_are_refused(low: int, high: int) -> None:
    with pytest.raises(CannotLower, match=r"layer 'a': sums from .* reach 2\^24"):
        check_exact("layer 'a'", ValueType((1,), low, high))


@pytest.mark.parametrize("kind", ["plain", "border"])
def test_every_kind_of_sums_is_checked(kind: str) -> None:
    """Integers of 20 bits, 32 of which are summed."""
    build = GraphBuilder()
    t = build.add(Input("x", (32,) if kind == "plain" else (4, 4, 32), 0, 1 << 20))
    ends = np.zeros(32, np.int64), np.full(32, 1 << 20)
    value = TracedValue("x", t, *ends, "x")
    said = r"layer 'a': sums from -33554432 to 33554432 reach 2\^24"
    if kind == "plain":
        bits = np.arange(64).reshape(2, 32) < 32
        with pytest.raises(CannotLower, match=said):
            layers.linear(build, Weights("a", "layer 'a'", np.where(bits, 1, -1), plain), value)
        return
    bits = np.stack([np.ones((1, 1, 32), np.bool_), np.zeros((1, 1, 32), np.bool_)])
    border = np.zeros((4, 4), np.int64)
    geometry = layers.Geometry((1, 1), (0, 0, 0, 0), 0, 1, border)
    with pytest.raises(CannotLower, match=said):
        layers.conv(build, Weights("a", "layer 'a'", np.where(bits, 1, -1), plain), geometry, value)


def test_pairs_are_refused_by_the_evaluations_that_they_need() -> None:
    narrow = Pairs(np.array([50, 0] * 20), 100, 0, 1, 255)
    assert narrow.count < narrow.evaluations
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("hwbnn.lowering.layers.PAIR_LIMIT", narrow.evaluations)
        check_pairs("layer 'a'", [narrow])
        patch.setattr("hwbnn.lowering.layers.PAIR_LIMIT", narrow.evaluations - 1)
        with pytest.raises(CannotLower, match="too many to certify"):
            check_pairs("layer 'a'", [narrow])


@pytest.mark.parametrize(("high", "rounding"), [(1000, 0.0), (1 << 22, 8 * UNIT * 8 * (1 << 22))])
def test_a_layer_adds_up_the_errors_of_its_terms(high: int, rounding: float) -> None:
    build = GraphBuilder()
    build.add(Input("x", (8,), -high, high))
    t, ends = build.types["x"], (np.full(8, -high), np.full(8, high))
    error = FixedPointError(10.0, 4.0)
    value = TracedValue("x", t, *ends, "x", (shortcuts.reading(6),), fixed=error)
    bits = np.arange(24).reshape(3, 8) % 3 == 0
    sums = layers.linear(build, Weights("a", "layer 'a'", np.where(bits, 1, -1), plain), value)
    assert sums.fixed == FixedPointError(80.0 + rounding, 32.0 + rounding)


def test_a_sum_adds_up_the_errors_of_its_sides() -> None:
    build = GraphBuilder(fraction=6)
    one = fixed(build, (), error=FixedPointError(3.0, 2.0))
    other = fixed(build, (), high=1 << 20, error=FixedPointError(5.0, 0.5))
    total, kept = shortcuts.add(build, "a sum", (one, other))
    rounding = (1000 + (1 << 20)) * UNIT
    assert total.fixed == FixedPointError(8.0 + rounding, 0.0)
    assert kept is not None
    assert (kept.error, kept.fraction) == (2.5 + rounding, 6)


def test_a_rescale_multiplies_the_errors_by_its_slope() -> None:
    build = GraphBuilder(fraction=6)
    value = shortcuts.fix(build, fixed(build, (line(3.0, 0.2),)))
    assert value.fixed is not None
    own = value.fixed.total - 30.0
    assert 0 < own < 1.0
    assert value.fixed.local == pytest.approx(12.0 + own)


def test_the_slope_of_lines_that_meet_anywhere_is_that_of_an_integer() -> None:
    build = GraphBuilder(fraction=6)
    value = fixed(build, (bent(3.3, 0.25),))
    lines = fit(value, 6, at=kinks(value, 16), bent=True)
    assert lines is not None
    assert lines.slope == pytest.approx(1.0, abs=0.01)


def test_one_node_takes_as_many_functions_as_it_can_describe() -> None:
    build = GraphBuilder(fraction=6)
    value = fixed(build, (bent(0.0, 0.5), line(1.0, -2.0), bent(-1.5, 0.25)))
    after = shortcuts._advanced(build, value, 6)
    assert [op.label for op in after.ops[1:]] == ["kink at -1.5"]


def test_lines_that_meet_anywhere_leave_what_they_cannot_describe() -> None:
    build = GraphBuilder(fraction=6)
    value = fixed(build, (bent(-4.0, 0.5), bent(3.0, 0.25)))
    after = shortcuts._bent(build, value, 6)
    assert [op.label for op in after.ops[1:]] == ["kink at 3.0"]


def test_integers_are_counted_once_for_all_border_classes() -> None:
    build = GraphBuilder(fraction=6)
    border = BorderClasses(np.zeros((1, 1), np.int64), (line(1.0), line(1.0, 2.0)))
    value = fixed(build, (line(0.5),), border=border)
    found = fit(value, 6)
    assert found is not None
    assert found.count == value.type.count == 2001


def test_numbers_too_large_for_a_rescale_are_refused() -> None:
    build = GraphBuilder(fraction=6)
    assert fit(fixed(build, (line(2.0**17),)), 6) is not None
    assert fit(fixed(build, (line(2.0**21),)), 6) is None


def test_a_mean_adds_up_the_errors_of_its_window() -> None:
    build = GraphBuilder(fraction=6)
    build.add(Input("x", (4, 4, 2), -1000, 1000))
    t, ends = build.types["x"], (np.full(2, -1000), np.full(2, 1000))
    error = FixedPointError(10.0, 4.0)
    value = TracedValue("x", t, *ends, "x", (shortcuts.reading(6),), fixed=error)
    window = pools.PoolWindow("p", "layer 'p'", (2, 2), (2, 2), (0, 0), 4)
    mean = pools.mean_pool(build, window, value, (2, 2, 2))
    assert mean.fixed == FixedPointError(40.0, 16.0)


@pytest.mark.parametrize(("terms", "bits"), [(1, 18), (64, 18), (65, 17), (128, 17), (129, 16)])
def test_numbers_that_are_summed_keep_the_bits_that_float32_holds(terms: int, bits: int) -> None:
    """Numbers up to 1: with 18 fraction bits 64 of them reach 2^24."""
    build = GraphBuilder()
    value = fixed(build, (), high=64)
    assert shortcuts.fraction_of(shortcuts.summed(build, value, terms)) == bits


@pytest.mark.parametrize("gain", [1.0, 0.375])
def test_logits_are_told_apart_from_the_distance_that_both_may_be_off(gain: float) -> None:
    build = GraphBuilder(fraction=6)
    value = fixed(build, (line(gain),))
    unit, largest = gain / 64, gain * 1000 / 64
    wanted = 2 * unit * (4.0 + 1) + 4 * UNIT * largest
    assert shortcuts.resolution(value) == pytest.approx(wanted, rel=1e-6)
