"""Ranges are exact: every input of tiny networks is tried."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import GraphError
from hwbnn.graph import Dot, Encode, Flatten, Graph, Input, Lookup, Output, Select, Threshold
from hwbnn.graph.values import ValueType
from hwbnn.simulators import simulate
from tests.strategies import graphs, inputs


@st.composite
def tiny_inputs(draw: st.DrawFn) -> Input:
    size = draw(st.integers(1, 4))
    if draw(st.booleans()):
        return Input.bits(size)
    low = draw(st.integers(-5, 5))
    return Input("x", (size,), low, low + draw(st.integers(1, 3)))


def everything(node: Input) -> np.ndarray:
    return np.array(list(product(range(node.low, node.high + 1), repeat=node.shape[0])))


@given(st.data())
def test_a_dot_reaches_its_ends_and_nothing_off_its_lattice(data: st.DataObject) -> None:
    node = data.draw(tiny_inputs())
    shape = (data.draw(st.integers(1, 3)), node.shape[0])
    bits = data.draw(st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=12))
    weights = np.resize(np.array(bits, np.bool_), shape)
    graph = Graph((node, Dot("dot", "x", weights), Output("y", "dot")))
    sums, t = simulate(graph, everything(node)), graph.types["dot"]
    assert (int(sums.min()), int(sums.max())) == (t.low, t.high)
    assert np.gcd.reduce((sums - t.low).ravel()) == t.step


@given(st.data())
def test_a_dot_with_integer_weights_reaches_its_ends_and_nothing_off_its_lattice(
    data: st.DataObject,
) -> None:
    node = data.draw(tiny_inputs())
    numbers = st.sampled_from((-32767, -128, -6, -3, -2, -1, 0, 0, 1, 2, 4, 9, 127, 32767))
    size = data.draw(st.integers(1, 3)) * node.shape[0]
    drawn = data.draw(st.lists(numbers, min_size=size, max_size=size))
    weights = np.array(drawn).reshape(-1, node.shape[0])
    x = everything(node)
    graph = Graph((node, Dot("dot", "x", weights), Output("y", "dot")))
    sums, t = simulate(graph, x), graph.types["dot"]
    assert np.array_equal(sums, (2 * x - 1 if node.bit else x) @ weights.T)
    assert (int(sums.min()), int(sums.max())) == (t.low, t.high)
    assert (np.gcd.reduce((sums - t.low).ravel()) or 1) == t.step


@given(st.data())
def test_a_scaled_dot_reaches_its_ends_and_nothing_off_its_lattice(data: st.DataObject) -> None:
    node = data.draw(tiny_inputs())
    channels = data.draw(st.integers(1, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    weights = rng.random((channels, node.shape[0])) < 0.5
    factors = st.lists(st.integers(-4, 4), min_size=channels, max_size=channels)
    scale, offset = (np.array(data.draw(factors)) * data.draw(st.integers(1, 3)) for _ in range(2))
    graph = Graph((node, Dot("dot", "x", weights, scale, offset), Output("y", "dot")))
    x = everything(node)
    terms = 2 * x - 1 if node.bit else x
    expected = terms @ (scale[:, None] * np.where(weights, 1, -1) + offset[:, None]).T
    sums, t = simulate(graph, x), graph.types["dot"]
    assert np.array_equal(sums, expected)
    assert (int(sums.min()), int(sums.max())) == (t.low, t.high)
    assert (np.gcd.reduce((sums - t.low).ravel()) or 1) == t.step


def test_scaled_sums_beyond_32_bits_are_refused_and_huge_factors_that_cancel_are_not() -> None:
    weights, most = np.array([[True, False], [True, True]]), (1 << 31) - 1
    both = np.array([most, most])
    with pytest.raises(GraphError, match=r"'d': sums from -4294967294 to 4294967294 do not stay"):
        Graph((Input.bits(2), Dot("d", "x", weights, both, 0 * both), Output("y", "d")))
    cancelled = Dot("d", "x", weights[1:], both[1:], -both[1:])
    graph = Graph((Input("x", (2,), 0, most), cancelled, Output("y", "d")))
    assert graph.types["d"] == ValueType((1,), 0, 0)
    assert simulate(graph, np.array([[most, most]]), engine="plain").tolist() == [[0]]
    assert simulate(graph, np.array([[most, most]]), engine="fast").tolist() == [[0]]


@given(st.data())
def test_two_dots_stay_within_their_range(data: st.DataObject) -> None:
    node = data.draw(tiny_inputs())
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    first = Dot("a", "x", rng.random((3, node.shape[0])) < 0.5)
    second = Dot("b", "a", rng.random((2, 3)) < 0.5)
    graph = Graph((node, first, second, Output("y", "b")))
    assert_within(simulate(graph, everything(node)), graph.types["b"])


@given(st.data())
def test_every_value_of_a_random_graph_is_of_its_type(data: st.DataObject) -> None:
    graph = data.draw(graphs(max_width=70, integer_weights=True, based=True))
    values = simulate(graph, data.draw(inputs(graph, 20)), trace=True)
    for name, value in values.items():
        t = graph.types[name]
        assert value.shape == (20, *t.shape)
        assert value.dtype == (np.bool_ if t.bit else np.int64)
        assert_within(value, t)


def assert_within(value: np.ndarray, t: ValueType) -> None:
    integers = value.astype(np.int64)
    assert int(integers.min()) >= t.low
    assert int(integers.max()) <= t.high
    assert not ((integers - t.low) % t.step).any()


def test_types_of_the_other_nodes() -> None:
    image = Input("x", (2, 3), -4, 9)
    cuts = np.arange(6).reshape(3, 2)
    counted = Threshold("t", "x", cuts, np.zeros(3, np.bool_))
    bit = Threshold("t", "x", cuts[:, :1], np.zeros(3, np.bool_))
    table = Lookup("l", "x", np.tile([5, 7], (3, 7)))
    flat = Flatten("f", "x")
    assert types(image, counted)["t"] == ValueType((2, 3), 0, 2)
    for base in (-3, 0):
        based = Threshold("t", "x", cuts, np.zeros(3, np.bool_), base=base)
        assert types(image, based)["t"] == ValueType((2, 3), base, base + 2)
        based = Threshold("t", "x", cuts[:, :1], np.zeros(3, np.bool_), base=base)
        assert types(image, based)["t"] == ValueType((2, 3), base, base + 1)
    assert types(image, bit)["t"] == ValueType((2, 3), 0, 1, bit=True)
    assert types(image, table)["l"] == ValueType((2, 3), 5, 7)
    assert types(image, flat)["f"] == ValueType((6,), -4, 9)
    assert types(image, flat, Select("s", "f", np.array([4, 1])))["s"] == ValueType((2,), -4, 9)
    encoded = types(image, flat, Encode("e", "f", np.zeros((6, 3), int)))["e"]
    assert encoded == ValueType((18,), 0, 1, bit=True)


def types(*nodes: object) -> dict[str, ValueType]:
    return dict(Graph((*nodes, Output("y", nodes[-1].name))).types)  # type: ignore[attr-defined, arg-type]


@pytest.mark.parametrize(
    ("low", "high", "width", "signed"),
    [
        (0, 0, 1, False),
        (0, 1, 1, False),
        (0, 255, 8, False),
        (0, 256, 9, False),
        (3, 3, 2, False),
        (-1, 0, 1, True),
        (-1, 1, 2, True),
        (-8, 7, 4, True),
        (-8, 8, 5, True),
        (-9, 7, 5, True),
        (-9, -2, 5, True),
        (-(2**31) + 1, 2**31 - 1, 32, True),
    ],
)
def test_a_width_is_the_fewest_bits_that_hold_the_range(
    low: int, high: int, width: int, signed: bool
) -> None:
    t = ValueType((1,), low, high)
    assert (t.width, t.signed) == (width, signed)
    span = range(-(1 << (width - 1)), 1 << (width - 1)) if signed else range(1 << width)
    assert low in span
    assert high in span
