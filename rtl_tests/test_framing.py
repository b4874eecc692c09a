"""Whole cores in each way to tell frames apart: packets of any length, stalls, resets, faults.

What comes out is held to the model of the border (:mod:`hwbnn.plan.framing`): the number of
frames, the values of those that have all their beats, ``tlast``, and every cycle of ``error_o``.
"""

from __future__ import annotations

import itertools
import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from hwbnn import tools
from hwbnn.estimate import cycles, frames_held
from hwbnn.graph import Conv2d, Dot, Flatten, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan, circuit
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.verification import cocotb_run, verify, verilator
from hwbnn.verification.bench import Stalls, Stimulus
from hwbnn.verification.results import compare_batch, first_difference
from rtl_tests.faults import broken

pytestmark = pytest.mark.hardware

FRAMINGS = ("packet", "counted", "batch")
PLAN = Plan({"d1": Folded(7, 3)}, input_beat=24, output_beat=16)
"""Four beats in, three out."""


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(5)
    return Graph(
        (
            Input("x", (21,), 0, 15),
            Dot("d1", "x", rng.random((14, 21)) < 0.5),
            Threshold("t1", "d1", rng.integers(-30, 31, (14, 1)), rng.random(14) < 0.5),
            Dot("d2", "t1", rng.random((10, 14)) < 0.5),
            Output("y", "d2"),
        )
    )


@pytest.fixture(scope="module")
def built(small, tmp_path_factory):
    """Compiled cores by framing and simulator."""
    done = {}

    def core(framing, simulator="driver"):
        key = framing, simulator
        if key not in done:
            project = generate(small, "rtl", replace(PLAN, framing=framing))
            folder = tmp_path_factory.mktemp("core")
            if simulator == "icarus":
                done[key] = cocotb_run.build(project, folder)
            else:
                done[key] = verilator.build(project, folder, optimise=False)
        return done[key]

    return core


def stimulus(core, lengths, rest=0, **options):
    """Packets of these lengths and beats without an end, of frames that are all different."""
    if core.core.plan.framing == "counted":  # ends with a whole frame
        short = -sum(lengths) % core.core.input.tokens
        lengths = [*lengths, *([short] if short else [])]
    beats, rng = sum(lengths) + rest, np.random.default_rng(options.get("seed", 1))
    x = rng.integers(0, 16, (-(-beats // core.core.input.tokens), 21))
    sent = core.core.input.pack(x).reshape(-1, core.core.input.bytes)[:beats]
    last = np.zeros(beats, np.uint8)
    for end in itertools.accumulate(lengths):
        last[end - 1 : end] = 1
    return Stimulus(sent, last, **options)


def wrong(graph, core, given):
    """What is not as the model of the border says; None if all of it is."""
    frames = given.frames(core.core)
    record = core.run(given)
    if record.faults:
        return record.faults[0]
    if record.errors != frames.errors:
        return f"error_o: expected {frames.errors} cycles, found {record.errors}"
    if (len(record.starts), len(record.ends)) != (len(frames), len(frames)):
        return "a frame is missing"
    beats = frames.beats(given.beats).reshape(-1, given.beats.shape[1])
    x = core.core.input.unpack(beats, graph.types[graph.input.name])
    keep = frames.whole
    expected = simulate(graph, x[keep], trace=True)
    found = {name: values[keep] for name, values in record.values.items()}
    difference = first_difference(compare_batch(graph, expected, found))
    return None if difference is None else str(difference)


def lengths_of(tokens, seed):
    """Packets of right and wrong lengths in turn, one of several frames, one that is huge."""
    rng = np.random.default_rng(seed)
    given = [tokens, tokens, 1, tokens, tokens + 1, tokens - 1, 3 * tokens, tokens, 2, 5 * tokens]
    return [*given, *rng.integers(1, 3 * tokens, 6).tolist(), tokens]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_any_sequence_of_packets_gives_what_the_model_says(small, built, framing):
    core = built(framing)
    tokens = core.core.input.tokens
    for seed in range(12):
        stalls = Stalls.random(seed) if seed % 3 else Stalls()
        rng = np.random.default_rng(seed)
        options = {"stalls": stalls, "seed": seed + 1, "cut": int(rng.integers(0, 60))}
        given = stimulus(
            core, lengths_of(tokens, seed), tokens * int(rng.integers(0, 3)), **options
        )
        # tkeep is not read: an incomplete last beat, or none at all, changes nothing.
        keep = rng.integers(0, 8, (len(given.beats), 1)).astype(np.uint8)
        assert wrong(small, core, replace(given, keep=keep)) is None


@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_same_under_icarus(small, built, framing):
    core = built(framing, "icarus")
    for seed in range(2):
        lengths = lengths_of(core.core.input.tokens, seed)
        stalls = Stalls.random(seed) if seed else Stalls()
        given = stimulus(core, lengths, stalls=stalls, seed=seed + 1, cut=30 * seed)
        assert wrong(small, core, given) is None


@pytest.mark.parametrize("framing", ["counted", "batch"])
def test_several_frames_in_one_packet_all_come_out(small, built, framing):
    """As a DMA sends them: one tlast at the end of its whole transfer; and with none at all."""
    core = built(framing)
    tokens = core.core.input.tokens
    for given in (stimulus(core, [30 * tokens]), stimulus(core, [], 30 * tokens)):
        assert len(given.frames(core.core)) == 30
        assert wrong(small, core, given) is None


def test_the_interval_is_the_same_in_every_framing(small, built):
    starts = {}
    x = np.random.default_rng(3).integers(0, 16, (20, 21))
    for framing in FRAMINGS:
        core = built(framing)
        record = core.run(Stimulus.of_frames(core.core, x))
        starts[framing] = record.starts.tolist(), record.ends.tolist()
    assert starts["counted"] == starts["batch"] == starts["packet"]


def test_an_output_that_does_not_need_the_last_input_waits_for_it():
    """Rows that no window reads: the model of cycles says when the last beat may leave."""
    rng = np.random.default_rng(1)
    conv = Conv2d("conv", "x", rng.random((2, 2, 2, 2)) < 0.5, stride=(9, 2))
    nodes = (Input.bits((16, 4, 2)), conv, Flatten("flat", "conv"), Output("y", "flat"))
    graph, x = Graph(nodes), rng.random((12, 16, 4, 2)) < 0.5
    plan = Plan(input_beat=8, output_beat=8)
    waits = replace(plan, framing="batch")
    assert cycles(circuit(graph, waits)).latency > cycles(circuit(graph, plan)).latency
    verify(generate(graph, "rtl", waits), x, backends=["rtl"]).raise_for_mismatch()


def test_the_output_can_know_of_all_frames_that_the_core_holds(small, built):
    """Of as many as it must: with one less, a sink that stalls would stop the source sooner."""
    plan = replace(PLAN, framing="batch")
    held = frames_held(circuit(small, plan))
    project = generate(small, "rtl", plan)
    assert f".Frames({held})" in project.text("rtl/hwbnn_top.sv")
    core = built("batch")
    sink = np.arange(4000) >= 2000
    x = np.random.default_rng(3).integers(0, 16, (held + 9, 21))
    record = core.run(Stimulus.of_frames(core.core, x, stalls=Stalls(sink=sink)))
    plain = built("packet")
    same = plain.run(Stimulus.of_frames(plain.core, x, stalls=Stalls(sink=sink)))
    assert record.starts.tolist() == same.starts.tolist()
    assert int((record.starts < 2000).sum()) in (held, held + 1)


FAULTS = {
    # framing, file, what stands there, what comes instead
    "a long packet is left a beat early": (
        "packet", "hwbnn_axis_in.sv",
        r"if \(state_q == Drop && accept && s_axis_tlast\) state_d = Take;",
        "if (state_q == Drop && accept) state_d = Take;",
    ),
    "a short packet is filled up by a beat less": (
        "packet", "hwbnn_axis_in.sv",
        r"if \(state_q == Fill && has_room && last_beat\) state_d = Take;",
        "if (state_q == Fill && has_room && count_q == CountWidth'(Beats - 2)) state_d = Take;",
    ),
    "an error stays": (
        "packet", "hwbnn_axis_in.sv", r"error_q <= error;", "error_q <= error_q || error;",
    ),
    "a long packet is no error": (
        "packet", "hwbnn_axis_in.sv", r"      error = 1'b1;", "      error = !last_beat;",
    ),
    "tlast is read": (
        "counted", "hwbnn_axis_in_counted.sv", r"\.s_axis_tlast\(last_beat\)", ".s_axis_tlast",
    ),
    "a frame is a beat too long": (
        "counted", "hwbnn_axis_in_counted.sv", r"CountWidth'\(Beats - 1\)", "CountWidth'(Beats)",
    ),
    "the count goes on after a short packet": (
        "batch", "hwbnn_axis_in_batch.sv", r"count_q <= ends \? '0", "count_q <= last_beat ? '0",
    ),
    "the end of a packet is lost": (
        "batch", "hwbnn_axis_in_batch.sv",
        r"assign frame_last_o = s_axis_tlast;", "assign frame_last_o = s_axis_tlast && !last_beat;",
    ),
    "every frame ends a packet": (
        "batch", "hwbnn_axis_out_batch.sv",
        r"assign m_axis_tlast = ends_frame && ends_packet;", "assign m_axis_tlast = ends_frame;",
    ),
    "what is known of a frame is taken a beat early": (
        "batch", "hwbnn_axis_out_batch.sv",
        r"\.ready_i\(m_axis_tvalid && m_axis_tready && ends_frame\)",
        ".ready_i(m_axis_tvalid && m_axis_tready)",
    ),
    "a reset forgets the beats of a frame": (
        "batch", "hwbnn_axis_in_batch.sv",
        r"if \(!rst_ni\) count_q <= '0;\n      else if", "if",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_the_border_is_caught(small, fault, tmp_path):
    framing, file, there, instead = FAULTS[fault]
    project = generate(small, "rtl", replace(PLAN, framing=framing))
    core = verilator.build(broken(project, f"rtl/{file}", there, instead), tmp_path, optimise=False)
    tokens = core.core.input.tokens
    said = [
        wrong(small, core, stimulus(core, lengths_of(tokens, seed), seed=seed + 1, cut=13 * seed))
        for seed in range(4)
    ]
    assert any(said), fault


BENCH = """`timescale 1ns / 1ps
module tb;
  reg clk = 0, rst = 0;
  always #5 clk = ~clk;
  reg [23:0] beats [0:BEATS - 1];
  reg [BEATS - 1:0] last;
  integer sent = 0, cycle = 0;
  wire ready, valid, ended, error;
  wire [15:0] data;
  CORE dut (
    .aclk(clk), .aresetn(rst), .s_axis_tdata(beats[sent]), .s_axis_tkeep(3'b111),
    .s_axis_tvalid(rst && sent < BEATS), .s_axis_tready(ready), .s_axis_tlast(last[sent]),
    .m_axis_tdata(data), .m_axis_tkeep(), .m_axis_tvalid(valid), .m_axis_tready(1'b1),
    .m_axis_tlast(ended), .error_o(error)
  );
  initial begin
    $readmemh("beats.hex", beats);
    last = LAST;
    repeat (4) @(posedge clk);
    #1 rst = 1;
  end
  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (rst && valid) $display("%h %b", data, ended);
    if (rst && ready && sent < BEATS) sent <= sent + 1;
    if (error) $display("error");
    if (cycle > 900) $finish;
  end
endmodule
"""


@pytest.mark.parametrize(
    ("framing", "last", "ends"),
    [
        ("packet", "each frame", [1] * 5),
        ("counted", "none", [1] * 5),
        ("counted", "every beat", [1] * 5),
        ("batch", "the last beat", [0, 0, 0, 0, 1]),
        ("batch", "each frame", [1] * 5),
        ("batch", "none", [0] * 5),
    ],
)
def test_a_plain_verilog_bench_sees_five_of_five_results(small, framing, last, ends, tmp_path):
    """Independent of every bench of this project."""
    project = generate(small, "rtl", replace(PLAN, framing=framing))
    project.write(tmp_path / "core")
    x = np.random.default_rng(4).integers(0, 16, (5, 21))
    wire = cocotb_run.Core.of(project)
    beats = wire.input.pack(x).reshape(-1, 3)
    (tmp_path / "beats.hex").write_text("\n".join(bytes(b[::-1]).hex() for b in beats))
    tokens, n = wire.input.tokens, len(beats)
    wanted = {
        "none": lambda i: 0,
        "every beat": lambda i: 1,
        "each frame": lambda i: i % tokens == tokens - 1,
        "the last beat": lambda i: i == n - 1,
    }[last]
    bits = "".join(str(int(wanted(i))) for i in reversed(range(n)))
    text = re.sub("BEATS", str(n), BENCH).replace("LAST", f"{n}'b{bits}")
    (tmp_path / "tb.sv").write_text(text.replace("CORE", "hwbnn_top"))
    compiler = tools.require("iverilog")
    files = [f"core/{name}" for name in project.text("files.f").split()]
    command = [*compiler.command, "-g2012", "-s", "tb", "-o", "sim", "tb.sv", *files]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "-N", "sim"], cwd=tmp_path, capture_output=True, text=True)
    lines = done.stdout.split("\n")[:-1]
    assert "error" not in lines
    words = [line.split() for line in lines if re.fullmatch(r"[0-9a-f]{4} [01]", line)]
    data = np.array([[int(w[2:], 16), int(w[:2], 16)] for w, _ in words], np.uint8)
    found = wire.output.unpack(data, small.types["y"])
    assert np.array_equal(found, simulate(small, x))
    a_frame = wire.output.tokens
    assert [int(last) for _, last in words] == [
        end if i == a_frame - 1 else 0 for end in ends for i in range(a_frame)
    ]
