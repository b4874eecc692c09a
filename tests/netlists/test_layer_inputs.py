"""Inputs that another netlist drives: constant, equal and opposite ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbnn.errors import InputError, Mismatch
from hwbnn.netlists import evaluate, prove_sums, prove_thresholds, sums, thresholds


def driven(seed, neurons, inputs, free):
    """Drivers with constants, equal and opposite ones, and inputs as they then can be."""
    rng = np.random.default_rng(seed)
    drivers = 2 * rng.integers(1, free + 1, inputs) + rng.integers(0, 2, inputs)
    drivers = np.where(rng.random(inputs) < 0.2, rng.integers(0, 2, inputs), drivers)
    signals = rng.integers(0, 2, (100, free + 1)) > 0
    signals[:, 0] = False
    signals[0, 1:] = True
    x = signals[:, drivers >> 1] ^ (drivers & 1 > 0)
    weights = rng.integers(0, 2, (neurons, inputs)) > 0
    raw = (weights == x[:, None]).sum(axis=2)
    return drivers.tolist(), weights, x, raw


@given(
    seed=st.integers(0, 1 << 30),
    neurons=st.integers(1, 7),
    inputs=st.integers(1, 50),
    free=st.integers(1, 30),
    cluster_size=st.sampled_from([None, 1, 2, 4]),
    scaled=st.booleans(),
)
@settings(max_examples=30)
def test_what_is_known_of_inputs_is_relied_on_and_proved(
    seed, neurons, inputs, free, cluster_size, scaled
):
    drivers, weights, x, raw = driven(seed, neurons, inputs, free)
    scale_offset, compared = None, raw
    if scaled:
        rng = np.random.default_rng(seed)
        scale_offset = rng.integers(0, 9, neurons), rng.integers(-9, 9, neurons)
        compared = scale_offset[0] * raw + scale_offset[1] * x.sum(axis=1)[:, None]
    wanted = compared[3]
    netlist = thresholds(
        weights, wanted, cluster_size=cluster_size, scale_offset=scale_offset, drivers=drivers
    )
    assert np.array_equal(evaluate(netlist, x), compared >= wanted)
    prove_thresholds(netlist, weights, wanted, scale_offset=scale_offset, drivers=drivers)

    counted = sums(weights, cluster_size=cluster_size, drivers=drivers)
    bits = evaluate(counted, x).reshape(len(x), neurons, -1)
    assert np.array_equal((bits << np.arange(bits.shape[2])).sum(axis=2), raw)
    prove_sums(counted, weights, drivers=drivers)


def test_constant_equal_and_opposite_inputs_take_nothing():
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 2, (8, 40)) > 0
    wanted = np.full(8, 20)
    alone = thresholds(weights, wanted, cluster_size=1)

    more = np.concatenate([weights, rng.integers(0, 2, (8, 5)) > 0], axis=1)
    drivers = [*range(2, 82, 2), 0, 1, 1, 0, 1]
    constant = thresholds(more, wanted + 2, cluster_size=1, drivers=drivers)
    prove_thresholds(constant, more, wanted + 2, drivers=drivers)
    assert constant.luts <= 1.05 * alone.luts

    # Each input and its opposite: one of the two counts, whichever they are.
    both = np.concatenate([weights, weights], axis=1)
    turned = [*range(2, 82, 2), *range(3, 83, 2)]
    made = thresholds(both, wanted + 20, drivers=turned)
    assert (made.cells, made.outputs) == ((), (1,) * 8)


def test_equal_inputs_are_counted_once_in_totals_too():
    rng = np.random.default_rng(2)
    weights = rng.integers(0, 2, (6, 20)) > 0
    scale_offset = np.ones(6, np.int64), np.full(6, 3)
    same = thresholds(weights, np.full(6, 30), scale_offset=scale_offset, drivers=[2] * 20)
    assert same.luts <= 1


def test_a_netlist_that_relies_on_what_is_not_so_is_refused():
    drivers, weights, _, raw = driven(3, 4, 30, 12)
    netlist = thresholds(weights, raw[3], drivers=drivers)
    with pytest.raises(Mismatch, match="neuron 0 does not compare"):
        prove_thresholds(netlist, weights, raw[3])
    other = [*drivers[:-1], drivers[-1] ^ 1]
    with pytest.raises(Mismatch, match="does not compare"):
        prove_thresholds(netlist, weights, raw[3], drivers=other)
    with pytest.raises(Mismatch, match="does not give"):
        prove_sums(sums(weights, drivers=drivers), weights)


@pytest.mark.parametrize(
    ("width", "drivers"), [(1, [2, 4]), (2, [2, 4, 6]), (1, []), (1, [2, -1, 4])]
)
def test_drivers_that_do_not_fit_are_refused(width, drivers):
    with pytest.raises(InputError, match="expected a driver, a literal from 0, for each of 3"):
        sums(np.ones((2, 3), np.bool_), width=width, drivers=drivers)
