"""Simulators of a Graph: the plain one defines its values, the fast one computes the same."""

from __future__ import annotations

from hwbnn.simulators.engines import ENGINES, FrameProgress, check_input, simulate

__all__ = ["ENGINES", "FrameProgress", "check_input", "simulate"]
