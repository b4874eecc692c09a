"""The affine map from integers to the network's numbers, and back."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import GraphError, InputError
from hwbnn.graph import Graph, Input, Output, from_bytes, to_bytes, to_integers


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


MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def normalised(shape: tuple[int, ...] = (4, 5, 3)) -> Input:
    scale, offset = [1 / 255 / s for s in STD], [-m / s for m, s in zip(MEAN, STD, strict=True)]
    return Input.pixels(shape, scale=scale, offset=offset)


def test_channels_may_have_scales_of_their_own() -> None:
    node = normalised()
    u = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3))
    x = (u / 255 - MEAN) / STD
    assert np.array_equal(to_integers(node, x), u)
    assert np.allclose(node.reals(u), x, rtol=1e-12)
    assert not np.array_equal(to_integers(normalised((4, 5, 3)), np.roll(x, 1, axis=-1) / 3), u)
    with pytest.raises(InputError, match=r"expected floats from -3 to 4.33333 .*at \(0, 0, 0, 2\)"):
        to_integers(
            Input.pixels((1, 1, 3), scale=[1 / 1530, 1 / 765, 11 / 382.5], offset=[-1, -2, -3]),
            np.array([[[[-1.0, -2.0, 5.0]]]]),
        )
    with pytest.raises(InputError, match="expected 3 channels in the last axis, found shape"):
        to_integers(node, np.zeros((2, 3, 4, 5)))


def test_equal_scales_are_one_scale() -> None:
    one, several = Input.pixels(3, scale=0.5), Input.pixels(3, scale=[0.5] * 3, offset=(0, 0, 0))
    assert several.scale == 0.5
    assert several.is_uniform
    digests = [Graph((node, Output("y", "x"))).digest for node in (one, several, normalised((3,)))]
    assert digests[0] == digests[1] != digests[2]


def test_scales_of_channels_are_kept_in_files_of_a_newer_format() -> None:
    graph = Graph((normalised(), Output("y", "x")))
    again = from_bytes(to_bytes(graph))
    assert again == graph
    assert again.input.scale == graph.input.scale
    assert b'"hwbnn graph": 6' in header(to_bytes(graph))
    assert b'"hwbnn graph": 1' in header(to_bytes(Graph((Input.pixels(3), Output("y", "x")))))


def header(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("graph.json.npy")


@pytest.mark.parametrize(
    "scale", [[1.0, 2.0], [1.0, 0.0, 2.0], [1.0, float("nan"), 1], [], "ab", [True] * 3]
)
def test_scales_that_do_not_fit_are_refused(scale: Any) -> None:
    with pytest.raises(
        GraphError, match=r"'x': scale: expected .*number, found|expected a finite number"
    ):
        Input("x", (3,), 0, 9, scale=scale)
    with pytest.raises(GraphError, match="'x': scale: expected a number, found"):
        Input("x", (3,), 0, 1, bit=True, scale=[1.0, 2.0, 3.0])  # type: ignore[arg-type]
