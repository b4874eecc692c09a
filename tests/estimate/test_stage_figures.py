"""Stages for reports: their parts add up to the estimate of the circuit."""

from __future__ import annotations

import pytest

from hwbnn.estimate import area
from hwbnn.estimate.stage_figures import stage_table
from hwbnn.graph import Graph
from hwbnn.plan import Folded, Plan, Unrolled, circuit
from tests.flow.test_reporting import dense
from tests.targets.hls_networks import images


@pytest.mark.parametrize(
    ("graph", "plan", "form"),
    [
        (dense(), Plan(), "unrolled"),
        (dense(), Plan(default=Unrolled(form="xc7")), "unrolled, netlist xc7"),
        (dense(), Plan(default=Folded(2, 3)), "folded 2 x 3"),
        (dense(), Plan(default=Folded(2, 3), framing="batch"), "folded 2 x 3"),
        (images(), Plan(default=Folded(1, 2)), "folded 1 x 2"),
    ],
)
def test_parts_are_all_of_the_circuit(graph: Graph, plan: Plan, form: str) -> None:
    laid_out = circuit(graph, plan)
    told, whole = stage_table(laid_out), area(laid_out)
    assert [stage.name for stage in told.stages] == [stage.name for stage in laid_out.stages]
    parts = [part for stage in told.stages for part in stage.parts]
    # LUTs and flip-flops of a part are rounded, by at most a half.
    assert abs(sum(part.lut for part in parts) - whole.lut) <= len(parts) / 2 + 1
    assert abs(sum(part.ff for part in parts) - whole.ff) <= len(parts) / 2 + 1
    assert sum(part.bram for part in parts) == whole.bram36 + whole.bram18 / 2
    assert sum(part.dsp for part in parts) == whole.dsp
    assert form in {part.form for part in parts}
    names = {node.name for node in graph.nodes}
    assert {part.node for part in parts} <= names | {""}
    for node in graph.integer_layers or graph.nodes[1:2]:
        assert node.name in {part.node for part in parts}
