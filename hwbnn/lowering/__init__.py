"""Lowering: from a trained float network to the Graph, exactly or not at all."""

from __future__ import annotations

from hwbnn.lowering.compare import Comparison, Difference, NodeComparison, compare
from hwbnn.lowering.measure import FRACTIONS, Measured, measure
from hwbnn.lowering.model import explain, lower
from hwbnn.lowering.prepare import prepare
from hwbnn.lowering.trace import floats

__all__ = [
    "FRACTIONS",
    "Comparison",
    "Difference",
    "Measured",
    "NodeComparison",
    "compare",
    "explain",
    "floats",
    "lower",
    "measure",
    "prepare",
]
