"""What of a generated core goes to synthesis, and for which FPGAs."""

from __future__ import annotations

import json

from hwbnn.errors import InputError
from hwbnn.graph import check_name
from hwbnn.plan import circuit
from hwbnn.plan.products import DotNetlist
from hwbnn.project import Project
from hwbnn.tools.resources import XILINX
from hwbnn.verification.core import DAMAGE, Core, malformed

DEFAULT_FAMILY = "xc7"
"""What a core that fits every FPGA is synthesised for, if nothing else is asked for."""


def design(project: Project) -> tuple[dict[str, bytes], str]:
    """The files of the design in reading order, and its top module; no bench among them.

    Args:
        project: of the target ``rtl``.

    Raises:
        InputError: if it is another project, or its ``core.json`` is not as hwbnn writes it.
    """
    if project.target != "rtl":
        raise InputError(f"expected a project of target 'rtl', found '{project.target}'")
    try:
        about = json.loads(project.text("core.json"))
        return {name: project.files[name] for name in about["files"]}, check_name(about["top"])
    except DAMAGE as error:
        raise malformed(error) from None


def netlist_family(project: Project) -> str | None:
    """The family whose primitives a core's netlists have; None if it fits every FPGA.

    Args:
        project: of the target ``rtl``.

    Raises:
        InputError: if layers are made for several families, or it is another project.
    """
    core = Core.of(project)
    blocks = circuit(core.graph, core.plan).blocks
    forms = {block.form for block in blocks if isinstance(block, DotNetlist)}
    found = [name for name in XILINX if name in forms]
    if len(found) > 1:
        raise InputError(
            f"core: expected layers made for one family, found {' and '.join(found)}; make them "
            "all for one, or 'portable'"
        )
    return found[0] if found else None
