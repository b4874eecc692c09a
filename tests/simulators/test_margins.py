"""Margins of sums: each is the number of steps that flips the result, found by trying."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.graph import Conv2d, Dot, Graph, Input, Output, Threshold
from hwbnn.simulators import simulate
from hwbnn.simulators.margins import NEVER, margins, steps_to_flip


def dense(levels: int, base: int | None = None) -> Graph:
    rng = np.random.default_rng(levels)
    return Graph(
        (
            Input.bits(9, "x"),
            Dot("sums", "x", rng.random((7, 9)) < 0.5),
            Threshold(
                "t", "sums", rng.integers(-12, 13, (7, levels)), rng.random(7) < 0.5, base=base
            ),
            Output("y", "t"),
        )
    )


def image() -> Graph:
    rng = np.random.default_rng(8)
    places = np.pad(np.zeros((2, 2), int), 1, constant_values=1)
    return Graph(
        (
            Input.bits((4, 4, 2), "x"),
            Conv2d("sums", "x", rng.random((3, 3, 3, 2)) < 0.5, padding=(1, 1, 1, 1)),
            Threshold(
                "t", "sums", rng.integers(-8, 9, (2, 3, 1)), np.array([True, False, False]), places
            ),
            Output("y", "t"),
        )
    )


def by_trying(graph: Graph, sums: np.ndarray) -> np.ndarray:
    """The same by moving every sum up and down until its result changes."""
    node, t = graph.node("t"), graph.types["sums"]
    assert isinstance(node, Threshold)

    def result(x: np.ndarray) -> np.ndarray:
        cuts = (
            node.thresholds if node.border_classes is None else node.thresholds[node.border_classes]
        )
        above = np.where(node.falling[:, None], x[..., None] <= cuts, x[..., None] >= cuts)
        return above.sum(-1)

    found = np.full(sums.shape, NEVER)
    for steps in range(t.count - 1, 0, -1):
        for moved in (sums + steps * t.step, sums - steps * t.step):
            inside = (moved >= t.low) & (moved <= t.high)
            found[inside & (result(moved) != result(sums))] = steps
    return found


@pytest.mark.parametrize("graph", [dense(1), dense(3), dense(2, -1), image()])
def test_margins_are_steps_to_another_result(graph: Graph) -> None:
    x = np.random.default_rng(0).random((40, *graph.input.shape)) < 0.5
    sums = simulate(graph, x, trace=True)["sums"]
    node = graph.node("t")
    assert isinstance(node, Threshold)
    expected = by_trying(graph, sums)
    np.testing.assert_array_equal(steps_to_flip(graph, node, sums), expected)
    (told,) = margins(graph, x)
    assert told.frames == 40
    assert told.nearest == (expected == 1).sum()
    assert told.constant == (expected == NEVER).sum()
    changing = expected[expected != NEVER]
    assert told.measured == changing.size
    for i, count in enumerate(told.counts):
        inside = (changing > i * told.width) & (changing <= (i + 1) * told.width)
        assert count == inside.sum()


def test_sums_that_never_flip_are_in_no_bin() -> None:
    graph = Graph(
        (
            Input.bits(3, "x"),
            Dot("sums", "x", np.ones((2, 3), np.bool_)),
            Threshold("t", "sums", np.array([[4], [-3]]), np.array([False, False])),
            Output("y", "t"),
        )
    )
    (told,) = margins(graph, np.ones((5, 3), np.bool_))
    assert (told.counts, told.measured, told.constant) == ((), 0, 10)


def test_large_networks_are_measured_on_fewer_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = dense(1)
    monkeypatch.setattr("hwbnn.simulators.margins.ELEMENTS", 100)
    (told,) = margins(graph, np.ones((40, 9), np.bool_))
    assert told.frames == 100 // (9 + 7 + 7 + 7)
