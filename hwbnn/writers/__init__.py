"""Writers: a Graph as a file for other tools."""

from __future__ import annotations

from hwbnn.writers.qonnx import to_qonnx

__all__ = ["to_qonnx"]
