"""Simulators of a Graph: the plain one defines its values, the fast one computes the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.simulators.engines import ENGINES, FrameProgress, check_input, simulate

__all__ = ["ENGINES", "FrameProgress", "check_input", "simulate"]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)
