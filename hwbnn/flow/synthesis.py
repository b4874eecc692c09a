"""Synthesis of a core by yosys, and by Vitis HLS where it is installed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hwbnn.devices import known_part
from hwbnn.errors import InputError
from hwbnn.estimate.stage_figures import stage_table
from hwbnn.flow import reporting
from hwbnn.flow.state import BuildState
from hwbnn.graph import check_name
from hwbnn.plan import Plan, circuit
from hwbnn.plan.products import DotNetlist
from hwbnn.project import Project
from hwbnn.report import Figure, NotDone
from hwbnn.targets import generate
from hwbnn.tools.resources import XILINX
from hwbnn.verification import BackendResult
from hwbnn.verification.core import DAMAGE, Core, malformed

DEFAULT_FAMILY = "xc7"
"""The family for which a core without primitives of a family is synthesised."""


def design(project: Project) -> tuple[dict[str, bytes], str]:
    """The design files in reading order, without test benches, and the name of the top module.

    Args:
        project: a project of the target ``rtl``.

    Raises:
        InputError: if the project has another target, or its ``core.json`` is damaged.
    """
    if project.target != "rtl":
        raise InputError(f"expected a project of target 'rtl', found '{project.target}'")
    try:
        about = json.loads(project.text("core.json"))
        return {name: project.files[name] for name in about["files"]}, check_name(about["top"])
    except DAMAGE as error:
        raise malformed(error) from None


def netlist_family(project: Project) -> str | None:
    """The FPGA family whose primitives a core's netlists use; None if they use none.

    Args:
        project: a project of the target ``rtl``.

    Raises:
        InputError: if layers are made for several families, or the project has another target.
    """
    core = Core.of(project)
    blocks = circuit(core.graph, core.plan).blocks
    forms = {block.form for block in blocks if isinstance(block, DotNetlist)}
    families = [name for name in XILINX if name in forms]
    if len(families) > 1:
        raise InputError(
            f"core: expected layers made for one family, found {' and '.join(families)}; make them "
            "all for one, or 'portable'"
        )
    return families[0] if families else None


VITIS, VITIS_LOG = "hls-vitis", "vitis.log"
"""Names of the project that Vitis HLS synthesised and of its log, in the folder of a build."""
NAMES = {"xc7": "Xilinx 7-series", "xcup": "Xilinx UltraScale+", "ecp5": "Lattice ECP5"}
"""Families for which a core can be synthesised."""
UNPLACED = (
    "placing is for ECP5, and the core's netlists have primitives of {}; made 'portable', or of "
    "'modules', it has none"
)
"""The reason in a report why a core is not placed."""


def synthesise(
    state: BuildState, project: Project, plan: Plan, results: Sequence[BackendResult], place: bool
) -> None:
    """Add to the state the core's cycles and resources, and with ``place`` its placed clock."""
    figures = _resources(state, project, plan, place)
    timed = next((each for each in results if each.cycles is not None), None)
    depths = reporting.depths_of(state.graph, plan, figures.get("logic_delay"))
    known = timed.cycles if timed is not None else None
    laid_out = (known.circuit if known else None) or circuit(state.graph, plan)
    stages = stage_table(laid_out, known.predicted if known else None)
    state.cores.append(reporting.core("rtl", project.digest, plan, timed, figures, depths, stages))


def _resources(state: BuildState, project: Project, plan: Plan, place: bool) -> dict[str, Figure]:
    """The figures of synthesis and placement; steps that fail are noted as not done."""
    from hwbnn.tools import yosys

    figures: dict[str, Figure] = {}
    try:
        own = netlist_family(project)
    except InputError as error:
        state.not_done.append(NotDone("synthesis", str(error)))
        return figures
    part = known_part(plan.part or "")
    made_for = own or (DEFAULT_FAMILY if part is None else part.device.synthesis)
    with state.attempt("synthesis"), state.progress.step(f"synthesise for {NAMES[made_for]}"):
        figures |= yosys.synth(*design(project), made_for).figures()
    if place and own is not None:
        state.not_done.append(NotDone("place and route", UNPLACED.format(own)))
    elif place and figures:
        figures |= _placed(state, project)
    if figures and not place:
        state.not_done.append(NotDone("place and route", "not asked for; --place does it"))
    return figures


def _placed(state: BuildState, project: Project) -> dict[str, Figure]:
    """The figures after place and route; empty if it fails, as for a design that is too large."""
    from hwbnn.tools import nextpnr, yosys

    with tempfile.TemporaryDirectory(prefix="hwbnn-build-") as scratch:
        netlist = Path(scratch) / "netlist.json"
        with state.attempt("place and route"):
            with state.progress.step("synthesise for ECP5"):
                yosys.synth(*design(project), "ecp5", netlist=netlist)
            with state.progress.step("place and route for ECP5"):
                return {"Fmax": nextpnr.place(netlist).figures()["Fmax"]}
    return {}


def by_vitis(state: BuildState, plan: Plan, scratch: Path) -> None:
    """Synthesise by Vitis HLS if it is installed, and verify the RTL that it exports."""
    from hwbnn.verification import vitis
    from hwbnn.verification.exported import rtl_files

    what, synthesis = "synthesis by Vitis HLS", None
    if vitis.find() is None:
        state.not_done.append(NotDone(what, vitis.MISSING))
        return
    with state.attempt(what), state.progress.step(what):
        project = generate(state.graph, "hls", plan, io="io_stream")
        log = state.folder / VITIS_LOG
        synthesis = vitis.synthesise(project, scratch / "vitis", export=True, log=log)
        synthesis.project.write(state.folder / VITIS)
    if synthesis is None:
        return
    state.hls_synthesis = synthesis.figures
    state.files["project of Vitis HLS"] = f"{VITIS}, {VITIS_LOG}"
    for name, said in synthesis.unknown.items():
        state.not_done.append(NotDone(f"Vitis HLS: {name}", f"it reports {said!r}"))
    if rtl_files(synthesis.project):
        state.verify("hls-rtl", synthesis.project, plan, scratch)
    else:
        state.not_done.append(NotDone("verify hls-rtl", "Vitis HLS left no Verilog"))
