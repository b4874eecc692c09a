"""hwbnn_axis_in: packets of one frame, and errors for packets of another length."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from hwbnn import tools
from hwbnn.assets import assets
from hwbnn.verification.bench import Stalls
from rtl_tests.bench import random_tokens

pytestmark = pytest.mark.hardware

RESET = """module tb;
  reg clk = 0, rst = 0, was = 0;
  reg [7:0] sent = 0;
  wire ready, valid;
  wire [7:0] data;
  always #5 clk = ~clk;
  hwbnn_axis_in #(.Beat(8), .Width(8), .Beats(1)) dut (
    .clk_i(clk), .rst_ni(rst), .s_axis_tdata(sent), .s_axis_tkeep(1'b1), .s_axis_tvalid(1'b1),
    .s_axis_tready(ready), .s_axis_tlast(1'b1), .valid_o(valid), .ready_i(1'b1), .data_o(data),
    .error_o()
  );
  integer cycle = 0;
  always @(posedge clk) begin
    cycle <= cycle + 1;
    rst <= cycle >= 3 && cycle != 9;
    if (ready) sent <= sent + 8'd1;
    was <= rst;
    if (!was && cycle > 1 && ready !== 1'b0) $display("ready in reset");
    if (rst && valid) $display("%0d", data);
    if (cycle == 16) $finish;
  end
endmodule
"""

AXIS = {"axis": ("source",), "error": True}


def packets(lengths, beat, seed=1):
    """Beats and their tlast for packets of these lengths."""
    beats = random_tokens(seed, sum(lengths), beat)
    last = [int(i == n - 1) for n in lengths for i in range(n)]
    return beats, last


def framed(beats, lengths, width, a_frame):
    """What each packet must become: cut to a frame, or filled up with zero beats."""
    frames, begin = [], 0
    for n in lengths:
        packet = [beat % (1 << width) for beat in beats[begin : begin + n]]
        frames += (packet + [0] * a_frame)[:a_frame]
        begin += n
    return frames


@pytest.mark.parametrize(
    ("simulator", "beat", "width", "a_frame"),
    [
        ("icarus", 8, 8, 1),
        ("icarus", 64, 60, 5),
        ("icarus", 16, 9, 3),
        ("verilator", 72, 70, 4),
    ],
)
def test_frames_pass_and_raise_no_error(module, simulator, beat, width, a_frame):
    border = module("hwbnn_axis_in", simulator, AXIS, Beat=beat, Width=width, Beats=a_frame)
    lengths = [a_frame] * 20
    beats, last = packets(lengths, beat)
    expected = framed(beats, lengths, width, a_frame)
    for seed in range(3):
        options = {"stalls": Stalls.random(seed), "seed": seed, "cut": 11 + 7 * seed}
        found = border.check(beats, expected, (beat, width), last=last, **options)
        assert found.error is None


@pytest.mark.parametrize(
    ("simulator", "a_frame", "lengths"),
    [
        ("icarus", 1, [1, 2, 1, 5, 1]),
        ("icarus", 2, [2, 1, 2, 3, 1, 1, 2]),
        ("icarus", 5, [5, 4, 5, 6, 1, 5, 17, 5, 2, 3, 5]),
        ("verilator", 3, [3, 1, 1, 2, 4, 3, 8, 3]),
    ],
)
def test_a_packet_of_another_length_gives_one_frame_and_an_error(
    module, simulator, a_frame, lengths
):
    border = module("hwbnn_axis_in", simulator, AXIS, Beat=16, Width=12, Beats=a_frame)
    beats, last = packets(lengths, 16)
    expected = framed(beats, lengths, 12, a_frame)
    for seed in range(4):
        stalls = Stalls.random(seed) if seed else Stalls()
        found = border.check(beats, expected, (16, 12), last=last, stalls=stalls, seed=seed + 1)
        assert found.errors == sum(n != a_frame for n in lengths)


@pytest.mark.parametrize(("short_or_long", "later"), [(2, 2), (5, 3)])
def test_the_error_is_high_for_one_cycle_and_needs_no_reset(module, short_or_long, later):
    border = module("hwbnn_axis_in", bench=AXIS, Beat=8, Width=8, Beats=3)
    lengths = [3, 3, short_or_long, 3, 3, 3]
    beats, last = packets(lengths, 8)
    expected = framed(beats, lengths, 8, 3)
    plain = border.check(beats, expected, (8, 8), last=last)
    # The part before the reset raises it too; after the reset it is low until raised again.
    again = border.check(beats, expected, (8, 8), last=last, cut=25)
    assert plain.errors == again.errors == 1
    assert plain.error == again.error == plain.taken[2] + later


def test_no_beat_is_taken_in_reset(tmp_path):
    """From its second cycle to the one after it; the first may take one, which is cut off."""
    (tmp_path / "tb.sv").write_text(RESET)
    library = [str(asset) for asset in sorted(assets("rtl").glob("*.sv"))]
    command = [*tools.require("iverilog").command, "-g2012", "-s", "tb", "-o", "sim", "tb.sv"]
    subprocess.run([*command, *library], cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "-N", "sim"], cwd=tmp_path, capture_output=True, text=True)
    said = done.stdout.split("\n")
    assert "ready in reset" not in said
    numbers = [int(word) for word in said if word.isdecimal()]
    assert numbers[0] == 0
    assert len(numbers) > 7
    # The second reset cuts off one beat inside, and the one that is taken in its first cycle.
    assert sorted(np.diff(numbers).tolist()) == [1] * (len(numbers) - 2) + [3]


def test_takes_a_beat_in_every_cycle(module):
    border = module("hwbnn_axis_in", bench=AXIS, Beat=8, Width=8, Beats=4)
    beats, last = packets([4] * 10, 8)
    found = border.check(beats, beats, (8, 8), last=last)
    assert set(found.intervals) == {1}
    assert found.given[0] - found.taken[0] == 1
