"""Layers that are netlists: in all forms they compute what the modules compute."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from hwbnn.errors import Mismatch, PlanError
from hwbnn.estimate.area import area
from hwbnn.flow import reporting
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Select, Threshold
from hwbnn.netlists import prove_thresholds, thresholds
from hwbnn.netlists.cells import carries
from hwbnn.plan import Plan, Unrolled, blocks, circuit, products
from hwbnn.report import Report
from hwbnn.report import text as report_text
from hwbnn.targets import generate
from hwbnn.tools.yosys import synth
from hwbnn.verification import verify


def network(x, seed=5, factors=()):
    rng = np.random.default_rng(seed)
    high = 40 * max(abs(x.low), abs(x.high)) // 5
    return Graph(
        (
            x,
            Dot("d1", "x", rng.integers(0, 2, (12, 40)).astype(np.bool_), *factors),
            Threshold("t1", "d1", rng.integers(-high, high, (12, 1)), rng.integers(0, 2, 12) > 0),
            Dot("d2", "t1", rng.integers(0, 2, (5, 12)).astype(np.bool_)),
            ArgMax("best", "d2"),
            Output("y", "best"),
        )
    )


BITS, NUMBERS = Input.bits(40, "x"), Input("x", (40,), -8, 7)
OFFSETS = np.array([8, 8, 8, 8, -8, 8, 8, 1, 0, 6, -5, 8]), np.array([*range(-6, 5), 0])
"""Scale and offset of the first sums: powers of two and fractions of them as in AdaBin, others."""


@pytest.mark.hardware
@pytest.mark.parametrize(
    ("x", "made", "popcount", "factors"),
    [
        (BITS, "portable", "structural", ()),
        (BITS, "xcup", "structural", OFFSETS),
        (NUMBERS, "xc7", "structural", ()),
        (NUMBERS, "xc7", "behavioural", ()),
        (NUMBERS, "xc7", "structural", OFFSETS),
        (NUMBERS, "xc7", "behavioural", OFFSETS),
    ],
)
def test_cores_with_netlists_compute_every_value_in_the_cycles_foreseen(x, made, popcount, factors):
    graph = network(x, factors=factors)
    rng = np.random.default_rng(6)
    t = graph.types["x"]
    frames = (
        rng.integers(0, 2, (24, 40)) > 0 if t.bit else rng.integers(t.low, t.high + 1, (24, 40))
    )
    project = generate(graph, "rtl", Plan(default=Unrolled(form=made)))
    found = verify(project, frames, backends=("rtl-icarus",), popcount=popcount)
    backend = found.backends[-1]
    assert {"t1", "best"} <= {node.value for node in backend.nodes}
    assert all(node.mismatches == 0 for node in backend.nodes)


def known(select):
    """A network whose second layer has constant and equal inputs, and some that share a sum."""
    rng = np.random.default_rng(8)
    weights = rng.integers(0, 2, (12, 40)) > 0
    weights[3], weights[4] = weights[2], ~weights[2]
    cuts = rng.integers(-4, 4, (12, 1))
    cuts[2:5], cuts[5], cuts[6] = [[3], [3], [-2]], -99, 99
    falling = np.zeros(12, np.bool_)
    nodes = [BITS, Dot("d1", "x", weights), Threshold("t1", "d1", cuts, falling)]
    if select:
        nodes.append(Select("s1", "t1", np.array([6, 4, 3, 2, 5, 0, 11, 1])))
    count = nodes[-1].index.size if select else 12
    nodes += [
        Dot("d2", nodes[-1].name, rng.integers(0, 2, (5, count)) > 0),
        Threshold("t2", "d2", np.zeros((5, 1), np.int64), np.array([1, 0, 0, 1, 0]) > 0),
        Dot("d3", "t2", rng.integers(0, 2, (3, 5)) > 0),
        ArgMax("best", "d3"),
        Output("y", "best"),
    ]
    return Graph(tuple(nodes))


@pytest.mark.hardware
@pytest.mark.parametrize("select", [False, True])
def test_a_netlist_relies_on_what_the_one_in_front_of_it_never_gives(select):
    graph = known(select)
    plan = Plan(default=Unrolled(form="xc7"))
    netlists = [b for b in circuit(graph, plan).blocks if isinstance(b, products.DotNetlist)]
    second = netlists[1]
    given = netlists[0].netlist.outputs
    drivers = [given[i] for i in graph.node("s1").index] if select else given
    assert second.netlist == thresholds(second.weights, second.wanted, drivers=drivers)
    prove_thresholds(second.netlist, second.weights, second.wanted, drivers=second.drivers)
    with pytest.raises(Mismatch, match="netlist"):
        prove_thresholds(second.netlist, second.weights, second.wanted)
    text = generate(graph, "rtl", plan).text("rtl/hwbnn_net_d2.sv")
    assert "relies on constant and equal bits" in text
    assert second.netlist.luts < thresholds(second.weights, second.wanted).luts
    frames = np.random.default_rng(9).integers(0, 2, (64, 40)) > 0
    found = verify(
        generate(graph, "rtl", plan), frames, backends=("rtl-icarus",), popcount="structural"
    )
    assert found.ok
    assert {"t1", "t2"} <= {node.value for node in found.backends[-1].nodes}


@pytest.mark.hardware
def test_the_netlist_runs_beside_its_model_and_a_broken_one_is_caught(tmp_path):
    graph = network(BITS)
    frames = np.random.default_rng(7).integers(0, 2, (30, 40)) > 0
    project = generate(graph, "rtl", Plan(default=Unrolled(form="xc7"), input_beat=40))
    found = verify(project, frames, backends=("rtl",), folder=tmp_path)
    assert found.ok
    models, netlists = "models that count ones in their place", "the netlists themselves"
    assert [
        (backend.name, backend.notes["popcount"], backend.ran, backend.frames)
        for backend in found.backends
    ] == [
        ("rtl", "behavioural", models, 30),
        ("rtl, stalled", "behavioural", models, 30),
        ("rtl, netlist", "structural", netlists, 30),
    ]
    report = Report("net", graph.digest, backends=tuple(map(reporting.backend, found.backends)))
    assert f"rtl, netlist  {netlists}, 30 frames" in report_text(report)

    name = "rtl/hwbnn_net_d1.sv"
    text = project.text(name)
    # The lower half of the tables, which the model does not have.
    broken = re.sub(r"(LUT6_2 #\(\.INIT\(64'h)(\w{8})", r"\g<1>0f0ff0f0", text)
    assert broken != text
    faulty = replace(project, files={**project.files, name: broken.encode()})
    counted, stalled, netlist = verify(faulty, frames, backends=("rtl",), folder=tmp_path).backends
    assert counted.ok
    assert stalled.ok
    assert not netlist.ok
    assert netlist.failure.startswith("rtl, netlist: ")


@pytest.mark.hardware
def test_synthesis_leaves_a_netlist_as_it_is():
    graph = network(BITS)
    plan = Plan(default=Unrolled(form="xc7"), input_beat=40)
    project = generate(graph, "rtl", plan)
    sources = {n: c for n, c in project.files.items() if n.startswith("rtl/hwbnn_net_d1")}
    (block,) = (b for b in circuit(graph, plan).blocks if b.name == "v_t1")
    found = synth(sources, "hwbnn_net_d1").resources
    assert found.logic_lut == block.netlist.luts
    assert found.carry == carries(block.netlist, per_register=block.logic_levels_per_register)


def test_a_fused_threshold_and_a_raw_sum():
    made = circuit(network(NUMBERS), Plan(default=Unrolled(form="xc7")))
    first, second = (b for b in made.blocks if isinstance(b, products.DotNetlist))
    assert (first.value, second.value) == ("t1", None)
    assert made.fused == {"d1": "t1"}
    modules = circuit(network(NUMBERS), Plan())
    assert area(made).lut < area(modules).lut


def test_offsets_are_part_of_the_netlist():
    graph = network(BITS, factors=OFFSETS)
    made = circuit(graph, Plan(default=Unrolled(form="xc7")))
    (first, _) = (b for b in made.blocks if isinstance(b, products.DotNetlist))
    assert made.fused == {"d1": "t1"}
    assert (first.scale_offset[0] >= 0).all()
    assert not any(isinstance(b, blocks.Scaled | blocks.ThresholdBlock) for b in made.blocks)
    assert area(made).lut < area(circuit(graph, Plan())).lut


def test_plans_say_what_layers_are_made_of():
    plan = Plan(default=Unrolled(form="xcup"), layers={"d1": Unrolled()})
    assert Plan.from_json(plan.to_json()) == plan
    assert '"d1": "unrolled"' in plan.to_json()
    with pytest.raises(PlanError, match="form: expected one of modules, portable, xc7, xcup"):
        Plan.from_json('{"default": {"form": "asic"}}')
    with pytest.raises(PlanError, match="adder_tree is for modules"):
        Plan(default=Unrolled("adder_tree", "xc7"))
