"""hwbnn_control: counts, clears and answers; each planted fault fails a test of its bench."""

from __future__ import annotations

import pytest

from hwbnn.assets import asset
from hwbnn.estimate.amounts import CONTROL_FF, CONTROL_LUT
from hwbnn.tools.yosys import synth
from rtl_tests.cocotb_module import failures
from rtl_tests.control_bench import BEATS, BUILD, FRAMING, RESULT

pytestmark = pytest.mark.hardware
SOURCES = ("hwbnn_control_regs", "hwbnn_control")
PARAMETERS = {"Build": f"64'h{BUILD:x}", "Framing": FRAMING, "Result": RESULT, "Beats": BEATS}


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_the_registers_are_right(simulator, tmp_path):
    found = failures(
        tmp_path, "hwbnn_control", "control_bench", simulator=simulator, parameters=PARAMETERS
    )
    assert not found


def test_its_size_is_the_one_that_is_estimated():
    sources = {f"{name}.sv": asset("rtl", f"{name}.sv") for name in SOURCES}
    found = synth(sources, "hwbnn_control").resources
    assert (found.logic_lut, found.ff) == (CONTROL_LUT, CONTROL_FF)


FAULTS = {
    # what fails, and the fault: module, pattern, text
    "an error in the clearing cycle is lost": (
        "an_error_in_the_cycle_that_clears_is_kept",
        ("hwbnn_control", r"error_q <= error_i \|\| ", "error_q <= !clear_error && error_i || "),
    ),
    "the count loses an error in the clearing cycle": (
        "an_error_in_the_cycle_that_clears_is_kept",
        ("hwbnn_control", r"\(clear_error \? '0 : errors_q\) \+ 32'\(error_i\)",
         "clear_error ? '0 : errors_q + 32'(error_i)"),
    ),
    "a packet has a frame too few": (
        "counters_are_right_during_traffic_and_behind_it",
        ("hwbnn_control", r"packet_frames_q <= packet_q \+ 32'\(frame_leaves\)",
         "packet_frames_q <= packet_q"),
    ),
    "beats are counted as frames": (
        "counters_are_right_during_traffic_and_behind_it",
        ("hwbnn_control", r"result_moves && count_q == CountWidth'\(Beats - 1\)", "result_moves"),
    ),
    "transfers are counted as stalls": (
        "counters_are_right_during_traffic_and_behind_it",
        ("hwbnn_control", r"s_axis_tvalid && !s_axis_tready", "s_axis_tvalid"),
    ),
    "strobes are not read": (
        "strobes_say_which_bytes_are_written",
        ("hwbnn_control_regs", r"\{8\{axil_wstrb\[i\]\}\}", "8'hff"),
    ),
    "data are taken for an address that comes later": (
        "every_order_of_the_channels_is_answered",
        ("hwbnn_control_regs", r"axil_awvalid && axil_wvalid\)", "axil_wvalid)"),
    ),
    "unknown addresses are answered as if they were there": (
        "unknown_addresses_and_wrong_writes_are_errors",
        ("hwbnn_control_regs", r"assign cpuif_rd_err = readback_err", "assign cpuif_rd_err = '0"),
    ),
    "an address survives a reset": (
        "a_reset_within_an_access_leaves_nothing_behind",
        ("hwbnn_control_regs", r"axil_awvalid <= '0;\n            axil_awaddr <= '0;",
         "axil_awaddr <= '0;"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault, tmp_path):
    test, change = FAULTS[fault]
    found = failures(
        tmp_path, "hwbnn_control", "control_bench", parameters=PARAMETERS, fault=change, test=test
    )
    assert found == [test]
