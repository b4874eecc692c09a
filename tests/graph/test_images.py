"""Types of convolutions, pools and streams: exact on tiny images, all inputs tried."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import GraphError
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
    ValueType,
    from_bytes,
    store,
    to_bytes,
)
from hwbnn.graph.arrays import Array
from hwbnn.simulators import simulate

BITS = np.ones((2, 3, 3, 1), np.bool_)
ONES = np.ones(2, np.int64)
IMAGE = Input("x", (4, 4, 2), -3, 5)


def network(source: Input, *nodes: Node) -> Graph:
    return Graph((source, *nodes, Output("y", nodes[-1].name)))


def everything(source: Input) -> np.ndarray[Any, Any]:
    size = int(np.prod(source.shape))
    rows = list(product(range(source.low, source.high + 1), repeat=size))
    return np.array(rows).reshape(-1, *source.shape)


def assert_exact(graph: Graph, name: str) -> None:
    """The type is the least that holds all results of all inputs."""
    value = simulate(graph, everything(graph.input), engine="plain", trace=True)[name]
    t = graph.types[name]
    assert value.shape[1:] == t.shape
    assert (int(value.min()), int(value.max())) == (t.low, t.high)
    assert t.bit or (np.gcd.reduce((value - t.low).ravel()) or 1) == t.step


@st.composite
def tiny_images(draw: st.DrawFn) -> Input:
    shape = draw(st.sampled_from([(1, 2, 2), (2, 2, 1), (3, 2, 1), (2, 1, 2)]))
    if draw(st.booleans()):
        return Input.bits(shape)
    low = draw(st.integers(-3, 3))
    return Input("x", shape, low, low + draw(st.integers(1, 2)))


@given(st.data())
def test_a_convolution_reaches_its_ends_and_nothing_off_its_lattice(data: st.DataObject) -> None:
    source = data.draw(tiny_images())
    groups = data.draw(st.sampled_from([1, source.shape[2]]))
    kernel = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    rows, columns = rng.integers(0, kernel[0], 2), rng.integers(0, kernel[1], 2)
    padding = (*rows.tolist(), *columns.tolist())
    if min(np.add(source.shape[:2], (rows.sum(), columns.sum())) - kernel) < 0:
        return
    channels = groups * data.draw(st.integers(1, 2))
    weights: Array = rng.random((channels, *kernel, source.shape[2] // groups)) < 0.5
    integers = data.draw(st.booleans())
    if integers:
        weights = rng.choice((-32767, -6, -3, -2, -1, 0, 0, 1, 4, 9, 128), weights.shape)
    pad = data.draw(st.sampled_from([-1, 0, 1] if source.bit else [0]))
    factors: tuple[Any, ...] = ()
    if not integers and data.draw(st.booleans()):
        factors = tuple(rng.integers(-3, 4, (2, channels)))
    node = Conv2d("node", "x", weights, (1, 1), padding, pad, groups, *factors)
    assert_exact(network(source, node), "node")


@given(tiny_images(), st.booleans())
def test_pools_reach_their_ends(source: Input, smallest: bool) -> None:
    kernel = (min(2, source.shape[0]), min(2, source.shape[1]))
    padding = (kernel[0] - 1, 0, 0, kernel[1] - 1)
    order = np.full(source.shape[2], smallest)
    assert_exact(network(source, MaxPool("node", "x", kernel, (1, 1), padding, order)), "node")
    assert_exact(network(source, SumPool("node", "x", kernel, (1, 1), padding)), "node")


@given(st.data())
def test_a_rescaled_value_reaches_its_ends(data: st.DataObject) -> None:
    low = data.draw(st.integers(-9, 5))
    source = Input("x", (1, 1, 1), low, low + data.draw(st.integers(0, 9)))
    factors = st.integers(-9, 9).map(lambda n: np.array([n]))
    shift = np.array([data.draw(st.integers(0, 3))])
    ends = sorted(data.draw(st.tuples(st.integers(-20, 20), st.integers(-20, 20))))
    negative = data.draw(st.none() | factors)
    node = Rescale(
        "node", "x", data.draw(factors), data.draw(factors), shift, ends[0], ends[1], negative
    )
    graph = network(source, node)
    value = simulate(graph, everything(source), engine="plain")
    t = graph.types["node"]
    assert (int(value.min()), int(value.max())) == (t.low, t.high)


def test_types_of_shortcuts() -> None:
    padded = ChannelPad("p", "x", 1, 2)
    graph = network(IMAGE, padded, Add("a", "p", "p"))
    assert graph.types["p"] == ValueType((4, 4, 5), -3, 5)
    assert graph.types["a"] == ValueType((4, 4, 5), -6, 10)
    one = Conv2d("c", "x", np.ones((1, 1, 1, 2), np.bool_))
    assert network(IMAGE, one, Add("a", "x", "c")).types["a"] == ValueType((4, 4, 2), -9, 15)
    even = network(Input("x", (1, 1, 1), 4, 8), ChannelPad("p", "x", 0, 1))
    assert even.types["p"] == ValueType((1, 1, 2), 0, 8)


PLACES = np.array([[0, 1, 1, 1]] * 4)
SAMPLES = (
    Conv2d("node", "x", BITS[..., [0, 0]], (2, 1), (1, 0, 2, 1), 0, 1, ONES, ONES),
    MaxPool("node", "x", (2, 3), (2, 2), (0, 1, 2, 0), np.array([True, False])),
    SumPool("node", "x", (4, 4), (1, 1)),
    Add("node", "x", "x"),
    Rescale("node", "x", ONES, np.array([[0, 1], [2, 3]]), ONES, -4, 4, ONES, PLACES),
    ChannelPad("node", "x", 1, 1),
    Threshold("node", "x", np.zeros((2, 2, 1), int), np.zeros(2, np.bool_), PLACES),
)


@pytest.mark.parametrize("node", SAMPLES, ids=lambda node: type(node).__name__)
def test_a_file_brings_them_back_and_says_its_format(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = network(IMAGE, node)
    data = to_bytes(graph)
    assert from_bytes(data) == graph
    assert to_bytes(from_bytes(data)) == data
    monkeypatch.setattr(store, "_format", lambda node: 2)
    with pytest.raises(GraphError, match=r"in format 2, which has none|expected the fields"):
        from_bytes(to_bytes(graph))


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "weights flat": (lambda: Conv2d("c", "x", BITS[0, 0]), r"'c': weights: .* 4-D"),
    "stride 0": (lambda: Conv2d("c", "x", BITS, (0, 1)), r"'c': stride: expected 2 integers from"),
    "stride text": (lambda: Conv2d("c", "x", BITS, "ab"), r"'c': stride: .* found 'ab'"),  # type: ignore[arg-type]
    "padding of 2": (lambda: Conv2d("c", "x", BITS, padding=(1, 1)), r"'c': padding: expected 4"),  # type: ignore[arg-type]
    "padding as wide as the kernel": (
        lambda: Conv2d("c", "x", BITS, padding=(0, 3, 0, 0)),
        r"'c': padding: expected less than the kernel of 3x3 on each side, found \(0, 3, 0, 0\)",
    ),
    "pad 2": (lambda: Conv2d("c", "x", BITS, pad=2), r"'c': pad: expected -1, 0 or 1, found 2"),
    "groups 3": (lambda: Conv2d("c", "x", BITS, groups=3), r"'c': groups: expected a divisor"),
    "depth": (
        lambda: network(IMAGE, Conv2d("c", "x", BITS)),
        r"'c': weights: expected a depth of 2 / 1 groups as its source has channels, found 1",
    ),
    "pad of integers": (
        lambda: network(IMAGE, Conv2d("c", "x", BITS, pad=1, groups=2)),
        r"'c': pad: expected 0 for a source of integers, found 1",
    ),
    "no image": (
        lambda: network(Input("x", (4,), 0, 1), MaxPool("p", "x", (1, 1), (1, 1))),
        r"'p': expected an image \(height, width, channels\), found shape \(4,\)",
    ),
    "too large a window": (
        lambda: network(IMAGE, SumPool("p", "x", (5, 2), (1, 1))),
        r"'p': the window of 5x2 does not fit the image of 4x4 with padding",
    ),
    "absurd window": (
        lambda: network(IMAGE, MaxPool("p", "x", (10**9, 1), (1, 1), (10**9 - 1, 0, 0, 0))),
        r"'p': expected an image of at most 4096 .* of at most 64",
    ),
    "smallest of 3": (
        lambda: network(IMAGE, MaxPool("p", "x", (1, 1), (1, 1), smallest=np.ones(3, np.bool_))),
        r"'p': smallest: expected length 2",
    ),
    "add of bits": (
        lambda: network(Input.bits((1, 1, 1)), Add("a", "x", "x")),
        r"'a': expected integers, found bits",
    ),
    "add of shapes": (
        lambda: network(IMAGE, SumPool("p", "x", (2, 2), (2, 2)), Add("a", "x", "p")),
        r"'a': expected two values of one shape, .* found \(4, 4, 2\) and \(2, 2, 2\)",
    ),
    "shift 49": (
        lambda: Rescale("r", "x", ONES, ONES, 49 * ONES, 0, 1),
        r"'r': shift: expected 0 to 48, found 49 to 49",
    ),
    "low above high": (lambda: Rescale("r", "x", ONES, ONES, ONES, 2, 1), r"'r': low 2 is above"),
    "products": (
        lambda: network(IMAGE, Rescale("r", "x", ONES, (ONES << 62) - 1, ONES, 0, 1)),
        r"'r': its products reach 2\^62",
    ),
    "bias of 3": (
        lambda: Rescale("r", "x", ONES, np.ones(3, int), ONES, 0, 1),
        r"'r': bias: expected 2 channels as in multiplier, found 3",
    ),
    "border_classes beyond": (
        lambda: Rescale("r", "x", ONES, ONES[None], ONES, 0, 1, None, np.array([[0, 1]])),
        r"'r': border_classes: expected classes from 0 to 0, found 0 to 1",
    ),
    "border_classes of another image": (
        lambda: network(IMAGE, Threshold("t", "x", np.zeros((2, 2, 1), int), ONES > 1, PLACES[:3])),
        r"'t': border_classes: expected the shape \(4, 4\) .* found \(3, 4\)",
    ),
    "no channel padded": (lambda: ChannelPad("p", "x", 0, 0), r"'p': expected before and after"),
    "many channels": (
        lambda: network(IMAGE, ChannelPad("p", "x", 0, 1 << 30)),
        r"'p': makes 17179869216 elements, more than 2\^24",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_by_name(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(GraphError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
