"""Goals on the command line: part, board, clock, rate, latency; what is said of the core."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwbnn.plan import Plan
from tests.cli.conftest import Call, missed, refused


def test_a_board_gives_part_and_clock(call: Call, graph_file: Path) -> None:
    board = ("--board", "pynq_z2", "--interval", 24)
    assert call("generate", graph_file, *board, "--out", "core").exit_code == 0
    plan = Plan.from_json(Path("core/plan.json").read_bytes())
    assert (plan.part, plan.clock_ns) == ("xc7z020clg400-1", 8.0)
    faster = call("generate", graph_file, *board, "--mhz", 100, "--out", "core", "--json")
    core = json.loads(faster.stdout)["core"]
    about = json.loads(Path("core/core.json").read_bytes())
    assert about["clock"]["mhz"] == core["clock_mhz"] == 100
    assert core["latency_ns"] == 10 * about["cycles"]["latency"]
    assert core["frames_per_second"] == about["cycles"]["frames_per_second"]
    assert core["fit"] == about["part"]["fit"]
    assert core["fit"]["fits"]
    assert not core["clock_checked"]


def test_without_a_folder_the_table_alone_is_shown(call: Call, graph_file: Path) -> None:
    before = sorted(Path().iterdir())
    part = ("--part", "XC7A35TCPG236-1", "--mhz", 100)
    shown = call("generate", graph_file, *part, "--table")
    assert shown.exit_code == 0
    assert "frames a second at 100 MHz, latency" in shown.stdout
    assert "xc7a35tcpg236-1: " in shown.stderr
    assert "fits by estimate; error up to 25 %" in shown.stderr
    assert "the clock of 100 MHz is not checked" in shown.stderr
    assert sorted(Path().iterdir()) == before
    refused(call("generate", graph_file, *part), "expected --out FOLDER, or --table")


def test_a_narrow_port_is_named_and_can_be_widened(call: Call, graph_file: Path) -> None:
    told = call("generate", graph_file, "--input-beat", 8, "--table")
    assert "the layers wait for the input beat of 8 bits: with --input-beat 32 the" in told.stderr
    wide = call("generate", graph_file, "--input-beat", 32, "--table")
    assert "the layers wait" not in wide.stderr
    assert "a frame every cycle = 200,000,000 frames a second" in wide.stdout


def test_register_levels_and_memory_registers_are_options(call: Call, graph_file: Path) -> None:
    more = ("--levels", 4, "--memory-registers", 2, "--output-beat", 16)
    assert call("generate", graph_file, *more, "--out", "core").exit_code == 0
    plan = Plan.from_json(Path("core/plan.json").read_bytes())
    assert (plan.logic_levels_per_register, plan.memory_registers, plan.output_beat) == (4, 2, 16)


def test_a_plan_that_does_not_fit_the_part_is_a_missed_goal(call: Call, graph_file: Path) -> None:
    Path("plan.json").write_text(Plan().to_json())
    small = ("--plan", "plan.json", "--part", "xc7s15ftgb196-1", "--out", "core")
    fits = call("generate", graph_file, *small)
    assert fits.exit_code == 0
    assert "fits by estimate" in fits.stderr


@pytest.mark.parametrize("command", ["generate", "verify", "synth"])
def test_missed_goals_and_bad_names_are_one_line(
    call: Call, graph_file: Path, command: str
) -> None:
    out = ("--out", "none") if command == "generate" else ()
    latency = call(command, graph_file, "--latency-ns", 20, "--mhz", 100, *out)
    missed(latency, "no Plan found has a latency of 2 cycles = 20 ns; the nearest takes")
    refused(call(command, graph_file, "--part", "xc7z02clg400-1", *out), "one of xc7z020")
    refused(call(command, graph_file, "--part", "xc7z020", *out), "such as clg400-1")
    refused(call(command, graph_file, "--board", "pynq-z3", *out), "expected one of pynq-z2")
    both = ("--board", "pynq-z2", "--part", "xc7z020clg400-1")
    refused(call(command, graph_file, *both, *out), "one of --part and --board")
    refused(call(command, graph_file, "--mhz", 0, *out), "--mhz 0: expected 1 to 10000")
    other = ("--form", "xcup", "--part", "xc7z020clg400-1")
    refused(call(command, graph_file, *other, *out), "xc7z020clg400-1 lacks the primitives of xcup")
    assert not Path("none").exists()


def test_devices_and_boards_are_listed(call: Call) -> None:
    devices = json.loads(call("list", "devices", "--json").stdout)["devices"]
    zynq = next(row for row in devices if row["device"] == "xc7z020")
    assert zynq == {
        "device": "xc7z020", "LUT": 53_200, "FF": 106_400, "BRAM_36K": 140, "URAM": 0, "DSP": 220,
        "document": "DS190",
    }  # fmt: skip
    boards = json.loads(call("list", "boards", "--json").stdout)["boards"]
    assert {
        "board": "pynq-z2",
        "part": "xc7z020clg400-1",
        "clock, MHz": "125",
        "maker": "TUL",
    } in boards
