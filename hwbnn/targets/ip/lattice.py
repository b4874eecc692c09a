"""Scripts for the open tools of Lattice ECP5: yosys and nextpnr."""

from __future__ import annotations

from hwbnn.devices import known_part
from hwbnn.targets.ip.templates import filled
from hwbnn.targets.ip.wrapper import wrapper_file, wrapper_name
from hwbnn.targets.rtl import Design

_PACKAGES = {"BG": "CABGA", "MG": "CSFBGA", "TG": "TQFP"}
"""Packages of part numbers, and nextpnr's names of them, in front of the number of pins."""


def is_lattice(design: Design) -> bool:
    """Whether the core is for a device of Lattice."""
    part = known_part(design.circuit.plan.device)
    return part is not None and part.device.vendor == "lattice"


def files(design: Design) -> dict[str, bytes]:
    """The scripts by path."""
    plan, top = design.circuit.plan, wrapper_name(design.name)
    part = known_part(plan.device)
    assert part is not None
    family, _, size = part.device.name.upper().rpartition("-")
    kind = {"LFE5UM": "um-", "LFE5UM5G": "um5g-"}.get(family, "")
    package = part.package.upper()
    read = "".join(
        f"read_verilog -sv -defer -D SYNTHESIS rtl/{module}.sv\n" for module in design.modules
    )
    about = {"build": design.build, "top": top}
    texts = {
        "lattice/synth.ys": filled(
            "synth.ys", **about, read=read + f"read_verilog {wrapper_file(design.name)}\n"
        ),
        "lattice/place.sh": filled(
            "place.sh",
            **about,
            part=plan.device,
            device=f"--{kind}{size.rstrip('F').lower()}k",
            package=_PACKAGES.get(package[:2], package[:2]) + package[2:],
            speed=part.speed,
            mhz=f"{1000 / plan.clock_ns:.6g}",
            period=f"{plan.clock_ns:g}",
        ),
    }
    return {name: text.encode() for name, text in texts.items()}
