"""The top module in Verilog-2001, with the attributes that tell block designs its interfaces."""

from __future__ import annotations

from collections.abc import Mapping

from hwbnn.targets.rtl import Design, border
from hwbnn.targets.rtl.top import top_name
from hwbnn.targets.rtl.verilog import HEADER, instance, vector

FOLDER = "ip"
AXIS = "xilinx.com:interface:axis:1.0"
CLOCK = "xilinx.com:signal:clock:1.0"
RESET = "xilinx.com:signal:reset:1.0"
AXI = "xilinx.com:interface:aximm:1.0"


def wrapper_name(core: str) -> str:
    """The name of the Verilog top module of a core."""
    return f"{core}_ip"


def wrapper_file(core: str) -> str:
    """Its file."""
    return f"{FOLDER}/{wrapper_name(core)}.v"


def files(design: Design) -> dict[str, bytes]:
    """The Verilog top module by path."""
    return {wrapper_file(design.name): text(design).encode()}


def core_ports(design: Design) -> tuple[border.Port, ...]:
    """The ports of a core."""
    return border.ports(design.circuit.plan)


def core_buses(design: Design) -> dict[str, str]:
    """The buses of a core by their prefixes, each with its type."""
    named = border.buses(design.circuit.plan)
    return {bus: AXI if bus == border.CONTROL else AXIS for bus in named}


def text(design: Design) -> str:
    """The Verilog top module. It holds the core alone and changes nothing."""
    listed, buses = core_ports(design), core_buses(design)
    names = {port.name: port.name for port in listed}
    ports = ",\n".join(_attributes(port, buses) + _declared(port) for port in listed)
    build = {"Build": f"64'h{design.build}"}
    return f"""{HEADER}
// Build {design.build}.
// The core for block designs, which take no SystemVerilog at the top.

module {wrapper_name(design.name)} (
{ports}
);
{instance(top_name(design.name), "u_core", build, names)}endmodule
"""


def _attributes(port: border.Port, buses: Mapping[str, str]) -> str:
    if port.bus:
        info, parameter = f"{buses[port.bus]} {port.bus} {port.signal.upper()}", ""
        if port.signal == "awaddr":
            parameter = f"PROTOCOL AXI4LITE, ADDR_WIDTH {port.width}, DATA_WIDTH 32"
    elif port.name == "aclk":
        info = f"{CLOCK} {port.name} CLK"
        parameter = f"ASSOCIATED_BUSIF {':'.join(buses)}, ASSOCIATED_RESET aresetn"
    elif port.name == "aresetn":
        info, parameter = f"{RESET} {port.name} RST", "POLARITY ACTIVE_LOW"
    else:
        return ""
    more = f'  (* X_INTERFACE_PARAMETER = "{parameter}" *)\n' if parameter else ""
    return f'  (* X_INTERFACE_INFO = "{info}" *)\n{more}'


def _declared(port: border.Port) -> str:
    kind = "output wire" if port.output else "input  wire"
    span = "" if port.width is None else f" {vector(port.width)}"
    return f"  {kind}{span} {port.name}"
