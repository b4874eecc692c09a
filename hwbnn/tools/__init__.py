"""External tools and optional packages: only this package finds, describes and starts them.

:func:`find` and :func:`require` locate a tool, :func:`run` starts a program without a shell;
:mod:`hwbnn.tools.yosys` synthesises and :mod:`hwbnn.tools.nextpnr` places and routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.tools.find import Tool, ToolStatus, doctor, environment, find, require, versions
from hwbnn.tools.processes import Finished, run

__all__ = [
    "Finished",
    "Tool",
    "ToolStatus",
    "doctor",
    "environment",
    "find",
    "require",
    "run",
    "versions",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)
