"""Generated RTL cores: their files, what they say of themselves, and that tools take them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import PurePath

import numpy as np
import pytest

from hwbnn import tools
from hwbnn.assets import assets
from hwbnn.errors import InputError, ToolFailed
from hwbnn.graph import ArgMax, Dot, Graph, Input, Lookup, Output, Rescale, Threshold, from_bytes
from hwbnn.plan import Folded, Plan, circuit
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.targets.rtl.verilog import concatenation, constant, literal
from tests.strategies import random_graph, random_plan


def network():
    """Two layers, ranks of two classes, the best of them; names that are Verilog keywords."""
    rng = np.random.default_rng(3)
    nodes = [
        Input.bits(20, "input"),
        Dot("module", "input", rng.random((6, 20)) < 0.5),
        Threshold("reg", "module", rng.integers(-5, 5, (6, 1)), rng.random(6) < 0.5),
        Dot("wire", "reg", rng.random((3, 6)) < 0.5),
        Lookup("begin", "wire", rng.integers(0, 9, (3, 7))),
        ArgMax("end", "begin"),
        Output("output", "end"),
    ]
    return Graph(tuple(nodes))


PLANS = [
    Plan(input_beat=8),
    Plan(default=Folded(3, 2), input_beat=16, logic_levels_per_register=1),
    Plan({"module": Folded(1, 5)}, fuse=False, logic_levels_per_register=4),
]


def test_the_same_graph_and_plan_give_the_same_files():
    for plan in PLANS:
        one, two = generate(network(), "rtl", plan), generate(network(), "rtl", plan)
        assert one.digest == two.digest
        assert dict(one.files) == dict(two.files)
    assert len({generate(network(), "rtl", plan).digest for plan in PLANS}) == len(PLANS)


def test_the_listed_files_are_there_and_no_other_sources():
    for seed in range(20):
        graph = random_graph(seed, max_width=30)
        project = generate(graph, "rtl", random_plan(seed, graph))
        listed = project.text("files.f").split()
        said = json.loads(project.text("core.json"))
        assert listed == said["files"]
        assert set(listed) == {name for name in project.files if name.startswith("rtl/")}
        assert from_bytes(project.files["graph.npz"]) == graph
        # The leaves come first: nothing is instantiated before it is listed.
        texts = {name[4:-3]: project.text(name) for name in listed}
        for i, name in enumerate(texts):
            later = list(texts)[i + 1 :]
            used = re.findall(r"^ *(\w+) (?:#\(|u_\w+ \()", texts[name], re.MULTILINE)
            assert not set(used) & set(later), name


def test_every_module_bears_the_prefix_and_the_name_of_its_file():
    library = {path.stem for path in assets("rtl").rglob("*.sv")}
    own = re.compile("hwbnn_(top|tb|trace|(v|raw|rom|net)_.+)")
    # No node, whatever its name, takes the name of a module of the library.
    assert not any(own.fullmatch(name) for name in library)
    for seed in range(20):
        graph = random_graph(seed, max_width=30)
        project = generate(graph, "rtl", random_plan(seed, graph))
        for declared, name in modules_of(project).items():
            if PurePath(name).stem == "hwbnn_primitives":  # those have the vendor's names
                assert name.startswith("sim/")
                continue
            assert declared == PurePath(name).stem
            assert declared in library or own.fullmatch(declared)


def modules_of(project):
    listed = [name for name in project.files if name.endswith(".sv")]
    return {re.search(r"^module (\w+)", project.text(n), re.MULTILINE)[1]: n for n in listed}


def test_cores_of_different_names_share_the_library_alone():
    library = {path.stem for path in assets("rtl").rglob("*.sv")}
    one, two = (generate(network(), "rtl", PLANS[1], name=name) for name in ("eins", "eins2"))
    both = modules_of(one).keys() & modules_of(two).keys()
    assert both
    assert both <= library
    assert all(one.files[modules_of(one)[n]] == two.files[modules_of(two)[n]] for n in both)
    assert {"eins_top", "eins_trace", "eins_raw_module", "eins_rom_module"} < modules_of(one).keys()
    said = json.loads(one.text("core.json"))
    assert (said["top"], said["simulation"]["top"]) == ("eins_top", "eins_trace")
    assert "`eins_top`" in one.text("README.md")
    assert "set top eins_ip\n" in one.text("vivado/core.tcl")
    # The name is the only difference, in the cases that Verilog, Python and C have.
    plain = generate(network(), "rtl", PLANS[1])
    renamed = set()
    for text in one.files.values():
        for mine, usual in ((b"eins_", b"hwbnn_"), (b"Eins", b"Hwbnn"), (b"EINS_", b"HWBNN_")):
            text = text.replace(mine, usual)
        renamed.add(text)
    assert renamed == set(plain.files.values())


@pytest.mark.parametrize("name", ["", "a_b", "A", "1a", "a;b", "a" * 33, "a\n"])
def test_a_core_s_name_is_checked(name):
    with pytest.raises(InputError, match=r"core name .*: expected at most 32 of a-z and 0-9"):
        generate(network(), "rtl", name=name)


def test_core_json_says_layout_taps_and_cycles():
    plan = PLANS[1]
    made = circuit(network(), plan)
    said = json.loads(generate(network(), "rtl", plan).text("core.json"))
    assert said["input"] | {"value": "input", "beat": 16, "lanes": 16, "tokens": 2} == said["input"]
    assert said["output"] | {"value": "output", "lanes": 1, "width": 2} == said["output"]
    assert said["cycles"]["latency"] == made.latency
    assert said["cycles"]["initiation_interval"] == made.interval == 20
    assert list(said["taps"]) == ["input", "reg", "wire", "begin", "end", "output"]
    assert said["fused"] == {"module": "reg"}


def test_the_readme_shows_a_frame_that_the_network_computes():
    graph = network()
    text = generate(graph, "rtl", PLANS[0]).text("README.md")
    shown = [line.split() for line in text.splitlines() if line.startswith("s_axis beat")]
    packed = sum(int(words[-1], 16) << 8 * k for k, words in enumerate(shown))
    x = np.array([[packed >> i & 1 for i in range(20)]])
    (answer,) = [line.split() for line in text.splitlines() if line.startswith("m_axis beat")]
    assert int(answer[-1], 16) == int(simulate(graph, x)[0, 0])
    assert "tlast" in shown[-1]
    assert "tlast" not in shown[0]


def test_the_readme_counts_in_english():
    text = " ".join(generate(network(), "rtl", Plan()).text("README.md").split())
    assert "A frame is one beat of 64 bits with 20 elements" in text
    assert "one bit each" in text
    assert "high for one cycle for each packet that is not one beat long" in text
    assert "A new frame every cycle." in text
    more = " ".join(generate(network(), "rtl", PLANS[1]).text("README.md").split())
    assert "for each packet that is not 2 beats long" in more
    assert "A new frame every 20 cycles." in more
    for plural in (text, more):
        assert not re.search(r"\b(1|one) (beat|bit|cycle|element)s\b", plural)


def test_names_reach_scripts_only_behind_a_prefix():
    project = generate(network(), "rtl", replace(PLANS[0], part="xc7a35t-1"))
    script = project.text("vivado/core.tcl")
    assert "set part xc7a35t-1\n" in script
    assert "create_clock -name aclk -period 5 " in project.text("vivado/clock.xdc")
    for name in ("module", "reg", "wire", "begin", "end"):
        assert not re.search(rf"(?<![\w])u?_?{name}\.sv", script)


def test_literals_are_short_and_right():
    value = (1 << 2500) - 12345
    text = literal(value, 2600)
    parts = re.findall(r"(\d+)'h([0-9a-f]+)", text)
    assert sum(int(width) for width, _ in parts) == 2600
    assert max(int(width) for width, _ in parts) <= 1024
    joined = 0
    for width, digits in parts:
        joined = joined << int(width) | int(digits, 16)
    assert joined == value
    assert concatenation([1, -1], 3) == "{\n    3'h7, 3'h1\n  }"
    assert constant("A", [1, 2], 4).startswith("  localparam logic [7:0] A = {")


def said_by(name, arguments, folder):
    """What a tool prints on files in a folder, and whether it was content."""
    tool, log = tools.require(name), folder.parent / "log"
    try:
        tools.run([*tool.command, *arguments], cwd=folder, log=log, env=tools.environment(tool))
    except ToolFailed:
        return False, log.read_text()
    return True, "".join(log.read_text().splitlines(keepends=True)[1:])


def lint(files, top, folder):
    sources = files["files.f"].decode().split()
    sources += ["sim/hwbnn_trace.sv"] if top == "hwbnn_trace" else []
    return said_by("verilator", ["--lint-only", "-Wall", "--top-module", top, *sources], folder)


@pytest.mark.hardware
@pytest.mark.parametrize("plan", PLANS)
def test_verilator_finds_nothing_to_warn_of(plan, tmp_path):
    project = generate(network(), "rtl", plan)
    folder = project.write(tmp_path / "core")
    for top in ("hwbnn_top", "hwbnn_trace"):
        content, said = lint(project.files, top, folder)
        assert content, said


@pytest.mark.hardware
@pytest.mark.parametrize(
    ("name", "right", "wrong", "message"),
    [
        ("raw_module", ".Simd(2)", ".Simd(21)", "Simd 21 is more than Inputs 20"),
        ("raw_module", ".Pe(3)", ".Pe(7)", "Pe 7 is more than Channels 6"),
        ("raw_module", ".Slots(20)", ".Slots(9)", "Slots 9 do not hold the 10 tokens"),
        ("top", "logic [2:0] v_reg_data", "logic [1:0] v_reg_data", "WIDTH"),
    ],
)
def test_verilator_tells_planted_faults(name, right, wrong, message, tmp_path):
    project = generate(network(), "rtl", PLANS[1])
    name = f"rtl/hwbnn_{name}.sv"
    assert right in project.text(name)
    files = {**project.files, name: project.text(name).replace(right, wrong).encode()}
    content, said = lint(files, "hwbnn_top", replace(project, files=files).write(tmp_path / "core"))
    assert not content
    assert message in said


@pytest.mark.hardware
@pytest.mark.parametrize(("plan", "name"), [*((plan, "hwbnn") for plan in PLANS), (PLANS[1], "my")])
def test_icarus_elaborates(plan, name, tmp_path):
    project = generate(network(), "rtl", plan, name=name)
    folder = project.write(tmp_path / "core")
    sources = [*project.text("files.f").split(), f"sim/{name}_trace.sv"]
    line = ["-g2012", "-t", "null", "-s", f"{name}_trace", *sources]
    assert said_by("iverilog", line, folder) == (True, "")


PAIR = """module pair (
  input logic clk, input logic rst_n, input logic valid, input logic [7:0] data, output logic both
);
  logic left, right;
  assign both = left && right;
  left_top u_left (
    .aclk(clk), .aresetn(rst_n), .s_axis_tdata(data), .s_axis_tkeep(1'b1), .s_axis_tvalid(valid),
    .s_axis_tready(), .s_axis_tlast(1'b0), .m_axis_tdata(), .m_axis_tkeep(), .m_axis_tvalid(left),
    .m_axis_tready(1'b1), .m_axis_tlast(), .error_o()
  );
  right_top u_right (
    .aclk(clk), .aresetn(rst_n), .s_axis_tdata(data), .s_axis_tkeep(1'b1), .s_axis_tvalid(valid),
    .s_axis_tready(), .s_axis_tlast(1'b0), .m_axis_tdata(), .m_axis_tkeep(), .m_axis_tvalid(right),
    .m_axis_tready(1'b1), .m_axis_tlast(), .error_o()
  );
endmodule
"""


@pytest.mark.hardware
@pytest.mark.parametrize("second", ["right", "left"])
def test_two_cores_stand_in_one_design(second, tmp_path):
    folded = Plan({"module": Folded(1, 5)}, input_beat=8)
    given = (("left", PLANS[0]), (second, folded))
    projects = [generate(network(), "rtl", plan, name=name) for name, plan in given]
    sources = {}
    for i, project in enumerate(projects):
        project.write(tmp_path / str(i))
        for name in project.text("files.f").split():
            # Of the library, which both have, each module is read once.
            sources[name if "/hwbnn_" in name else f"{i}/{name}"] = f"{i}/{name}"
    (tmp_path / "pair.sv").write_text(PAIR)
    files = ["pair.sv", *sources.values()]
    content, said = said_by("iverilog", ["-g2012", "-t", "null", "-s", "pair", *files], tmp_path)
    assert content == (second == "right"), said


@pytest.mark.parametrize(
    ("factor", "low", "sum_width", "clips"),
    [(1, -8, 4, 0), (1, -4, 4, 1), (9, -72, 8, 0), (-9, -63, 8, 0), (-9, -62, 8, 1)],
)
def test_a_rescale_of_signed_numbers_has_room_for_the_least(
    factor: int, low: int, sum_width: int, clips: int
) -> None:
    """From -8 to 7: the products of -8 are the largest, and may be the only ones that saturate."""
    factors, zeros = np.full(2, factor), np.zeros(2, np.int64)
    rescale = Rescale("r", "x", factors, zeros, zeros, low, 72)
    graph = Graph((Input("x", (2,), -8, 7), rescale, Output("y", "r")))
    files = generate(graph, "rtl").files.items()
    (text,) = (b.decode() for n, b in files if n.startswith("rtl/") and b"Node 'r': mult" in b)
    assert f".SumWidth({sum_width})," in text
    assert f".Clip(1'b{clips})," in text
