"""Scale and offset in the heap of a neuron: AdaBin's sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbnn.errors import InputError, Mismatch
from hwbnn.netlists import evaluate, prove_thresholds, thresholds
from hwbnn.netlists.netlist import FALSE, TRUE
from tests.netlists.test_layer import LAYERS, layer


def weighed(seed, neurons, inputs, width, signed, powers):
    """A layer with scale_offset, thresholds that some input just reaches, and what it computes."""
    weights, _, x, raw = layer(seed, neurons, inputs, width, signed)
    rng = np.random.default_rng(seed)
    scale = 1 << rng.integers(0, 6, neurons) if powers else rng.integers(0, 12, neurons)
    offset = rng.integers(-9, 10, neurons)
    value = scale * raw + offset * layer_total(x, width, signed)[:, None]
    wanted = value[rng.integers(0, len(value), neurons), np.arange(neurons)]
    wanted[::5] += rng.integers(-3, 4, len(wanted[::5]))
    return weights, (scale, offset), wanted, x, value


def layer_total(x, width, signed):
    """The sum of a layer's inputs, counted from their lowest."""
    bits = x.reshape(len(x), -1, width).astype(np.int64)
    coded = (bits << np.arange(width)).sum(axis=2)
    return (coded ^ (signed << (width - 1))).sum(axis=1)


@given(**LAYERS, cluster_size=st.sampled_from([None, 1, 2, 4]), powers=st.booleans())
@settings(max_examples=30)
def test_offsets_are_compared_and_proved(
    seed, neurons, inputs, width, signed, cluster_size, powers
):
    weights, scale_offset, wanted, x, value = weighed(seed, neurons, inputs, width, signed, powers)
    code = {"width": width, "signed": signed, "scale_offset": scale_offset}
    netlist = thresholds(weights, wanted, cluster_size=cluster_size, **code)
    assert np.array_equal(evaluate(netlist, x), value >= wanted)
    prove_thresholds(netlist, weights, wanted, **code)


def test_another_factor_is_caught():
    weights, (scale, offset), wanted, _, _ = weighed(5, 8, 40, 1, False, True)
    netlist = thresholds(weights, wanted, scale_offset=(scale, offset))
    prove_thresholds(netlist, weights, wanted, scale_offset=(scale, offset))
    for k in range(8):
        other = np.eye(8, dtype=np.int64)[k]
        for scale_offset in ((scale + other, offset), (scale, offset + other)):
            with pytest.raises(Mismatch, match=f"neuron {k} does not compare"):
                prove_thresholds(netlist, weights, wanted, scale_offset=scale_offset)
    with pytest.raises(Mismatch, match="does not compare"):
        prove_thresholds(netlist, weights, wanted)


def test_outputs_that_no_input_changes_are_proved():
    weights, wanted = np.ones((3, 20), np.bool_), np.array([0, 1, 81])
    scale_offset = np.array([1, 0, 4]), np.array([-1, 0, 0])  # 0, 0, 4 times the count
    netlist = thresholds(weights, wanted, scale_offset=scale_offset)
    assert netlist.outputs[1:] == (FALSE, FALSE)
    prove_thresholds(netlist, weights, wanted, scale_offset=scale_offset)
    assert evaluate(netlist, np.ones((1, 20), np.bool_)).tolist() == [[True, False, False]]
    for wrong in ((TRUE, FALSE), (FALSE, TRUE)):
        broken = replace(netlist, outputs=(netlist.outputs[0], *wrong))
        with pytest.raises(Mismatch, match="does not compare"):
            prove_thresholds(broken, weights, wanted, scale_offset=scale_offset)


def test_an_input_in_place_of_a_constant_is_caught():
    weights, wanted = np.ones((1, 3), np.bool_), np.array([1])
    scale_offset = np.array([0]), np.array([0])
    netlist = replace(thresholds(weights, wanted, scale_offset=scale_offset), outputs=(2,))
    assert not netlist.cells
    with pytest.raises(Mismatch, match="neuron 0 does not compare"):
        prove_thresholds(netlist, weights, wanted, scale_offset=scale_offset)


def test_the_total_is_counted_once():
    rng = np.random.default_rng(2)
    weights = rng.integers(0, 2, (32, 128)).astype(np.bool_)
    wanted = np.full(32, 8 * 64)
    plain = thresholds(weights, np.full(32, 64)).luts
    scale_offset = np.full(32, 8), rng.integers(-4, 5, 32)
    assert thresholds(weights, wanted, scale_offset=scale_offset).luts < plain + 32 * 13 + 160


def test_factors_that_do_not_fit_are_refused():
    weights = np.ones((2, 3), np.bool_)
    wanted = np.ones(2, np.int64)
    for scale_offset in (
        (np.array([1, -1]), np.array([0, 0])),
        (np.array([1]), np.array([0])),
        (np.array([1, 1]), np.array([0])),
    ):
        with pytest.raises(InputError, match="layer: expected"):
            thresholds(weights, wanted, scale_offset=scale_offset)
