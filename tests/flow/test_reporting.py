"""Entries of reports from the results of other rooms."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from hwbnn.flow import reporting
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan, Unrolled
from hwbnn.report import Figure
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.verification import BackendResult
from tests.targets.hls_networks import images


def dense() -> Graph:
    rng = np.random.default_rng(4)
    return Graph(
        (
            Input.bits(24, "x"),
            Dot("d1", "x", rng.random((6, 24)) < 0.5),
            Threshold("t1", "d1", rng.integers(-4, 4, (6, 1)), rng.random(6) < 0.5),
            Dot("d2", "t1", rng.random((3, 6)) < 0.5),
            ArgMax("best", "d2"),
            Output("y", "best"),
        )
    )


@pytest.mark.parametrize("made", ["modules", "xc7"])
def test_the_latency_at_other_depths_is_that_of_cores_made_so(made: str) -> None:
    graph, delay = dense(), Figure(2.5, "ns", "yosys")
    plan = Plan(default=Unrolled(form=made), logic_levels_per_register=3)
    found = reporting.depths_of(graph, plan, delay)
    assert [each.logic_levels_per_register for each in found] == [1, 2, 3, 4, 6, 8]
    assert [each.logic_delay for each in found if each.is_chosen] == [delay]
    assert all(each.logic_delay is None for each in found if not each.is_chosen)
    for each in found[:3]:
        core = generate(
            graph,
            "rtl",
            Plan(
                default=Unrolled(form=made),
                logic_levels_per_register=each.logic_levels_per_register,
            ),
        )
        said = json.loads(core.text("core.json"))["cycles"]["latency"]
        assert said == each.latency.value


def test_depths_are_told_only_where_they_say_something() -> None:
    assert reporting.depths_of(dense(), Plan(), None)
    # One product a cycle has no levels; with windows the stages alone do not give the latency.
    assert reporting.depths_of(dense(), Plan(default=Folded(1, 1)), None) == ()
    assert reporting.depths_of(images(), Plan(), None) == ()


def test_a_rate_says_how_bits_were_counted() -> None:
    notes = {"popcount": "structural", "verilator": "5.48.0", "io": "io_stream"}
    ran = BackendResult("rtl", (), 20, 2.0, notes=notes)
    rate = reporting.backend(ran).rate
    assert rate is not None
    assert rate.value == 10
    assert rate.source == "timed on this machine, verilator 5.48.0, popcount structural"
    bare = reporting.backend(replace(ran, notes={})).rate
    assert bare is not None
    assert bare.source == "timed on this machine"


@pytest.mark.parametrize(
    ("part", "lut"), [("xc7a35tcpg236-1", 20_800), ("xc7z020clg400-1", 53_200), (None, None)]
)
def test_a_core_is_told_beside_the_part_that_was_stated(part: str | None, lut: int | None) -> None:
    plan = Plan(part=part, clock_ns=4.0)
    told = reporting.core("rtl", "d", plan, None, {"LUT": Figure(10_400, "LUT", "yosys")})
    assert told.part == plan.device
    assert told.clock == Figure(4.0, "ns", "asked for by the Plan")
    assert {name: there.value for name, there in told.available.items()}.get("LUT") == lut


def test_nodes_are_told_without_their_constants() -> None:
    told = reporting.nodes(dense())
    assert [(node.kind, node.sources, node.shape) for node in told[:3]] == [
        ("Input", (), (24,)),
        ("Dot", ("x",), (6,)),
        ("Threshold", ("d1",), (6,)),
    ]
    assert (told[1].weights, told[1].zeros, told[1].weight_bits) == (144, 0, 1)
    assert (told[2].thresholds, told[2].bit, told[2].width) == (1, True, 1)
    assert told[-1].meaning == "class"
    for node in reporting.nodes(images()):
        assert node.kind != "Conv2d" or (node.kernel and node.stride and node.groups >= 1)


def test_confusions_are_counted_by_correct_and_given_class() -> None:
    graph = dense()
    x = np.random.default_rng(2).random((50, 24)) < 0.5
    given = simulate(graph, x)[:, 0]
    classes = np.random.default_rng(3).integers(0, 3, 50)
    told = reporting.accuracy(graph, x, None, given, classes, "data")
    assert sum(map(sum, told.confusion)) == 50
    for i in range(3):
        for j in range(3):
            assert told.confusion[i][j] == ((classes == i) & (given == j)).sum()
    assert told.integer_graph.value == 2 * sum(told.confusion[i][i] for i in range(3))
