"""Thresholds and tables read off tabulated functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hwbnn import methods
from hwbnn.errors import CannotLower
from hwbnn.graph import Graph, Input, Output, ValueType
from hwbnn.graph.arrays import Float32s
from hwbnn.lowering.activations import activation as turn
from hwbnn.lowering.from_torch.ops import table_function
from hwbnn.lowering.layers import Weights, linear
from hwbnn.lowering.ops import FLOAT32_INTEGERS, StepActivation, TableFunction
from hwbnn.lowering.tables import (
    evaluate,
    is_identity,
    read_ranks,
    read_table,
    read_thresholds,
    rises_alike,
)
from hwbnn.lowering.value import GraphBuilder, TracedValue
from hwbnn.nn.binary import EXACT
from hwbnn.simulators import simulate

TORCH_SIGN = methods.get("bnn_ste").make_activation(1)


def activation(levels: int, codes: Callable[[Float32s], Any]) -> StepActivation:
    return StepActivation("a", "layer 'a'", levels, 1.0, 0.0, codes)


SIGN = activation(1, lambda x: TORCH_SIGN.codes(torch.from_numpy(x)).numpy())


def traced(
    low: int, high: int, step: int, *functions: object, channels: int = 1, bit: bool = False
) -> TracedValue:
    t = ValueType((channels,), low, high, step, bit)
    ops = tuple(TableFunction(f"function {i}", f) for i, f in enumerate(functions))  # type: ignore[arg-type]
    return TracedValue("d", t, np.full(channels, low), np.full(channels, high), "layer", ops)


def affine(gain: float, bias: float) -> object:
    return lambda x: x * gain + bias


@pytest.mark.parametrize(
    ("gain", "bias", "threshold", "falling"),
    [
        (1.0, 0.0, 1, False),  # the first odd number from 0
        (1.0, -1.0, 1, False),  # a tie at 1 is +1
        (1.0, -1.5, 3, False),
        (1.0, 5.0, -5, False),  # always: the lowest
        (1.0, 7.0, -5, False),
        (1.0, -5.0, 5, False),  # only the highest
        (1.0, -5.5, 6, False),  # never: one above the highest
        (-1.0, 0.0, -1, True),
        (-1.0, 1.0, 1, True),  # a tie falling
        (-1.0, -5.0, -5, True),
        (-1.0, -5.5, 6, False),  # never, whichever sign: rising
        (-1.0, 5.5, -5, False),  # always
        (0.0, 0.0, -5, False),  # sign of zero
        (0.0, -0.0, -5, False),
        (-0.0, -0.0, -5, False),
        (0.0, -1.0, 6, False),
        (1e-45, 0.0, 1, False),  # subnormal products keep their sign
        (-1e-45, 0.0, -1, True),
        (1e38, 0.0, 1, False),
    ],
)
def test_thresholds_are_canonical(gain: float, bias: float, threshold: int, falling: bool) -> None:
    table = read_thresholds(traced(-5, 5, 2, affine(gain, bias)), SIGN)
    assert table.thresholds.tolist() == [[threshold]]
    assert table.falling.tolist() == [falling]
    assert not table.non_monotone.any()


def test_minus_zero_is_plus_one() -> None:
    table = read_table(traced(-2, 2, 1, lambda x: x * 0 - 0.0), SIGN)
    assert table.tolist() == [[1] * 5]


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_several_levels_count_thresholds(levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, channels = int(rng.integers(1, 40)), 3
    codes = np.sort(rng.integers(0, levels, (count, channels), endpoint=True), axis=0)
    codes[:, 1] = codes[::-1, 1]
    source = traced(-7, -7 + 3 * (count - 1), 3, channels=channels)
    given_codes = codes.astype(np.uint8)
    table = read_thresholds(source, activation(levels, lambda x: given_codes))
    v = -7 + 3 * np.arange(count)[:, None, None]
    reached = np.where(table.falling[:, None], v <= table.thresholds, v >= table.thresholds)
    np.testing.assert_array_equal(reached.sum(axis=-1), codes)
    assert table.constant.tolist() == (codes.min(axis=0) == codes.max(axis=0)).tolist()
    assert not table.non_monotone.any()


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    gains = np.array([1.0, -1.0, 0.3, -0.01, 0.0], np.float32)
    source = traced(-30, 30, 1, lambda x: x * gains + 0.07, channels=5)
    whole = read_thresholds(source, SIGN)
    for rows in (1, 2, 7):
        monkeypatch.setattr("hwbnn.lowering.tables._CHUNK", 5 * rows)
        split = read_thresholds(source, SIGN)
        for field in ("thresholds", "falling", "non_monotone", "constant"):
            np.testing.assert_array_equal(getattr(split, field), getattr(whole, field))


def test_a_channel_that_rises_and_falls_is_found_across_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = traced(-3, 3, 1, lambda x: np.abs(x) - 2)
    monkeypatch.setattr("hwbnn.lowering.tables._CHUNK", 1)
    assert read_thresholds(source, SIGN).non_monotone.all()
    assert read_table(source, SIGN).tolist() == [[1, 1, 0, 0, 0, 1, 1]]


def test_what_a_channel_cannot_reach_does_not_count() -> None:
    source = traced(-9, 9, 1, lambda x: np.where(x > 4, np.float32(np.nan), x))
    with pytest.raises(CannotLower, match="function 0: channel 0 makes a NaN"):
        read_thresholds(source, SIGN)
    narrow = TracedValue("d", source.type, np.array([-2]), np.array([4]), "layer", source.ops)
    assert read_thresholds(narrow, SIGN).thresholds.tolist() == [[0]]
    _, x = evaluate(narrow, 0, 19)
    assert x[:, 0].tolist() == [-2] * 7 + [*range(-2, 5)] + [4] * 5


def test_ranks_are_dense_and_shared_by_equals() -> None:
    factors = np.array([1.0, -1.0, 0.5], np.float32)
    source = traced(-2, 2, 2, lambda x: x * factors, channels=3)
    assert read_ranks(source).tolist() == [[0, 2, 4], [4, 2, 0], [1, 2, 3]]


def test_zeros_of_both_signs_share_a_rank() -> None:
    assert read_ranks(traced(-1, 1, 1, lambda x: x * -0.0)).tolist() == [[0, 0, 0]]


def test_integers_are_compared_directly_only_if_floats_rise_strictly_and_alike() -> None:
    assert rises_alike(traced(-5, 5, 1, affine(0.3, 2.0), channels=4))
    assert not rises_alike(traced(-5, 5, 1, affine(-0.3, 2.0), channels=4))
    assert not rises_alike(traced(-5, 5, 1, affine(0.3, 1e9), channels=4))  # rounding makes ties
    each = np.array([1.0, 1.0, 1.0 + 2**-23], np.float32)
    assert not rises_alike(traced(-5, 5, 1, lambda x: x * each, channels=3))


def test_a_fall_between_two_chunks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwbnn.lowering.tables._CHUNK", 2)
    assert rises_alike(traced(-3, 3, 1))
    assert not rises_alike(traced(-3, 3, 1, lambda x: x - 10 * (x > 0).astype(np.float32)))


def test_a_function_reads_contiguous_rows_as_in_the_network() -> None:
    """Torch's BatchNorm may round differently in other memory layouts."""
    seen: list[torch.Tensor] = []

    def keep(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return x

    x = torch.randn(100, 50).t().numpy()
    table_function("keep", keep)(x)
    assert not x.flags.c_contiguous
    assert seen[0].is_contiguous()
    assert np.array_equal(seen[0].numpy(), x)


def test_infinite_logits_are_refused_by_name() -> None:
    with pytest.raises(CannotLower, match="function 0: logit 0 is infinite"):
        read_ranks(traced(-5, 5, 1, affine(1e38, 0.0)))


def test_too_many_integers_are_refused() -> None:
    with pytest.raises(CannotLower, match="layer 'layer': it makes 4194305 different"):
        read_thresholds(traced(0, 1 << 22, 1, lambda x: x), SIGN)
    # By bisection where the functions are known to rise.
    assert read_thresholds(traced(-(1 << 21), 1 << 21, 1), SIGN).thresholds.tolist() == [[0]]
    with pytest.raises(CannotLower, match="more than the 65536 that a table may have"):
        read_ranks(traced(0, 1 << 16, 1))


def test_identity_is_bits_as_signs_or_integers_as_they_are() -> None:
    assert is_identity(traced(0, 1, 1, affine(2.0, -1.0), bit=True))
    assert not is_identity(traced(0, 1, 1, bit=True))
    assert is_identity(traced(-7, 9, 1))
    assert not is_identity(traced(-7, 9, 1, affine(1.0, 1e-7)))


@given(st.integers(1, 140), st.integers(0, 2**32 - 1))
def test_batch_norm_depends_on_neither_the_batch_nor_the_place_in_it(n: int, seed: int) -> None:
    """What tabulating rests on; torch's kernels have other formulas in other layouts."""
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm1d(n).eval()
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean):
        tensor.normal_(generator=generator)
    norm.running_var.uniform_(0.01, 30, generator=generator)
    x = torch.randint(-300, 300, (65, n), generator=generator).float()
    with torch.no_grad():
        whole = norm(x)
        for rows in (1, 2, 9, 64):
            pieces = torch.cat([norm(x[i : i + rows]) for i in range(0, 65, rows)])
            assert torch.equal(pieces, whole)


def test_a_network_of_plain_numpy_functions_is_lowered() -> None:
    """The seam for other ways in: float32 arrays and callables, and nothing of torch."""
    rng = np.random.default_rng(4)
    gain = rng.normal(size=5).astype(np.float32)
    bias = rng.normal(size=5).astype(np.float32)
    signs, last = (rng.integers(0, 2, shape).astype(np.bool_) for shape in ((5, 8), (3, 5)))
    build = GraphBuilder()
    source = Input.bits(8)
    t = build.add(source)
    read = TableFunction("input", lambda u: 2 * u - 1, is_elementwise=True)
    x = TracedValue("x", t, np.zeros(8, np.int64), np.ones(8, np.int64), "x", (read,))
    pm = [np.where(bits, 1, -1) for bits in (signs, last)]
    first = Weights("fc1", "layer 'fc1'", pm[0], lambda sums, total, border: sums)
    value = linear(build, first, x).after(TableFunction("norm", lambda d: d * gain + bias))
    value = turn(build, activation(1, lambda y: (y >= 0).astype(np.uint8)), value)
    value = linear(build, Weights("fc2", "layer 'fc2'", pm[1], lambda d, total, border: d), value)
    build.add(Output("y", value.name))
    every = (np.arange(256)[:, None] >> np.arange(8)) & 1
    wanted = (2 * every - 1) @ (2 * signs.T.astype(int) - 1)
    bits = wanted.astype(np.float32) * gain + bias >= 0
    scores = (2 * bits.astype(int) - 1) @ (2 * last.T.astype(int) - 1)
    np.testing.assert_array_equal(simulate(Graph(tuple(build.nodes)), every), scores)


def test_float32_holds_the_same_integers_in_both_rooms() -> None:
    assert FLOAT32_INTEGERS == EXACT
    assert np.float32(FLOAT32_INTEGERS - 1) != np.float32(FLOAT32_INTEGERS)
    assert np.float32(FLOAT32_INTEGERS + 1) == np.float32(FLOAT32_INTEGERS)
