"""The plain simulator's convolutions, pools and streams against sums written out in Python."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.graph import (
    Add,
    ChannelPad,
    Conv2d,
    Graph,
    Input,
    MaxPool,
    Node,
    Output,
    Rescale,
    SumPool,
    Threshold,
    Window,
)
from hwbnn.graph.arrays import Array
from hwbnn.simulators import plain
from tests.graph.test_window import windows


def seen(x: Array, window: Window, i: int, j: int) -> dict[tuple[int, int], Array]:
    """The taps inside the image at one output position, and the channels that they see."""
    first = (
        i * window.stride[0] - window.padding[0],
        j * window.stride[1] - window.padding[2],
    )
    taps = {}
    for a, b in product(range(window.kernel[0]), range(window.kernel[1])):
        row, column = first[0] + a, first[1] + b
        if 0 <= row < window.size[0] and 0 <= column < window.size[1]:
            taps[a, b] = x[row, column]
    return taps


def conv2d(node: Conv2d, taps: dict[tuple[int, int], Array], bit: bool) -> list[int]:
    channels, rows, columns, depth = node.weights.shape
    found = []
    for c in range(channels):
        group = c // (channels // node.groups)
        dot = total = 0
        for a, b, k in product(range(rows), range(columns), range(depth)):
            term = node.pad
            if (a, b) in taps:
                term = int(taps[a, b][group * depth + k])
                term = 2 * term - 1 if bit else term
            dot += int(node.weights[c, a, b, k]) * term
            total += term
        both = node.scale is not None and node.offset is not None
        found.append(int(node.scale[c]) * dot + int(node.offset[c]) * total if both else dot)  # type: ignore[index]
    return found


def draw_source(data: st.DataObject, window: Window, channels: int) -> tuple[Input, Array]:
    shape = (*window.size, channels)
    bit = data.draw(st.booleans())
    source = Input.bits(shape) if bit else Input("x", shape, -4, 9)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    return source, rng.integers(source.low, source.high, (2, *shape), endpoint=True)


def run(source: Input, node: Node, x: Array) -> Array:
    found = plain.run(Graph((source, node, Output("y", node.name))), x)["y"]
    return found.astype(np.int64)


@given(windows(), st.data())
def test_a_convolution_is_what_its_words_say(window: Window, data: st.DataObject) -> None:
    groups, depth = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    channels = groups * data.draw(st.integers(1, 2))
    source, x = draw_source(data, window, groups * depth)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    weights: Array = rng.random((channels, *window.kernel, depth)) < 0.5
    kind = data.draw(st.sampled_from(["binary", "scaled", "ternary", "of 8 bits"]))
    if kind in ("ternary", "of 8 bits"):
        most = 1 if kind == "ternary" else 127
        weights = rng.integers(-most, most, weights.shape, endpoint=True)
    pad = data.draw(st.sampled_from([-1, 0, 1])) if source.bit else 0
    factors = tuple(rng.integers(-5, 6, (2, channels))) if kind == "scaled" else ()
    node = Conv2d("c", "x", weights, window.stride, window.padding, pad, groups, *factors)
    found = run(source, node, x)
    for n, i, j in np.ndindex(found.shape[:3]):
        assert found[n, i, j].tolist() == conv2d(node, seen(x[n], window, i, j), source.bit)


@given(windows(), st.data())
def test_pools_are_what_their_words_say(window: Window, data: st.DataObject) -> None:
    source, x = draw_source(data, window, 2)
    smallest = np.array([False, data.draw(st.booleans())])
    geometry = (window.kernel, window.stride, window.padding)
    best = run(source, MaxPool("p", "x", *geometry, smallest), x)
    sums = run(source, SumPool("p", "x", *geometry), x)
    for n, i, j in np.ndindex(best.shape[:3]):
        taps = np.array(list(seen(x[n], window, i, j).values()))
        ends = np.where(smallest, taps.min(axis=0), taps.max(axis=0))
        assert best[n, i, j].tolist() == ends.tolist()
        assert sums[n, i, j].tolist() == ((2 * taps - 1) if source.bit else taps).sum(0).tolist()


@pytest.mark.parametrize(("x", "y"), [(-5, -2), (-3, -1), (-1, 0), (0, 1), (1, 1), (2, 2), (9, 4)])
def test_a_rescale_rounds_halves_up_and_saturates(x: int, y: int) -> None:
    """(x + 1) / 2, rounded, at most 4; worked by hand."""
    one = np.ones(1, np.int64)
    node = Rescale("r", "x", one, one, one, -100, 4)
    assert run(Input("x", (1,), -9, 9), node, np.array([[x]])).tolist() == [[y]]


def test_a_rescale_has_two_slopes_and_a_bias_for_each_class() -> None:
    source = Input("x", (1, 2, 1), -9, 9)
    three, eight, zero = np.array([3]), np.array([8]), np.array([0])
    border_classes, bias = np.array([[0, 1]]), np.array([[100], [200]])
    node = Rescale("r", "x", three, bias, zero, -999, 999, eight, border_classes)
    x = np.array([[[[-2], [-2]]], [[[0], [5]]]])
    assert run(source, node, x).ravel().tolist() == [100 - 16, 200 - 16, 100, 215]


def test_a_rescale_of_large_products_does_not_overflow() -> None:
    source = Input("x", (1,), -(2**30), 2**30)
    node = Rescale(
        "r", "x", np.array([2**31 - 1]), np.array([2**60]), np.array([48]), -(2**20), 2**20
    )
    x = np.array([[-(2**30)], [2**30]])
    exact = [(int(v) * (2**31 - 1) + 2**60 + 2**47) >> 48 for v in x[:, 0]]
    assert run(source, node, x)[:, 0].tolist() == exact


def test_streams_add_and_get_channels_of_zero() -> None:
    x = np.arange(4).reshape(1, 1, 2, 2)
    source = Input("x", (1, 2, 2), 0, 9)
    padded = run(source, ChannelPad("p", "x", 1, 2), x)
    assert padded.tolist() == [[[[0, 0, 1, 0, 0], [0, 2, 3, 0, 0]]]]
    assert run(source, Add("a", "x", "x"), x).tolist() == (2 * x).tolist()
    one = Conv2d("c", "x", np.ones((1, 1, 1, 2), np.bool_))
    graph = Graph((source, one, Add("a", "c", "x"), Output("y", "a")))
    assert plain.run(graph, x)["y"].tolist() == [[[[1, 2], [7, 8]]]]


def test_thresholds_differ_by_class() -> None:
    source = Input("x", (1, 3, 1), 0, 9)
    border_classes = np.array([[0, 1, 0]])
    node = Threshold("t", "x", np.array([[[5]], [[2]]]), np.array([False]), border_classes)
    x = np.array([[[[2], [2], [5]]]])
    assert run(source, node, x).ravel().tolist() == [0, 1, 1]
