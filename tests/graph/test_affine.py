"""The affine map from integers to the network's numbers, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import InputError
from hwbnn.graph import Input, to_integers


@given(
    st.integers(-300, 300),
    st.integers(0, 500),
    st.floats(0.001, 100),
    st.booleans(),
    st.floats(-50, 50),
)
def test_the_map_is_undone_exactly(
    low: int, span: int, scale: float, negative: bool, offset: float
) -> None:
    node = Input("x", (4,), low, low + span, scale=-scale if negative else scale, offset=offset)
    u = np.arange(low, low + span + 1)
    assert np.array_equal(to_integers(node, node.scale * u + node.offset), u)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.01, -0.01, 1.7e308])
def test_floats_out_of_range_are_refused(bad: float) -> None:
    x = np.full((3, 2), 0.5)
    x[2, 1] = bad
    with pytest.raises(InputError, match=r"expected floats from 0 to 1 .* at \(2, 1\); scale"):
        to_integers(Input.pixels(2), x)


def test_integers_and_bools_pass_unchanged() -> None:
    for dtype in (bool, np.uint8, np.int64):
        x = np.ones((2, 3), dtype)
        assert to_integers(Input.bits(3), x) is x
