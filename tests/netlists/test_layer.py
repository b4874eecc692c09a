"""Netlists of whole layers: computed, proved, and how many LUTs they take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbnn.errors import InputError, Mismatch
from hwbnn.netlists import evaluate, prove_sums, prove_thresholds, sums, thresholds
from hwbnn.netlists.cells import carries
from hwbnn.netlists.netlist import Lut


def layer(seed, neurons, inputs, width, signed):
    """Weights, thresholds around what sums come to, random inputs and the raw sums under them."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 2, (neurons, inputs)).astype(np.bool_)
    top = (1 << width) - 1
    wanted = rng.integers(-1, inputs * top + 3, neurons)
    u = rng.integers(0, top + 1, (200, inputs))
    u[0], u[1] = 0, top
    raw = np.where(weights, u[:, None, :], top - u[:, None, :]).sum(axis=2)
    # Inputs that meet a threshold exactly are where off-by-one shows.
    wanted[: neurons // 2] = raw[3, : neurons // 2]
    coded = u ^ (signed << (width - 1))  # two's complement, one half of the range higher
    bits = (coded[:, :, None] >> np.arange(width) & 1).reshape(len(u), -1).astype(np.bool_)
    return weights, wanted, bits, raw


def numbers(bits, neurons):
    split = bits.reshape(len(bits), neurons, -1)
    return (split << np.arange(split.shape[2])).sum(axis=2)


LAYERS = {
    "seed": st.integers(0, 1 << 30),
    "neurons": st.integers(1, 9),
    "inputs": st.integers(1, 70),
    "width": st.integers(1, 3),
    "signed": st.booleans(),
}
"""What :func:`layer` takes."""


@given(**LAYERS, cluster_size=st.sampled_from([None, 1, 2, 3, 4, 7]))
@settings(max_examples=40)
def test_a_layer_computes_and_is_proved(seed, neurons, inputs, width, signed, cluster_size):
    weights, wanted, x, raw = layer(seed, neurons, inputs, width, signed)
    code = {"width": width, "signed": signed}

    compared = thresholds(weights, wanted, cluster_size=cluster_size, **code)
    assert np.array_equal(evaluate(compared, x), raw >= wanted)
    prove_thresholds(compared, weights, wanted, **code)

    counted = sums(weights, cluster_size=cluster_size, **code)
    assert np.array_equal(numbers(evaluate(counted, x), neurons), raw)
    prove_sums(counted, weights, **code)


def test_equal_and_opposite_neurons_are_counted_once():
    rng = np.random.default_rng(0)
    row = rng.integers(0, 2, (1, 60)).astype(np.bool_)
    weights = np.concatenate([row, row, ~row, row])
    wanted = np.array([30, 30, 30, 31])
    alone = thresholds(row, wanted[:1])
    netlist = thresholds(weights, wanted, cluster_size=4)
    prove_thresholds(netlist, weights, wanted)
    assert netlist.outputs[0] == netlist.outputs[1]
    assert netlist.luts < 1.5 * alone.luts


def test_neurons_that_are_equal_are_counted_once_however_far_apart():
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 2, (9, 60)).astype(np.bool_)
    alone = thresholds(weights, np.full(9, 30), cluster_size=2)
    netlist = thresholds(np.tile(weights, (3, 1)), np.full(27, 30), cluster_size=2)
    assert netlist.cells == alone.cells
    assert netlist.outputs == 3 * alone.outputs
    assert (
        sums(np.tile(weights, (2, 1)), cluster_size=2).cells == sums(weights, cluster_size=2).cells
    )


@pytest.mark.parametrize("cluster_size", [None, 1, 2, 4])
def test_thresholds_that_are_always_or_never_reached_take_nothing(cluster_size):
    netlist = thresholds(np.ones((2, 20), np.bool_), np.array([0, 21]), cluster_size=cluster_size)
    assert netlist.cells == ()
    assert evaluate(netlist, np.zeros((3, 20), np.bool_)).tolist() == [[True, False]] * 3

    rng = np.random.default_rng(5)
    weights = rng.integers(0, 2, (12, 20)).astype(np.bool_)
    wanted = np.where(np.arange(12) % 3 == 0, 0, np.where(np.arange(12) % 3 == 1, 21, 10))
    netlist = thresholds(weights, wanted, cluster_size=cluster_size)
    assert netlist.outputs[::3] == (1,) * 4
    assert netlist.outputs[1::3] == (0,) * 4
    assert netlist.cells == thresholds(weights[2::3], wanted[2::3], cluster_size=cluster_size).cells
    # 3 raw - 2 total: an input adds 0 or 1 where its weight is true, -2 or 3 where it is not.
    scale_offset = np.full(12, 3), np.full(12, -2)
    pluses = weights.sum(axis=1)
    low, high = -2 * (20 - pluses), 3 * (20 - pluses) + pluses
    for wanted, outputs in ((low, (1,) * 12), (high + 1, (0,) * 12)):
        constant = thresholds(weights, wanted, cluster_size=cluster_size, scale_offset=scale_offset)
        assert (constant.cells, constant.outputs) == ((), outputs)
        prove_thresholds(constant, weights, wanted, scale_offset=scale_offset)


def test_a_neuron_of_six_inputs_is_one_table():
    """Whatever neurons have in common: a table shared between two would save nothing."""
    rng = np.random.default_rng(2)
    weights = np.zeros((40, 90), np.int64)
    for row in weights:
        row[rng.choice(20, 6, replace=False)] = rng.choice([-1, 1], 6)
    wanted = rng.integers(1, 7, 40)
    netlist = thresholds(weights, wanted)
    distinct = {(tuple(row), int(t)) for row, t in zip(weights, wanted, strict=True)}
    assert netlist.luts == len(distinct)
    assert {len(cell.inputs) for cell in netlist.cells if isinstance(cell, Lut)} == {6}
    prove_thresholds(netlist, weights, wanted)
    wrong = wanted.copy()
    wrong[7] = wanted[7] % 6 + 1
    with pytest.raises(Mismatch):
        prove_thresholds(netlist, weights, wrong)


def test_what_layers_take():
    """LUTs and carry cells of a synapse; smaller is welcome, larger is a regression."""
    rng = np.random.default_rng(0)
    for neurons, inputs, most in ((32, 64, 0.25), (32, 256, 0.18)):
        weights = rng.integers(0, 2, (neurons, inputs)).astype(np.bool_)
        netlist = thresholds(weights, np.full(neurons, inputs // 2))
        assert netlist.luts <= most * weights.size
        assert carries(netlist) <= 0.36 * most * weights.size


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="expected weights"):
        thresholds(np.ones((2, 3), np.bool_), np.zeros(3, np.int64))
    netlist = thresholds(np.ones((2, 3), np.bool_), np.ones(2, np.int64))
    with pytest.raises(InputError, match="netlist: expected bool"):
        evaluate(netlist, np.zeros((1, 4), np.bool_))
