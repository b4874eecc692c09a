"""Instantiation templates of a core, to be copied into a design: Verilog and VHDL."""

from __future__ import annotations

from hwbnn.targets.ip.wrapper import FOLDER, core_ports, wrapper_name
from hwbnn.targets.rtl import Design
from hwbnn.targets.rtl.verilog import instance, vector


def files(design: Design) -> dict[str, bytes]:
    """The templates by path."""
    name = wrapper_name(design.name)
    return {
        f"{FOLDER}/{name}.veo": _verilog(design, name).encode(),
        f"{FOLDER}/{name}.vho": _vhdl(design, name).encode(),
    }


def _verilog(design: Design, name: str) -> str:
    ports = core_ports(design)
    wires = "".join(
        f"  wire {'' if port.width is None else f'{vector(port.width)} '}{port.name};\n"
        for port in ports
    )
    head = f"// Build {design.build}. An instance of the core, with a wire at each port.\n"
    return head + wires + instance(name, "u_core", {}, {port.name: port.name for port in ports})


def _vhdl(design: Design, name: str) -> str:
    ports = core_ports(design)
    declared = ";\n".join(
        f"    {port.name} : {'out' if port.output else 'in'} {_vhdl_type(port.width)}"
        for port in ports
    )
    connected = ",\n".join(f"    {port.name} => {port.name}" for port in ports)
    return (
        f"-- Build {design.build}. The component of the core, and an instance of it.\n"
        f"component {name}\n  port (\n{declared}\n  );\nend component;\n\n"
        f"u_core : {name}\n  port map (\n{connected}\n  );\n"
    )


def _vhdl_type(width: int | None) -> str:
    return "std_logic" if width is None else f"std_logic_vector({width - 1} downto 0)"
