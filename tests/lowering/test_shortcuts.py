"""Networks with shortcuts: fixed point within its bounds, and what it changes measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import hwbnn
from hwbnn import methods
from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Graph, Input, Rescale, ValueType
from hwbnn.graph.arrays import Float32s
from hwbnn.lowering import compare, lower, measure
from hwbnn.lowering.from_torch.ops import module_op
from hwbnn.lowering.line_fit import LineFit, fit
from hwbnn.lowering.ops import StepActivation, TableFunction
from hwbnn.lowering.tables import is_long, read_thresholds
from hwbnn.lowering.value import FixedPointError, TracedValue
from hwbnn.nn import mlp
from hwbnn.nn.networks import Last
from hwbnn.nn.residual import ResidualStages, Shortcut, residual
from tests.lowering.models import METHOD, random_integers

SIGN = StepActivation("a", "layer 'a'", 1, 1.0, 0.0, lambda x: (x >= 0).astype(np.uint8))
PIXELS = Input("x", (8, 8, 3), 0, 255, scale=2 / 255, offset=-1.0)


def network(
    name: str, shortcut: Shortcut = "block", *, projects: bool = False, last: Last = "scale"
) -> nn.Module:
    """A small ResNet with statistics that fit its inputs, in evaluation mode."""
    torch.manual_seed(3)
    form = ResidualStages((4, 8), 1, shortcut, projects=projects)
    model = residual(PIXELS, form, 4, methods.get(name), last=last)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None
            nn.init.normal_(module.weight, 0.7, 0.5)
            nn.init.normal_(module.bias, 0.0, 0.3)
    with torch.no_grad():
        model.train()(torch.randn(64, 3, 8, 8).clamp(-1, 1))
    return model.eval()


def frames(count: int, seed: int = 0) -> NDArray[np.int64]:
    return random_integers(PIXELS, count, seed)


def labels(model: nn.Module, x: NDArray[np.int64], wrong: int) -> NDArray[np.int64]:
    """The network's own classes, the first few of them changed."""
    with torch.no_grad():
        right = model(hwbnn.lowering.floats(PIXELS, x)).argmax(1).numpy()
    right[:wrong] = (right[:wrong] + 1) % 4
    return right  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "shortcut"),
    [("rbnn", "block"), ("adabin", "conv"), ("react_net", "conv"), ("bnn_ste", "conv")],
)
def test_every_node_is_within_the_bounds_that_lowering_says(name: str, shortcut: Shortcut) -> None:
    model = network(name, shortcut, projects=name == "rbnn")
    graph = lower(model, PIXELS)
    assert graph.fraction == 18
    assert compare(model, graph, frames(20)).differing == 0


@pytest.mark.parametrize("last", ["scale", "batch_norm"])
def test_measured_by_word_length(last: Last) -> None:
    model = network("rbnn", last=last)
    x = frames(200)
    truth = labels(model, x, 20)
    found = measure(model, PIXELS, x, truth, fractions=(2, 6, 12))
    assert [m.fraction for m in found] == [2, 6, 12]
    assert [m.width for m in found] == sorted(m.width for m in found)
    assert {m.frames for m in found} == {200}
    assert {m.accuracy_float for m in found} == {0.9}
    # Finer numbers are nearer on average, coarse ones cost classes.
    assert found[0].mean > found[1].mean > found[2].mean
    assert found[0].agreement < found[2].agreement
    assert abs(found[2].lost) <= 100 * (1 - found[2].agreement) <= 1.0
    for m in found:
        graph = lower(model, PIXELS, fraction=m.fraction)
        classes = hwbnn.simulate(graph, x)[:, 0]
        assert m.accuracy_integer == (classes == truth).mean()
        assert f"{m.fraction} fraction bits" in str(m)
        assert f"{m.accuracy_integer:.2%}" in str(m)


def wrong_bias(found: LineFit, fraction: int) -> LineFit:
    return replace(found, bias=found.bias + (1 << found.shift << (fraction - 2)))


def wrong_fraction(found: LineFit, _: int) -> LineFit:
    """Half of what it should be: one fraction bit fewer than its readers take it for."""
    return replace(found, shift=found.shift + 1)


@pytest.mark.parametrize("fault", [wrong_bias, wrong_fraction])
def test_a_fault_in_one_rescale_is_measured(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = network("rbnn", "conv"), frames(200)
    truth = labels(model, x, 0)
    (right,) = measure(model, PIXELS, x, truth, fractions=(10,))
    made = LineFit.node
    count = 0

    def planted(self: LineFit, name: str, source: str, places: Any) -> Rescale:
        nonlocal count
        count += name == "rescale_1"
        return made(fault(self, 10) if name == "rescale_1" else self, name, source, places)

    monkeypatch.setattr(LineFit, "node", planted)
    (wrong,) = measure(model, PIXELS, x, truth, fractions=(10,))
    assert count == 1
    assert right.agreement > 0.98
    assert wrong.agreement < right.agreement
    assert wrong.mean > 10 * right.mean
    # Lowering itself refuses it: the sums are further off than it says.
    with pytest.raises(hwbnn.errors.Mismatch):
        lower(model, PIXELS)


@pytest.mark.parametrize("last", ["batch_norm", "scale"])
def test_networks_without_shortcuts_have_no_error(last: Last) -> None:
    torch.manual_seed(0)
    source = Input("x", (12,), 0, 15, scale=1 / 15)
    model = mlp(source, (8, 8), 5, METHOD, last=last).eval()
    x = random_integers(source, 200, 1)
    truth = np.arange(200) % 5
    (found,) = measure(model, source, x, truth, fractions=(4, 10))
    assert found.fraction is None
    assert (found.width, found.largest, found.mean, found.agreement) == (0, 0.0, 0.0, 1.0)
    assert found.accuracy_integer == found.accuracy_float
    assert found.lost == 0
    assert found.spread > 0
    assert "no fixed-point numbers" in str(found)


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    model, x = network("rbnn"), frames(450)
    measure(
        model, PIXELS, x, labels(model, x, 0), fractions=(8,), progress=lambda *t: told.append(t)
    )
    assert [(n, of) for what, n, of in told if what == "floats"] == [
        (0, 450),
        (200, 450),
        (400, 450),
    ]
    assert sum(what.startswith("integers with 8") for what, _, _ in told) == 3


def test_what_does_not_fit_is_refused() -> None:
    model, x = network("rbnn"), frames(4)
    with pytest.raises(InputError, match="3 labels and 4 samples"):
        measure(model, PIXELS, x, np.zeros(3, int))
    with pytest.raises(InputError, match="0 labels"):
        measure(model, PIXELS, x[:0], np.zeros(0, int))
    with pytest.raises(InputError, match="fraction"):
        measure(model, PIXELS, x, np.zeros(4, int), fractions=(40,))


def test_what_does_the_same_to_all_channels_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = np.array([-900, -3000, 0]), np.array([5000, 0, 4100])
    t = ValueType((1, 1, 3), -3000, 5000)
    mean = TableFunction("a mean", lambda x: x / 1024 / 32, is_elementwise=True)
    value = TracedValue("sum", t, *ends, "layer", (mean,), fixed=FixedPointError(1.0, 1.0))
    each = fit(replace(value, ops=(replace(mean, is_elementwise=False),)), 10)
    # Three channels by themselves would be too many.
    monkeypatch.setattr("hwbnn.lowering.tables.FIXED_LIMIT", t.count)
    with pytest.raises(CannotLower, match="too many to tabulate"):
        fit(replace(value, ops=(replace(mean, is_elementwise=False),)), 10)
    found = fit(value, 10)
    assert each is not None
    assert found is not None
    assert each.ends is not None
    assert found.ends is not None
    np.testing.assert_array_equal(found.ends, each.ends)
    np.testing.assert_array_equal(found.multiplier, each.multiplier)
    for channel, (low, high) in enumerate(zip(*ends, strict=True)):
        x = np.arange(low, high + 1)
        y = found.apply(np.repeat(x[:, None], 3, axis=1), 0)[:, channel]
        assert np.abs(y - x / 32).max() <= found.error < 0.55


@pytest.mark.parametrize(
    ("name", "shortcut"), [("rbnn", "block"), ("adabin", "conv"), ("react_net", "conv")]
)
def test_halving_finds_what_all_integers_say(
    name: str, shortcut: Shortcut, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(name, shortcut)
    monkeypatch.setattr("hwbnn.lowering.tables.LONG", 1 << 40)
    slow = lower(model, PIXELS, fraction=6)
    assert "kinks" not in slow.notes["fixed point"]
    monkeypatch.setattr("hwbnn.lowering.tables.LONG", 1 << 8)
    quick = lower(model, PIXELS, fraction=6)
    assert Graph(quick.nodes).digest == Graph(slow.nodes).digest
    assert name == "rbnn" or "kinks" in quick.notes["fixed point"]


def line(bend: int, steep: float) -> TracedValue:
    """8 million integers, as they are below the bend and ``steep`` times as steep above it."""
    t = ValueType((1, 1, 2), -(1 << 22), 1 << 22)
    ends = np.array([t.low, -10_000]), np.array([t.high, 5000])

    def bent(x: Float32s) -> Float32s:
        return x + (x - bend).clip(min=0) * (steep - 1)

    unit = TableFunction("fixed point", lambda x: x / 64, is_elementwise=True, is_monotone=True)
    bends = TableFunction("a bend", lambda x: bent(x * 64) / 64, is_monotone=True)
    return TracedValue("sum", t, *ends, "layer", (unit, bends), fixed=FixedPointError(1.0, 1.0))


@pytest.mark.parametrize(("bend", "fits"), [(0, True), (9, False), (-3000, False)])
def test_a_bend_of_a_long_value_is_seen(bend: int, fits: bool) -> None:
    value = line(bend, 0.25)
    assert is_long(value)
    found = fit(value, 6, bent=True)
    assert (found is not None) == fits
    if found is not None:
        assert found.count < 40_000
        assert found.error < 0.6
        assert found.ends is not None
        np.testing.assert_array_equal(found.ends, [value.low, np.rint(value.high / 4)])
    assert fit(value, 6) is None


def test_long_values_that_may_turn_round_are_refused() -> None:
    value = line(0, -0.25)
    ops = (value.ops[0], replace(value.ops[1], is_monotone=False))
    value = replace(value, ops=ops, type=ValueType((1, 1, 2), -(1 << 29), 1 << 29))
    with pytest.raises(CannotLower, match="too many to tabulate"):
        read_thresholds(value, SIGN)
    for module, known in (
        (nn.PReLU(2), True),
        (nn.PReLU(2, init=-0.1), False),
        (nn.LeakyReLU(-0.1), False),
        (nn.Hardtanh(), True),
        (nn.BatchNorm2d(2), True),
        (methods.get("adabin").make_nonlinearity(2), True),
        (methods.get("adabin", maxout="free").make_nonlinearity(2), True),
    ):
        assert module is not None
        assert module_op("x", module).is_monotone == known
    free = methods.get("adabin", maxout="free").make_nonlinearity(2)
    assert free is not None
    free.negative.data[1] = -0.1  # type: ignore[union-attr, index]
    assert not module_op("x", free).is_monotone
