"""Reports: every number with where it came from, for people and for programs."""

from __future__ import annotations

from hwbnn.report.figure import Figure, number

__all__ = ["Figure", "number"]
