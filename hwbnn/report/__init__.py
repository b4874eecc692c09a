"""Reports: every number with its source, for people and for programs."""

from __future__ import annotations

from hwbnn.report.figure import Figure, number
from hwbnn.report.report import (
    Accuracy,
    Agreement,
    BackendFigures,
    CoreFigures,
    Depth,
    FixedPointFigures,
    NotDone,
    Prediction,
    Provenance,
    Report,
    Training,
)
from hwbnn.report.text import renderable, text

__all__ = [
    "Accuracy",
    "Agreement",
    "BackendFigures",
    "CoreFigures",
    "Depth",
    "Figure",
    "FixedPointFigures",
    "NotDone",
    "Prediction",
    "Provenance",
    "Report",
    "Training",
    "number",
    "renderable",
    "text",
]
