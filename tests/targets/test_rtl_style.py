"""Style and lint of hand-written and generated Verilog: verible's rules, Verilator's warnings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hwbnn import tools
from hwbnn.assets import assets
from hwbnn.plan import Folded, Plan, Unrolled
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.tools.find import environment
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_graph
from tests.targets.ip_cores import PLAN, core, network
from tests.targets.test_ip_packaging import fusesoc

HERE = Path(__file__).parent
RTL = Path(assets("rtl"))
HAND_WRITTEN = sorted(RTL.glob("*.sv"))


def styled(files: Sequence[Path]) -> list[str]:
    """What verible's linter says of files, a line each."""
    program = Path(sys.executable).with_name("verible-verilog-lint")
    config = [f"--rules_config={HERE / 'verible.rules'}"]
    config += [f"--waiver_files={HERE / 'verible.waivers'}"]
    done = subprocess.run([program, *config, *files], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert bool(said) == (done.returncode != 0), said
    return said


def test_hand_written_modules_keep_to_the_style() -> None:
    assert styled([*HAND_WRITTEN, *sorted((RTL / "bench").glob("*.sv"))]) == []


CORES = {
    "folded": lambda: core(),
    "control, batch": lambda: generate(
        network(), "rtl", replace(PLAN, control="axi4lite", framing="batch"), name="my"
    ),
    "image": lambda: generate(
        random_conv_graph(69), "rtl", Plan(input_beat=32, output_beat=32), name="my"
    ),
    "netlist": lambda: generate(
        random_graph(3, max_width=12), "rtl", Plan(default=Unrolled(form="xc7")), name="my"
    ),
    "folded image": lambda: generate(
        random_conv_graph(52),
        "rtl",
        Plan(default=Folded(1, 1), input_beat=32, output_beat=32),
        name="my",
    ),
}


@pytest.mark.parametrize("kind", CORES)
def test_generated_cores_keep_to_the_style(kind: str, tmp_path: Path) -> None:
    project: Project = CORES[kind]()
    folder = project.write(tmp_path / "core")
    files = [folder / n for n in project.files if n.endswith((".sv", ".v"))]
    own = {f"rtl/{path.name}" for path in HAND_WRITTEN}
    said = styled([path for path in files if f"rtl/{path.name}" not in own])
    # Constants of generated modules are in lines of their own length.
    assert [line for line in said if "[line-length]" not in line] == []


PLANTED = {
    "no-tabs": ("  assign ready_o", "\tassign ready_o"),
    "no-trailing-spaces": ("assign ready_o = m_axis_tready;", "assign ready_o = m_axis_tready; "),
    "always-comb": ("  assign m_axis_tvalid = valid_i;", "  always @* m_axis_tvalid = valid_i;"),
    "generate-label": ("begin : gen_single", "begin"),
    "module-filename": ("module hwbnn_axis_out", "module hwbnn_axis_other"),
    "parameter-name-style": ("localparam int CountWidth", "localparam int count_width"),
    "explicit-parameter-storage-type": ("parameter int Beats", "parameter Beats"),
    "signal-name-style": ("count_q", "CountQ"),
    "line-length": ("  assign ready_o", "  assign x = " + "a + " * 30 + "b;\n  assign ready_o"),
    "forbid-defparam": ("  assign ready_o", "  defparam u.P = 1;\n  assign ready_o"),
}


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_fault_of_style_is_found(rule: str, tmp_path: Path) -> None:
    old, new = PLANTED[rule]
    text = (RTL / "hwbnn_axis_out.sv").read_text()
    assert old in text
    file = tmp_path / "hwbnn_axis_out.sv"
    file.write_text(text.replace(old, new))
    assert any(f"[{rule}]" in line for line in styled([file])), styled([file])


@pytest.mark.hardware
def test_hand_written_modules_have_no_warning_of_verilator() -> None:
    """Each module with its default parameters, as a top module."""
    verilator = tools.require("verilator")
    for path in HAND_WRITTEN:
        lint = ["--lint-only", "-Wall", "-y", str(RTL), "--top-module", path.stem, str(path)]
        done = subprocess.run(
            [*verilator.command, *lint],
            capture_output=True,
            text=True,
            check=False,
            env=environment(verilator),
        )
        assert (done.returncode, done.stderr) == (0, ""), path.stem


@pytest.mark.hardware
@pytest.mark.parametrize("kind", ["control, batch", "image"])
def test_fusesoc_lints_cores_of_other_kinds(kind: str, tmp_path: Path) -> None:
    status, said = fusesoc(CORES[kind]().write(tmp_path / "core"), "--target", "lint")
    assert (status, "Warning" in said) == (0, False), said
