"""Quantizers of many levels in fixed point, compared with all their thresholds."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hwbnn.errors import CannotLower
from hwbnn.graph import Graph, Input, Rescale, Threshold
from hwbnn.lowering.from_program import lower_program
from hwbnn.lowering.from_program import rounded as fixed_point
from hwbnn.program import (
    Affine,
    BatchNorm,
    Clip,
    Dense,
    Layer,
    MaxPooling,
    Program,
    Quantizer,
)
from hwbnn.program.layers import Convolution
from hwbnn.program.quantizers import Rounding, rounding, truncation
from hwbnn.simulators import simulate
from hwbnn.verification import verify

SOURCE = Input("u", (1,), -2000, 2000, scale=1.0)


def lowered(*layers: Layer, source: Input = SOURCE) -> Graph:
    return lower_program(
        Program("tests", "x", source.shape, layers, layers[-1].name), source, "scores"
    )


def kinds(graph: Graph) -> list[str]:
    return [type(node).__name__ for node in graph.nodes]


def codes(graph: Graph) -> list[int]:
    """The result for every integer of a flat input of one element."""
    source = graph.input
    x = np.arange(source.low, source.high + 1)[:, None]
    found: list[int] = simulate(graph, x)[:, 0].tolist()
    return found


def wanted(gain: Fraction, offset: Fraction, low: int, high: int, rule: Rounding) -> list[int]:
    """The codes of ``gain * x + offset``, rounded by rationals."""
    numbers = (gain * x + offset for x in range(SOURCE.low, SOURCE.high + 1))
    return [min(max(exact_rule(y, rule), low), high) for y in numbers]


def exact_rule(y: Fraction, rule: Rounding) -> int:
    """A rational rounded by a rule, from the rule's definition."""
    below, up = y.numerator // y.denominator, -(-y.numerator // y.denominator)
    if rule in ("floor", "ceil", "down"):
        return {"floor": below, "ceil": up, "down": below if y >= 0 else up}[rule]
    if y - below != Fraction(1, 2):
        return below + (y - below > Fraction(1, 2))
    return {"half_even": round(y), "half_up": up, "half_away": up if y > 0 else below}[rule]


def dense(weight: int, scale: float) -> Dense:
    return Dense("sum", "QDense", "x", np.array([[weight]]), np.array([scale]))


@pytest.mark.parametrize("rule", ["half_even", "half_up", "half_away", "floor", "ceil", "down"])
@pytest.mark.parametrize("gain", [0.25, -0.25, 0.75, -0.375, 1.0, 2**-5])
@pytest.mark.parametrize("ends", [(-512, 511), (0, 1023), (-511, 511)])
def test_all_rules_and_signs(rule: Rounding, gain: float, ends: tuple[int, int]) -> None:
    low, high = ends
    bias = Affine("bias", "QDense", "sum", offset=np.array([1.5]))
    q = rounding("q", "k", "bias", low=low, high=high, rule=rule)
    graph = lowered(dense(1, gain), bias, q)
    offset = Fraction(3, 2)
    assert codes(graph) == wanted(Fraction(gain), offset, low, high, rule)
    # Rules that differ on the two sides of 0 are no line; they keep their thresholds.
    one_line = rule in ("half_even", "half_up", "floor", "ceil")
    assert any(isinstance(node, Rescale) for node in graph.nodes) or not one_line


def test_halves_to_even_need_a_term_and_real_gains_do_not() -> None:
    q = rounding("q", "k", "sum", low=-512, high=511)
    tied = lowered(dense(1, 0.25), q)
    assert sum(isinstance(node, Rescale) for node in tied.nodes) == 4
    real = lowered(dense(3, 0.1234567), q)
    assert sum(isinstance(node, Rescale) for node in real.nodes) == 1
    assert not any(isinstance(node, Threshold) for node in (*tied.nodes, *real.nodes))
    assert codes(real) == wanted(Fraction(0.1234567) * 3, Fraction(0), -512, 511, "half_even")


@pytest.mark.parametrize("gamma", [1.7, -0.31])
def test_behind_batch_norm_and_relu(gamma: float) -> None:
    norm = BatchNorm(
        *("norm", "BatchNormalization", "sum"),
        gamma=np.array([gamma]),
        beta=np.array([3.3]),
        mean=np.array([41.5]),
        variance=np.array([7.9]),
        epsilon=1e-3,
    )
    relu = Clip("relu", "Relu", "norm")
    q = rounding("q", "k", "relu", low=0, high=1023, step=0.5)
    graph = lowered(dense(1, 1.0), norm, relu, q)
    assert kinds(graph) == ["Input", "Dot", "Rescale", "Output"]
    x = np.arange(SOURCE.low, SOURCE.high + 1)
    y = (x - 41.5) / np.sqrt(7.9 + 1e-3) * gamma + 3.3
    assert codes(graph) == np.rint(np.maximum(y, 0) / 0.5).clip(0, 1023).astype(int).tolist()


def test_at_the_border_of_an_image() -> None:
    rng = np.random.default_rng(3)
    source = Input("u", (4, 4, 2), 0, 255, scale=1.0, offset=-100.0)
    weights = rng.integers(-20, 21, (3, 3, 3, 2))
    conv = Convolution(
        "sum", "Conv", "x", weights, np.array([0.25, np.float32(0.1), -0.5]), padding=(1,) * 4
    )
    pool = MaxPooling("pool", "MaxPool", "q", (2, 2), (2, 2))
    q = rounding("q", "k", "sum", low=-512, high=511)
    graph = lowered(conv, q, pool, source=source)
    assert any(isinstance(n, Rescale) and n.border_classes is not None for n in graph.nodes)
    x = rng.integers(0, 256, (20, 4, 4, 2))
    padded = np.pad(x - 100, ((0, 0), (1, 1), (1, 1), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    sums = np.einsum("nijckl,oklc->nijo", view, weights) * conv.scale
    found = np.rint(sums).clip(-512, 511).reshape(20, 2, 2, 2, 2, 3).max(axis=(2, 4))
    assert np.array_equal(simulate(graph, x).reshape(found.shape), found)


def test_a_line_that_misses_a_threshold_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    good = fixed_point._Search.lines

    def wrong(self: Any) -> Any:
        line, found = good(self)
        line.bias[...] += 1 << line.shift  # one code too many
        return line, found

    monkeypatch.setattr(fixed_point._Search, "lines", wrong)
    with pytest.raises(Exception, match="please report this defect"):
        lowered(dense(3, 0.1234567), rounding("q", "k", "sum", low=-512, high=511))


def test_a_truncation_rounds_and_then_divides() -> None:
    given: dict[str, Any] = {
        "step": 0.5,
        "divisor": 8.0,
        "rule": "floor",
        "scale": 4.0,
        "offset": 0.0,
    }
    q = truncation("q", "Trunc", "sum", low=-256, high=255, is_bounded=False, **given)
    graph = lowered(dense(1, 0.5), q)
    found = [x // 8 for x in range(SOURCE.low, SOURCE.high + 1)]
    assert [y - found[0] for y in found] == [y - codes(graph)[0] for y in codes(graph)]
    less = truncation("q", "Trunc", "sum", low=-16, high=15, is_bounded=False, **given)
    with pytest.raises(
        CannotLower, match=r"'q' \(Trunc\): its argument reaches from -1000 to 1000"
    ):
        lowered(dense(1, 0.5), less)


def test_sixteen_bits_as_they_arrive_need_no_node() -> None:
    source = Input("u", (3,), -(1 << 15), (1 << 15) - 1, scale=2.0**-10)
    q = rounding("q", "k", "x", low=-(1 << 15), high=(1 << 15) - 1, step=2.0**-10)
    last = Dense("sum", "QDense", "q", np.array([[1, 2, 3], [3, -1, 1]]), np.ones(1))
    assert kinds(lowered(q, last, source=source)) == ["Input", "Dot", "Output"]


@pytest.mark.hardware
@pytest.mark.parametrize("target", ["hls", "rtl"])
def test_halves_to_even_in_hardware(target: str) -> None:
    source = Input("u", (4,), -300, 300, scale=1.0)
    weights = np.random.default_rng(5).integers(-9, 10, (3, 4))
    sums = Dense("sum", "QDense", "x", weights, np.array([0.25, -0.5, 0.3]))
    graph = lowered(sums, rounding("q", "k", "sum", low=-512, high=511), source=source)
    assert sum(isinstance(node, Rescale) for node in graph.nodes) == 4
    x = np.random.default_rng(6).integers(-300, 301, (200, 4))
    found = simulate(graph, x)
    assert ((x @ weights[0] * 0.25) % 1 == 0.5).any()
    assert np.array_equal(found[:, 0], np.rint(x @ weights[0] * 0.25).clip(-512, 511))
    assert verify(graph, x, backends=("fast", target)).ok


def test_a_base_that_does_not_fit_a_bias_is_no_fixed_point() -> None:
    """Shifted by 48 bits, a base of 2^16 is 0 in 64 bits: the line would be another."""
    single = np.ones(1, np.int64)
    line = fixed_point._Line(single, np.zeros((1, 1), np.int64), 48 * single)
    search: Any = fixed_point._Search(*[SimpleNamespace(type=None, name="x")] * 4)
    build: Any = SimpleNamespace(name=lambda kind: kind)
    assert search.node(build, "round", line, 1 << 16, None, (0, 1)) is None
    assert search.node(build, "round", line, 1 << 4, None, (0, 1)) is not None


@pytest.mark.parametrize(
    "edges",
    [np.full(100, 3.0), np.linspace(0, 1e-320, 100), np.repeat([-1e308, 1e308], 50)],
    ids=["equal", "denormal", "beyond floats"],
)
@pytest.mark.parametrize("closed", [(True, True), (True, False), (False, True)])
def test_edges_without_a_slope_stay_thresholds(edges: Any, closed: tuple[bool, bool]) -> None:
    q = Quantizer("q", "MultiThreshold", "x", edges[None], np.tile(closed, 50)[None])
    graph = lowered(q)
    assert "Rescale" not in kinds(graph)
    x = np.arange(SOURCE.low, SOURCE.high + 1)
    assert codes(graph) == q.counts(x[:, None].astype(np.float64))[:, 0].tolist()


@pytest.mark.parametrize("scale", [1.0, 2.0**-30, 1e-300])
def test_codes_that_do_not_fit_a_graph_are_counts(scale: float) -> None:
    edges = np.arange(100)[None] * 7.0
    q = Quantizer("q", "Quant", "x", edges, np.ones((1, 100), np.bool_), scale, 2.0**40)
    assert q.base is None
    graph = lowered(q)
    x = np.arange(SOURCE.low, SOURCE.high + 1)
    assert codes(graph) == q.counts(x[:, None].astype(np.float64))[:, 0].tolist()


@pytest.mark.parametrize("bits", [8, 12, 13, 16])
def test_few_integers_are_a_table_whatever_the_bits(bits: int) -> None:
    """Pixels in front of an input quantizer of 16 bits."""
    pixels = Input("u", (1,), 0, 255, scale=1.0)
    shown = Affine("a", "Mul", "x", scale=np.array([1 / 255]))
    q = rounding("q", "Quant", "a", low=0, high=(1 << bits) - 1, step=0.3 / (1 << bits))
    graph = lowered(shown, q, source=pixels)
    assert kinds(graph) == ["Input", "Lookup", "Output"]
    x = np.arange(256)[:, None] / 255
    assert codes(graph) == q.counts(x)[:, 0].tolist()
