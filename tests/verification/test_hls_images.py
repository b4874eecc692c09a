"""C simulation of convolutional HLS projects equals the plain simulator at every node."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from hwbnn.graph import Concat, Graph
from hwbnn.plan import Folded, Plan
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.targets.hls import site
from hwbnn.targets.hls.calls import FORK, Call, calls_of
from hwbnn.targets.hls.depths import least_depths
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_plan
from tests.targets.hls_networks import images
from tests.thorough import some
from tests.verification.hls_faults import Edit, difference, literal, seen_at, swapped

SEEDS = (1, 33, 35, 71, 80, 90, 104, 117, 136)
"""Random networks that have every function of ``hls/`` for images in every form."""
NARROW = 24
"""Bits of a token where pixels are to come in several."""


def network(seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Graph, Plan]:
    """The network of a seed and a Plan; those of odd seeds have narrow tokens."""
    monkeypatch.setattr(site, "TOKEN_BITS", NARROW if seed % 2 else 1024)
    graph = random_conv_graph(seed)
    return graph, random_plan(seed, graph)


@pytest.mark.hardware
@pytest.mark.parametrize("seed", some(SEEDS))
def test_random_networks_equal_the_simulator_at_every_node(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, plan = network(seed, monkeypatch)
    popcount = ("tree", "builtin")[seed % 3 > 0]
    project = generate(graph, "hls", plan)
    assert difference(graph, project, tmp_path, 40, popcount=popcount, optimise="-O0") is None


@pytest.mark.hardware
@pytest.mark.parametrize("seed", [1, 6])
def test_values_side_by_side_equal_the_simulator_at_every_node(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "TOKEN_BITS", NARROW if seed % 2 else 1024)
    graph = random_conv_graph(seed, concat=True)
    assert graph.of_type(Concat)
    project = generate(graph, "hls", random_plan(seed, graph))
    assert difference(graph, project, tmp_path, 40, optimise="-O0") is None


def forms(stage: Call) -> set[str]:
    """What of ``hls/`` a stage takes."""
    found = {stage.function} | {stage.types[k] for k in stage.types if k in TAGS}
    found |= {f"gathered by {stage.function}"} if stage.kind == "Flatten" else set()
    several = ("n_groups", "n_places", "n_chunks", "interval", "two_slopes")
    counts = {name: stage.numbers.get(name, 0) for name in several}
    what = stage.types.get("layer", stage.function)
    found |= {f"{name} of {what}" for name in several if counts[name] > (name != "two_slopes")}
    return found


TAGS = ("layer", "terms", "pool")


def test_the_random_networks_take_every_function_in_every_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: set[str] = set()
    for seed in SEEDS:
        for stage in calls_of(*network(seed, monkeypatch), "io_stream"):
            found |= forms(stage)
    element = ("threshold", "lookup", "rescale", "add", "pass", "cut")
    layers = ("dot", "neurons", "scaled_dot", "scaled_neurons")
    wanted = {f"{name}_tokens" for name in (*element, "channel_pad", "fork")}
    wanted |= {f"n_chunks of {name}_tokens" for name in element}
    wanted |= {f"n_groups of hwbnn::{name}_layer" for name in layers}
    wanted |= {f"n_places of {name}_tokens" for name in ("threshold", "rescale")}
    wanted |= {f"interval of {name}" for name in ("pool_stream", "channel_pad_tokens")}
    wanted |= {f"hwbnn::{kind}_terms" for kind in ("bit", "masked", "integer")}
    wanted |= {f"hwbnn::{kind}_pool" for kind in ("bit_max", "max", "bit_sum", "sum")}
    wanted |= {"conv_stream", "conv_unrolled_stream", "gathered by gather"}
    wanted |= {"two_slopes of rescale_tokens"}
    assert wanted <= found


TAPS = "hwbnn_window.h"
FAULTS: dict[str, tuple[str, Edit, str]] = {
    "the window shifted by a column": (
        f"nnet_utils/{TAPS}",
        swapped(b"window[last + k] = lines[ky][at][k];", b"window[last + k] = lines[ky][0][k];"),
        "stem",
    ),
    "the window shifted by a row": (
        f"nnet_utils/{TAPS}",
        swapped(b"lines[ky][at][k] = lines[ky + 1][at][k];", b"lines[ky][at][k] = pixel[k];"),
        "stem",
    ),
    "one column too early": (
        f"nnet_utils/{TAPS}",
        swapped(b"x % CONFIG_T::stride_columns == 0", b"(x + 1) % CONFIG_T::stride_columns == 0"),
        "branch",
    ),
    "a padding bit": ("weights/fills{branch}.h", literal(0, lambda v: v ^ 1), "branch"),
    "a bit outside that counts": (
        "nnet_utils/hwbnn_conv.h",
        swapped(b"CONFIG_T::masked && !counts)\n", b"CONFIG_T::masked && false)\n"),
        "fires",
    ),
    "all taps inside": (
        "nnet_utils/hwbnn_conv.h",
        swapped(b"taps_inside<CONFIG_T>(row, column) * ", b"CONFIG_T::n_taps * "),
        "fires",
    ),
    "the group's neighbour": (
        "nnet_utils/hwbnn_conv.h",
        swapped(
            b"from = tap * CONFIG_T::pixel_words + g", b"from = tap * CONFIG_T::pixel_words + 0"
        ),
        "branch",
    ),
    "OR for AND": ("weights/smallest{pooled}.h", literal(0, lambda v: v ^ 1), "pooled"),
    "AND for OR": (
        "nnet_utils/hwbnn_pool.h",
        swapped(b"any |= seen ^ smallest[k]", b"any &= seen ^ smallest[k]"),
        "pooled",
    ),
    "a tap that counts twice": (
        "nnet_utils/hwbnn_pool.h",
        swapped(b"plus[tap] = window[tap", b"plus[tap] = window[tap / 2"),
        "mean",
    ),
    "a class of the border": ("weights/places{stream}.h", literal(0, lambda v: v + 1), "stream"),
    "a slope": ("weights/negatives{stream}.h", literal(0, lambda v: v + 1), "stream"),
    "no second slope": (
        "nnet_utils/hwbnn_elements.h",
        swapped(b"CONFIG_T::two_slopes && element < 0", b"false && element < 0"),
        "stream",
    ),
    "rounded down": ("weights/offsets{stream}.h", literal(1, lambda v: v - 1), "stream"),
    "no saturation": (
        "nnet_utils/hwbnn_elements.h",
        swapped(b"scaled < product_t(CONFIG_T::low)", b"false"),
        "stream",
    ),
    "one channel further": (
        "nnet_utils/hwbnn_elements.h",
        swapped(b"i % CONFIG_T::n_padded - CONFIG_T::before", b"i % CONFIG_T::n_padded"),
        "wider",
    ),
    "the other value one channel further": (
        "nnet_utils/hwbnn_elements.h",
        swapped(b"position * second + channel - CONFIG_T::n_first", b"position * second"),
        "beside",
    ),
    "a weight of the dense layer": (
        "weights/weights{scores}.h",
        literal(0, lambda v: v ^ 1),
        "scores",
    ),
}


@pytest.mark.hardware
@pytest.mark.parametrize("fault", some(list(FAULTS)))
def test_a_planted_fault_is_seen_at_its_node(fault: str, tmp_path: Path) -> None:
    graph = images()
    project = generate(graph, "hls", Plan())
    name, edit, node = FAULTS[fault]
    made = enumerate(calls_of(graph, Plan(), "io_stream"), start=2)
    at = {stage.value: i for i, stage in made if stage.kind != FORK}
    name = name.format(**at)
    seen_at(node, graph, project, name, edit, tmp_path, frames=200, optimise="-O0")


@pytest.mark.hardware
@pytest.mark.parametrize(
    "plan", [Plan(), Plan(fuse=False, default=Folded(1, 1))], ids=["", "folded"]
)
def test_the_network_of_the_faults_is_right(plan: Plan, tmp_path: Path) -> None:
    graph = images()
    assert difference(graph, generate(graph, "hls", plan), tmp_path, frames=200) is None


STREAMS = Path(__file__).parent / "cores" / "bounded_stream.h"


def in_threads(project: Project, depths: dict[str, int]) -> Project:
    """The project with a thread a process and streams that hold so many tokens, by C++ name.

    A stream that is full stops its writer, as in hardware. Where all stand still the program ends
    with status 3.
    """
    lines = []
    for line in project.text("firmware/hwbnn_network.cpp").split("\n"):
        found = re.match(r"    #pragma HLS STREAM variable=(\w+) depth=(\d+)", line)
        if found:
            line = f"    {found[1]}.depth = {depths.get(found[1], int(found[2]))};"
        elif line.strip().startswith("hwbnn::"):
            line = f"    hls::process([&] {{ {line.strip().split(' // ')[0]} }});"
        lines.append(line)
    text = "\n".join(lines)
    end = text.rindex("}")
    text = text[:end] + "    hls::finish();\n" + text[end:]
    changed = {"firmware/hwbnn_network.cpp": text.encode()}
    changed["firmware/ap_types/hls_stream.h"] = STREAMS.read_bytes()
    return replace(project, files={**project.files, **changed})


def ends(project: Project, folder: Path) -> bool:
    """Whether its test bench comes to an end, with the results that it should give."""
    sources = project.write(folder)
    command = ["g++", "-std=c++11", "-O0", "-pthread", "-Ifirmware/ap_types"]
    command += ["firmware/hwbnn_network.cpp", "firmware/hwbnn_top.cpp", "hwbnn_top_test.cpp"]
    command += ["-o", "bench"]
    subprocess.run(command, cwd=sources, check=True)
    done = subprocess.run(["./bench"], cwd=sources, check=False, capture_output=True, timeout=60)
    assert done.returncode in (0, 3), done.stderr
    assert (b"PASS" in done.stdout) == (done.returncode == 0)
    return done.returncode == 0


@pytest.mark.hardware
def test_shortcuts_come_to_an_end_with_the_depths_of_the_analysis_and_no_less(
    tmp_path: Path,
) -> None:
    graph, plan = random_conv_graph(52), Plan(input_beat=32, output_beat=32)
    project = generate(graph, "hls", plan)
    made = calls_of(graph, plan, "io_stream")
    least = least_depths(made)
    names = {
        stream: f"value{i}{'_rest' if k else ''}"
        for i, stage in enumerate(made, start=2)
        for k, stream in enumerate(stage.streams)
    }
    assert ends(in_threads(project, {names[s]: d for s, d in least.items()}), tmp_path / "least")
    deep = [stream for stream, depth in least.items() if depth > 2]
    assert len(deep) == 3
    less = {**least, deep[1]: least[deep[1]] - 1}
    assert not ends(in_threads(project, {names[s]: d for s, d in less.items()}), tmp_path / "less")
