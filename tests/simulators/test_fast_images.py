"""The fast simulator equals the plain one on convolutions, pools and shortcuts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwbnn.graph import (
    Add,
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
from hwbnn.simulators import fast, plain
from tests.conv_strategies import conv_graphs, random_conv_graph
from tests.simulators.test_fast import assert_same
from tests.strategies import inputs, random_inputs


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("first", range(0, 200, 40))
def test_200_random_networks_agree_at_every_node(first: int, integers: bool) -> None:
    for seed in range(first, first + 40):
        graph = random_conv_graph(seed, integer_weights=integers, based=integers)
        assert_same(graph, random_inputs(graph, 11, seed))


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_networks_of_values_side_by_side_agree_at_every_node(first: int) -> None:
    for seed in range(first, first + 20):
        wide = {} if seed % 5 else {"max_side": 4, "max_channels": 130, "max_width": 130}
        graph = random_conv_graph(seed, concat=True, integer_weights=bool(seed % 2), **wide)
        assert_same(graph, random_inputs(graph, 11, seed))


@pytest.mark.parametrize("seed", range(2000, 2030))
def test_networks_of_several_words_a_pixel_agree(seed: int) -> None:
    graph = random_conv_graph(seed, max_side=5, max_channels=130, max_width=130)
    assert_same(graph, random_inputs(graph, 5, seed))


@given(st.data())
def test_any_network_agrees_at_every_node(data: st.DataObject) -> None:
    graph = data.draw(conv_graphs(integer_weights=True, based=True))
    assert_same(graph, data.draw(inputs(graph, 7)))


def chain(*nodes: Node) -> Graph:
    return Graph((*nodes, Output("y", nodes[-1].name)))


def thresholded(*nodes: Node, seed: int = 0) -> Graph:
    """A chain and a threshold of its sums near their middle, with rising and falling channels."""
    rng, t = np.random.default_rng(seed), chain(*nodes).types["y"]
    middle, spread = (t.low + t.high) // 2, max(1, int((t.high - t.low) ** 0.5))
    cuts = middle + rng.integers(-spread, spread, (t.channels, 1), endpoint=True)
    falling = rng.random(t.channels) < 0.5
    return chain(*nodes, Threshold("sign", nodes[-1].name, cuts, falling))


def batch(graph: Graph, n: int = 40) -> NDArray[Any]:
    return random_inputs(graph, n, 1)


@pytest.mark.parametrize("channels", [1, 3, 63, 64, 65, 128])
@pytest.mark.parametrize("outputs", [1, 5, 63, 64, 65])
def test_pixels_at_the_edges_of_words(channels: int, outputs: int) -> None:
    rng = np.random.default_rng(channels * outputs)
    weights = rng.random((outputs, 3, 2, channels)) < 0.5
    for pad in (-1, 0, 1):
        conv = Conv2d("conv", "x", weights, (1, 2), (1, 2, 0, 1), pad)
        graph = thresholded(Input.bits((4, 5, channels)), conv)
        assert_same(graph, batch(graph))
        assert_same(chain(*graph.nodes[:2]), batch(graph))


@pytest.mark.parametrize("groups", [1, 2, 6, 66])
def test_groups_down_to_single_channels(groups: int) -> None:
    rng = np.random.default_rng(groups)
    weights = rng.random((132, 3, 3, 66 // groups)) < 0.5
    conv = Conv2d("conv", "x", weights, padding=(1, 1, 1, 1), groups=groups)
    for node in (Input.bits((3, 4, 66)), Input("x", (3, 4, 66), -5, 9)):
        graph = thresholded(node, conv)
        assert_same(graph, batch(graph))


def test_a_group_of_half_a_word_is_not_the_whole_value() -> None:
    weights = np.random.default_rng(0).random((2, 1, 1, 32)) < 0.5
    graph = chain(Input.bits((1, 1, 64)), Conv2d("conv", "x", weights, groups=2))
    assert_same(graph, batch(graph))


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-128, 127), (7, 7), (-3, 12), (3, 70_000)])
@pytest.mark.parametrize("scaled", [False, True])
def test_integers_with_zeros_outside(low: int, high: int, scaled: bool) -> None:
    rng = np.random.default_rng(high)
    weights, factors = rng.random((9, 3, 3, 3)) < 0.5, rng.integers(-50, 50, (2, 9))
    conv = Conv2d("conv", "x", weights, (2, 1), (2, 1, 0, 2), 0, 1, *(factors if scaled else ()))
    graph = thresholded(Input("x", (5, 6, 3), low, high), conv)
    assert_same(graph, batch(graph))


def is_short(graph: Graph) -> bool:
    """Whether the first layer's pixels are added in 16 bits."""
    forms = {slot.form for slot, _ in fast.Compiled(graph)._steps if slot.value == "x"}
    assert forms in ({"shorts"}, {"words"})
    return forms == {"shorts"}


@pytest.mark.parametrize("outputs", [1, 15, 16, 17, 64, 80, 130])
@pytest.mark.parametrize(("size", "depth"), [(1, 1), (1, 3), (3, 3), (2, 16), (8, 1)])
def test_small_windows_of_pixels_with_all_channels_and_taps(
    outputs: int, size: int, depth: int
) -> None:
    rng = np.random.default_rng(outputs * size)
    edge = min(1, size - 1)
    weights = rng.random((outputs, size, size, depth)) < 0.5
    conv = Conv2d("conv", "x", weights, padding=(edge, 0, 0, edge))
    graph = thresholded(Input.pixels((9, 8, depth)), conv)
    assert is_short(graph) or outputs < 4
    assert_same(graph, batch(graph))


def test_sums_at_the_ends_of_16_bits_and_thresholds_beyond() -> None:
    signs = np.array([True, False] * 6)[:, None, None, None]
    weights = np.broadcast_to(signs, (12, 8, 8, 1)).copy()
    most = 64 * 255
    cuts = np.array([most, most + 1, -most, -most - 1, 2**31 - 1, 1 - 2**31] * 2)[:, None]
    sign = Threshold("sign", "conv", np.roll(cuts, 1, axis=0), np.arange(12) >= 6)
    graph = chain(Input.pixels((8, 9, 1)), Conv2d("conv", "x", weights), sign)
    assert is_short(graph)
    x = np.stack([np.full((8, 9, 1), pixel) for pixel in (0, 1, 254, 255)])
    assert_same(graph, x)
    wider = np.broadcast_to(signs, (12, 5, 13, 1)).copy()  # one tap more
    assert not is_short(chain(Input.pixels((8, 13, 1)), Conv2d("conv", "x", wider), sign))


@pytest.mark.parametrize("pad", [-1, 0, 1])
def test_factors_count_what_lies_outside(pad: int) -> None:
    rng = np.random.default_rng(pad + 1)
    factors = rng.integers(-50, 50, (2, 6))
    conv = Conv2d("conv", "x", rng.random((6, 3, 3, 4)) < 0.5, (1, 1), (1,) * 4, pad, 2, *factors)
    graph = thresholded(Input.bits((4, 4, 8)), conv)
    assert_same(graph, batch(graph))


def test_thresholds_by_place_meet_the_classes_of_the_border() -> None:
    rng = np.random.default_rng(0)
    conv = Conv2d("conv", "x", rng.random((5, 3, 3, 2)) < 0.5, padding=(1, 1, 1, 1))
    for border_classes in (
        Window((4, 5), (3, 3), padding=(1,) * 4).border_classes,
        rng.integers(0, 3, (4, 5)),
    ):
        cuts = rng.integers(-6, 6, (int(border_classes.max()) + 1, 5, 1))
        sign = Threshold("sign", "conv", cuts, rng.random(5) < 0.5, border_classes)
        graph = chain(Input.bits((4, 5, 2)), conv, sign)
        assert_same(graph, batch(graph))


@pytest.mark.parametrize("channels", [1, 63, 64, 65])
@pytest.mark.parametrize("bits", [False, True])
def test_pools_of_bits_and_integers(channels: int, bits: bool) -> None:
    smallest = np.random.default_rng(channels).random(channels) < 0.5
    shape = (5, 6, channels)
    node = Input.bits(shape) if bits else Input("x", shape, -(2**31) + 1, 2**31 - 1)
    small = Input.bits(shape) if bits else Input("x", shape, -9, 200)
    for window in (((2, 2), (2, 2)), ((3, 3), (2, 1), (1, 2, 0, 1)), ((1, 1), (2, 2))):
        for turned in (None, smallest):
            padding = window[2] if len(window) == 3 else (0, 0, 0, 0)
            pool = MaxPool("pool", "x", window[0], window[1], padding, turned)
            assert_same(chain(node, pool), batch(chain(node, pool)))
        graph = chain(small, SumPool("pool", "x", *window))
        assert_same(graph, batch(graph))


def test_rescale_holds_large_products_and_rounds_halves_up() -> None:
    t = Input("x", (2, 2, 3), -(2**31) + 1, 2**31 - 1)
    m, shift = np.array([2**29, -(2**29), 3]), np.array([48, 20, 0])
    bias, ends = np.array([5, 2**61, -7]), (-(2**31) + 1, 2**31 - 1)
    graph = chain(t, Rescale("r", "x", m, bias, shift, *ends, np.array([-1, 2**29, 0])))
    assert_same(graph, batch(graph))
    halves = chain(Input("x", (1,), -9, 9), Rescale("r", "x", *np.array([[1], [0], [1]]), -9, 9))
    assert fast.run(halves, np.array([[-3], [-1], [1], [3]]))["y"][:, 0].tolist() == [-1, 0, 1, 2]


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 500])
def test_batches_of_every_size(n: int) -> None:
    graph = random_conv_graph(7)
    assert_same(graph, random_inputs(graph, n, n))


def test_sums_that_several_nodes_read() -> None:
    rng = np.random.default_rng(0)
    conv = Conv2d("conv", "x", rng.random((4, 3, 3, 2)) < 0.5)
    graph = chain(
        *(Input.bits((5, 5, 2)), conv),
        Threshold("sign", "conv", rng.integers(-4, 4, (4, 1)), rng.random(4) < 0.5),
        Conv2d("point", "sign", rng.random((4, 1, 1, 4)) < 0.5),
        Add("add", "point", "conv"),
    )
    assert_same(graph, batch(graph))


def test_memory_of_values_that_are_read_no_more_is_used_again() -> None:
    rng = np.random.default_rng(0)
    nodes: list[Node] = [Input.bits((8, 8, 64))]
    for i in range(12):
        weights = rng.random((64, 3, 3, 64)) < 0.5
        nodes.append(Conv2d(f"conv_{i}", nodes[-1].name, weights, padding=(1, 1, 1, 1)))
        cuts = rng.integers(-20, 20, (64, 1))
        nodes.append(Threshold(f"sign_{i}", nodes[-1].name, cuts, rng.random(64) < 0.5))
    graph = chain(*nodes)
    assert_same(graph, batch(graph, 3))
    assert fast.Compiled(graph).sample_bytes == 2 * 8 * 8 * 8  # two values of 64 words


def test_planted_faults_are_seen() -> None:
    """Windows shifted by one, a wrong number outside, OR for AND."""
    rng = np.random.default_rng(0)
    weights, cuts = rng.random((8, 3, 3, 5)) < 0.5, rng.integers(-6, 6, (8, 1))
    falling, smallest = rng.random(8) < 0.5, rng.random(8) < 0.5
    x = rng.random((500, 6, 6, 5)) < 0.5

    def run(engine: Any, padding: Any = (1, 1, 1, 1), pad: int = 0, turned: Any = smallest) -> Any:
        conv = Conv2d("conv", "x", weights, (1, 1), padding, pad)
        sign, pool = Threshold("sign", "conv", cuts, falling), ("pool", "sign", (2, 2), (2, 2))
        graph = chain(Input.bits((6, 6, 5)), conv, sign, MaxPool(*pool, smallest=turned))
        return engine.run(graph, x, False)["y"]

    expected = run(plain)
    assert np.array_equal(run(fast), expected)
    for fault in (
        {"padding": (2, 0, 1, 1)},
        {"padding": (1, 1, 0, 2)},
        {"pad": -1},
        {"pad": 1},
        {"turned": ~smallest},
        {"turned": None},
    ):
        assert not np.array_equal(run(fast, **fault), expected), fault


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-128, 127), (-9, -2), (0, 1)])
@pytest.mark.parametrize("outputs", [1, 15, 16, 17, 65])
def test_small_windows_of_integers_and_thresholds_at_their_ends(
    low: int, high: int, outputs: int
) -> None:
    """These are added in 16 bits; weights of one sign only, and as many of both, are among them."""
    rng = np.random.default_rng(outputs)
    weights = rng.random((outputs, 2, 3, 4)) < rng.random((outputs, 1, 1, 1))
    weights[0], weights[-1] = True, False
    node, conv = (
        Input("x", (3, 4, 4), low, high),
        Conv2d("conv", "x", weights, padding=(1, 0, 2, 1)),
    )
    ends = 24 * max(abs(low), abs(high))
    cuts = rng.choice([-(2**31) + 1, -ends - 1, -ends, 0, 1, ends, ends + 1, 2**31 - 1], outputs)
    x = batch(chain(node, conv), 64)
    sums = plain.run(chain(node, conv), x)["conv"].reshape(-1, outputs)
    cuts = np.where(rng.random(outputs) < 0.5, cuts, sums[rng.integers(len(sums))])
    sign = Threshold("sign", "conv", cuts[:, None], rng.random(outputs) < 0.5)
    assert_same(chain(node, conv, sign), x)


@pytest.mark.parametrize("kind", [SumPool, MaxPool])
@pytest.mark.parametrize(("channels", "bit"), [(1, True), (3, True), (1, False), (3, False)])
def test_pools_read_every_element_of_an_image(kind: type[Node], channels: int, bit: bool) -> None:
    """25 bits in one word, fewer than samples; 75, whose windows begin in two words; integers."""
    pool = kind("pool", "x", (2, 2), (1, 1))  # type: ignore[call-arg]
    given = Input("x", (5, 5, channels), 0, 1 if bit else 9, bit=bit)
    graph = Graph((given, pool, Output("y", "pool")))
    rng = np.random.default_rng(5)
    shape = (70, 5, 5, channels)
    assert_same(graph, rng.random(shape) < 0.3 if bit else rng.integers(0, 10, shape))
