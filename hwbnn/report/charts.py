"""Geometry of the page's charts: plain numbers and SVG paths, no drawing library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwbnn.report.node_figures import MarginHistogram, RocCurve

SIDE = 240
"""Width and height of the area of a curve, in pixels."""
BAR_WIDTH, BAR_HEIGHT = 216, 64
"""Width and height of a histogram."""


@dataclass(frozen=True)
class RocChart:
    """A receiver operating characteristic as a picture of :data:`SIDE` pixels.

    Attributes:
        points: the curve, as the points of a polyline.
        x: place of the working point from the left.
        y: its place from the top.
        false_share: false positives at the working point, 0 to 1.
        true_share: true positives there.
    """

    points: str
    x: float
    y: float
    false_share: float
    true_share: float


def roc_chart(roc: RocCurve) -> RocChart:
    """The picture of a curve."""
    points = " ".join(
        f"{SIDE * false / roc.negatives:.1f},{SIDE - SIDE * true / roc.positives:.1f}"
        for false, true in zip(roc.false_positives, roc.true_positives, strict=True)
    )
    false, true = roc.chosen_false / roc.negatives, roc.chosen_true / roc.positives
    return RocChart(points, round(SIDE * false, 1), round(SIDE - SIDE * true, 1), false, true)


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram: place, size, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    words: str


def bars(margins: MarginHistogram) -> tuple[Bar, ...]:
    """The bars of a histogram of margins, from the left."""
    most, each = max((*margins.counts, 1)), BAR_WIDTH / max(1, len(margins.counts))
    drawn = []
    for i, count in enumerate(margins.counts):
        height = BAR_HEIGHT * count / most
        first, last = 1 + i * margins.width, (i + 1) * margins.width
        steps = f"{first:,}" if first == last else f"{first:,} to {last:,}"
        place = (round(i * each, 1), round(BAR_HEIGHT - height, 1))
        size = (round(max(1.0, each - 1), 1), round(height, 1))
        drawn.append(Bar(*place, *size, f"{steps} steps: {count:,}"))
    return tuple(drawn)


def line(values: Sequence[float], width: int, height: int) -> str:
    """Numbers as the points of a polyline, the smallest at the bottom, the largest at the top."""
    low, high = min(values), max(values)
    span, steps = high - low or 1.0, max(1, len(values) - 1)
    return " ".join(
        f"{width * i / steps:.1f},{height - height * (value - low) / span:.1f}"
        for i, value in enumerate(values)
    )
