"""What synthesis makes of a build's projects: by yosys always, by Vitis HLS where it is."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hwbnn.errors import InputError
from hwbnn.flow import parts
from hwbnn.flow.design import DEFAULT_FAMILY, design, netlist_family
from hwbnn.flow.found import Found
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.report import Figure, NotDone
from hwbnn.targets import generate
from hwbnn.verification import BackendResult

VITIS, VITIS_LOG = "hls-vitis", "vitis.log"
"""Where a build leaves the project that Vitis HLS synthesised, and what Vitis said."""
NAMES = {"xc7": "Xilinx 7-series", "xcup": "Xilinx UltraScale+"}
"""What a core is synthesised for."""
UNPLACED = (
    "placing is for ECP5, and the core's netlists have primitives of {}; made 'portable', or of "
    "'modules', it has none"
)
"""Why a core is not placed."""


def synthesise(
    found: Found, project: Project, plan: Plan, results: Sequence[BackendResult], place: bool
) -> None:
    """Resources of the core, on demand its placed clock; both beside its cycles."""
    figures = _resources(found, project, place)
    timed = next((each for each in results if each.cycles is not None), None)
    depths = parts.depths_of(found.graph, plan, figures.get("logic_delay"))
    found.cores.append(parts.core("rtl", project.digest, timed, figures, depths))


def _resources(found: Found, project: Project, place: bool) -> dict[str, Figure]:
    """What synthesis and placement say of the core; what they do not is noted as not done."""
    from hwbnn.tools import yosys

    figures: dict[str, Figure] = {}
    try:
        own = netlist_family(project)
    except InputError as error:
        found.not_done.append(NotDone("synthesis", str(error)))
        return figures
    made_for = own or DEFAULT_FAMILY
    with found.attempt("synthesis"), found.progress.step(f"synthesise for {NAMES[made_for]}"):
        figures |= yosys.synth(*design(project), made_for).figures()
    if place and own is not None:
        found.not_done.append(NotDone("place and route", UNPLACED.format(own)))
    elif place and figures:
        figures |= _placed(found, project)
    if figures and not place:
        found.not_done.append(NotDone("place and route", "not asked for; --place does it"))
    return figures


def _placed(found: Found, project: Project) -> dict[str, Figure]:
    """The clock frequency after place and route; none if the design is too large, say."""
    from hwbnn.tools import nextpnr, yosys

    with tempfile.TemporaryDirectory(prefix="hwbnn-build-") as scratch:
        netlist = Path(scratch) / "netlist.json"
        with found.attempt("place and route"):
            with found.progress.step("synthesise for ECP5"):
                yosys.synth(*design(project), "ecp5", netlist=netlist)
            with found.progress.step("place and route for ECP5"):
                return {"Fmax": nextpnr.place(netlist).figures()["Fmax"]}
    return {}


def by_vitis(found: Found, plan: Plan, scratch: Path) -> None:
    """Synthesis by Vitis HLS where it is installed; the RTL that it exports is one more backend."""
    from hwbnn.verification import vitis
    from hwbnn.verification.exported import rtl_files

    what, made = "synthesis by Vitis HLS", None
    if vitis.find() is None:
        found.not_done.append(NotDone(what, vitis.MISSING))
        return
    with found.attempt(what), found.progress.step(what):
        project = generate(found.graph, "hls", plan, io="io_stream")
        log = found.folder / VITIS_LOG
        made = vitis.synthesise(project, scratch / "vitis", export=True, log=log)
        made.project.write(found.folder / VITIS)
    if made is None:
        return
    found.hls_synthesis = made.figures
    found.files["project of Vitis HLS"] = f"{VITIS}, {VITIS_LOG}"
    for name, said in made.unknown.items():
        found.not_done.append(NotDone(f"Vitis HLS: {name}", f"it reports {said!r}"))
    if rtl_files(made.project):
        found.verify("hls-rtl", made.project, plan, scratch)
    else:
        found.not_done.append(NotDone("verify hls-rtl", "Vitis HLS left no Verilog"))
