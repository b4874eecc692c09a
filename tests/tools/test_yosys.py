"""Synthesis by yosys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwbnn.errors import InputError, ToolFailed
from hwbnn.tools.nextpnr import Placement, place
from hwbnn.tools.resources import Resources
from hwbnn.tools.yosys import PathStep, Synthesis, synth

pytestmark = pytest.mark.hardware

# Each output needs what its name says and nothing else, so that every count is known.
KNOWN = b"""
module leaf #(parameter logic [63:0] TABLE = '0) (input logic [5:0] a, output logic [1:0] y);
  LUT6_2 #(.INIT(TABLE)) u_lut (.I0(a[0]), .I1(a[1]), .I2(a[2]), .I3(a[3]), .I4(a[4]), .I5(a[5]),
                                .O5(y[0]), .O6(y[1]));
endmodule

module known #(parameter int N = 3) (
    input  logic aclk, we,
    input  logic [5:0] a,
    input  logic [9:0] addr,
    input  logic [4:0] ra, wa,
    output logic one_lut6, shift,
    output logic [1:0] one_lut6_2, two_lut5,
    output logic [N-1:0] ff,
    output logic [1:0] ram_q,
    output logic [35:0] rom_q
);
  leaf #(.TABLE(64'hfeedc0dedeadbeef)) u_leaf (.a(a), .y(one_lut6_2));
  assign two_lut5 = {&a[4:0], |a[4:0]};
  always_ff @(posedge aclk) ff <= ra[N-1:0];
  logic [15:0] line;
  always_ff @(posedge aclk) line <= {line[14:0], wa[0]};
  assign shift = line[15];
  logic [35:0] rom [1024];
  initial for (int i = 0; i < 1024; i++) rom[i] = 36'(i + 1) * 36'd45812984491;
  always_ff @(posedge aclk) rom_q <= rom[addr];
  always_ff @(posedge aclk) one_lut6 <= ^rom_q[5:0];
  logic [1:0] ram [32];
  always_ff @(posedge aclk) if (we) ram[wa] <= a[1:0];
  assign ram_q = ram[ra];
endmodule
"""


@pytest.fixture(scope="module")
def netlist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("xc7") / "netlist.json"


@pytest.fixture(scope="module")
def known(netlist: Path) -> Synthesis:
    passes: list[str] = []
    given = {"known.sv": KNOWN}
    made = synth(given, "known", parameters={"N": 4}, netlist=netlist, on_pass=passes.append)
    assert any("HIERARCHY" in name for name in passes)
    assert any("FLATTEN" in name for name in passes)
    return made


def test_every_kind_of_cell_is_counted(known: Synthesis) -> None:
    found = known.resources
    assert found.other == {}
    assert found.cells["LUT6_2"] == 1
    assert (found.cells["LUT5"], found.cells["LUT6"]) == (2, 1)
    assert (found.logic_lut, found.lutram, found.srl) == (1 + 2 + 1, 4, 1)
    # Only the two LUT5, which read the same signals, fit in one.
    assert (found.lut, found.lut_paired) == (9, 8)
    assert found.ff == 4 + 1
    assert (found.bram36, found.bram18, found.dsp, found.carry) == (1, 0, 0, 0)


def test_contents_of_luts_in_modules_survive(known: Synthesis, netlist: Path) -> None:
    cells = json.loads(netlist.read_bytes())["modules"]["known"]["cells"]
    tables = [c["parameters"]["INIT"] for c in cells.values() if c["type"] == "LUT6_2"]
    assert [int(table, 2) for table in tables] == [0xFEEDC0DEDEADBEEF]


def test_the_slowest_path_is_named(known: Synthesis) -> None:
    assert [step.cell for step in known.path] == ["RAMB36E1", "LUT6", "FDRE"]
    assert known.path[0].ns == 2.454  # clock to data out of a block RAM
    assert known.path[-1] == PathStep("FDRE", "D", known.logic_ns or 0)


def test_figures_name_tool_version_and_what_they_are_worth(known: Synthesis) -> None:
    figures = known.figures()
    source = "yosys 0.70 synth_xilinx -family xc7, estimate before placement"
    assert (figures["LUT"].value, figures["LUT"].source) == (9, source)
    assert figures["LUT_paired"].value == 8
    assert "no wires" in figures["logic_delay"].source
    assert known.seconds > 0
    assert known.peak_bytes > 10_000_000


COUNTER = b"""
module counter (input logic aclk, output logic [23:0] q);
  always_ff @(posedge aclk) q <= q + 1'b1;
endmodule
"""


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Synthesis, Placement]:
    folder = tmp_path_factory.mktemp("ecp5")
    made = synth({"counter.sv": COUNTER}, "counter", "ecp5", netlist=folder / "netlist.json")
    stages: list[str] = []
    where = place(folder / "netlist.json", device="25k", on_stage=stages.append)
    assert any("arcs" in stage for stage in stages)
    return made, where


def test_ecp5_is_mapped_and_placed(placed: tuple[Synthesis, Placement]) -> None:
    made, where = placed
    found = made.resources
    assert (found.ff, found.carry, found.lut_paired, found.other) == (24, 12, None, {})
    assert made.logic_ns is None
    assert where.used["TRELLIS_FF"] == 24
    assert where.used["TRELLIS_COMB"] >= 24
    assert where.available["TRELLIS_COMB"] == 24_288
    assert "TRELLIS_IO" not in where.used
    assert list(where.fmax) == ["aclk"]
    assert 100 < where.fmax_mhz < 1000
    # Fmax is what the path allows.
    assert 1000 / (where.logic_ns + where.routing_ns) == pytest.approx(where.fmax_mhz, rel=1e-3)
    figure = where.figures()["Fmax"]
    assert figure.unit == "MHz"
    assert "LFE5U-25F-6 with seed 1" in figure.source


def test_what_yosys_refuses_is_one_line_with_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    bad = b"module bad(input logic a);\n  nowhere u(.a(a));\nendmodule\n"
    with pytest.raises(
        ToolFailed, match=r"yosys: ended with status 1: .*nowhere.*log is"
    ) as caught:
        synth({"bad.sv": bad}, "bad", log=log)
    assert "\n" not in str(caught.value)
    assert "nowhere" in log.read_text()
    with pytest.raises(ToolFailed, match=r"bad\.sv:1: ERROR: syntax error"):
        synth({"bad.sv": b"module bad(;\n"}, "bad")


def test_time_is_limited() -> None:
    with pytest.raises(ToolFailed, match=r"yosys: not done after 0\.01 s"):
        synth({"known.sv": KNOWN}, "known", timeout=0.01)


def test_names_reach_no_command_unchecked(tmp_path: Path) -> None:
    for name in (
        "a b.sv",
        "a;b.sv",
        "../a.sv",
        "/a.sv",
        "-a.sv",
        'a".sv',
        "a\n.sv",
        ".sv",
        "a/.x.sv",
    ):
        with pytest.raises(InputError, match="synth: file"):
            synth({name: COUNTER}, "counter")
    for top in ("a b", "a;b", "", "-x", "\\a"):
        with pytest.raises(InputError, match="identifier"):
            synth({"a.sv": COUNTER}, top)
    with pytest.raises(InputError, match="family: expected one of xc7, xcup, ecp5"):
        synth({"a.sv": COUNTER}, "counter", "xc8")
    with pytest.raises(InputError, match="no source file"):
        synth({"a.mem": b"0"}, "counter")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        synth([tmp_path / "a.sv"], "counter")
    with pytest.raises(InputError, match=r"two files are named 'a\.sv'"):
        synth([tmp_path / "a.sv", tmp_path / "b" / "a.sv"], "counter")


def test_place_checks_its_options(tmp_path: Path) -> None:
    for options in ({"device": "99k"}, {"speed": 5}, {"seed": 0}, {"target_mhz": 0.0}):
        with pytest.raises(InputError, match=f"place: {next(iter(options))}: expected"):
            place(tmp_path / "netlist.json", **options)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        place(tmp_path / "netlist.json")


def test_cells_that_no_figure_counts_are_named() -> None:
    assert Resources("xc7", {"LUT6": 1, "FDRE": 2, "URAM288": 1}).other == {"URAM288": 1}
