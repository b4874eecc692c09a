"""C simulation of HLS projects equals the plain simulator, node by node, and faults are caught."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwbnn.assets import assets
from hwbnn.errors import InputError, ToolFailed, ToolNotFound
from hwbnn.graph import (
    NODE_TYPES,
    Add,
    ChannelPad,
    Concat,
    Conv2d,
    Dot,
    Graph,
    Input,
    MaxPool,
    Output,
    Rescale,
    SumPool,
    Threshold,
)
from hwbnn.plan import Folded, Plan
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.verification import hls
from tests.lowering.networks import NETWORKS, lowered
from tests.strategies import random_graph, random_inputs, random_plan
from tests.targets.hls_networks import every_node, scaled
from tests.thorough import some
from tests.verification.hls_faults import Edit, difference, literal, seen_at, swapped

CASES = (*NETWORKS, *(("graph", seed) for seed in (2, 4, 18, 21)))
"""20 lowered torch networks, and random Graphs with the nodes that those do not have."""
FRAMES = 64
IOS = ("io_parallel", "io_stream")


def network(kind: str, seed: int) -> Graph:
    """A random Graph, or a random torch network lowered."""
    return random_graph(seed) if kind == "graph" else lowered(kind, seed)


@pytest.mark.hardware
@pytest.mark.parametrize(("kind", "seed"), some(CASES))
def test_random_networks_equal_the_simulator_at_every_node(
    kind: str, seed: int, tmp_path: Path
) -> None:
    graph = network(kind, seed)
    plan = random_plan(seed, graph)
    for io in IOS:
        project = generate(graph, "hls", plan, io=io)
        popcount = ("builtin", "tree")[seed % 2]
        assert difference(graph, project, tmp_path, popcount=popcount) is None, io


def test_the_random_networks_are_of_all_sorts() -> None:
    drawn = [network(*case) for case in CASES]
    plans = [random_plan(seed, graph) for (_, seed), graph in zip(CASES, drawn, strict=True)]
    widths = {t.size for graph in drawn for t in graph.types.values()}
    assert widths >= {1, 63, 64, 65}
    assert max(widths) > 256
    assert {graph.input.bit for graph in drawn} == {True, False}
    assert {plan.fuse for plan in plans} == {True, False}
    layouts = {
        type(plan.layout(dot.name)).__name__
        for graph, plan in zip(drawn, plans, strict=True)
        for dot in graph.of_type(Dot)
    }
    assert layouts == {"Folded", "Unrolled"}
    assert {len(graph.of_type(Dot)) for graph in drawn} == {1, 2, 3, 4}
    images = {Conv2d, MaxPool, SumPool, Add, Rescale, ChannelPad, Concat}
    assert {type(node) for graph in drawn for node in graph.nodes} == set(NODE_TYPES) - images
    assert any(t.thresholds.shape[1] > 1 for graph in drawn for t in graph.of_type(Threshold))
    falling = [t.falling for graph in drawn[: len(NETWORKS)] for t in graph.of_type(Threshold)]
    assert any(each.any() and not each.all() for each in falling)


@pytest.mark.hardware
@pytest.mark.parametrize("io", IOS)
def test_an_unfused_plan_shows_every_value(io: str, tmp_path: Path) -> None:
    graph = every_node()
    fused = generate(graph, "hls", Plan(input_beat=16), io=io)
    x = random_inputs(graph, FRAMES, 1)
    assert hls.build(fused, tmp_path).run(x).fused == {"sums": "steps", "hidden": "fires"}
    assert difference(graph, fused, tmp_path) is None
    unfused = generate(graph, "hls", Plan(fuse=False, default=Folded(1, 1), input_beat=16), io=io)
    assert hls.build(unfused, tmp_path).run(x).fused == {}
    assert difference(graph, unfused, tmp_path) is None


FAULTS: dict[str, tuple[str, Edit, str]] = {
    "a weight bit": ("weights/weights8.h", literal(0, lambda v: v ^ 1), "fires"),
    "a weight of an integer": ("weights/weights5.h", literal(0, lambda v: v ^ 1), "steps"),
    "a threshold one higher": ("weights/thresholds8.h", literal(0, lambda v: v + 1), "fires"),
    "a threshold one lower": ("weights/thresholds3.h", literal(0, lambda v: v - 1), "levels"),
    "bit order of words swapped": (
        "nnet_utils/hwbnn_layout.h",
        swapped(b"return i % SEGMENT % WIDTH;", b"return WIDTH - 1 - i % SEGMENT % WIDTH;"),
        "bits",
    ),
    "order of rows in a word": (
        "nnet_utils/hwbnn_dot.h",
        swapped(b"= p % CONFIG_T::word_rows", b"= (p + 1) % CONFIG_T::word_rows"),
        "steps",
    ),
    "direction of a channel": ("weights/falling3.h", literal(0, lambda v: 1 - v), "levels"),
    "at for above": (
        "nnet_utils/hwbnn_dot.h",
        swapped(b"differing < limit", b"differing <= limit"),
        "fires",
    ),
    "a position": ("weights/positions7.h", literal(0, lambda v: (v + 20) % 72), "chosen"),
    "an entry of a table": ("weights/table10.h", literal(6, lambda v: v ^ 1), "ranks"),
    "ties to the highest index": (
        "nnet_utils/hwbnn_argmax.h",
        swapped(b"best[right] > best[left]", b"best[right] >= best[left]"),
        "best",
    ),
    "a tree with a leaf too few": (
        "nnet_utils/hwbnn_popcount.h",
        swapped(b"if (right < WIDTH)", b"if (right < WIDTH - 1)"),
        "fires",
    ),
    "beats in another order": (
        "nnet_utils/hwbnn_axis.h",
        swapped(b"words[b] = x.read().data", b"words[PORT::n_beats - 1 - b] = x.read().data"),
        "x",
    ),
}


@pytest.mark.hardware
@pytest.mark.parametrize("fault", some(list(FAULTS)))
def test_a_planted_fault_is_seen_at_its_node(fault: str, tmp_path: Path) -> None:
    graph = every_node()
    io = "io_stream" if "beats" in fault else "io_parallel"
    project = generate(graph, "hls", Plan(input_beat=16), io=io)
    name, edit, node = FAULTS[fault]
    popcount = "tree" if "tree" in fault else "builtin"
    seen_at(node, graph, project, name, edit, tmp_path, frames=400, popcount=popcount)


SCALED_FAULTS: dict[str, tuple[str, Edit, str]] = {
    "an offset one higher": ("weights/factors5.h", literal(1, lambda v: v + 1), "scores"),
    "a scale one lower": ("weights/factors3.h", literal(0, lambda v: v - 1), "bits"),
    "a sum of bits that leaves out one": (
        "nnet_utils/hwbnn_dot.h",
        swapped(b"word = x[step * CONFIG_T::row_words + k];", b"word = x[0] >> 1;"),
        "fires",
    ),
    "a sum of integers that leaves out one": (
        "nnet_utils/hwbnn_dot.h",
        swapped(
            b"            part[i] = x[step * CONFIG_T::simd + i];",
            b"            part[i] = 0;\n            if (i) part[i] = x[step * CONFIG_T::simd + i];",
        ),
        "bits",
    ),
    "the sum of the frame before kept": (
        "nnet_utils/hwbnn_scaled.h",
        swapped(
            b"const accum_t before = step == 0 ? accum_t(0) : total[g];",
            b"static accum_t kept[CONFIG_T::n_groups];\n"
            b"accum_t &before = kept[g];\n"
            b"before += terms::template add_inputs<data_T, CONFIG_T>(x, step);",
        ),
        "bits",
    ),
}


@pytest.mark.hardware
@pytest.mark.parametrize("fault", SCALED_FAULTS)
def test_a_fault_in_scale_or_offset_is_seen_at_its_node(fault: str, tmp_path: Path) -> None:
    graph = scaled()
    project = generate(graph, "hls", Plan(output_beat=16))
    name, edit, node = SCALED_FAULTS[fault]
    seen_at(node, graph, project, name, edit, tmp_path, frames=400)


@pytest.mark.hardware
@pytest.mark.parametrize("io", IOS)
def test_scale_and_offset_folded_and_unfused(io: str, tmp_path: Path) -> None:
    graph = scaled()
    dots = {"sums": Folded(4, 5), "hidden": Folded(10, 3), "scores": Folded(1, 10)}
    plan = Plan(dots, output_beat=16, fuse=False)
    assert difference(graph, generate(graph, "hls", plan, io=io), tmp_path) is None


@pytest.mark.hardware
def test_both_popcounts_count_every_width(tmp_path: Path) -> None:
    code = tmp_path / "count.cpp"
    code.write_text(
        '#include "hwbnn_popcount.h"\n#include <cstdio>\n'
        "template <int W> int differing() {\n"
        "    unsigned long long v = 88172645463325252ULL; int wrong = 0;\n"
        "    for (int i = 0; i < 300; i++) {\n"
        "        v ^= v << 13; v ^= v >> 7; v ^= v << 17;\n"
        "        const ap_uint<W> word = i == 0 ? 0ULL : i == 1 ? ~0ULL : v;\n"
        "        int ones = 0;\n"
        "        for (int b = 0; b < W; b++) ones += word[b] ? 1 : 0;\n"
        "        wrong += hwbnn::popcount<ap_uint<7> >(word).to_int() != ones;\n"
        "    }\n"
        "    return wrong + differing<W - 1>();\n}\n"
        "template <> int differing<0>() { return 0; }\n"
        'int main() { std::printf("%d\\n", differing<64>()); }\n'
    )
    types = generate(every_node(), "hls").write(tmp_path / "project") / "firmware" / "ap_types"
    for options in hls.POPCOUNTS.values():
        command = ["g++", "-std=c++11", "-O1", *options, f"-I{types}", f"-I{assets('hls')}"]
        subprocess.run([*command, str(code), "-o", str(tmp_path / "count")], check=True)
        done = subprocess.run([tmp_path / "count"], capture_output=True, text=True, check=True)
        assert done.stdout == "0\n"


def two_layers(width: int) -> Graph:
    rng = np.random.default_rng(width)
    return Graph(
        (
            Input.bits(width),
            Dot("dot", "x", rng.random((width, width)) < 0.5),
            Threshold("fires", "dot", np.zeros((width, 1), np.int64), np.zeros(width, bool)),
            Output("y", "fires"),
        )
    )


@pytest.mark.hardware
def test_projects_in_one_process_share_nothing(tmp_path: Path) -> None:
    # Without optimisation constants of templates are variables, which a linker may merge by name.
    graphs = [two_layers(9), two_layers(21)]
    built = [
        hls.build(generate(graph, "hls"), tmp_path / str(i), optimise="-O0")
        for i, graph in enumerate(graphs)
    ]
    for graph, simulation in zip(graphs, built, strict=True):
        x = random_inputs(graph, FRAMES, 3)
        assert np.array_equal(simulation.run(x, trace=False).values["y"], simulate(graph, x))


@pytest.mark.hardware
def test_a_library_is_built_once_and_runs_many_batches(tmp_path: Path) -> None:
    graph = two_layers(9)
    project = generate(graph, "hls")
    first = hls.build(project, tmp_path)
    again = hls.build(project, tmp_path)
    assert first.build_seconds > 0
    assert again.build_seconds == 0
    for seed in range(3):
        x = random_inputs(graph, 10 + seed, seed)
        run = again.run(x)
        assert np.array_equal(run.values["y"], simulate(graph, x))
        assert run.values["y"].dtype == np.bool_
        assert run.values["x"].shape == x.shape
        assert run.frames_per_second > 0
    assert list(again.run(x, trace=False).values) == ["y"]
    assert len(again.run(x[:0]).values["y"]) == 0


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    graph = two_layers(9)
    project = generate(graph, "hls")
    with pytest.raises(InputError, match="target 'hls', found 'rtl'"):
        hls.build(replace(project, target="rtl"), tmp_path)
    with pytest.raises(InputError, match="popcount 'table': expected one of builtin, tree"):
        hls.build(project, tmp_path, popcount="table")


@pytest.mark.hardware
def test_run_takes_a_graph_and_refuses_other_inputs() -> None:
    graph = two_layers(9)
    x = random_inputs(graph, 5, 0)
    run = hls.run(graph, x, "io_stream", plan=Plan(fuse=False), popcount="tree")
    assert np.array_equal(run.values["y"], simulate(graph, x))
    assert list(run.values) == ["x", "dot", "fires", "y"]
    with pytest.raises(InputError, match="expected a batch of 9"):
        hls.run(generate(graph, "hls"), x[:, :8])


@pytest.mark.hardware
def test_a_failed_compilation_names_its_log(tmp_path: Path) -> None:
    project = generate(two_layers(9), "hls")
    wrong = project.files["firmware/hwbnn_top.cpp"] + b"no C++\n"
    broken = replace(project, files={**project.files, "firmware/hwbnn_top.cpp": wrong})
    with pytest.raises(ToolFailed, match=r"error.*the log is .*build\.log"):
        hls.build(broken, tmp_path)


def test_without_gpp_nothing_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = generate(two_layers(9), "hls")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolNotFound, match=r"g\+\+"):
        hls.build(project, tmp_path / "build")
