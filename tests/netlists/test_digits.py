"""Layers of integer weights as netlists: digits, values, proof, and what zeros cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbnn.errors import Mismatch
from hwbnn.netlists import evaluate, prove_sums, prove_thresholds, sums, thresholds
from hwbnn.netlists.digits import Digits, negative_sums
from tests.netlists.test_layer import numbers
from tests.plan.through import negative_digits


@given(st.lists(st.integers(-(1 << 15) + 1, (1 << 15) - 1), min_size=1, max_size=40))
def test_digits_make_up_the_weight_and_are_fewest(row):
    digits = Digits.of(np.array([row]))
    assert digits.weights[0].tolist() == row
    assert not (digits.plus & digits.minus).any()
    assert digits.minus[0].tolist() == [negative_digits(weight) for weight in row]
    counts = np.bitwise_count(digits.plus) + np.bitwise_count(digits.minus)
    assert (counts <= np.bitwise_count(np.abs(row))).all()
    signs, owners = digits.rows()
    assert signs.any(axis=1).all()
    again = sum(int(2**place) * signs[i].astype(np.int64) for i, (_, place) in enumerate(owners))
    assert np.array_equal(np.broadcast_to(again, len(row)), row)


def test_the_width_is_that_of_the_largest_raw_sum():
    assert Digits.of(np.array([[7]])).width(1) == 4  # 8 - 1: up to 8 as a raw sum
    assert Digits.of(np.array([[3, -1]])).width(1) == 3
    assert Digits.of(np.array([[0, 0]])).width(255) == 1


def layer(seed, neurons, inputs, width, signed, bits):
    """Weights of so many bits, some rows 0 and one weight large; as in ``test_layer``."""
    rng = np.random.default_rng(seed)
    most = 1 << (bits - 1)
    weights = rng.integers(-most, most + (bits == 1), (neurons, inputs))
    weights[rng.random(neurons) < 0.2] = 0
    weights *= rng.random((neurons, inputs)) < rng.choice((0.1, 0.5, 1.0))
    if seed % 5 == 0:
        weights[0, 0] = rng.choice((-1, 1)) * 32767
    top = (1 << width) - 1
    u = rng.integers(0, top + 1, (150, inputs))
    u[0], u[1] = 0, top
    raw = u @ weights.T + top * Digits.of(weights).minus.sum(axis=1)
    # Inputs that meet a threshold exactly are where off-by-one shows.
    wanted = rng.integers(-1, raw.max(axis=0) + 3)
    wanted[: neurons // 2] = raw[3, : neurons // 2]
    coded = u ^ (signed << (width - 1))
    x = (coded[:, :, None] >> np.arange(width) & 1).reshape(len(u), -1).astype(np.bool_)
    return weights, wanted, x, raw


@given(
    seed=st.integers(0, 1 << 30), neurons=st.integers(1, 5), inputs=st.integers(1, 20),
    width=st.integers(1, 3), signed=st.booleans(), bits=st.sampled_from([1, 1, 2, 4, 8]),
    cluster_size=st.sampled_from([None, 1, 2, 5]),
)  # fmt: skip
@settings(max_examples=25)
def test_layers_of_integers_compute_and_are_proved(
    seed, neurons, inputs, width, signed, bits, cluster_size
):
    weights, wanted, x, raw = layer(seed, neurons, inputs, width, signed, bits)
    code = {"width": width, "signed": signed}
    compared = thresholds(weights, wanted, cluster_size=cluster_size, **code)
    assert np.array_equal(evaluate(compared, x), raw >= wanted)
    prove_thresholds(compared, weights, wanted, **code)
    counted = sums(weights, cluster_size=cluster_size, **code)
    assert np.array_equal(numbers(evaluate(counted, x), neurons), raw)
    prove_sums(counted, weights, **code)


WEIGHTS = np.array([[3, 0, -2, 1, 6], [7, 0, 4, -5, 1], [0, 0, 1, -1, 1]])
FAULTS = {
    "the sign of a multiplication": (0, 2, 2),
    "a zero that is counted": (1, 1, 1),
    "a digit left out": (1, 3, -4),
    "a plane's weight doubled": (0, 4, 10),
}
"""By fault, the weight of a neuron and an input that the layer has in truth."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_netlist_of_other_weights_is_not_proved(fault):
    neuron, i, weight = FAULTS[fault]
    other = WEIGHTS.copy()
    other[neuron, i] = weight
    minus = Digits.of(WEIGHTS).minus.sum(axis=1)
    wanted = WEIGHTS.clip(0).sum(axis=1) // 2 + minus
    # The same comparison, of the sum of products, under the other weights.
    moved = wanted - minus + Digits.of(other).minus.sum(axis=1)
    netlist = thresholds(other, moved)
    prove_thresholds(netlist, other, moved)
    with pytest.raises(Mismatch, match=f"neuron {neuron} does not compare"):
        prove_thresholds(netlist, WEIGHTS, wanted)
    if Digits.of(other).width(1) == Digits.of(WEIGHTS).width(1):
        with pytest.raises(Mismatch, match=f"neuron {neuron} does not give"):
            prove_sums(sums(other), WEIGHTS)


def test_zeros_cost_nothing():
    rng = np.random.default_rng(1)
    dense = rng.integers(-7, 8, (3, 12))
    spread = np.zeros((3, 60), np.int64)
    spread[:, ::5] = dense
    wanted = Digits.of(dense).minus.sum(axis=1) + 2
    assert thresholds(spread, wanted).luts == thresholds(dense, wanted).luts
    assert sums(np.zeros((2, 9), np.int64)).luts == 0
    assert thresholds(np.zeros((2, 9), np.int64), np.array([0, 1])).outputs == (1, 0)


def test_rows_of_digits_that_are_equal_are_counted_once():
    rng = np.random.default_rng(1)
    row = rng.choice((-1, 0, 1), (1, 60))
    alone = thresholds(row, np.array([20]))
    # Five times a row is that row at two places: its count is made once.
    times = thresholds(5 * row, np.array([100]), cluster_size=2)
    assert times.luts < 1.5 * alone.luts


def test_two_planes_of_signs_are_the_layer_of_their_sum():
    """Ternary weights are half the sum of two layers of -1 and +1."""
    rng = np.random.default_rng(2)
    one, other = (rng.choice((-1, 1), (4, 12)) for _ in range(2))
    x = rng.random((200, 12)) < 0.5
    value = {}
    for name, weights in (("one", one), ("other", other), ("both", (one + other) // 2)):
        raw = numbers(evaluate(sums(weights), x), 4)
        value[name] = 2 * raw - np.abs(weights).sum(axis=1)  # x as -1 and +1
    assert np.array_equal(value["one"] + value["other"], 2 * value["both"])


@pytest.mark.parametrize("most", [1, 2, 3, 90])
def test_the_sum_of_negative_digits_is_that_of_the_digits(most):
    weights = np.random.default_rng(most).integers(-most, most + 1, (5, 30))
    assert np.array_equal(negative_sums(weights), Digits.of(weights).minus.sum(axis=1))
    assert np.array_equal(negative_sums(weights > 0), Digits.of(weights > 0).minus.sum(axis=1))
