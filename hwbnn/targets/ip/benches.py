"""The benches that go with a core: SystemVerilog without Python, and cocotb."""

from __future__ import annotations

from hwbnn.assets import asset
from hwbnn.plan import Plan
from hwbnn.plan.tokens import Tap
from hwbnn.targets.ip.registers import registers
from hwbnn.targets.ip.templates import filled
from hwbnn.targets.ip.vectors import Vectors, tap_layout
from hwbnn.targets.ip.wrapper import FOLDER, wrapper_name
from hwbnn.targets.rtl import border
from hwbnn.targets.rtl.stages import fifos
from hwbnn.targets.rtl.top import trace_name
from hwbnn.targets.rtl.verilog import HEADER, instance, vector

PARTS = ("hwbnn_bench_tap", "hwbnn_bench")
"""Hand-written modules of the bench, in ``rtl/bench/``."""


def bench_name(core: str) -> str:
    """The module name of a core's bench, which has no ports."""
    return f"{core}_tb"


def files(vectors: Vectors) -> dict[str, bytes]:
    """The benches of a core and their vectors by path, all in ``sim/``."""
    design = vectors.design
    names = {"core": design.name, "folder": FOLDER, "build": design.build}
    written = {f"sim/{part}.sv": asset("rtl", f"bench/{part}.sv") for part in PARTS}
    return {
        **written,
        f"sim/{bench_name(design.name)}.sv": text(vectors).encode(),
        "sim/sources.f": _sources(vectors).encode(),
        "sim/test_core.py": filled(
            "test_core.py",
            **names,
            wrapper=wrapper_name(design.name),
            registers=_registers(design.circuit.plan),
            tags=_tags(design.circuit.plan),
        ).encode(),
        "sim/Makefile": filled("Makefile", **names).encode(),
        **vectors.files(),
    }


def _tags(plan: Plan) -> str:
    """The bits of each tag by name, as Python."""
    return "{" + ", ".join(f'"{name}": {bits}' for name, bits in plan.tags.items()) + "}"


def _registers(plan: Plan) -> str:
    """The addresses of the control block's registers by name, as Python."""
    if plan.control == "none":
        return "{}"
    listed = "".join(f'    "{r.name}": 0x{r.offset:02X},\n' for r in registers())
    return f"{{\n{listed}}}"


def simulated(vectors: Vectors) -> list[str]:
    """The files that only the SystemVerilog bench reads, each behind what it instantiates."""
    name = bench_name(vectors.design.name)
    return [*vectors.design.simulated, *(f"sim/{part}.sv" for part in PARTS), f"sim/{name}.sv"]


def _sources(vectors: Vectors) -> str:
    """All files of the bench and of the design, seen from ``sim/``."""
    listed = [f"rtl/{module}.sv" for module in vectors.design.modules] + simulated(vectors)
    return "".join(f"../{name}\n" for name in listed)


def text(vectors: Vectors) -> str:
    """The top module of the SystemVerilog bench: instances and constants."""
    design = vectors.design
    plan, build = design.circuit.plan, f"64'h{design.build}"
    listed = border.stream_ports(plan)
    wires = "".join(f"  logic {_range(port.width)}{port.name};\n" for port in listed)
    names = {port.name: port.name for port in listed}
    patience = 1000 + 16 * (design.predicted.latency + int(design.predicted.interval or 0))
    parameters: dict[str, object] = {
        "Build": build,
        "InBeat": vectors.input.bits,
        "OutBeat": vectors.output.bits,
        "Sent": len(vectors.sent[0]),
        "Received": len(vectors.frames) * vectors.output.tokens,
        "OutBeats": vectors.output.tokens,
        "Errors": vectors.frames.errors,
        "Cut": vectors.cut,
        "Latency": design.predicted.latency,
        "Timed": vectors.timed,
        "Ends": design.predicted.ends[vectors.timed - 1] - design.predicted.starts[0],
        "Patience": patience,
    }
    driven = {**names, "error_i": names["error_o"], "done_o": "done"}
    del driven["error_o"]
    seen = dict(names)
    for tap in design.circuit.taps.values():
        name = f"tap_{tap.value}"
        wires += f"  logic {name}_valid, {name}_ready;\n  logic {vector(tap.stream.bits)}"
        wires += f" {name}_data;\n"
        seen |= {f"{name}_{signal}": f"{name}_{signal}" for signal in ("valid", "ready", "data")}
    seen |= {f"most_{stream}": "" for stream in fifos(design.circuit)}
    body = instance("hwbnn_bench", "u_bench", parameters, driven)
    body += "\n" + instance(trace_name(design.name), "u_trace", {"Build": build}, seen)
    for index, tap in enumerate(vectors.taps):
        body += "\n" + _tap(vectors, tap, index, build)
    return f"""{HEADER}
// Build {design.build}.
// The bench of the core: in this folder, 'make verilator' or 'make icarus'.

`timescale 1ns / 1ps

module {bench_name(design.name)};
{wires}  logic done;

{body}endmodule
"""


def _range(width: int | None) -> str:
    return "" if width is None else f"{vector(width)} "


def _tap(vectors: Vectors, tap: Tap, index: int, build: str) -> str:
    layout, name = tap_layout(tap), f"tap_{tap.value}"
    parameters: dict[str, object] = {
        "Build": build,
        "Name": f'"{tap.value}"',
        "Bits": layout.bits,
        "Last": layout.used[-1],
        "Tokens": layout.tokens,
        "Frames": len(vectors.frames),
        "Index": index,
        "Taps": len(vectors.taps),
    }
    ports = {
        "clk_i": "aclk",
        "rst_ni": "aresetn",
        "valid_i": f"{name}_valid && {name}_ready",
        "data_i": f"{name}_data[{layout.bits - 1}:0]",
        "done_i": "done",
    }
    return instance("hwbnn_bench_tap", f"u_{name}", parameters, ports)
