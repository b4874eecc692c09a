"""The core as a free-running RTL kernel for Vitis: two streams, no control port."""

from __future__ import annotations

from hwbnn.targets.ip.ipxact import LIBRARY, VENDOR, VERSION
from hwbnn.targets.ip.templates import filled
from hwbnn.targets.ip.wrapper import AXIS, FOLDER, core_buses, core_ports, wrapper_name
from hwbnn.targets.rtl import Design
from hwbnn.targets.rtl.verilog import HEADER, instance, vector

NAMES = {"aclk": "ap_clk", "aresetn": "ap_rst_n"}
"""The names that Vitis wants for clock and reset."""
SCRIPT = "vivado/package_xo.tcl"


def files(design: Design) -> dict[str, bytes]:
    """The kernel's top module and the script that packages it; none for a core with other buses."""
    if set(core_buses(design).values()) != {AXIS}:
        return {}
    name = f"{design.name}_kernel"
    script = filled(
        "package_xo.tcl",
        build=design.build,
        kernel=name,
        file=f"{FOLDER}/{name}.v",
        vendor=VENDOR,
        library=LIBRARY,
        version=VERSION,
    )
    return {f"{FOLDER}/{name}.v": _top(design, name).encode(), SCRIPT: script.encode()}


def _top(design: Design, name: str) -> str:
    listed = core_ports(design)
    ports = [port for port in listed if port.bus or port.name in NAMES]
    declared = ",\n".join(
        f"  {'output' if port.output else 'input '} wire "
        f"{'' if port.width is None else vector(port.width) + ' '}"
        f"{NAMES.get(port.name, port.name)}"
        for port in ports
    )
    kept = {port.name for port in ports}
    connected = {p.name: NAMES.get(p.name, p.name) if p.name in kept else "" for p in listed}
    return f"""{HEADER}
// Build {design.build}.
// The core as a kernel for Vitis: clock and reset by its names; error_o is left open.

module {name} (
{declared}
);
{instance(wrapper_name(design.name), "u_core", {}, connected)}endmodule
"""
