"""What a Graph, a Plan, a Circuit and a Project print: short, and as tables in notebooks."""

from __future__ import annotations

import hwbnn
from hwbnn.graph import Dot, Graph, Input, Output
from hwbnn.notebook import html_table
from hwbnn.plan import Folded, Plan, Unrolled, circuit


def _graph() -> Graph:
    nodes = (
        Input("x", (300,), 0, 1, True),
        Dot("dot", "x", [[1] * 300] * 7),
        Output("y", "dot"),
    )
    return Graph(nodes)


def test_no_array_is_printed() -> None:
    graph = _graph()
    assert repr(graph) == (
        f"<Graph: 300 bits -> scores, 3 nodes, exact, digest {graph.digest[:12]}>"
    )
    assert repr(graph.node("dot")) == "Dot(name='dot', source='x', weights=<int16 7x300>)"
    assert len(repr(circuit(graph, Plan(output_beat=16)))) < 200
    project = hwbnn.generate(graph, "rtl", Plan(output_beat=16))
    assert len(repr(project)) < 100
    assert project.digest[:12] in repr(project)


def test_a_plan_prints_as_the_call_that_makes_it_again() -> None:
    assert repr(Plan()) == "Plan()"
    given = Plan({"dot": Folded(3, 5)}, default=Unrolled(form="xc7"), clock_ns=10.0)
    names = {"Plan": Plan, "Folded": Folded, "Unrolled": Unrolled}
    assert eval(repr(given), names) == given


def test_notebooks_get_a_table_with_a_row_for_each_node_and_file() -> None:
    graph = _graph()
    html = graph._repr_html_()
    assert html.count("<tr>") == 1 + len(graph.nodes)
    assert '<td align="right">2,100</td>' in html
    project = hwbnn.generate(graph, "rtl", Plan(output_beat=16))
    assert project._repr_html_().count("<tr>") == 1 + len(project.files)


def test_text_is_escaped_in_a_table() -> None:
    html = html_table("<script>", ["<b>"], [["<i onload='x'>", True]])
    assert "<script>" not in html
    assert "<b>" not in html
    assert "<i" not in html
