"""Rules of rounding against closed forms, ties included."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest

from hwbnn.errors import CannotLower, InputError
from hwbnn.program import Quantizer
from hwbnn.program.quantizers import rounding, sign, step, ternary

CLOSED = {
    "half_even": lambda x: round(x),  # Python's rounding of a Fraction
    "half_up": lambda x: floor(x + Fraction(1, 2)),
    "half_down": lambda x: ceil(x - Fraction(1, 2)),
    "half_away": lambda x: floor(abs(x) + Fraction(1, 2)) * (1 if x > 0 else -1),
    "half_to_zero": lambda x: ceil(abs(x) - Fraction(1, 2)) * (1 if x > 0 else -1),
    "floor": floor,
    "ceil": ceil,
    "up": lambda x: ceil(abs(x)) * (1 if x > 0 else -1),
    "down": lambda x: floor(abs(x)) * (1 if x > 0 else -1),
}
"""The integer that each rule gives a rational."""


@pytest.mark.parametrize("rule", CLOSED)
@pytest.mark.parametrize(("low", "high", "zero"), [(-4, 3, 0), (0, 15, 0), (-3, 3, 0), (0, 7, 3)])
@pytest.mark.parametrize(
    "scale", [1.0, 0.125, float(np.float32(0.1)), float(np.float32(1.8741895))]
)
def test_every_rule_is_its_closed_form_on_and_beside_ties(
    rule: str, low: int, high: int, zero: int, scale: float
) -> None:
    q = rounding("q", "Quant", "x", low=low, high=high, step=scale, rule=rule, zero_point=zero)  # type: ignore[arg-type]
    exact = Fraction(scale)
    for quarter in range(4 * (low - 2), 4 * (high + 2) + 1):
        on = float(Fraction(quarter, 4) * exact)
        for x in (on, np.nextafter(on, -np.inf), np.nextafter(on, np.inf)):
            code = CLOSED[rule](Fraction(float(x)) / exact + zero)
            wanted = min(max(code, low), high)
            assert q.counts(np.array([x]))[0] + low == wanted, (x, quarter)
    assert q.offset == (low - zero) * scale


def test_signs_steps_and_three_levels_on_their_edges() -> None:
    x = np.array([-1.0, -0.5, -0.0, 0.0, 0.5, 1.0])
    assert sign("s", "Sign", "x").counts(x).tolist() == [0, 0, 1, 1, 1, 1]
    assert sign("s", "Sign", "x", zero_is_positive=False).counts(x).tolist() == [0, 0, 0, 0, 1, 1]
    assert step("s", "Step", "x", at=0.5, closed=False).counts(x).tolist() == [0, 0, 0, 0, 0, 1]
    three = ternary("t", "Ternary", "x", threshold=0.5)
    assert (three.counts(x) - 1).tolist() == [-1, -1, 0, 0, 1, 1]


def test_edges_that_differ_between_channels_and_edges_at_one_place() -> None:
    q = Quantizer("q", "k", "x", np.array([[0.0, 1.0], [2.0, 2.0]]), np.array([True, False]))
    x = np.array([[0.0, 2.0], [1.0, 1.9], [1.5, 2.1]])
    assert q.counts(x).tolist() == [[1, 1], [1, 0], [2, 2]]


def test_a_grid_and_a_loop_count_alike() -> None:
    rng = np.random.default_rng(0)
    edges = np.sort(rng.integers(-20, 20, (1, 9)).astype(float), axis=1)
    closed = rng.random(9) < 0.5
    x = rng.integers(-25, 25, 300).astype(float)
    one = Quantizer("q", "k", "x", edges, closed).counts(x)
    wanted = [
        sum(v > e or (v == e and c) for e, c in zip(edges[0], closed, strict=True)) for v in x
    ]
    assert one.tolist() == wanted


def test_quantizers_that_cannot_be_are_refused() -> None:
    with pytest.raises(CannotLower, match=r"layer 'q' \(k\): expected at most 65536 levels"):
        rounding("q", "k", "x", low=0, high=1 << 16)
    with pytest.raises(InputError, match="expected a scale above 0"):
        rounding("q", "k", "x", low=0, high=3, step=0.0)
    with pytest.raises(InputError, match="more than one level"):
        rounding("q", "k", "x", low=0, high=0)
    with pytest.raises(InputError, match="edges: expected finite numbers, rising"):
        Quantizer("q", "k", "x", np.array([[1.0, 0.0]]), np.array([True]))
