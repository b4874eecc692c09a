"""The drivers of a core: Python for PYNQ and C, with a header that describes this one core."""

from __future__ import annotations

from importlib.resources import files as resources

from hwbnn.assets import asset
from hwbnn.graph import ValueType
from hwbnn.plan.wire import WireLayout
from hwbnn.targets.ip.registers import HEADER, PAGE
from hwbnn.targets.ip.templates import filled
from hwbnn.targets.ip.vectors import Vectors

FOLDER = "drivers"
SHARED = (
    "hwbnn_core.py",
    "hwbnn_driver.h",
    "hwbnn_driver.c",
    "hwbnn_linux.h",
    "hwbnn_linux.c",
    "hwbnn_baremetal.h",
)
"""Files that are the same for all cores."""


def header_name(core: str) -> str:
    """The C header that describes a core, in the folder of the drivers."""
    return f"{core}_core.h"


def files(vectors: Vectors) -> dict[str, bytes]:
    """The drivers by path."""
    plan, name = vectors.design.circuit.plan, vectors.design.name
    given = resources("hwbnn.targets.ip.driver_files")
    written = {f"{FOLDER}/{file}": given.joinpath(file).read_bytes() for file in SHARED}
    written[f"{FOLDER}/{header_name(name)}"] = _header(vectors).encode()
    written[HEADER] = asset("rtl", "control/hwbnn_registers.h")
    if plan.control != "none":
        written[PAGE] = asset("rtl", "control/registers.md")
    return written


def _header(vectors: Vectors) -> str:
    design = vectors.design
    plan, graph = design.circuit.plan, design.circuit.graph
    return filled(
        "core.h",
        core=design.name,
        upper=design.name.upper(),
        build=design.build,
        high=design.build[:8],
        low=design.build[8:],
        control=int(plan.control != "none"),
        several=int(plan.framing == "batch"),
        input=_layout(vectors.input, graph.types[graph.input.name]),
        output=_layout(vectors.output, graph.types[graph.output.name]),
    )


def _layout(wire: WireLayout, t: ValueType) -> str:
    # Values of more than 31 bits are refused by hwbnn_open.
    low, high = (0, 0) if t.width > 31 else (0, 1) if t.bit else (t.low, t.high)
    numbers = (wire.size, wire.lanes, wire.tokens, wire.width, wire.bytes, low, high, int(t.signed))
    return "{" + ", ".join(map(str, numbers)) + "}"
