"""All of it in one call: lower, simulate, generate, verify, synthesise, report."""

from __future__ import annotations

from hwbnn.flow.design import DEFAULT_FAMILY, design, netlist_family
from hwbnn.flow.progress import Progress, Silent
from hwbnn.flow.release import release
from hwbnn.flow.run import build, claim, steps

__all__ = [
    "DEFAULT_FAMILY",
    "Progress",
    "Silent",
    "build",
    "claim",
    "design",
    "netlist_family",
    "release",
    "steps",
]
