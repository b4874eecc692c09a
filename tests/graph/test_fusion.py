"""Which Threshold is fused with the sums that it reads."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.graph import Add, Conv2d, Dot, Graph, Input, Output, Threshold, fused_threshold

WEIGHTS = np.ones((3, 4), np.bool_)
RISING = np.zeros(3, np.bool_)
PAIR = np.array([2, 3, 1]), np.array([0, 1, -1])


def network(*, levels=1, scale_offset=()):
    thresholds = np.zeros((3, levels), np.int64) + np.arange(levels)
    nodes = (
        Input.bits(4),
        Dot("sums", "x", WEIGHTS, *scale_offset),
        Threshold("y", "sums", thresholds, RISING),
    )
    return Graph((*nodes, Output("out", nodes[-1].name)))


FLAGS = ("by_border_class", "scaled", "multilevel")


@pytest.mark.parametrize(
    ("graph", "without"),
    [
        (network(), None),
        (network(levels=2), "multilevel"),
        (network(scale_offset=PAIR), "scaled"),
    ],
)
def test_the_only_reader_of_sums_is_fused_but_for_what_a_reading_cannot(graph, without):
    sums, y = graph.node("sums"), graph.node("y")
    assert fused_threshold(graph, sums) is y
    for flag in FLAGS:
        assert fused_threshold(graph, sums, **{flag: False}) is (None if flag == without else y)


def test_thresholds_by_border_class_are_fused_where_a_reading_has_them():
    image = Input.bits((2, 2, 4))
    conv = Conv2d("sums", "x", np.ones((3, 1, 1, 4), np.bool_))
    border_classes = np.array([[0, 1], [1, 0]])
    y = Threshold("y", "sums", np.zeros((2, 3, 1), np.int64), RISING, border_classes)
    graph = Graph((image, conv, y, Output("out", "y")))
    assert fused_threshold(graph, conv) is y
    assert fused_threshold(graph, conv, by_border_class=False) is None


def test_sums_with_another_reader_or_none_that_compares_are_not_fused():
    cuts = np.zeros((3, 2), np.int64) + np.arange(2)
    nodes = (
        Input.bits(4),
        Dot("sums", "x", WEIGHTS),
        Threshold("y2", "sums", cuts, RISING),
        Add("twice", "sums", "y2"),
        Output("out", "twice"),
    )
    graph = Graph(nodes)
    assert fused_threshold(graph, graph.node("sums")) is None
    assert fused_threshold(graph, graph.node("x")) is None
    plain = Graph((Input.bits(4), Dot("sums", "x", WEIGHTS), Output("out", "sums")))
    assert fused_threshold(plain, plain.node("sums")) is None


def test_a_node_that_reads_a_value_twice_is_one_reader():
    doubled = Add("doubled", "sums", "sums")
    graph = Graph((Input.bits(4), Dot("sums", "x", WEIGHTS), doubled, Output("out", "doubled")))
    assert graph.readers("sums") == (doubled,)
