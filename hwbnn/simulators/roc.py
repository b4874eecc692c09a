"""The receiver operating characteristic of a Graph that decides between two classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwbnn.graph import ArgMax, Graph, Lookup, Output, Threshold
from hwbnn.graph.arrays import Array, Ints
from hwbnn.report import Figure, RocCurve
from hwbnn.simulators.engines import simulate

POINTS = 128
"""About the most points of a curve that are kept."""


@dataclass(frozen=True)
class _Score:
    """The integers on which a Graph decides.

    Attributes:
        value: the value that holds them.
        words: the score, in words.
        sign: -1 where smaller integers speak for class 1.
    """

    value: str
    words: str
    sign: int = 1


def roc(graph: Graph, x: Array, given: Array, classes: Array) -> RocCurve | None:
    """The curve of a Graph that decides between two classes.

    Args:
        graph: the network.
        x: integers of its input, ``(frames, *shape)``.
        given: the classes that the Graph gives, ``(frames,)``.
        classes: the correct classes, ``(frames,)``.

    Returns:
        None where there are not two classes, a class has no frame, or no score is left that could
        be cut elsewhere.
    """
    score = _score(graph)
    positives = int((classes == 1).sum())
    if score is None or not 0 < positives < len(classes):
        return None
    values = simulate(_up_to(graph, score.value), x).reshape(len(x), -1).astype(np.int64)
    numbers = score.sign * (values[:, -1] - (values[:, 0] if values.shape[1] == 2 else 0))
    false, true = _curve(numbers, classes)
    negatives = len(classes) - positives
    # Twice the area in units of one positive and one negative frame: trapezoids, exact integers.
    twice = int((np.diff(false) * (true[1:] + true[:-1])).sum())
    kept = _kept(false / negatives + true / positives)
    return RocCurve(
        score.words,
        positives,
        negatives,
        Figure(twice / (2 * positives * negatives), "", "plain simulator, all cuts"),
        tuple(false[kept].tolist()),
        tuple(true[kept].tolist()),
        int(((given == 1) & (classes == 0)).sum()),
        int(((given == 1) & (classes == 1)).sum()),
    )


def _score(graph: Graph) -> _Score | None:
    last = graph.node(graph.output.source)
    if graph.meaning == "decision" and isinstance(last, Threshold) and last.levels == 1:
        sign = -1 if last.falling[0] else 1
        return _Score(last.source, "the integer in front of the last threshold", sign)
    if isinstance(last, ArgMax) and graph.types[last.source].size == 2:
        ranked = isinstance(graph.node(last.source), Lookup)
        what = "rank" if ranked else "score"
        return _Score(last.source, f"{what} of class 1 minus {what} of class 0")
    return None


def _up_to(graph: Graph, value: str) -> Graph:
    """The part of a Graph that computes one value."""
    wanted = {value}
    for node in reversed(graph.nodes):
        if node.name in wanted:
            wanted.update(node.sources)
    nodes = [node for node in graph.nodes if node.name in wanted]
    return Graph((*nodes, Output(graph.output.name, value)))


def _curve(numbers: Ints, classes: Array) -> tuple[Ints, Ints]:
    """Frames of class 0 and of class 1 above each cut, from the highest cut to the lowest."""
    order = np.argsort(-numbers, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(numbers[order])), len(numbers) - 1)
    true = np.cumsum(classes[order] == 1)[ends]
    false = ends + 1 - true
    return np.insert(false, 0, 0), np.insert(true, 0, 0)


def _kept(along: Array) -> Ints:
    """Indices of points about evenly apart along the curve, with both ends."""
    wanted = np.linspace(0, along[-1], POINTS)
    return np.unique(np.searchsorted(along, wanted))
