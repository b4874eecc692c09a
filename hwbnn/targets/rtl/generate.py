"""The files of an RTL core: hand-written modules, generated ones, and what describes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from hwbnn.assets import asset, assets
from hwbnn.graph import Graph, to_bytes
from hwbnn.plan import Plan, circuit
from hwbnn.project import Project
from hwbnn.targets.rtl import describe
from hwbnn.targets.rtl.layers import modules
from hwbnn.targets.rtl.top import TOP, TRACE, top, trace


def generate(graph: Graph, plan: Plan) -> Project:
    """The RTL core of a Graph under a Plan; the same files for the same arguments.

    ``rtl/`` holds the design, listed in ``files.f`` from the leaves up; ``sim/`` a wrapper that
    shows every value to a bench and is no part of the design.

    Raises:
        PlanError: if the Plan does not fit the Graph.
    """
    made = circuit(graph, plan)
    texts: dict[str, str] = {}
    for segment in made.segments:
        texts |= modules(segment)
    texts[TOP] = top(made)
    library = _needed(texts.values())
    names = [*library, *texts]
    files = {f"rtl/{name}.sv": text.encode() for name, text in texts.items()}
    files |= {f"rtl/{name}.sv": asset("rtl", f"{name}.sv") for name in library}
    files |= {f"sim/{TRACE}.sv": trace(made).encode()}
    files["files.f"] = "".join(f"rtl/{name}.sv\n" for name in names).encode()
    files["graph.npz"] = to_bytes(graph)
    files["plan.json"] = plan.to_json().encode()
    files["core.json"] = describe.core(made, names).encode()
    files["README.md"] = describe.readme(made).encode()
    files["vivado.tcl"] = describe.vivado(plan, names).encode()
    return Project("rtl", files)


@cache
def _library() -> dict[str, frozenset[str]]:
    """The hand-written modules, each with those that it instantiates."""
    texts = {path.stem: path.read_text() for path in sorted(assets("rtl").glob("*.sv"))}
    return {name: frozenset(_instantiated(text)) & texts.keys() for name, text in texts.items()}


def _instantiated(text: str) -> list[str]:
    return re.findall(r"^ *(\w+) (?:#\(|u_\w+ \()", text, re.MULTILINE)


def _needed(texts: Iterable[str]) -> list[str]:
    """The hand-written modules that these need, those that others instantiate first."""
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
