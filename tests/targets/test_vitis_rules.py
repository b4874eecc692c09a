"""Generated HLS projects keep to the rules for Vitis, and each rule finds a planted violation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwbnn.assets import assets
from hwbnn.errors import PlanError
from hwbnn.graph import Dot, Graph, Input, Output, Threshold, load
from hwbnn.plan import Folded, Plan
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.targets.hls import default_io
from hwbnn.targets.hls.calls import PIPELINE_SYNAPSES
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_graph, random_plan
from tests.targets import hls_networks
from tests.targets.vitis_rules import STREAM_BITS, recurrences, violations, widest_stream
from tests.thorough import some

NETWORKS = ("every_node", "scaled", "images", "integer_weights", "integer_images")
PLANS = {
    "unrolled": Plan(input_beat=24, output_beat=16),
    "folded": Plan(fuse=False, default=Folded(1, 1), input_beat=40, output_beat=16),
}
TOO_LARGE = ("cnv", "lenet", "lfc", "votes")
"""Published networks that HLS does not unroll."""
MODELS = sorted(path.parent for path in assets("models").glob("*/graph.npz"))


@pytest.mark.parametrize("io", ["io_parallel", "io_stream"])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("network", NETWORKS)
def test_projects_of_every_node_break_no_rule(network: str, plan: str, io: str) -> None:
    graph = getattr(hls_networks, network)()
    if default_io(graph) == "io_stream":
        io = "io_stream"
    assert violations(generate(graph, "hls", PLANS[plan], io=io)) == []


@pytest.mark.parametrize("seed", range(6))
def test_projects_of_random_networks_break_no_rule(seed: int) -> None:
    dense, image = random_graph(seed), random_conv_graph(seed)
    wide = Plan(input_beat=32, output_beat=32)
    for graph, plan in ((dense, random_plan(seed, dense)), (image, wide)):
        assert violations(generate(graph, "hls", plan, io="io_stream")) == []


@pytest.mark.parametrize("model", some(MODELS), ids=lambda path: path.name)
def test_projects_of_published_networks_break_no_rule(model: Path) -> None:
    graph = load(model / "graph.npz")
    folded = Plan(default=Folded(16, 32)).with_wide_beats(graph)
    for plan, io in ((Plan.default_of(graph), None), (folded, "io_stream")):
        if plan is not folded and model.name in TOO_LARGE:
            with pytest.raises(PlanError, match="HLS unrolls up to 4096"):
                generate(graph, "hls", plan, io=io)
            continue
        project = generate(graph, "hls", plan, io=io)
        assert violations(project) == []
        assert 0 <= widest_stream(project) <= STREAM_BITS


def wide(inputs: int, high: int, outputs: int = 8) -> Graph:
    weights = np.random.default_rng(3).random((outputs, inputs)) < 0.5
    return Graph((Input("x", (inputs,), 0, high), Dot("s", "x", weights), Output("y", "s")))


@pytest.mark.parametrize(
    ("inputs", "high", "bits"), [(784, 255, 3136), (787, 255, 3152), (512, 255, 4096)]
)
def test_frames_wider_than_a_stream_cross_in_several_tokens(
    inputs: int, high: int, bits: int
) -> None:
    project = generate(wide(inputs, high), "hls", Plan(output_beat=32), io="io_stream")
    assert widest_stream(project) == bits
    assert violations(project) == []


def test_a_large_network_is_no_pipeline_at_the_top_by_default() -> None:
    large, small = wide(784, 1, 256), wide(784, 1, 255)
    assert large.nodes[1].weights.size > PIPELINE_SYNAPSES > small.nodes[1].weights.size
    plan = Plan(output_beat=16)
    assert default_io(large, plan) == "io_stream"
    assert default_io(small, plan) == "io_parallel"
    assert default_io(large, replace(plan, default=Folded(8, 49))) == "io_parallel"
    assert violations(generate(large, "hls", plan)) == []
    asked = generate(large, "hls", plan, io="io_parallel")
    assert [str(v) for v in violations(asked)] == [
        "firmware/hwbnn_top.cpp:10: pipeline at the top: 200704 synapses"
    ]
    assert violations(asked, top_pipeline=10**6) == []


@pytest.fixture(scope="module")
def stream() -> Project:
    return generate(hls_networks.images(), "hls", PLANS["unrolled"])


@pytest.fixture(scope="module")
def parallel() -> Project:
    return generate(hls_networks.every_node(), "hls", PLANS["unrolled"], io="io_parallel")


def broken(project: Project, file: str, old: str, new: str) -> list[str]:
    """The violations of a project with one piece of a file replaced."""
    text = project.text(file)
    changed, count = re.subn(old, new, text, count=1, flags=re.MULTILINE)
    assert count == 1, (file, old)
    return [
        str(v)
        for v in violations(replace(project, files={**project.files, file: changed.encode()}))
    ]


NET, TOP, HEAD = (f"firmware/{n}" for n in ("hwbnn_network.cpp", "hwbnn_top.cpp", "hwbnn_top.h"))
PARAMETERS, TYPES = "firmware/parameters.h", "firmware/defines.h"
UTILS = "firmware/nnet_utils"
STREAM_PLANTED = [
    (
        "stream width",
        TYPES,
        r"nnet::array<ap_int<\d+>, \d+\*1> input_t",
        "nnet::array<ap_int<8>, 784*1> input_t",
    ),
    ("stream depth", NET, r"^ *#pragma HLS STREAM variable=value3 depth=\d+\n", ""),
    (
        "stream ends",
        NET,
        r"fork_tokens<(.*)>\((\w+), (\w+), (\w+)\)",
        r"fork_tokens<\1>(\2, \3, \3)",
    ),
    ("call", NET, r"hwbnn::fork_tokens<", "hwbnn::other_tokens<"),
    (
        "port without TLAST",
        HEAD,
        r"typedef ap_axiu<24, 0, 0, 0> beat_t",
        "typedef ap_uint<24> beat_t",
    ),
    ("port without TLAST", f"{UTILS}/hwbnn_axis.h", r"^    beat.last = last;\n", ""),
    (
        "port width",
        HEAD,
        r"ap_axiu<24, 0, 0, 0>((?:.|\n)*?)word_bits = 24",
        r"ap_axiu<25, 0, 0, 0>\1word_bits = 25",
    ),
    ("port packing", HEAD, r"lanes = 4;", "lanes = 1;"),
    ("port interface", TOP, r"^ *#pragma HLS INTERFACE axis port=m_axis\n", ""),
    ("port interface", TOP, r"ap_ctrl_none port=return", "ap_ctrl_hs port=return"),
    ("port", TOP, r"hls::stream<s_axis_port::beat_t> &s_axis", "hls::stream<input_t> &s_axis"),
    (
        "pragma of a port inside",
        NET,
        r"    #pragma HLS DATAFLOW",
        "    #pragma HLS DATAFLOW\n    #pragma HLS INTERFACE axis port=s_axis",
    ),
    ("partition", PARAMETERS, r"window_words = \d+;", "window_words = 5000;"),
    (
        "partition",
        PARAMETERS,
        r"hwbnn::plain<4, ap_int<\d+> > out",
        "hwbnn::plain<4097, ap_int<5> > out",
    ),
    ("unroll", PARAMETERS, r"simd = \d+;", "simd = 5000;"),
    ("constant", "firmware/weights/weights3.h", r"static const ", ""),
    (
        "recurrence",
        f"{UTILS}/hwbnn_dot.h",
        r"accum\[p\] = before \+ terms",
        "accum[p] = before + before + terms",
    ),
    ("recurrence", f"{UTILS}/hwbnn_dot.h", r"accum\[p\] = before \+ ", "accum[p] += "),
    ("recurrence", f"{UTILS}/hwbnn_dot.h", r"part\[input\] = term;", "sum += term;"),
    ("recursion", f"{UTILS}/hwbnn_tree.h", r"adder_tree<N / 2>", "adder_tree<N>"),
    (
        "library types",
        f"{UTILS}/hwbnn_axis.h",
        r"    typename PORT::beat_t beat;",
        "    std::array<int, 3> beat;",
    ),
    (
        "array",
        f"{UTILS}/hwbnn_tree.h",
        r"        return left \+ right;",
        "        sum_T both[2];\n        return left + right;",
    ),
    ("top", "build_prj.tcl", r"set_top \$project_name", "set_top hwbnn_network"),
    ("standard", "build_prj.tcl", r"-std=c\+\+11", "-std=c++0x"),
]
PARALLEL_PLANTED = [
    ("port", TOP, r"const ap_uint<\d+> frame_in\[\d+\]", "input_t frame_in[15]"),
    ("port", TOP, r"ap_uint<(\d+)> frame_in\[\d+\]", r"ap_uint<\1> frame_in[9]"),
    ("port packing", HEAD, r"lanes = 15;", "lanes = 1;"),
    ("port interface", TOP, r"ap_vld port=frame_in", "ap_none port=frame_in"),
    (
        "pragma of a port inside",
        NET,
        r"ARRAY_PARTITION variable=frame_in",
        "ARRAY_RESHAPE variable=frame_in",
    ),
    ("pipeline at the top", PARAMETERS, r"n_in = 70;", "n_in = 70000;"),
]


@pytest.mark.parametrize("case", STREAM_PLANTED, ids=lambda c: f"{c[0]}: {c[2][:20]}")
def test_a_planted_violation_is_found(case: tuple[str, ...], stream: Project) -> None:
    rule, *edit = case
    found = broken(stream, *edit)
    assert any(f": {rule}: " in line for line in found), found
    assert all(re.match(r"[\w/.]+:\d+: ", line) for line in found)


@pytest.mark.parametrize("case", PARALLEL_PLANTED, ids=lambda c: f"{c[0]}: {c[2][:20]}")
def test_a_planted_violation_of_wide_ports_is_found(
    case: tuple[str, ...], parallel: Project
) -> None:
    rule, *edit = case
    found = broken(parallel, *edit)
    assert any(f": {rule}: " in line for line in found), found


def test_more_parts_than_some_releases_take_need_a_line_in_the_script() -> None:
    project = generate(wide(1100, 3), "hls", Plan(output_beat=16), io="io_stream")
    assert violations(project) == []
    line = r"^catch \{config_array_partition.*\n"
    assert any(": partition: " in v for v in broken(project, "build_prj.tcl", line, ""))


def test_the_chains_of_before_are_recurrences() -> None:
    old = """\
    Word:
        for (unsigned k = 0; k < CONFIG_T::row_words; k++) {
            #pragma HLS UNROLL
            accum += popcount<accum_t>(x[k]);
        }
"""
    assert recurrences(old) == [(4, "accum += popcount<accum_t>(x[k]);")]


def thresholded(graph: Graph, levels: int) -> Graph:
    """The same sums with thresholds, so that the layer is a Neurons call."""
    *nodes, _ = graph.nodes
    n = len(nodes[-1].weights)
    cuts = np.sort(np.random.default_rng(1).integers(-9, 9, (n, levels)))
    return Graph((*nodes, Threshold("t", "s", cuts, np.zeros(n, bool)), Output("y", "t")))


@pytest.mark.parametrize("form", [lambda g: g, lambda g: thresholded(g, 3)])
def test_tokens_that_the_words_do_not_fill_are_within_the_rules(
    form: Callable[[Graph], Graph],
) -> None:
    graph = form(wide(1031, 7, 700))
    plan = Plan(output_beat=16, default=Folded(7, 1))
    assert violations(generate(graph, "hls", plan, io="io_stream")) == []
