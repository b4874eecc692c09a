"""The core for LiteX: a Migen module with stream endpoints."""

from __future__ import annotations

from hwbnn.targets.ip.templates import filled
from hwbnn.targets.ip.wrapper import AXIS, FOLDER, core_buses, core_ports, wrapper_name
from hwbnn.targets.rtl import Design

_IMPORTED = ("Instance", "Module", "Path", "Signal")
"""Names that the module imports: a class of one of these names would hide it."""


def files(design: Design) -> dict[str, bytes]:
    """The module by path."""
    buses, plan, name = core_buses(design), design.circuit.plan, design.name
    title = name.capitalize()
    # LiteX's endpoints have no place for tags, and nobody reads the registers: inputs are 0.
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
        title=f"{title}Core" if title in _IMPORTED else title,
        wrapper=wrapper_name(name),
        folder=FOLDER,
        input_beat=plan.input_beat,
        output_beat=plan.output_beat,
        tied=tied,
    )
    return {f"litex/{name}_litex.py": text.encode()}
