"""Lowering: from a trained float network to the Graph, exactly or not at all."""

from __future__ import annotations

from hwbnn.lower.compare import Comparison, Difference, NodeComparison, compare
from hwbnn.lower.measure import FRACTIONS, Measured, measure
from hwbnn.lower.model import explain, lower
from hwbnn.lower.prepare import prepare
from hwbnn.lower.trace import floats

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
