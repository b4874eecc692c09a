"""The design of an RTL core: hand-written and generated modules, in the order to read them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from hwbnn.assets import asset, assets
from hwbnn.errors import InputError
from hwbnn.estimate import Cycles, cycles
from hwbnn.graph import Graph
from hwbnn.plan import Circuit, Plan, circuit
from hwbnn.targets.rtl import netlists
from hwbnn.targets.rtl.blocks import modules
from hwbnn.targets.rtl.top import CORE, top, top_name, trace_name, trace_wrapper
from hwbnn.targets.rtl.verilog import HEADER

NAME = re.compile(r"[a-z][a-z0-9]{0,31}")


@dataclass(frozen=True)
class Design:
    """A core in SystemVerilog, and everything that files beside it are written from.

    Attributes:
        circuit: the circuit that it implements.
        predicted: its predicted cycles.
        name: the prefix of its own modules.
        library: the names of its hand-written modules, each behind those that it instantiates.
        own: the text of each generated module by name, in the same order; the top module is last.
        build: 16 hexadecimal digits that are the same for equal Graphs under equal Plans.
    """

    circuit: Circuit
    predicted: Cycles
    name: str
    library: tuple[str, ...]
    own: Mapping[str, str]
    build: str

    @property
    def modules(self) -> list[str]:
        """The names of all modules, each behind those that it instantiates."""
        return [*self.library, *self.own]

    @property
    def simulated(self) -> list[str]:
        """The files that only simulation reads: models of primitives, and the wrapper with taps."""
        models = [f"sim/{netlists.MODELS}.sv"] if netlists.models(self.circuit) else []
        return [*models, f"sim/{trace_name(self.name)}.sv"]

    def files(self) -> dict[str, bytes]:
        """The files of ``rtl/`` and ``sim/`` by path."""
        files = {f"rtl/{module}.sv": text.encode() for module, text in self.own.items()}
        files |= {f"rtl/{module}.sv": asset("rtl", f"{module}.sv") for module in self.library}
        wrapper = trace_wrapper(self.circuit, self.name, self.build)
        files[f"sim/{trace_name(self.name)}.sv"] = _stamped(wrapper, self.build).encode()
        if primitives := netlists.models(self.circuit):
            files[f"sim/{netlists.MODELS}.sv"] = primitives.encode()
        return files


def build_of(graph: Graph, plan: Plan) -> str:
    """The build of a Graph under a Plan: 16 hexadecimal digits of a SHA-256 over both."""
    return hashlib.sha256(f"{graph.digest}\n{plan.to_json()}".encode()).hexdigest()[:16]


def design(graph: Graph, plan: Plan, *, name: str = CORE) -> Design:
    """Generate the SystemVerilog of a Graph under a Plan; equal arguments give equal texts.

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
    core_circuit, build = circuit(graph, plan), build_of(graph, plan)
    predicted = cycles(core_circuit)
    texts: dict[str, str] = {}
    for pipeline in core_circuit.pipelines:
        texts |= modules(core, pipeline)
    texts[top_name(core)] = top(core_circuit, predicted, core, build)
    library = tuple(_needed(texts.values()))
    own = {module: _stamped(text, build) for module, text in texts.items()}
    return Design(core_circuit, predicted, core, library, own, build)


def _stamped(text: str, build: str) -> str:
    """A generated module with its build in the header."""
    return text.replace(HEADER, f"{HEADER}\n// Build {build}.", 1)


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
