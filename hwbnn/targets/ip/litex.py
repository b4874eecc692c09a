"""The core for LiteX: a Migen module with stream endpoints."""

from __future__ import annotations

from hwbnn.targets.ip.templates import filled
from hwbnn.targets.ip.wrapper import AXIS, FOLDER, core_buses, core_ports, wrapper_name
from hwbnn.targets.rtl import Design


def files(design: Design) -> dict[str, bytes]:
    """The module by path; none for a core without two AXI4-Streams."""
    buses = core_buses(design)
    if list(buses.values()).count(AXIS) != 2:
        return {}
    plan, name = design.circuit.plan, design.name
    # Registers that nobody reads, and other ports that a frame does not need.
    known = {"tdata", "tkeep", "tvalid", "tready", "tlast"}
    more = [
        port
        for port in core_ports(design)
        if port.bus and not (buses[port.bus] == AXIS and port.signal in known)
    ]
    tied = "".join(
        f"            o_{port.name}=Signal({port.width or 1}),\n"
        if port.output
        else f"            i_{port.name}=0,\n"
        for port in more
    )
    text = filled(
        "litex.py",
        build=design.build,
        core=name,
        title=name.capitalize(),
        wrapper=wrapper_name(name),
        folder=FOLDER,
        input_beat=plan.input_beat,
        output_beat=plan.output_beat,
        tied=tied,
    )
    return {f"litex/{name}_litex.py": text.encode()}
