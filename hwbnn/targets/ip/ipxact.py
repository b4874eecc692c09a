"""The core in IP-XACT: ``component.xml`` of IEEE 1685-2014, ``component-2022.xml`` of the next one.

Only the order of some elements, and the names of the two sides of a bus, differ between them.
"""

from __future__ import annotations

from xml.etree import ElementTree

from hwbnn.targets.ip.vectors import Vectors
from hwbnn.targets.ip.wrapper import (
    AXIS,
    BUSES,
    CLOCK,
    RESET,
    core_ports,
    wrapper_file,
    wrapper_name,
)
from hwbnn.targets.rtl import Design
from hwbnn.targets.rtl.border import Port

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
    ports = core_ports(design)
    for bus in BUSES:
        _stream(interfaces, bus, [port for port in ports if port.bus == bus], design, year)
    clocked = {"ASSOCIATED_BUSIF": ":".join(BUSES), "ASSOCIATED_RESET": "aresetn"}
    _single(interfaces, "aclk", CLOCK, "CLK", year, **clocked)
    _single(interfaces, "aresetn", RESET, "RST", year, POLARITY="ACTIVE_LOW")
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
