"""Float features: as stated integers into the core, and there as bits of a thermometer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hwbnn.errors import CannotLower, GraphError, InputError
from hwbnn.graph import Encode, Graph, Input, to_integers
from hwbnn.lowering import floats, lower
from hwbnn.nn import BinaryActivation, BinaryLinear, Thermometer
from hwbnn.simulators import simulate
from tests.lowering.models import METHOD


def samples(count: int = 400, seed: int = 0) -> np.ndarray:
    """Features as tables have them: of several sizes and spreads, skewed, one constant."""
    rng = np.random.default_rng(seed)
    columns = [
        rng.normal(size=count) * 1e-3,
        np.exp(rng.normal(size=count) * 2) * 100,
        rng.integers(0, 3, count).astype(np.float64),
        np.full(count, 7.5),
        -rng.random(count),
    ]
    return np.stack(columns, axis=1)


DATA = samples()
SOURCE = Input.of_floats(DATA, bits=8)


def network(code: Thermometer, width: int = 20) -> nn.Module:
    torch.manual_seed(5)
    features, bits = code.thresholds.shape
    model = nn.Sequential(
        code,
        BinaryLinear(features * bits, width, METHOD),
        nn.BatchNorm1d(width),
        BinaryActivation(width, METHOD),
        BinaryLinear(width, 3, METHOD),
    )
    with torch.no_grad():
        for _ in range(20):  # running statistics
            model.train()(torch.from_numpy(DATA).float())
    return model.eval()


CODES = {
    "uniform": lambda: Thermometer.uniform(SOURCE, 7),
    "quantile": lambda: Thermometer.quantile(SOURCE, 7, DATA),
    "own thresholds": lambda: Thermometer(np.quantile(DATA, (0.2, 0.5, 0.9), axis=0).T),
    "one bit": lambda: Thermometer.quantile(SOURCE, 1, DATA),
}


@pytest.mark.parametrize("code", CODES)
def test_float_features_lower_exactly(code: str) -> None:
    model = network(CODES[code]())
    graph = lower(model, SOURCE)
    assert graph.is_exact
    assert isinstance(graph.nodes[1], Encode)
    u = np.random.default_rng(1).integers(0, 256, (300, 5))
    with torch.no_grad():
        wanted = model(floats(SOURCE, u)).argmax(dim=1).numpy()
        bits = model[0](floats(SOURCE, u)).numpy() > 0  # type: ignore[index]
    values = simulate(graph, u, engine="plain", trace=True)
    np.testing.assert_array_equal(values["encode_1"], bits)
    np.testing.assert_array_equal(values["y"][:, 0], wanted)
    np.testing.assert_array_equal(simulate(graph, u, engine="fast")[:, 0], wanted)


@pytest.mark.parametrize("code", ["uniform", "quantile"])
def test_the_floats_themselves_say_what_their_integers_say(code: str) -> None:
    """Thresholds half-way between integers: rounding a sample to integers flips no bit."""
    model = network(CODES[code]())
    graph = lower(model, SOURCE)
    fresh = samples(3000, seed=8)
    inside = ((fresh >= DATA.min(axis=0)) & (fresh <= DATA.max(axis=0))).all(axis=1)
    with torch.no_grad():
        wanted = model(torch.from_numpy(fresh[inside]).float()).argmax(dim=1).numpy()
    found = simulate(graph, to_integers(SOURCE, fresh[inside]))[:, 0]
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(wanted)) > 1
    # Samples out of the range of training are its ends if asked for, else named.
    assert not inside.all()
    u = to_integers(SOURCE, fresh, saturate=True)
    assert (u.min(), u.max()) == (0, 255)
    with pytest.raises(InputError, match="expected floats from"):
        to_integers(SOURCE, fresh)
    with pytest.raises(InputError, match="found nan"):
        to_integers(SOURCE, np.full((1, 5), np.nan), saturate=True)


def test_a_threshold_one_integer_off_is_seen() -> None:
    graph = lower(network(CODES["uniform"]()), SOURCE)
    old = graph.nodes[1]
    assert isinstance(old, Encode)
    moved = Encode(old.name, old.source, old.thresholds + np.eye(5, 7, dtype=np.int64))
    wrong = Graph((graph.nodes[0], moved, *graph.nodes[2:]))
    u = np.arange(256)[:, None].repeat(5, axis=1)
    values = [simulate(g, u, engine="plain", trace=True)["encode_1"] for g in (graph, wrong)]
    assert (values[0] != values[1]).sum() == 5


def test_bits_divide_training_data_evenly() -> None:
    code = Thermometer.quantile(SOURCE, 3, DATA)
    with torch.no_grad():
        share = code(torch.from_numpy(DATA).float()).view(-1, 5, 3).gt(0).float().mean(dim=0)
    np.testing.assert_allclose(share[0], (0.75, 0.5, 0.25), atol=0.05)
    # The skewed feature, in uniform thresholds: nearly all samples are below the first.
    even = Thermometer.uniform(SOURCE, 3)(torch.from_numpy(DATA).float()).view(-1, 5, 3)
    assert float(even[:, 1].gt(0).float().mean()) < 0.05
    assert str(code) == "Thermometer(5 features, 3 bits each)"


def test_a_row_behind_a_flattened_image_keeps_its_order() -> None:
    source = Input("x", (2, 3, 2), 0, 15, scale=0.5, offset=-1.0)
    code = Thermometer(np.sort(np.random.default_rng(0).normal(2, 2, (12, 3)), axis=1))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), code, BinaryLinear(36, 4, METHOD)).eval()
    u = np.random.default_rng(2).integers(0, 16, (200, 2, 3, 2))
    with torch.no_grad():
        wanted = model(floats(source, u)).argmax(dim=1).numpy()
    np.testing.assert_array_equal(simulate(lower(model, source), u)[:, 0], wanted)


def test_an_input_of_floats_states_its_integers() -> None:
    assert (SOURCE.low, SOURCE.high, SOURCE.shape) == (0, 255, (5,))
    u = to_integers(SOURCE, DATA)
    assert (u[:, [0, 1, 2, 4]].min(axis=0) == 0).all()
    assert (u[:, [0, 1, 2, 4]].max(axis=0) == 255).all()
    assert not u[:, 3].any()  # a constant
    step = np.asarray(SOURCE.scale)
    assert (np.abs(SOURCE.reals(u) - DATA) <= step / 2 * (1 + 1e-9)).all()


REFUSED: dict[str, tuple[Any, str]] = {
    "falling": (lambda: Thermometer([[2.0, 1.0]]), "expected rising ones, found falling"),
    "not finite": (lambda: Thermometer([[np.nan]]), "expected finite numbers"),
    "of another shape": (lambda: Thermometer([1.0]), r"\(features, bits\), found shape \(1,\)"),
    "text": (lambda: Thermometer("abc"), "expected finite numbers"),
    "no input": (lambda: Thermometer.uniform(DATA, 3), "source: expected an hwbnn.Input of a row"),  # type: ignore[arg-type]
    "of bits": (lambda: Thermometer.uniform(Input.bits(5), 3), "source: expected an hwbnn.Input"),
    "no bits": (lambda: Thermometer.uniform(SOURCE, 0), "bits: expected 1 to 255, found 0"),
    "other data": (lambda: Thermometer.quantile(SOURCE, 3, DATA[:, :4]), "last axis, found shape"),
    "images": (lambda: Thermometer.uniform(SOURCE, 3)(torch.zeros(2, 5, 1)), "flatten first"),
    "NaN": (lambda: Input.of_floats(np.array([[np.nan, 1.0]])), "expected finite numbers; clean"),
    "one sample": (lambda: Input.of_floats(np.zeros(3)), r"expected floats \(samples, features\)"),
    "bits of input": (lambda: Input.of_floats(DATA, bits=0), "bits: expected 1 to 24, found 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(case: str) -> None:
    make, said = REFUSED[case]
    with pytest.raises((InputError, GraphError), match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_numbers_that_fall_with_the_integers_are_refused_by_name() -> None:
    source = Input("x", (5,), 0, 255, scale=[1.0, 1.0, -1.0, 1.0, 1.0])  # type: ignore[arg-type]
    with pytest.raises(
        CannotLower, match=r"layer '0' \(Thermometer\): element 2: its numbers fall"
    ):
        lower(network(CODES["own thresholds"]()), source)
    model = nn.Sequential(Thermometer([[0.0, 0.5]] * 3), BinaryLinear(6, 2, METHOD))
    with pytest.raises(CannotLower, match="expected a row of integers, found 3 bits"):
        lower(model.eval(), Input.bits(3))
