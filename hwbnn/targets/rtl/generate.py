"""The files of an RTL core: hand-written modules, generated modules and descriptions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from hwbnn.assets import asset, assets
from hwbnn.errors import InputError
from hwbnn.estimate import cycles
from hwbnn.graph import Graph, to_bytes
from hwbnn.plan import Plan, circuit
from hwbnn.project import Project
from hwbnn.targets.rtl import describe, netlists
from hwbnn.targets.rtl.blocks import modules
from hwbnn.targets.rtl.top import CORE, top, top_name, trace_name, trace_wrapper

NAME = re.compile(r"[a-z][a-z0-9]{0,31}")


def generate(graph: Graph, plan: Plan, *, name: str = CORE) -> Project:
    """Generate the RTL core of a Graph under a Plan; equal arguments give equal files.

    ``rtl/`` holds the design. ``files.f`` lists its files, each behind the modules that it
    instantiates; ``library.f`` lists the files that all cores share, ``core.f`` the others.
    ``sim/`` holds a wrapper that shows every value to a test bench and is no part of the design.

    Args:
        graph: the network.
        plan: how it is laid out.
        name: the prefix of the core's own modules (``<name>_top``, ...). Cores of different names
            can stand in one design; the modules of the library, ``hwbnn_*``, are the same for all
            cores and are read once.

    Raises:
        InputError: if the name is not a letter with at most 31 of a-z and 0-9 behind it.
        PlanError: if the Plan does not fit the Graph.
    """
    core = _checked(name)
    core_circuit = circuit(graph, plan)
    predicted = cycles(core_circuit)
    texts: dict[str, str] = {}
    for pipeline in core_circuit.pipelines:
        texts |= modules(core, pipeline)
    texts[top_name(core)] = top(core_circuit, predicted, core)
    library = _needed(texts.values())
    names = [*library, *texts]
    files = {f"rtl/{module}.sv": text.encode() for module, text in texts.items()}
    files |= {f"rtl/{module}.sv": asset("rtl", f"{module}.sv") for module in library}
    files |= {f"sim/{trace_name(core)}.sv": trace_wrapper(core_circuit, core).encode()}
    if primitives := netlists.models(core_circuit):
        files[f"sim/{netlists.MODELS}.sv"] = primitives.encode()
    for listed, modules_of in (("files.f", names), ("library.f", library), ("core.f", [*texts])):
        files[listed] = "".join(f"rtl/{module}.sv\n" for module in modules_of).encode()
    files["graph.npz"] = to_bytes(graph)
    files["plan.json"] = plan.to_json().encode()
    files["core.json"] = describe.core(core_circuit, predicted, names, library, core).encode()
    files["README.md"] = describe.readme(core_circuit, predicted, core).encode()
    files["vivado.tcl"] = describe.vivado(plan, names, core).encode()
    return Project("rtl", files)


def _checked(name: str) -> str:
    """Check a core's name: it has no '_', so that modules of two cores never have the same name."""
    if not NAME.fullmatch(name):
        raise InputError(
            f"core name {name[:60]!r}: expected at most 32 of a-z and 0-9, beginning with a letter"
        )
    return name


@cache
def _library() -> dict[str, frozenset[str]]:
    """The names of the hand-written modules, each with the names of those that it instantiates."""
    texts = {path.stem: path.read_text() for path in sorted(assets("rtl").glob("*.sv"))}
    return {name: frozenset(_instantiated(text)) & texts.keys() for name, text in texts.items()}


def _instantiated(text: str) -> list[str]:
    return re.findall(r"^ *(\w+) (?:#\(|u_\w+ \()", text, re.MULTILINE)


def _needed(texts: Iterable[str]) -> list[str]:
    """The hand-written modules that these texts need, each behind those that it instantiates."""
    library = _library()
    ordered: list[str] = []

    def add(name: str) -> None:
        if name not in ordered:
            for inner in sorted(library[name]):
                add(inner)
            ordered.append(name)

    for name in sorted({n for text in texts for n in _instantiated(text)} & library.keys()):
        add(name)
    return ordered
