"""The picture of a network: its layers from top to bottom, values that skip layers as rails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hwbnn.report.layers import PRODUCTS, NetworkLayer, edges, value_words

WIDTH = 232
"""Width of a box, in pixels."""
LEFT = 4
GAP = 34
"""Space between two boxes, with the label of the value that passes."""
LANE = 10
"""Distance of two rails."""
HEIGHT = 900
"""About the most pixels of a column; longer networks go on in the next column."""
LINE = 15
CHARACTERS = 37
"""The most characters of a line in a box."""
DRAWN = 400
"""The most layers that are drawn."""


@dataclass(frozen=True)
class Box:
    """A layer in the picture.

    Attributes:
        y: its upper edge.
        height: its height.
        kind: ``"product"``, ``"end"`` or ``"other"``.
        lines: its text, line by line, each with its baseline.
        full: its whole text, for those who point at it.
    """

    y: int
    height: int
    kind: str
    lines: tuple[tuple[int, str], ...]
    full: str


@dataclass
class Column:
    """A part of the picture, one below or beside the other.

    Attributes:
        first: name of its first layer.
        last: name of its last layer.
        height: its height.
        boxes: the layers.
        paths: lines of values, as SVG paths; those that end at a box have an arrow head.
        labels: texts beside lines: x, y, text.
    """

    first: str
    last: str = ""
    height: int = 0
    boxes: list[Box] = field(default_factory=list)
    arrows: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    labels: list[tuple[int, int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Drawing:
    """The picture.

    Attributes:
        width: width of every column.
        columns: its columns, in order.
    """

    width: int
    columns: tuple[Column, ...]


@dataclass
class _Rail:
    """A value that is read further down.

    Attributes:
        begin: the layer that gives it.
        ends: the layers that read it, without the next one.
        lane: its place beside the boxes.
    """

    begin: int
    ends: list[int]
    lane: int = 0


def drawing(told: Sequence[NetworkLayer]) -> Drawing | None:
    """The picture of a network; None if it has no layers, or too many to be of use."""
    if not 0 < len(told) <= DRAWN:
        return None
    straight, rails = _wires(told)
    lanes = 1 + max((rail.lane for rail in rails), default=-1)
    right = LEFT + WIDTH
    columns = []
    for begin, end in _cuts(told, rails):
        columns.append(_column(told, begin, end, straight, rails))
    return Drawing(right + (lanes * LANE + 8 if lanes else 0) + LEFT, tuple(columns))


def clipped(text: str, most: int = CHARACTERS) -> str:
    """A text of at most so many characters; what is left out becomes an ellipsis.

    >>> clipped("a long name", 7)
    'a long…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _wires(told: Sequence[NetworkLayer]) -> tuple[set[int], list[_Rail]]:
    """The layers that read the one in front, and the rails with their lanes."""
    straight: set[int] = set()
    further: dict[int, list[int]] = {}
    for i, j in edges(told):
        if j == i + 1:
            straight.add(j)
        else:
            further.setdefault(i, []).append(j)
    rails = [_Rail(i, ends) for i, ends in sorted(further.items())]
    busy: list[int] = []  # for each lane, the layer at which its last rail ends
    for rail in rails:
        free = [lane for lane, until in enumerate(busy) if until <= rail.begin]
        rail.lane = free[0] if free else len(busy)
        busy[rail.lane : rail.lane + 1] = [max(rail.ends)]
    return straight, rails


def _height(layer: NetworkLayer) -> int:
    return 12 + LINE * len(_lines(layer))


def _lines(layer: NetworkLayer) -> list[str]:
    name = " · ".join(dict.fromkeys(part for part in (layer.head.name, layer.layer) if part))
    if layer.head.kind in ("Threshold", "Rescale", "Flatten", "ChannelPad", "Select", "Add"):
        return [f"{layer.title} {layer.head.name}"]
    return [line for line in (layer.title, name, layer.details) if line]


def _cuts(told: Sequence[NetworkLayer], rails: Sequence[_Rail]) -> list[tuple[int, int]]:
    """First and last layer (excluded) of each column: about equal, cut where few rails pass."""
    tall = [_height(layer) + GAP for layer in told]
    count = max(1, round(sum(tall) / HEIGHT))
    cuts, begin, left = [], 0, sum(tall)
    for n in range(count, 1, -1):
        goal, reached = left / n, 0.0
        places = []
        for i in range(begin, len(told) - 1):
            reached += tall[i]
            crossing = sum(rail.begin <= i < max(rail.ends) for rail in rails)
            if abs(reached - goal) <= goal / 4:
                places.append((crossing, abs(reached - goal), i + 1))
        if not places:
            break
        end = min(places)[2]
        cuts.append((begin, end))
        left -= sum(tall[begin:end])
        begin = end
    return [*cuts, (begin, len(told))]


def _column(
    told: Sequence[NetworkLayer], begin: int, end: int, straight: set[int], rails: Sequence[_Rail]
) -> Column:
    column = Column(told[begin].head.name, told[end - 1].last.name)
    middle, right = LEFT + WIDTH // 2, LEFT + WIDTH
    tops, bottoms, y = {}, {}, GAP if begin else LEFT
    for i in range(begin, end):
        layer, height = told[i], _height(told[i])
        texts = tuple(
            (y + 4 + LINE * (n + 1) - 2, clipped(text)) for n, text in enumerate(_lines(layer))
        )
        kind = "product" if layer.head.kind in PRODUCTS else "other"
        if layer.head.kind == "Input" or layer.last.kind == "Output":
            kind = "end"
        told_words = (layer.title, ", ".join(layer.names), layer.layer, layer.details)
        full = "; ".join(clipped(each, 200) for each in told_words if each)
        column.boxes.append(Box(y, height, kind, texts, full))
        tops[i], bottoms[i] = y, y + height
        y += height + GAP
    column.height = y if end < len(told) else y - GAP + LEFT
    ports: dict[int, int] = {}
    for i in range(begin, end):
        if i in straight:
            column.arrows.append(f"M{middle} {bottoms.get(i - 1, 0)}V{tops[i]}")
        if i + 1 < len(told):
            words = value_words(told[i].last)
            column.labels.append((middle + 8, bottoms[i] + 21, clipped(words, 20)))
        if i + 1 == end < len(told) and end in straight:
            column.paths.append(f"M{middle} {bottoms[i]}V{column.height}")
    for rail in rails:
        x, last = right + 8 + LANE * rail.lane, max(rail.ends)
        if last < begin or rail.begin >= end:
            continue
        if rail.begin >= begin:
            # It leaves below its box, where the label of its value is, and turns into its lane.
            start = bottoms[rail.begin] + 8
            column.paths.append(f"M{middle} {bottoms[rail.begin]}V{start}H{x}V{start + 1}")
        else:
            start = 0
        stop = start
        for j in rail.ends:
            if begin <= j < end:
                port = tops[j] + min(8 + 7 * ports.get(j, 0), bottoms[j] - tops[j] - 4)
                ports[j] = ports.get(j, 0) + 1
                column.arrows.append(f"M{x} {port}H{right}")
                stop = max(stop, port)
        if last >= end:
            stop = column.height
        column.paths.append(f"M{x} {start}V{stop}")
    return column
