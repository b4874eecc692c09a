"""The folder of an RTL core: design, benches, packaging, and what it says of itself."""

from __future__ import annotations

from hwbnn.arguments import checked_call
from hwbnn.graph import Graph, to_bytes
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.targets.ip import (
    benches,
    describe,
    drivers,
    fusesoc,
    instances,
    ipxact,
    kernel,
    lattice,
    litex,
    minimal,
    vivado,
    wrapper,
)
from hwbnn.targets.ip.vectors import Vectors
from hwbnn.targets.rtl import design
from hwbnn.targets.rtl.top import CORE


@checked_call(who="generate rtl")
def generate(graph: Graph, plan: Plan, *, name: str = CORE, vectors: int | None = None) -> Project:
    """Generate the RTL core of a Graph under a Plan; equal arguments give equal files.

    ``rtl/`` holds the design. ``files.f`` lists its files, each behind the modules that it
    instantiates; ``library.f`` lists the files that all cores share, ``core.f`` the others.
    ``ip/`` has a top module in Verilog. ``component.xml`` (IP-XACT), a ``.core`` file (FuseSoC), a
    module for LiteX and the scripts of ``vivado/`` or ``lattice/`` hand the design to tools.
    ``sim/`` holds benches, their vectors, and a wrapper that shows every value; these are no part
    of the design.

    Args:
        graph: the network.
        plan: how it is laid out.
        name: the prefix of the core's own modules (:func:`hwbnn.targets.rtl.design`).
        vectors: samples in the vectors of the benches; by default 32, or fewer if the core is
            large or slow.

    Raises:
        InputError: if the name is not a letter with at most 31 of a-z and 0-9 behind it, or
            ``vectors`` is not a number that is allowed.
        PlanError: if the Plan does not fit the Graph.
    """
    core = design(graph, plan, name=name)
    made = Vectors.of(core, vectors)
    files = core.files() | wrapper.files(core) | benches.files(made)
    for listed, names in (
        ("files.f", core.modules),
        ("library.f", core.library),
        ("core.f", core.own),
    ):
        files[listed] = "".join(f"rtl/{module}.sv\n" for module in names).encode()
    files["graph.npz"] = to_bytes(graph)
    files["plan.json"] = plan.to_json().encode()
    files["core.json"] = describe.core(core).encode()
    files["README.md"] = describe.readme(made).encode()
    files |= drivers.files(made) | minimal.files(made)
    files |= instances.files(core) | litex.files(core)
    # Scripts for the tools of the part's maker, and for no others.
    is_lattice = lattice.is_lattice(core)
    files |= lattice.files(core) if is_lattice else vivado.files(core) | kernel.files(core)
    tests = benches.simulated(made)
    files |= ipxact.files(made, tests)
    constraints = None if is_lattice else vivado.CONSTRAINTS
    files[fusesoc.file_name(name)] = fusesoc.text(made, tests, constraints).encode()
    return Project("rtl", files)
