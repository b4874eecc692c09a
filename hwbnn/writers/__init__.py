"""Ways out: a Graph as a file that other tools take."""

from __future__ import annotations

from hwbnn.writers.qonnx import to_qonnx

__all__ = ["to_qonnx"]
