"""Multiplication by constants as sums of shifted terms."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hwbnn.plan.multiples import Offset, shortfall, terms


@given(st.integers(0, 1 << 33))
def test_terms_sum_to_their_factor_and_no_two_are_neighbours(factor: int) -> None:
    found = terms(factor)
    assert sum((-1 if t.complement else 1) << t.place for t in found) == factor
    places = [t.place for t in found]
    assert all(b - a >= 2 for a, b in pairwise(places))


@given(st.integers(-(1 << 32), 1 << 32), st.integers(0, 1000))
def test_hardware_falls_short_by_what_is_said(value: int, total: int) -> None:
    offset = Offset.of(value)
    assert offset.odd % 2 or value == 0
    made = sum(~(total << t.place) if t.complement else total << t.place for t in terms(offset.odd))
    assert made == offset.odd * total - shortfall(offset.odd)
    made <<= offset.shift
    made = ~made if offset.complement else made
    assert made == value * total - offset.shortfall
