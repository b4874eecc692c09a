"""ROC curves: the area is that of scikit-learn, the working point that of the network."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Threshold
from hwbnn.simulators import simulate
from hwbnn.simulators.roc import POINTS, roc

RNG = np.random.default_rng(5)
WEIGHTS = RNG.random((2, 301)) < 0.5
X = RNG.random((4000, 301)) < 0.5


def one_logit(falling: bool) -> Graph:
    return Graph(
        (
            Input.bits(301, "x"),
            Dot("sums", "x", WEIGHTS[:1]),
            Threshold("t", "sums", np.array([[3]]), np.array([falling])),
            Output("y", "t", "decision"),
        )
    )


def two_scores() -> Graph:
    return Graph(
        (
            Input.bits(301, "x"),
            Dot("sums", "x", WEIGHTS),
            ArgMax("best", "sums"),
            Output("y", "best"),
        )
    )


@pytest.mark.parametrize("graph", [one_logit(False), one_logit(True), two_scores()])
def test_area_and_working_point(graph: Graph) -> None:
    sums = simulate(graph, X, trace=True)["sums"].astype(int)
    score = sums[:, 0] if sums.shape[1] == 1 else sums[:, 1] - sums[:, 0]
    if graph.of_type(Threshold) and graph.of_type(Threshold)[0].falling[0]:
        score = -score
    given = simulate(graph, X)[:, 0].astype(int)
    noise = np.random.default_rng(1).normal(0, 12, len(X))
    classes = (score + noise > 0).astype(int)
    curve = roc(graph, X, given, classes)
    assert curve is not None
    assert curve.auc.value == pytest.approx(roc_auc_score(classes, score), abs=1e-12)
    assert (curve.positives, curve.negatives) == (classes.sum(), (1 - classes).sum())
    assert curve.chosen_true == (given & classes).sum()
    assert curve.chosen_false == (given & (1 - classes)).sum()
    points = list(zip(curve.false_positives, curve.true_positives, strict=True))
    assert points[0] == (0, 0)
    assert points[-1] == (curve.negatives, curve.positives)
    assert 10 < len(points) <= POINTS
    cuts = np.unique(score)
    possible = {
        (int((classes[score >= cut] == 0).sum()), int((classes[score >= cut] == 1).sum()))
        for cut in cuts
    }
    assert set(points) <= possible | {(0, 0)}
    assert (curve.chosen_false, curve.chosen_true) in possible


def test_no_curve_without_two_classes() -> None:
    graph = two_scores()
    given = simulate(graph, X)[:, 0].astype(int)
    assert roc(graph, X, given, np.zeros(len(X), int)) is None
    more = Graph(
        (
            Input.bits(301, "x"),
            Dot("sums", "x", RNG.random((3, 301)) < 0.5),
            ArgMax("best", "sums"),
            Output("y", "best"),
        )
    )
    assert roc(more, X, given, given) is None
