"""How a Graph becomes hardware: the Plan that a user chooses, and the circuit that follows."""

from __future__ import annotations

from hwbnn.plan.circuit import Circuit, circuit
from hwbnn.plan.plan import Folded, Framing, Layout, Made, Plan, Sums, Unrolled
from hwbnn.plan.streams import Stream
from hwbnn.plan.taps import Tap

__all__ = [
    "Circuit",
    "Folded",
    "Framing",
    "Layout",
    "Made",
    "Plan",
    "Stream",
    "Sums",
    "Tap",
    "Unrolled",
    "circuit",
]
