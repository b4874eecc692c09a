"""What of a generated core goes to synthesis."""

from __future__ import annotations

import json

from hwbnn.errors import InputError
from hwbnn.project import Project


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
        about = json.loads(project.files["core.json"])
        return {name: project.files[name] for name in about["files"]}, str(about["top"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"core.json: not as hwbnn writes it ({type(error).__name__}: {error}); generate the "
            "project again"
        ) from None
