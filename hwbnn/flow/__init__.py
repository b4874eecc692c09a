"""The whole flow in one call: lower, simulate, generate, verify, synthesise, report; publish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.flow.build_steps import build, claim, steps
from hwbnn.flow.publishing import publish
from hwbnn.flow.reporting import with_nodes
from hwbnn.flow.state import Progress, Silent
from hwbnn.flow.synthesis import DEFAULT_FAMILY, design, netlist_family

__all__ = [
    "DEFAULT_FAMILY",
    "Progress",
    "Silent",
    "build",
    "claim",
    "design",
    "netlist_family",
    "publish",
    "steps",
    "with_nodes",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)
