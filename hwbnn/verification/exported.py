"""RTL that Vitis HLS exported from a project, under the cocotb bench that drives our own cores.

The ports differ from those of our cores. Vitis names the ports after the streams of the C++ top
function (``s_axis_TDATA``), the clock ``ap_clk`` and the reset ``ap_rst_n``. There is no
``error_o``. The values inside are not visible, so only the output is compared, with ``tlast`` and
``tkeep``. This follows the documentation of Vitis. It is tested with one of our cores behind such
ports, but has never been tried with RTL of a real Vitis.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from hwbnn.errors import InputError, ToolFailed
from hwbnn.graph import Graph, check_name, from_bytes
from hwbnn.plan import Plan
from hwbnn.plan.wire import WireLayout
from hwbnn.project import Project
from hwbnn.verification import cocotb_run
from hwbnn.verification.cocotb_run import CocotbSimulation, Ports
from hwbnn.verification.core import DAMAGE, Core, malformed, stream_layout

PLACES = ("impl/verilog", "syn/verilog")
"""Where Vitis writes Verilog in a solution's folder: exported as an IP core, or synthesised."""
SIGNALS = {"TDATA": "data", "TVALID": "valid", "TREADY": "ready"}
_PORT = re.compile(
    r"\b(?:input|output)\s+(?:(?:wire|reg|logic)\s+)?(?:\[\s*(\d+)\s*:\s*0\s*\]\s*)?(\w+)\s*[,;)]"
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def rtl_files(project: Project) -> list[str]:
    """The paths of the RTL files that Vitis wrote into a project's folder; empty if none."""
    for place in PLACES:
        files = [n for n in project.files if f"/{PurePosixPath(n).parent}".endswith(f"/{place}")]
        if files:
            return files
    return []


def exported(project: Project) -> tuple[Core, Ports]:
    """A project's exported RTL as a Core for the bench, and the names of its ports.

    Args:
        project: of the target ``hls`` and ``io_stream``, read from a folder in which Vitis ran.

    Raises:
        InputError: if the project is of another target or io type, or has no RTL.
        ToolFailed: if the RTL's top module does not have the ports that Vitis should give it.
    """
    about = _about(project)
    files = rtl_files(project)
    if not files:
        raise InputError(
            "project: holds no RTL of Vitis; run 'vitis_hls -f build_prj.tcl' in its folder"
        )
    try:
        return _read(project, about, files)
    except DAMAGE as error:
        raise malformed(error) from None


def _read(project: Project, about: Mapping[str, Any], files: Sequence[str]) -> tuple[Core, Ports]:
    top = check_name(about["top"])
    sources = tuple(name for name in files if name.endswith((".v", ".sv")))
    file = next((name for name in sources if PurePosixPath(name).stem == top), None)
    if file is None:
        raise ToolFailed(f"Vitis HLS: expected a file {top}.v in {PurePosixPath(files[0]).parent}")
    ports = _ports(project.text(file))
    graph = from_bytes(project.files["graph.npz"])
    source, sink = (_stream(graph, about[kind], ports) for kind in ("input", "output"))
    # The cycles of a frame are not known. This estimate only keeps the bench from stopping too
    # early.
    patience = sum(about["reuse"].values()) + source.tokens + sink.tokens
    plan = Plan.from_json(project.text("plan.json"), "plan.json")
    plan = replace(plan, framing="counted")  # whatever it says for RTL
    hidden = {node.name: graph.output.name for node in graph.nodes if node is not graph.output}
    core = Core(graph, plan, source, sink, (), hidden, patience, patience, top, sources)
    return core, _named(about, ports, file)


def _about(project: Project) -> dict[str, Any]:
    if project.target != "hls":
        raise InputError(f"project: expected one of the target 'hls', found '{project.target}'")
    try:
        about = json.loads(project.text("core.json"))
        streams = about["io"] == "io_stream"
    except DAMAGE:
        raise InputError("core.json: expected an entry 'io'; generate the project again") from None
    if not streams:
        raise InputError(
            "project: its RTL takes a frame at once on wide ports, and the bench drives streams; "
            "generate it with io_stream"
        )
    return dict(about)


def _ports(text: str) -> dict[str, int]:
    """The width in bits of each port of the first module in a file."""
    module = _COMMENT.sub("", text).partition("endmodule")[0]
    return {name: int(high or 0) + 1 for high, name in _PORT.findall(module)}


def _stream(graph: Graph, about: Mapping[str, Any], ports: Mapping[str, int]) -> WireLayout:
    """The layout of the input or output stream."""
    said = {**about, "tokens": about["beats"], "beat": about["word"]}
    layout = stream_layout(about["value"], said, graph)
    name, bits = f"{check_name(about['port'])}_TDATA", layout.bits
    if ports.get(name, bits) != bits:
        raise ToolFailed(f"Vitis HLS: port {name}: expected {bits} bits, found {ports[name]}")
    return layout


def _named(about: Mapping[str, Any], ports: Mapping[str, int], file: str) -> Ports:
    """The names of the ports, which are checked to be in the RTL."""
    sides = [check_name(about[kind]["port"]) for kind in ("input", "output")]
    source, sink = sides
    wanted = ["ap_clk", "ap_rst_n", *(f"{side}_{s}" for side in sides for s in SIGNALS)]
    wanted += [f"{sink}_{signal}" for signal in ("TLAST", "TKEEP")]
    missing = [name for name in wanted if name not in ports]
    if missing:
        raise ToolFailed(f"Vitis HLS: {PurePosixPath(file).name}: expected a port {missing[0]}")
    # A function with a block-level handshake runs as long as these are high.
    high = tuple(name for name in ("ap_start", "ap_continue") if name in ports)
    return Ports("ap_clk", "ap_rst_n", source, sink, None, upper=True, high=high)


def build(
    project: Project, folder: Path, *, simulator: str = "verilator", waves: bool = False
) -> CocotbSimulation:
    """Compile a project's exported RTL for cocotb.

    Args:
        project: see :func:`exported`.
        folder: where to build.
        simulator: one of :data:`hwbnn.verification.cocotb_run.SIMULATORS`.
        waves: make it able to write waveforms (slower).

    Raises:
        InputError: if the project has no RTL of Vitis with streams.
        ToolNotFound: if cocotb, cocotbext-axi or the simulator is not installed.
        ToolFailed: if the simulator refuses the sources, or the RTL has other ports than expected.
    """
    core, ports = exported(project)
    sources = project.write(folder / "project")
    begin = time.perf_counter()
    module = cocotb_run.build_module(
        [sources / name for name in core.sources],
        core.top,
        folder / "build",
        simulator=simulator,
        waves=waves,
    )
    # Vitis writes constants to files beside the RTL, and the RTL reads them by names without paths.
    others = [n for n in rtl_files(project) if n not in core.sources]
    memories = tuple(sources / name for name in others if name.endswith((".dat", ".mem")))
    return CocotbSimulation(core, module, time.perf_counter() - begin, ports, memories)
