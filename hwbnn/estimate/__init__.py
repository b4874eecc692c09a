"""Estimates of a circuit before it is built (cycles, LUTs), and Plans that meet a goal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.estimate.area import Area, area
from hwbnn.estimate.cycles import Cycles, cycles, frames_held
from hwbnn.estimate.depths import least_depths, used_depths
from hwbnn.estimate.fit import Fit, fit
from hwbnn.estimate.goals import Goal, clock_period
from hwbnn.estimate.search import layout_summary, plan_for, plan_for_ii, plan_for_luts

__all__ = [
    "Area",
    "Cycles",
    "Fit",
    "Goal",
    "area",
    "clock_period",
    "cycles",
    "fit",
    "frames_held",
    "layout_summary",
    "least_depths",
    "plan_for",
    "plan_for_ii",
    "plan_for_luts",
    "used_depths",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)
