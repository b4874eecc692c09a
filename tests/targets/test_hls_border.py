"""The top function of an HLS project: its packed ports, its test bench, its scripts."""

from __future__ import annotations

import json
import re
import subprocess
import tkinter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwbnn.errors import InputError, PlanError, ToolFailed
from hwbnn.graph import Dot, Graph, Input, Output
from hwbnn.plan import Folded, Plan
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.targets.hls.calls import NETWORK, TOP
from hwbnn.targets.hls.layout import Scalar
from hwbnn.targets.hls.packed_ports import PackedPort
from hwbnn.verification import hls
from tests.strategies import random_graph, random_inputs, random_plan
from tests.targets.hls_networks import every_node, images

IOS = ("io_parallel", "io_stream")
PLAN = Plan(input_beat=24, output_beat=16)


def built(project: Project, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the bench of a project prints, compiled and run as the README says."""
    folder = project.write(folder)
    command = re.search(r"^    (g\+\+ (?:.*\\\n)*.*bench)$", project.text("README.md"), re.M)
    assert command is not None
    # The README's options, but without optimisation, which takes the most time.
    shell = command[1].replace("-O1", "-O0")
    return subprocess.run(
        ["sh", "-c", shell], cwd=folder, check=False, capture_output=True, text=True
    )


@pytest.mark.hardware
@pytest.mark.parametrize("io", IOS)
def test_the_bench_passes_and_finds_another_value(io: str, tmp_path: Path) -> None:
    project = generate(every_node(), "hls", PLAN, io=io)
    done = built(project, tmp_path / "right")
    assert (done.returncode, done.stdout, done.stderr) == (0, "PASS: 8 frames\n", "")
    # The compiled bench reads the files again: each change of them must be found.
    outputs = tmp_path / "right" / "tb_data" / "tb_output_predictions.dat"
    lines = outputs.read_text().splitlines()
    other = str((int(lines[3]) + 1) % 6)
    for changed, said in (
        ([*lines[:3], other, *lines[4:]], "frame 3: other elements\nFAIL: 1 of 8 frames differ"),
        (lines[:-1], "do not end together"),
        ([*lines, "0"], "do not end together"),
    ):
        outputs.write_text("\n".join(changed) + "\n")
        done = subprocess.run(
            ["./bench"], cwd=tmp_path / "right", check=False, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert said in done.stderr


AXIS = "firmware/nnet_utils/hwbnn_axis.h"
FAULTS = {
    "no tlast": (r"beat.last = last;", "beat.last = 0;"),
    "tkeep of a whole beat": (r"last ? some : all", "all"),
    "a beat too many": (
        r"y.write(beat_of<PORT>(words[b], b == PORT::n_beats - 1));",
        "y.write(beat_of<PORT>(words[b], b == PORT::n_beats - 1));"
        " if (b == 0) y.write(beat_of<PORT>(words[b], true));",
    ),
    "an unused bit": (r"beat.data = word;", "beat.data = ~word;"),
}


@pytest.mark.hardware
@pytest.mark.parametrize("fault", FAULTS)
def test_c_simulation_finds_a_fault_at_the_border(fault: str, tmp_path: Path) -> None:
    graph = Graph((Input("x", (5,), -3, 3), Output("y", "x")))
    project = generate(graph, "hls", Plan(input_beat=16, output_beat=24), io="io_stream")
    old, new = FAULTS[fault]
    assert old in project.text(AXIS)
    text = project.text(AXIS).replace(old, new)
    faulty = replace(project, files={**project.files, AXIS: text.encode()})
    x = random_inputs(graph, 9, 1)
    assert np.array_equal(hls.build(project, tmp_path).run(x).values["y"], x)
    with pytest.raises(ToolFailed, match="9 of 9 frames crossed the output port with a wrong"):
        hls.build(faulty, tmp_path).run(x)


@pytest.mark.parametrize("seed", range(8))
def test_frames_are_packed_as_those_of_an_rtl_core(seed: int) -> None:
    graph = random_graph(seed, max_width=40)
    plan = random_plan(seed, graph)
    ours, theirs = (
        json.loads(generate(graph, target, plan, **how).text("core.json"))
        for target, how in (("hls", {"io": "io_stream"}), ("rtl", {}))
    )
    for port in ("input", "output"):
        found, expected = ours[port], theirs[port]
        assert found["word"] == expected["beat"]
        assert found["beats"] == expected["tokens"]
        assert found["width"] == expected["width"]
        assert found["lanes"] == min(expected["lanes"], expected["elements"])


@pytest.mark.hardware
@pytest.mark.parametrize(
    ("channels", "beat"), [(1, 64), (3, 64), (3, 8), (5, 16), (4, 32), (7, 104)]
)
def test_tokens_of_images_of_every_size_cross_beats_of_every_size(
    channels: int, beat: int, tmp_path: Path
) -> None:
    """Beats that end within a pixel, several pixels in a beat, several beats in a pixel."""
    from hwbnn.graph import MaxPool

    nodes = (Input("x", (3, 5, channels), 0, 200), MaxPool("p", "x", (1, 1), (1, 1)))
    graph = Graph((*nodes, Output("y", "p")))
    project = generate(graph, "hls", Plan(input_beat=beat, output_beat=beat))
    x = random_inputs(graph, 4, channels)
    assert np.array_equal(hls.build(project, tmp_path).run(x).values["y"], x)


def test_moves_are_those_of_the_beats_and_tokens() -> None:
    # 8 elements in a beat, 3 in a token: a token in each move, as a beat is read in time.
    def port(lanes: int, token: int, elements: int) -> PackedPort:
        element = Scalar(8)
        return PackedPort(
            "s_axis", "x", "io_stream", elements, element, 8 * lanes, lanes, token, True
        )

    assert port(8, 3, 48).moves(8, 3) == 16
    assert port(2, 6, 48).moves(2, 6) == 24
    assert port(8, 1, 12).moves(8, 1) == 12
    assert port(8, 3, 48).held == 10
    assert port(8, 4, 48).held == 8


def test_frames_that_cannot_cross_are_refused() -> None:
    weights = np.ones((2, 4100), bool)
    large = Graph((Input.bits(4100), Dot("s", "x", weights), Output("y", "s")))
    with pytest.raises((InputError, PlanError), match="4100"):
        generate(large, "hls", Plan(default=Folded(1, 100), output_beat=16), io="io_parallel")


KNOWN = """add_files catch_none config_compile cosim_design create_clock csim_design csynth_design
export_design open_project open_solution set_clock_uncertainty set_part set_top"""


def evaluated(folder: Path) -> list[list[str]]:
    """The commands of Vitis HLS that build_prj.tcl gives."""
    tcl, calls = tkinter.Tcl(), []
    for name in KNOWN.split():
        tcl.createcommand(name, lambda *words, name=name: calls.append([name, *words]))
    tcl.eval('proc unknown args { error "no command of Vitis: $args" }')
    tcl.eval("proc exit {} { error exited }")
    with pytest.raises(tkinter.TclError, match="exited"):
        tcl.eval(f"source {{{folder / 'build_prj.tcl'}}}")
    return calls


def test_the_script_gives_vitis_files_part_and_clock(tmp_path: Path) -> None:
    plan = replace(PLAN, clock_ns=7.3, part="xc7a100tcsg324-1")
    project = generate(images(), "hls", plan)
    folder = project.write(tmp_path / "a folder [with] $signs")
    calls = evaluated(folder)
    names = [call[0] for call in calls]
    assert names.index("set_part") < names.index("csynth_design")
    assert names.index("create_clock") < names.index("csynth_design")
    assert ["set_top", TOP] in calls
    assert ["set_part", "xc7a100tcsg324-1"] in calls
    assert ["create_clock", "-period", "7.3", "-name", "default"] in calls
    files = [
        call[-3] if "-cflags" in call else call[-1] for call in calls if call[0] == "add_files"
    ]
    sources = [f"firmware/{NETWORK}.cpp", f"firmware/{TOP}.cpp"]
    assert files == [*sources, f"{TOP}_test.cpp", "tb_data"]
    assert all((folder / name).exists() for name in files)
    assert "cosim_design" not in names
    (folder / "build_opt.tcl").write_text(
        project.text("build_opt.tcl")
        .replace("cosim      0", "cosim      1")
        .replace("reset      1", "reset      0")
    )
    again = evaluated(folder)
    assert "cosim_design" in [call[0] for call in again]
    assert ["open_project", "hwbnn_top_prj"] in again
