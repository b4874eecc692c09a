"""The fast simulator equals the plain one: every node, every edge of a word, a tile and a block."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import GraphError
from hwbnn.graph import (
    ArgMax,
    Dot,
    Flatten,
    Graph,
    Input,
    Lookup,
    Node,
    Output,
    Select,
    Threshold,
)
from hwbnn.simulators import fast, plain, simulate
from hwbnn.simulators.fast.kernels import LANES
from hwbnn.simulators.fast.steps import step
from tests.strategies import graphs, inputs, random_graph, random_inputs


def assert_same(graph: Graph, x: np.ndarray) -> None:
    expected, traced = plain.run(graph, x), fast.run(graph, x, trace=True)
    assert list(traced) == [node.name for node in graph.nodes]
    for name, value in traced.items():
        assert value.dtype == expected[name].dtype, name
        assert np.array_equal(value, expected[name]), name
    alone = fast.run(graph, x, trace=False)
    assert list(alone) == [graph.output.name]
    assert np.array_equal(alone[graph.output.name], expected[graph.output.name])


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("first", range(0, 400, 40))
def test_400_random_networks_agree_at_every_node(first: int, integers: bool) -> None:
    for seed in range(first, first + 40):
        graph = random_graph(seed, integer_weights=integers, based=integers)
        assert_same(graph, random_inputs(graph, 11, seed))


@given(st.data())
def test_any_network_agrees_at_every_node(data: st.DataObject) -> None:
    graph = data.draw(graphs(integer_weights=True, based=True))
    assert_same(graph, data.draw(inputs(graph, 7)))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (-3, 12)])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 130, 200])
def test_selected_bits_keep_their_places_whatever_runs_they_form(
    low: int, high: int, count: int
) -> None:
    rng = np.random.default_rng(count)
    node = Input.bits(200) if high == 1 else Input("x", (200,), low, high)
    x = rng.integers(low, high + 1, (40, 200))
    kept = np.sort(rng.permutation(200)[:count])
    blocks = np.concatenate([np.arange(first, first + 40) for first in (160, 0, 80, 120, 40)])
    for index in (kept, kept[::-1], rng.permutation(200)[:count], blocks[:count]):
        weights = rng.integers(0, 2, (9, count)).astype(np.bool_)
        select = Select("picked", "x", np.ascontiguousarray(index))
        nodes = (node, select, Dot("dot", "picked", weights), Output("y", "dot"))
        assert_same(Graph(nodes), x)


SEED = 24
"""A network of several layers whose output varies."""
WIDTHS = [1, 2, 3, 63, 64, 65, 127, 128, 129, 191, 192, 255, 256, 257, 320, 449, 1000]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("falling", [False, True])
def test_thresholds_at_and_over_the_ends_of_every_width(width: int, falling: bool) -> None:
    rng = np.random.default_rng(width)
    ends = [-width - 2, -width - 1, -width, -width + 1, width - 1, width, width + 1, width + 2]
    ends += [-(2**31) + 1, 2**31 - 1, 0, 1, -1]
    weights = np.resize(rng.random((3, width)) < 0.5, (len(ends), width))
    dot = Dot("d", "x", weights)
    cuts = Threshold("t", "d", np.array(ends)[:, None], np.full(len(ends), falling))
    graph = Graph((Input.bits(width), dot, cuts, Output("y", "t")))
    # Rows of weights and their inverse reach both ends of the range.
    x = np.concatenate([weights[:3], ~weights[:3], rng.random((20, width)) < 0.5])
    assert_same(graph, x)


RANGES = [(0, 255), (-128, 127), (0, 1), (-1, 0), (7, 7), (-9, -2), (0, 256), (-300, 70_000)]
RANGES += [(0, 2**31 - 1), (-(2**31) + 1, 2**31 - 1), (2**31 - 3, 2**31 - 1)]


@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("width", [1, 65])
def test_dots_over_integers_of_any_range(low: int, high: int, width: int) -> None:
    rng = np.random.default_rng(high % 1000)
    x = rng.integers(low, high, (300, width), endpoint=True)
    x[0], x[1] = low, high
    node = Input("x", (width,), low, high)
    if width * max(-low, high) >= 2**31:
        # Sums would leave 32 bits: compare first, so that wide values are read all the same.
        compare = Threshold("t", "x", rng.choice(x[:, 0], (width, 1)), rng.random(width) < 0.5)
        assert_same(Graph((node, compare, Output("y", "t"))), x)
        return
    dot = Dot("d", "x", rng.random((9, width)) < 0.5)
    cuts = Threshold("t", "d", x[:9, :1] * 3 // 2 % 2**31, np.arange(9) % 2 == 0)
    assert_same(Graph((node, dot, cuts, Output("y", "t"))), x)
    assert_same(Graph((node, dot, Output("y", "d"))), x)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-1, 0), (0, 255), (-3, 12), (7, 7), (-300, 70_000)]
)
@pytest.mark.parametrize("width", [1, 63, 64, 65, 200])
def test_scaled_dots_over_bits_and_integers(low: int, high: int, width: int) -> None:
    rng = np.random.default_rng(high + width)
    weights, factors = rng.random((9, width)) < 0.5, rng.integers(-99, 99, (2, 9))
    factors[:, 0], factors[0, 1], factors[1, 2] = 0, 0, 0
    dot, falling = Dot("d", "x", weights, *factors), np.arange(9) % 2 == 0
    x = rng.integers(low, high, (LANES + 20, width), endpoint=True)
    x[0], x[1] = low, high
    for node in (Input("x", (width,), low, high), Input.bits(width)):
        given = x > (low + high) // 2 if node.bit else x
        cuts = rng.choice(plain.run(Graph((node, dot, Output("y", "d"))), given)["y"], 9)
        threshold = Threshold("t", "d", cuts[:, :1], falling)
        assert_same(Graph((node, dot, threshold, Output("y", "t"))), given)
        assert_same(Graph((node, dot, ArgMax("best", "d"), Output("y", "best"))), given)


def test_faults_in_the_sum_of_the_inputs_are_seen() -> None:
    """An offset off by one, a sum without one input, and the sum of another sample."""
    rng = np.random.default_rng(0)
    weights, x = rng.random((4, 65)) < 0.5, rng.random((50, 65)) < 0.5
    scale, offset = np.full(4, 16), np.array([3, -3, 1, 0])

    def run(offset: Any) -> np.ndarray:
        graph = Graph((Input.bits(65), Dot("d", "x", weights, scale, offset), Output("y", "d")))
        found: np.ndarray = fast.run(graph, x)["y"]
        return found

    signs = np.where(x, 1, -1)
    products, totals = signs @ np.where(weights, 1, -1).T, signs.sum(axis=1)
    assert np.array_equal(run(offset), scale * products + np.outer(totals, offset))
    assert not np.array_equal(run(offset + 1), run(offset))
    for fault in (totals - signs[:, -1], np.roll(totals, 1)):
        assert not np.array_equal(run(offset), scale * products + np.outer(fault, offset))


@pytest.mark.parametrize(
    "dtype", [bool, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, int, np.uint64]
)
def test_every_type_of_integers_is_read_alike(dtype: type) -> None:
    high = 1 if dtype is bool else 100
    rng = np.random.default_rng(3)
    x = rng.integers(0, high, (50, 70), endpoint=True).astype(dtype)
    for low in (0, -3):
        node = Input("x", (70,), low, high)
        graph = Graph((node, Dot("d", "x", rng.random((9, 70)) < 0.5), Output("y", "d")))
        assert_same(graph, x)


@pytest.mark.parametrize("n", [0, 1, LANES - 1, LANES, LANES + 1, 16 * LANES, 2 * fast.SAMPLES + 7])
@pytest.mark.parametrize("threads", [None, 1, 2, 5])
def test_batches_and_threads_of_every_size(n: int, threads: int | None) -> None:
    graph = random_graph(SEED, max_width=70)
    x = random_inputs(graph, n, n)
    found = fast.Compiled(graph).run(x, threads)[graph.output.name]
    assert np.array_equal(found, plain.run(graph, x)[graph.output.name])


def test_a_value_larger_than_a_block_is_taken_in_single_tiles() -> None:
    rng = np.random.default_rng(0)
    dot = Dot("d", "x", rng.random((600, 20)) < 0.5)
    assert_same(Graph((Input.bits(20), dot, Output("y", "d"))), rng.random((1000, 20)) < 0.5)


def test_an_image_goes_through_multi_bit_and_table_layers() -> None:
    rng = np.random.default_rng(5)
    nodes: list[Any] = [
        Input.pixels((7, 10)),
        Flatten("flat", "x"),
        Dot("d", "flat", rng.random((6, 70)) < 0.5),
    ]
    d = Graph((*nodes, Output("y", "d"))).types["d"]
    nodes += [
        Threshold("t", "d", rng.integers(d.low, d.high, (6, 3)), rng.random(6) < 0.5),
        Dot("e", "t", rng.random((5, 6)) < 0.5),
    ]
    e = Graph((*nodes, Output("y", "e"))).types["e"]
    nodes += [
        Lookup("l", "e", rng.integers(0, 2, (5, e.count)), bit=True),
        Dot("f", "l", rng.random((4, 5)) < 0.5),
        Output("y", "f"),
    ]
    x = rng.integers(0, 256, (400, 7, 10), dtype=np.uint8)
    assert_same(Graph(tuple(nodes)), x)


def test_a_chain_of_a_thousand_layers_compiles() -> None:
    rng = np.random.default_rng(0)
    nodes: list[Node] = [Input.bits(5)]
    for i in range(1000):
        nodes.append(Dot(f"d{i}", nodes[-1].name, rng.random((5, 5)) < 0.5))
        nodes.append(Threshold(f"t{i}", f"d{i}", np.zeros((5, 1), int), rng.random(5) < 0.5))
    nodes.append(Output("y", nodes[-1].name))
    assert_same(Graph(tuple(nodes)), rng.random((9, 5)) < 0.5)


def test_compiled_graphs_run_in_several_threads_at_once() -> None:
    graph = random_graph(SEED, max_width=70)
    x = random_inputs(graph, 5000, 0)
    expected = plain.run(graph, x)[graph.output.name]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(fast.run, graph, x, False) for _ in range(8)]
        assert all(np.array_equal(run.result()[graph.output.name], expected) for run in runs)


def test_planted_faults_are_seen() -> None:
    """The comparison itself must be able to fail: one weight, one threshold, one direction."""
    rng = np.random.default_rng(0)
    weights, cuts, falling = rng.random((8, 65)) < 0.5, rng.integers(-9, 9, (8, 1)) * 2 + 1, False
    x = rng.random((2000, 65)) < 0.5

    def network(weights: Any, cuts: Any, falling: Any) -> Graph:
        threshold = Threshold("t", "d", cuts, np.full(8, falling))
        return Graph((Input.bits(65), Dot("d", "x", weights), threshold, Output("y", "t")))

    expected = plain.run(network(weights, cuts, falling), x)["y"]
    flipped, moved = weights.copy(), cuts.copy()
    flipped[7, 64] ^= True
    moved[0] += 2
    for fault in ((flipped, cuts, False), (weights, moved, False), (weights, cuts, True)):
        assert not np.array_equal(fast.run(network(*fault), x)["y"], expected)


def test_a_node_without_a_kernel_is_refused() -> None:
    class Foreign(Node):
        SOURCE_FIELDS = ()

    with pytest.raises(GraphError, match="'f': the fast simulator has no Foreign"):
        step(Foreign("f"), "words", Graph((Input.bits(1), Output("y", "x"))))


def test_integers_of_the_other_byte_order_are_read_alike() -> None:
    graph = random_graph(SEED, max_width=70)
    x = random_inputs(graph, 5, 1).astype(np.int32)
    swapped = x.astype(x.dtype.newbyteorder("S"))
    found = simulate(graph, swapped, engine="fast")
    assert np.array_equal(found, simulate(graph, x, engine="plain"))
