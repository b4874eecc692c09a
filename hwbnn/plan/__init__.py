"""How a Graph becomes hardware: the Plan that a user chooses."""

from __future__ import annotations

from hwbnn.plan.plan import Folded, Layout, Plan, Unrolled

__all__ = ["Folded", "Layout", "Plan", "Unrolled"]
