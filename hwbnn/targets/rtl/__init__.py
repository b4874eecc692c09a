"""A Graph as SystemVerilog with AXI4-Stream ports."""

from __future__ import annotations

from hwbnn.targets.rtl.generate import generate

__all__ = ["generate"]
