"""Circuits: their shape, their constants (computed through, block by block) and their refusals."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import PlanError
from hwbnn.graph import ArgMax, Dot, Flatten, Graph, Input, Lookup, Output, Threshold
from hwbnn.plan import Folded, Plan, Unrolled, blocks, circuit, product_stages
from hwbnn.plan.stages import AxisIn, AxisOut, Narrow, Pipeline, Widen
from hwbnn.simulators import simulate
from tests.plan.through import through
from tests.strategies import graphs, inputs, plans, random_graph, random_plan


@given(st.data())
def test_blocks_compute_every_value(data):
    integers = data.draw(st.booleans())
    graph = data.draw(graphs(max_width=40, integer_weights=integers, based=integers))
    made = circuit(graph, data.draw(plans(graph)))
    x = data.draw(inputs(graph, 6))
    values = simulate(graph, x, trace=True)
    now = values[graph.input.name].reshape(len(x), -1).astype(np.int64)
    for block in made.blocks:
        now = through(block, now).astype(np.int64)
        assert now.shape[1] == block.result.size
        low, high = (-(1 << (block.result.width - 1)), 1 << (block.result.width - 1))
        low, high = (low, high) if block.result.signed else (0, 1 << block.result.width)
        assert low <= now.min()
        assert now.max() < high
        if block.value is not None:
            assert np.array_equal(now, values[block.value].reshape(len(x), -1))
    assert np.array_equal(now, values[graph.output.name].reshape(len(x), -1))


def same(given, taken):
    """Whether tokens are the same; where vectors begin with their own, lanes divide them."""
    return given.in_vectors(None) == taken.in_vectors(None) and given.tokens == taken.tokens


@given(st.data())
def test_stages_fit_and_every_value_is_seen_or_fused(data):
    integers = data.draw(st.booleans())
    graph = data.draw(graphs(integer_weights=integers, based=integers))
    plan = data.draw(plans(graph))
    made = circuit(graph, plan)
    assert isinstance(made.stages[0], AxisIn)
    assert isinstance(made.stages[-1], AxisOut)
    for before, after in pairwise(made.stages):
        assert same(before.result, after.source)
    for segment in made.pipelines:
        assert segment.credits >= 1
        for before, after in pairwise(segment.blocks):
            assert before.result == after.source
    names = {node.name for node in graph.nodes}
    assert made.taps.keys() | made.fused.keys() == names
    assert not made.taps.keys() & made.fused.keys()
    for name, tap in made.taps.items():
        assert (tap.stream.size, tap.stream.width) == (graph.types[name].size, tap.type.width)
    if not plan.fuse:
        assert not made.fused
    resized = [s for s in made.stages if isinstance(s, Widen | Narrow)]
    assert all(1 < s.ratio <= max(s.source.lanes, s.result.lanes) for s in resized)


def test_consecutive_unrolled_layers_share_one_pipeline():
    made = circuit(
        chain(64, 32, 16, 4), Plan(input_beat=64, output_beat=8, logic_levels_per_register=2)
    )
    kinds = [type(stage) for stage in made.stages]
    assert kinds == [AxisIn, Pipeline, Narrow, AxisOut]
    # 64 inputs: 11 groups, 1 + 4 levels, 3 registers, and 1 to compare; 32: 1 + 3 levels, 2 + 1;
    # 16: 1 + 2 levels, 2 registers, and 1 for the values.
    assert made.pipelines[0].latency == (3 + 1) + (2 + 1) + (2 + 1)
    # A cycle each in the input's FIFO, the pipeline's and the resizer; then 3 beats more.
    assert made.latency == 1 + 10 + 1 + 1 + 3


def chain(*widths):
    """Bits through layers with thresholds between them; the last layer's sums leave."""
    rng = np.random.default_rng(1)
    nodes = [Input.bits(widths[0])]
    for i, (n, m) in enumerate(pairwise(widths)):
        nodes.append(Dot(f"fc{i}", nodes[-1].name, rng.random((m, n)) < 0.5))
        if i < len(widths) - 2:
            cuts, falling = rng.integers(-5, 5, (m, 1)), rng.random(m) < 0.5
            nodes.append(Threshold(f"act{i}", nodes[-1].name, cuts, falling))
    return Graph((*nodes, Output("y", nodes[-1].name)))


def test_sums_that_both_sides_of_a_fused_threshold_read_are_not_fused():
    graph = chain(8, 4, 2)
    assert circuit(graph, Plan()).fused == {"fc0": "act0"}
    assert circuit(graph, Plan(fuse=False)).fused == {}


def test_flatten_is_another_name_for_its_source():
    nodes = (Input.bits((2, 3)), Flatten("flat", "x"), Flatten("flatter", "flat"))
    made = circuit(Graph((*nodes, Output("y", "flatter"))), Plan())
    assert made.taps["flat"].alias == made.taps["flatter"].alias == "x"
    assert made.taps["flat"].signal == made.taps["x"].signal


def test_same_arguments_give_the_same_circuit():
    for seed in range(5):
        graph = random_graph(seed)
        plan = random_plan(seed, graph)
        one, two = circuit(graph, plan), circuit(graph, plan)
        assert [s.name for s in one.stages] == [s.name for s in two.stages]
        assert (one.latency, one.interval, one.taps) == (two.latency, two.interval, two.taps)


def test_argmax_takes_one_credit_a_frame():
    scores = chain(16, 10).nodes[:-1]
    graph = Graph((*scores, ArgMax("best", "fc0"), Output("y", "best")))
    made = circuit(graph, Plan(default=Folded(2, 4)))
    (segment,) = made.pipelines
    assert segment.reduces
    assert segment.result.tokens == 1
    assert segment.head.passes == 5


@pytest.mark.parametrize(
    ("graph", "plan", "message"),
    [
        (chain(8, 4), Plan({"fc9": Unrolled()}), "'fc9' is no Dot"),
        (
            chain(400, 4),
            Plan(output_beat=8),
            "output_beat 8 is narrower than an element of 'y', which has 10 bits; take at least 16",
        ),
        (
            Graph((Input("x", (4,), 0, 1000), Output("y", "x"))),
            Plan(input_beat=8, output_beat=16),
            "input_beat 8 is narrower than an element of 'x', which has 10 bits; take at least 16",
        ),
    ],
)
def test_plans_that_do_not_fit_are_refused_in_one_line(graph, plan, message):
    with pytest.raises(PlanError) as refused:
        circuit(graph, plan)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_tables_of_sums_over_even_and_odd_numbers_of_bits():
    for n in (4, 5):
        nodes = (Input.bits(n), Dot("fc", "x", np.eye(2, n, dtype=bool)))
        t = Graph((*nodes, Output("y", "fc"))).types["fc"]
        table = np.arange(2 * t.count).reshape(2, t.count)
        graph = Graph((*nodes, Lookup("rank", "fc", table), Output("y", "rank")))
        (lookup,) = (b for b in circuit(graph, Plan()).blocks if isinstance(b, blocks.LookupBlock))
        assert (lookup.shift, lookup.step, lookup.low, lookup.latency) == (1, 1, t.low, 1)
        assert np.array_equal(lookup.table, table)


@pytest.mark.parametrize(("scale", "spacing"), [(3, (0, 3)), (12, (2, 3)), (20, (2, 5))])
def test_tables_have_no_entries_between_sums_that_are_far_apart(scale, spacing):
    dot = Dot("fc", "x", np.ones((1, 30), bool), np.array([scale]), np.array([0]))
    input = Input("x", (30,), 0, 9)
    t = Graph((input, dot, Output("y", "fc"))).types["fc"]
    table = np.arange(t.count)[None] % 200
    graph = Graph((input, dot, Lookup("rank", "fc", table), Output("y", "rank")))
    (lookup,) = (b for b in circuit(graph, Plan()).blocks if isinstance(b, blocks.LookupBlock))
    assert (lookup.shift, lookup.step) == spacing
    assert lookup.table.shape == (1, 271)
    differences = np.arange(t.low, t.high + 1, t.step) - t.low
    assert np.array_equal((differences >> lookup.shift) * lookup.inverse % 512, np.arange(271))
    assert lookup.latency == 2


def test_thresholds_behind_products_of_integers_are_kept_for_the_next_circuit():
    """Searches lay a layer out again and again: its constants are computed once."""
    rng = np.random.default_rng(4)
    graph = Graph(
        (
            Input("x", (12,), 0, 255),
            Dot("d", "x", rng.integers(-90, 91, (6, 12))),
            Threshold("t", "d", np.zeros((6, 1), int), np.zeros(6, np.bool_)),
            Output("y", "t"),
        )
    )
    plan = Plan({"d": Folded(2, 3)})
    circuit(graph, plan)
    before = product_stages._fused.cache_info()
    circuit(graph, plan)
    after = product_stages._fused.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)
    # With products in LUTs raw sums begin elsewhere.
    circuit(graph, Plan({"d": Folded(2, 3, multipliers="luts")}))
    assert product_stages._fused.cache_info().misses == before.misses + 1


def test_a_plan_that_nobody_gave_has_beats_that_hold_an_element() -> None:
    nodes = (Input("x", (2,), 0, 700), Dot("d", "x", np.ones((2, 2), np.int16)), Output("y", "d"))
    graph = Graph(nodes)
    with pytest.raises(PlanError, match="take at least 16"):
        circuit(graph, Plan())
    plan = Plan.default_of(graph)
    assert (plan.input_beat, plan.output_beat) == (64, 16)
    circuit(graph, plan)
    assert Plan(output_beat=8).with_wide_beats(graph, ["input_beat"]).output_beat == 8
    assert Plan(output_beat=64).with_wide_beats(graph).output_beat == 64
