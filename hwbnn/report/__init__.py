"""Reports: every number with its source, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.report.figure import Figure, number
from hwbnn.report.node_figures import MarginHistogram, NodeFigures, RocCurve
from hwbnn.report.page import page
from hwbnn.report.report import (
    CLASS_LIMIT,
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
from hwbnn.report.stages import PartFigures, StageFigures, StageTable
from hwbnn.report.text import renderable, text

__all__ = [
    "CLASS_LIMIT",
    "Accuracy",
    "Agreement",
    "BackendFigures",
    "CoreFigures",
    "Depth",
    "Figure",
    "FixedPointFigures",
    "MarginHistogram",
    "NodeFigures",
    "NotDone",
    "PartFigures",
    "Prediction",
    "Provenance",
    "Report",
    "RocCurve",
    "StageFigures",
    "StageTable",
    "Training",
    "number",
    "page",
    "renderable",
    "text",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)
