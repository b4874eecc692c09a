"""Scripts for Vivado. No vendor tool is at hand where this is tested: see the README of a core."""

from __future__ import annotations

from hwbnn.targets.ip.ipxact import LIBRARY, VENDOR, VERSION
from hwbnn.targets.ip.templates import filled
from hwbnn.targets.ip.wrapper import core_buses, wrapper_file, wrapper_name
from hwbnn.targets.rtl import Design

CONSTRAINTS = "vivado/clock.xdc"
DMA_BEATS = tuple(8 << i for i in range(8))
"""Widths of a stream that AXI DMA has, in bits."""

_CONTROL = """apply_bd_automation -rule xilinx.com:bd_rule:axi4 \\
  -config [list Master $control Slave /core/s_axi_control Clk_master /$clock Clk_slave /$clock] \\
  [get_bd_intf_pins core/s_axi_control]
"""
"""The registers of the core, at the port of the processor that reaches those of the DMA too."""


def files(design: Design) -> dict[str, bytes]:
    """The scripts by path; a block design only where :func:`why_no_zynq` is empty."""
    plan, top = design.circuit.plan, wrapper_name(design.name)
    sources = "\n".join(f"  rtl/{module}.sv" for module in design.modules)
    period = f"{plan.clock_ns:g}"
    about = {"build": design.build}
    texts = {
        "vivado/core.tcl": filled(
            "core.tcl",
            **about,
            top=top,
            part=plan.device,
            sources=sources,
            verilog=wrapper_file(design.name),
        ),
        CONSTRAINTS: filled("clock.xdc", **about, period=period),
        "vivado/synth.tcl": filled("synth.tcl", **about),
        "vivado/implement.tcl": filled("implement.tcl", **about),
        "vivado/power.tcl": filled("power.tcl", **about, core=design.name),
        "vivado/package.tcl": filled(
            "package.tcl",
            **about,
            vendor=VENDOR,
            library=LIBRARY,
            version=VERSION,
            buses=" ".join(core_buses(design)),
        ),
    }
    if not why_no_zynq(design):
        texts["vivado/zynq.tcl"] = filled(
            "zynq.tcl",
            **about,
            vlnv=f"{VENDOR}:{LIBRARY}:{top}:{VERSION}",
            mhz=f"{1000 / plan.clock_ns:.6g}",
            input_beat=plan.input_beat,
            control=_CONTROL if plan.control == "axi4lite" else "",
        )
    return {name: text.encode() for name, text in texts.items()}


def why_no_zynq(design: Design) -> str:
    """Why there is no script for a block design with a processor and AXI DMA; "" if there is."""
    plan = design.circuit.plan
    if not plan.device.startswith(("xc7z", "xczu", "xck26")):
        return f"the part {plan.device} is no Zynq"
    for beat in (plan.input_beat, plan.output_beat):
        if beat not in DMA_BEATS:
            return f"AXI DMA has no streams of {beat} bits"
    return ""
