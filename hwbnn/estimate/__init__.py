"""What a circuit will take, before it is built: cycles."""

from __future__ import annotations

from hwbnn.estimate.cycles import Cycles, cycles

__all__ = ["Cycles", "cycles"]
