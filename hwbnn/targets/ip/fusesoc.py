"""The core for FuseSoC: a CAPI2 file with targets for lint, simulation and synthesis."""

from __future__ import annotations

from hwbnn.targets.ip.templates import filled
from hwbnn.targets.ip.vectors import Vectors
from hwbnn.targets.ip.wrapper import wrapper_file, wrapper_name


def file_name(core: str) -> str:
    """The name of the file, in the folder of the core."""
    return f"{wrapper_name(core)}.core"


def text(vectors: Vectors, bench: list[str], constraints: str | None) -> str:
    """The text of the file.

    Args:
        vectors: those of the core.
        bench: the files of the SystemVerilog bench that the design has not.
        constraints: the file with the clock's constraint for Vivado; None where the part is not
            one of AMD, so that there is no target for Vivado.
    """
    design = vectors.design
    recorded = [name for name in vectors.files() if name.endswith(".hex")]
    return filled(
        "core.core",
        core=design.name,
        wrapper=wrapper_name(design.name),
        build=design.build,
        rtl=_listed([f"rtl/{module}.sv" for module in design.modules]),
        verilog=wrapper_file(design.name),
        bench=_listed(bench),
        vectors=_listed([f"{n} : {{copyto: {n.removeprefix('sim/')}}}" for n in recorded]),
        constraints="" if constraints is None else _CONSTRAINTS.format(constraints),
        synth=""
        if constraints is None
        else _SYNTH.format(design.circuit.plan.device, wrapper_name(design.name)),
    )


_CONSTRAINTS = """  constraints:
    files:
      - {}
    file_type: xdc
"""
_SYNTH = """
  synth:
    description: Synthesis by Vivado
    flow: vivado
    flow_options:
      part: {}
      synth: vivado
      pnr: none
    filesets: [rtl, verilog, constraints]
    toplevel: {}
"""


def _listed(names: list[str]) -> str:
    return "\n".join(f"      - {name}" for name in names)
