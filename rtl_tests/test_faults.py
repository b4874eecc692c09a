"""Planted faults: each must be caught, and the node named where a value is wrong.

A bench that cannot fail shows nothing. Every test here breaks one thing in a generated core, as a
defect of the generator or of a module would, and asks that verification says so.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from hwbnn.errors import Mismatch
from hwbnn.estimate import cycles
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan, circuit
from hwbnn.targets import generate
from hwbnn.verification import verify, verilator
from hwbnn.verification.bench import Stimulus
from rtl_tests.faults import at_full_rate, broken, failures, flipped, named

pytestmark = pytest.mark.hardware

FRAMES = 24


def threshold(rng, name, source, channels, count=1):
    cuts = np.sort(rng.integers(-4, 5, (channels, count)), axis=1)
    return Threshold(name, source, cuts, rng.random(channels) < 0.5)


@pytest.fixture(scope="module")
def graph():
    rng = np.random.default_rng(0)
    return Graph(
        (
            Input.bits(24),
            Dot("d1", "x", rng.random((16, 24)) < 0.5),
            threshold(rng, "t1", "d1", 16),
            Dot("d2", "t1", rng.random((12, 16)) < 0.5),
            threshold(rng, "t2", "d2", 12),
            Dot("d3", "t2", rng.random((9, 12)) < 0.5),
            Output("y", "d3"),
        )
    )


@pytest.fixture(scope="module")
def plan():
    # Several beats in and out, a layer folded, the others unrolled.
    return Plan(
        layers={"d2": Folded(4, 8)}, input_beat=8, output_beat=16, logic_levels_per_register=1
    )


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).random((FRAMES, 24)) < 0.5


def test_a_sound_core_passes(graph, plan, x):
    assert failures(generate(graph, "rtl", plan), x) == [None, None]


@pytest.mark.parametrize(("fuse", "node"), [(True, "t1"), (False, "d1")])
def test_a_weight_bit_of_an_unrolled_layer(graph, plan, x, fuse, node):
    project = generate(graph, "rtl", replace(plan, fuse=fuse))
    fault = broken(project, "rtl/hwbnn_raw_d1.sv", r"24'h[0-9a-f]+(?=\n)", flipped)
    full, stalled = failures(fault, x)
    assert named(full) == named(stalled) == node


@pytest.mark.parametrize(("fuse", "node"), [(True, "t2"), (False, "d2")])
def test_a_weight_bit_of_a_folded_layer(graph, plan, x, fuse, node):
    project = generate(graph, "rtl", replace(plan, fuse=fuse))
    fault = broken(project, "rtl/hwbnn_rom_d2.sv", r"(?<=rows\[3\] = )32'h[0-9a-f]+", flipped)
    full, stalled = failures(fault, x)
    assert named(full) == named(stalled) == node


@pytest.mark.parametrize("fuse", [True, False])
def test_a_threshold_off_by_one(graph, plan, x, fuse):
    project = generate(graph, "rtl", replace(plan, fuse=fuse))
    name = "rtl/hwbnn_v_t2.sv"
    constants = re.search(r"Constants = \{[^}]*\}", project.text(name))[0]
    # The last literal is the first channel's: one more than it was.
    *_, last = re.finditer(r"(\d+)'h([0-9a-f]+)", constants)
    moved = (int(last[2], 16) + 1) % (1 << int(last[1]))
    changed = constants[: last.start()] + f"{last[1]}'h{moved:x}" + constants[last.end() :]
    fault = broken(project, name, re.escape(constants), changed)
    full, stalled = failures(fault, x)
    assert named(full) == named(stalled) == "t2"
    assert "element 0:" in full


@pytest.fixture(scope="module")
def scaled():
    rng = np.random.default_rng(2)

    def factors(channels):
        return np.full(channels, 8), rng.integers(1, 9, channels)

    return Graph(
        (
            Input.bits(24),
            Dot("d1", "x", rng.random((16, 24)) < 0.5, *factors(16)),
            Threshold("t1", "d1", rng.integers(-40, 40, (16, 1)), rng.random(16) < 0.5),
            Dot("d2", "t1", rng.random((12, 16)) < 0.5, *factors(12)),
            Output("y", "d2"),
        )
    )


SCALED_FAULTS = {
    # file, what stands there, what comes instead, node that is wrong
    "an unrolled total without one input": (
        "rtl/hwbnn_raw_d1.sv", r"(?<=\{\n    )24'hffffff", "24'hfffffe", "t1",
    ),
    "a folded total without one input": (
        "rtl/hwbnn_dot_folded.sv", r"assign weights = '1;",
        "assign weights = Simd'({Simd{1'b1}} << 1);", "d2",
    ),
    "the total of the token before": (
        "rtl/hwbnn_scaled.sv", r"assign total = .*;",
        "logic [Width-1:0] old_q = '0;\n  always_ff @(posedge clk_i)\n"
        "    if (valid_i) old_q <= data_i[Lanes*Width +: Width];\n"
        "  assign total = {1'b0, old_q};", "d2",
    ),
    "the total of the frame before": (
        "rtl/hwbnn_scaled_fixed.sv", r"\.data_i\(data_i\[Lanes\*Width \+: Width\]\)",
        ".data_i(old_q)", "t1",
    ),
    "an offset one more": (
        "rtl/hwbnn_v_d2.sv", r"[0-9a-f](?=\n  \})", lambda m: f"{int(m[0], 16) ^ 1:x}", "d2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", SCALED_FAULTS)
def test_a_fault_in_the_total_or_an_offset(scaled, x, fault):
    project = generate(scaled, "rtl", Plan({"d2": Folded(4, 8)}, output_beat=16))
    name, pattern, replacement, node = SCALED_FAULTS[fault]
    faulty = broken(project, name, pattern, replacement)
    if "frame" in fault:
        old = "  logic [Width-1:0] old_q = '0;\n  always_ff @(posedge clk_i)\n"
        old += "    if (valid_i) old_q <= data_i[Lanes*Width +: Width];\n\n  for (genvar k"
        faulty = broken(faulty, name, r"  for \(genvar k", old)
    full, stalled = failures(faulty, x)
    assert named(full) == named(stalled) == node


def test_swapped_bit_order_in_a_beat(graph, plan, x):
    project = generate(graph, "rtl", plan)
    swapped = "{" + ", ".join(f"s_axis_tdata[{i}]" for i in range(8)) + "}"
    fault = broken(
        project, "rtl/hwbnn_top.sv", r"\.s_axis_tdata\(s_axis_tdata\)", f".s_axis_tdata({swapped})"
    )
    full, stalled = failures(fault, x)
    assert named(full) == named(stalled) == "x"


def test_swapped_elements_at_the_output(graph, plan, x):
    project = generate(graph, "rtl", plan)
    width = graph.types["y"].width
    (wire,) = re.findall(
        r"u_axis_out \(.*?\.data_i\((\w+)\)", project.text("rtl/hwbnn_top.sv"), re.S
    )
    swapped = f"{{{wire}[{width - 1}:0], {wire}[{2 * width - 1}:{width}]"
    lanes = plan.output_beat // width
    rest = f", {wire}[{lanes * width - 1}:{2 * width}]" if lanes > 2 else ""
    swapped = f"{{{rest[2:]}{', ' if rest else ''}{swapped[1:]}}}"
    fault = broken(
        project,
        "rtl/hwbnn_top.sv",
        rf"(u_axis_out \([^;]*\.data_i)\({wire}\)",
        rf"\1({swapped})",
    )
    full, stalled = failures(fault, x)
    assert named(full) == named(stalled) == "y"


def test_ready_always_high(graph, plan, x):
    """The FIFOs take words that they have no room for."""
    project = generate(graph, "rtl", plan)
    fault = broken(
        project,
        "rtl/hwbnn_stream_fifo.sv",
        r"assign ready_o = fill_q != [^;]*;",
        "assign ready_o = 1'b1;",
    )
    _, stalled = failures(fault, x)
    assert stalled is not None


def test_a_word_lost_when_one_leaves_as_one_comes(graph, plan, x):
    project = generate(graph, "rtl", plan)
    fault = broken(
        project,
        "rtl/hwbnn_stream_fifo.sv",
        r"fill_q <= fill_q \+ FillWidth'\(push\) - FillWidth'\(pop\);",
        "fill_q <= pop ? fill_q - 1'b1 : fill_q + FillWidth'(push);",
    )
    full, _ = failures(fault, x)
    assert full is not None


def test_valid_that_does_not_wait(graph, plan, x):
    """Valid falls after a cycle, whether ready was there or not."""
    project = generate(graph, "rtl", plan)
    fault = broken(
        project,
        "rtl/hwbnn_stream_up.sv",
        r"full_q <= \(take && last_part\) \|\| \(full_q && !pop\);",
        "full_q <= take && last_part;",
    )
    _, stalled = failures(fault, x)
    assert stalled is not None


def test_a_missing_register_beside_the_data(graph, plan, x):
    """The valid bit of a pipeline comes a cycle before its data."""
    project = generate(graph, "rtl", plan)
    fault = broken(
        project, "rtl/hwbnn_dot_unrolled.sv", r"\.Stages\(Stages\)", ".Stages(Stages - 1)"
    )
    full, stalled = failures(fault, x)
    assert named(full) == named(stalled) == "t1"


def test_a_missing_register_with_its_valid_bit(graph, plan, x):
    """The values are right; only the cycles say that a register is gone."""
    project = generate(graph, "rtl", plan)
    fault = broken(project, "rtl/hwbnn_raw_d1.sv", r"\.Levels\(1\)", ".Levels(2)")
    full, _ = failures(fault, x)
    assert re.fullmatch(r"rtl-icarus: end of frame 0: predicted cycle \d+, counted \d+", full)


def test_tlast_a_beat_early(graph, plan, x):
    project = generate(graph, "rtl", plan)
    fault = broken(
        project,
        "rtl/hwbnn_axis_out.sv",
        r"assign m_axis_tlast = count_q == CountWidth'\(Beats - 1\);",
        "assign m_axis_tlast = count_q == CountWidth'(Beats - 2);",
    )
    full, stalled = failures(fault, x)
    assert full is not None
    assert stalled is not None


@pytest.mark.parametrize("key", ["latency", "initiation_interval"])
def test_a_stated_cycle_count_off_by_one(graph, plan, x, key):
    project = generate(graph, "rtl", plan)
    said = json.loads(project.text("core.json"))["cycles"][key]
    fault = broken(project, "core.json", rf'"{key}": {said}', f'"{key}": {said + 1}')
    full, _ = failures(fault, x)
    what = {"latency": "latency", "initiation_interval": "interval"}[key]
    assert full == f"rtl-icarus: {what}: predicted {said + 1}, counted {said}"


def test_a_count_that_reset_forgets(graph, plan, x):
    """A frame that reset cuts off shifts those that follow."""
    project = generate(graph, "rtl", plan)
    fault = broken(
        project,
        "rtl/hwbnn_stream_up.sv",
        r"if \(!rst_ni\) begin\n      part_q <= '0;",
        "if (!rst_ni) begin\n      if (part_q === 'x) part_q <= '0;",
    )
    _, stalled = failures(fault, x)
    assert stalled is not None


def test_a_pointer_that_reset_forgets(graph, plan, x):
    """Words are written nowhere: what leaves the core is X."""
    project = generate(graph, "rtl", plan)
    fault = broken(project, "rtl/hwbnn_stream_fifo.sv", r" +write_q <= '0;\n", "")
    full, stalled = failures(fault, x)
    assert full.endswith("X on data at the border")
    assert stalled.endswith("X on data at the border")


def test_a_valid_bit_that_reset_forgets(graph, plan, x, tmp_path):
    """What a pipeline holds comes out after a reset, unless that lasts until it has run out."""
    project = generate(graph, "rtl", plan)
    fault = broken(
        project,
        "rtl/hwbnn_valid_line.sv",
        r"if \(!rst_ni\) valid_q <= '0;\n      else valid_q",
        "valid_q",
    )
    _, stalled = failures(fault, x)
    assert stalled is not None
    # The C++ bench resets for one cycle too: its stalled run is another, with another cut.
    core = verilator.build(fault, tmp_path, optimise=False)
    assert any(_wrong(core, x[:4], cut) for cut in range(20, 60, 4))


def _wrong(core, x, cut):
    """Whether a run after a reset in that cycle breaks a rule or ends with an assertion."""
    try:
        return bool(core.run(Stimulus.of_frames(core.core, x, cut=cut)).faults)
    except Mismatch:
        return True


def test_cycles_that_differ_under_stalls_alone(graph, x):
    """Room for one beat more, in a core that takes a frame in every cycle anyhow."""
    project = generate(graph, "rtl", Plan(input_beat=24, output_beat=64))
    fault = broken(project, "rtl/hwbnn_axis_in.sv", r"\.Depth\(2\)", ".Depth(3)")
    full, stalled = failures(fault, x, "rtl")
    assert full is None
    assert stalled.startswith("rtl, stalled: under stalls: start of frame ")


def test_an_error_without_a_wrong_packet(graph, plan, x):
    project = generate(graph, "rtl", plan)
    name, there = "rtl/hwbnn_axis_in.sv", r"error_q <= error;"
    fault = broken(project, name, there, "error_q <= error || (accept && last_beat);")
    full, stalled = failures(fault, x)
    for said in (full, stalled):
        assert re.search(r"error_o: high in cycle \d+ although every packet is whole", said)


def test_x_on_a_tap_is_no_number(graph, plan, x):
    project = generate(graph, "rtl", plan)
    file = "sim/hwbnn_trace.sv"
    fault = broken(project, file, r"assign tap_t1_data = [^;]*;", "assign tap_t1_data = 'x;")
    found = at_full_rate(fault, x)
    assert any("tap_t1: X among the data" in said for said in found.faults)


def test_one_credit_less_slows_the_core_as_predicted(graph, plan, x):
    made = circuit(graph, plan)
    segment = max(made.pipelines, key=lambda s: s.credits)
    assert segment.credits > 1
    fewer = [replace(s, credits=s.credits - 1) if s is segment else s for s in made.stages]
    predicted = cycles(replace(made, stages=tuple(fewer)))
    assert predicted.interval > made.interval
    project = generate(graph, "rtl", plan)
    credits = rf"\.Credits\({segment.credits}\)"
    for name in ("rtl/hwbnn_raw_d2.sv", "rtl/hwbnn_top.sv"):
        project = broken(project, name, credits, f".Credits({segment.credits - 1})")
    found = verify(project, x, backends=["rtl-icarus"]).backends[0]
    assert found.mismatches == 0
    assert not found.faults
    assert found.cycles.interval.measured.value == predicted.interval
    assert found.failure is not None


def test_argmax_ties_to_the_highest_index(x):
    rng = np.random.default_rng(4)
    graph = Graph(
        (
            Input.bits(24),
            Dot("scores", "x", rng.random((5, 24)) < 0.5),
            ArgMax("best", "scores"),
            Output("y", "best"),
        )
    )
    project = generate(graph, "rtl", Plan(input_beat=24))
    fault = broken(
        project,
        "rtl/hwbnn_argmax.sv",
        r"= right > left \? right_index : left_index",
        "= right >= left ? right_index : left_index",
    )
    full, stalled = failures(fault, x)
    assert named(full) == named(stalled) == "best"
