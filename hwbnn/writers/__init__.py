"""Writers: a Graph as a file for other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.writers.qonnx import to_qonnx

__all__ = ["to_qonnx"]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)
