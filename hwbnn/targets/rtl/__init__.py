"""A Graph as SystemVerilog with AXI4-Stream ports."""

from __future__ import annotations

from hwbnn.targets.rtl.generate import Design, build_of, design

__all__ = ["Design", "build_of", "design"]
