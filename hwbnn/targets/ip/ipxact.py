"""The core in IP-XACT: ``component.xml`` of IEEE 1685-2014, ``component-2022.xml`` of the next one.

Only the order of some elements, and the names of the two sides of a bus, differ between them.
"""

from __future__ import annotations

from xml.etree import ElementTree

from hwbnn.targets.ip.registers import address_bits, registers
from hwbnn.targets.ip.vectors import Vectors
from hwbnn.targets.ip.wrapper import (
    AXI,
    AXIS,
    CLOCK,
    RESET,
    core_buses,
    core_ports,
    wrapper_file,
    wrapper_name,
)
from hwbnn.targets.rtl import Design
from hwbnn.targets.rtl.border import CONTROL, Port

FILES = {"component.xml": "2014", "component-2022.xml": "2022"}
"""The files, each with the year of its standard."""
_SIDES = {"2014": ("slave", "master"), "2022": ("target", "initiator")}
VENDOR, LIBRARY, VERSION = "hwbnn", "cores", "1.0"
_KINDS = {".sv": "systemVerilogSource", ".v": "verilogSource", ".hex": "user", ".json": "user"}


def files(vectors: Vectors, bench: list[str]) -> dict[str, bytes]:
    """The descriptions by path.

    Args:
        vectors: those of the core.
        bench: the files of the SystemVerilog bench that the design has not.
    """
    return {name: _component(vectors, bench, year).encode() for name, year in FILES.items()}


def _component(vectors: Vectors, bench: list[str], year: str) -> str:
    design, names = vectors.design, f"http://www.accellera.org/XMLSchema/IPXACT/1685-{year}"
    root = ElementTree.Element("ipxact:component")
    root.set("xmlns:ipxact", names)
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:schemaLocation", f"{names} {names}/index.xsd")
    description = f"A binary neural network, build {design.build}."
    identity = (VENDOR, LIBRARY, wrapper_name(design.name), VERSION)
    for name, value in zip(("vendor", "library", "name", "version"), identity, strict=True):
        _add(root, name, value)
    if year != "2014":
        _add(root, "description", description)
    interfaces = _add(root, "busInterfaces")
    ports, buses = core_ports(design), core_buses(design)
    for bus, kind in buses.items():
        own = [port for port in ports if port.bus == bus]
        if kind == AXIS:
            _stream(interfaces, bus, own, design, year)
        else:
            _memory_mapped(interfaces, bus, own, year)
    clocked = {"ASSOCIATED_BUSIF": ":".join(buses), "ASSOCIATED_RESET": "aresetn"}
    _single(interfaces, "aclk", CLOCK, "CLK", year, **clocked)
    _single(interfaces, "aresetn", RESET, "RST", year, POLARITY="ACTIVE_LOW")
    if AXI in buses.values():
        _memory_map(_add(root, "memoryMaps"), year)
    _model(_add(root, "model"), design, ports)
    sets = _add(root, "fileSets")
    sources = [f"rtl/{module}.sv" for module in design.modules]
    _files(sets, "synthesis", [*sources, wrapper_file(design.name)])
    _files(sets, "simulation", [*sources, *bench, *vectors.files()])
    if year == "2014":
        _add(root, "description", description)
    about = {
        "BUILD": (design.build, "The network and its plan, as 16 hexadecimal digits."),
        "LATENCY": (
            design.predicted.latency,
            "Cycles from the first beat in to the last beat out.",
        ),
        "FRAMING": (design.circuit.plan.framing, "How frames are told apart."),
    }
    parameters = _add(root, "parameters")
    for name, (said, meaning) in about.items():
        _parameter(parameters, name, said, meaning)
    ElementTree.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(
    parent: ElementTree.Element, tag: str, text: object = None, /, **attributes: str
) -> ElementTree.Element:
    added = ElementTree.SubElement(parent, f"ipxact:{tag}", attributes)
    added.text = None if text is None else str(text)
    return added


def _stream(
    parent: ElementTree.Element, bus: str, ports: list[Port], design: Design, year: str
) -> None:
    sends = bus == "m_axis"
    interface = _interface(parent, bus, AXIS, {p.signal.upper(): p.name for p in ports})
    _add(interface, _SIDES[year][int(sends)])
    beat = design.circuit.plan.output_beat if sends else design.circuit.plan.input_beat
    parameters = _add(interface, "parameters")
    for name, value in (("TDATA_NUM_BYTES", beat // 8), ("HAS_TKEEP", 1), ("HAS_TLAST", 1)):
        _parameter(parameters, name, value)
    for tag, bits in design.circuit.plan.tags.items():
        _parameter(parameters, f"{tag.upper()}_WIDTH", bits)


def _memory_mapped(parent: ElementTree.Element, bus: str, ports: list[Port], year: str) -> None:
    interface = _interface(parent, bus, AXI, {p.signal.upper(): p.name for p in ports})
    _add(_add(interface, _SIDES[year][0]), "memoryMapRef", memoryMapRef=bus)
    parameters = _add(interface, "parameters")
    for name, value in (
        ("PROTOCOL", "AXI4LITE"),
        ("ADDR_WIDTH", address_bits()),
        ("DATA_WIDTH", 32),
    ):
        _parameter(parameters, name, value)


def _memory_map(parent: ElementTree.Element, year: str) -> None:
    """The registers of the control block."""
    mapped = _add(parent, "memoryMap")
    _add(mapped, "name", CONTROL)
    block = _add(mapped, "addressBlock")
    _add(block, "name", "reg0")
    _add(block, "baseAddress", 0)
    _add(block, "range", 1 << address_bits())
    _add(block, "width", 32)
    _add(block, "usage", "register")
    for register in registers():
        added = _add(block, "register")
        _add(added, "name", register.name)
        _add(added, "displayName", register.title)
        _add(added, "description", register.description)
        _add(added, "addressOffset", register.offset)
        _add(added, "size", 32)
        _accessed(added, register.writable, year)
        for field in register.fields:
            within = _add(added, "field")
            _add(within, "name", field.name)
            _add(within, "description", field.description)
            _add(within, "bitOffset", field.low)
            if year != "2014":
                _add(within, "bitWidth", field.bits)
            if field.reset is not None:
                _add(_add(_add(within, "resets"), "reset"), "value", field.reset)
            if year == "2014":
                _add(within, "bitWidth", field.bits)
            _accessed(within, field.writable, year)


def _accessed(parent: ElementTree.Element, writable: bool, year: str) -> None:
    """Whether a register or a field can be written; the standard of 2022 has it elsewhere."""
    access = "read-write" if writable else "read-only"
    if year == "2014":
        _add(parent, "access", access)
        return
    kind = "accessPolicy" if parent.tag.endswith("register") else "fieldAccessPolicy"
    plural = kind.replace("Policy", "Policies")
    _add(_add(_add(parent, plural), kind), "access", access)


def _single(
    parent: ElementTree.Element, port: str, kind: str, signal: str, year: str, **about: str
) -> None:
    interface = _interface(parent, port, kind, {signal: port})
    _add(interface, _SIDES[year][0])
    parameters = _add(interface, "parameters")
    for name, value in about.items():
        _parameter(parameters, name, value)


def _interface(
    parent: ElementTree.Element, name: str, kind: str, ports: dict[str, str]
) -> ElementTree.Element:
    vendor, library, bus, version = kind.split(":")
    identity = {"vendor": vendor, "library": library, "version": version}
    interface = _add(parent, "busInterface")
    _add(interface, "name", name)
    _add(interface, "busType", name=bus, **identity)
    abstraction = _add(_add(interface, "abstractionTypes"), "abstractionType")
    _add(abstraction, "abstractionRef", name=f"{bus}_rtl", **identity)
    maps = _add(abstraction, "portMaps")
    for logical, physical in ports.items():
        mapped = _add(maps, "portMap")
        _add(_add(mapped, "logicalPort"), "name", logical)
        _add(_add(mapped, "physicalPort"), "name", physical)
    return interface


def _parameter(parent: ElementTree.Element, name: str, value: object, meaning: str = "") -> None:
    kind = "int" if isinstance(value, int) else "string"
    parameter = _add(parent, "parameter", type=kind)
    _add(parameter, "name", name)
    if meaning:
        _add(parameter, "description", meaning)
    _add(parameter, "value", value if kind == "int" else f'"{value}"')


def _model(model: ElementTree.Element, design: Design, ports: tuple[Port, ...]) -> None:
    views, made = _add(model, "views"), _add(model, "instantiations")
    tops = {"synthesis": wrapper_name(design.name), "simulation": f"{design.name}_tb"}
    for name, top in tops.items():
        view = _add(views, "view")
        _add(view, "name", name)
        _add(view, "envIdentifier", f":*:{name}")
        _add(view, "componentInstantiationRef", f"{name}_top")
        instantiation = _add(made, "componentInstantiation")
        _add(instantiation, "name", f"{name}_top")
        _add(instantiation, "language", "verilog" if name == "synthesis" else "systemVerilog")
        _add(instantiation, "moduleName", top)
        _add(_add(instantiation, "fileSetRef"), "localName", name)
    declared = _add(model, "ports")
    for port in ports:
        added = _add(declared, "port")
        _add(added, "name", port.name)
        wire = _add(added, "wire")
        _add(wire, "direction", "out" if port.output else "in")
        if port.width is not None:
            span = _add(_add(wire, "vectors"), "vector")
            _add(span, "left", port.width - 1)
            _add(span, "right", 0)


def _files(parent: ElementTree.Element, name: str, files: list[str]) -> None:
    listed = _add(parent, "fileSet")
    _add(listed, "name", name)
    for path in files:
        file = _add(listed, "file")
        _add(file, "name", path)
        _add(file, "fileType", _KINDS[path[path.rindex(".") :]])
