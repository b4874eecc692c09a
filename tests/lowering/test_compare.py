"""Comparison of a Graph with its float network, with planted faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from hwbnn.errors import CannotLower, InputError, Mismatch
from hwbnn.graph import Dot, Graph, Input, Lookup, Node, Threshold
from hwbnn.lowering import compare, lower
from hwbnn.lowering.from_torch.comparison import _same_order
from hwbnn.lowering.tables import ThresholdTable, read_thresholds
from hwbnn.nn import BinaryLinear, mlp
from tests.lowering.models import METHOD

EVERY = (np.arange(256)[:, None] >> np.arange(8)) & 1


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(1)
    made = mlp(Input.bits(8), (6, 5), 3, METHOD)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.weight.data.normal_()
            module.bias.data.normal_()
    return made


def with_node(graph: Graph, changed: Node) -> Graph:
    return Graph(tuple(changed if n.name == changed.name else n for n in graph.nodes))


def flipped(array: NDArray[np.bool_], *place: int) -> NDArray[np.bool_]:
    copy = array.copy()
    copy[place] ^= True
    return copy


def test_a_whole_data_set_is_counted_node_by_node(model: nn.Module) -> None:
    graph = lower(model, Input.bits(8))
    u = np.tile(EVERY, (4, 1))
    found = compare(model, graph, u)
    assert found.frames == 1024
    assert found.differing == 0
    assert [(n.node, n.layer, n.compared) for n in found.nodes] == [
        ("threshold_1", "layers.2", 6 * 1024),
        ("threshold_2", "layers.5", 5 * 1024),
        ("ranks order", "logits", 1024),
        ("argmax", "class", 1024),
    ]
    assert compare(model, graph, u, engine="fast") == found
    assert str(found).startswith(f"0 of {13 * 1024} differ in 1024 frames")


def test_a_threshold_off_by_one_is_found_and_named(model: nn.Module) -> None:
    graph = lower(model, Input.bits(8))
    node = graph.of_type(Threshold)[0]
    t = graph.types[node.source]
    inside = (node.thresholds[:, 0] > t.low) & (node.thresholds[:, 0] < t.high)
    assert inside.any()
    for channel in np.flatnonzero(inside):
        for step in (-t.step, t.step):
            thresholds = node.thresholds.copy()
            thresholds[channel] += step
            found = compare(model, with_node(graph, replace(node, thresholds=thresholds)), EVERY)
            first = found.nodes[0]
            assert first.differing > 0
            assert {d.element for d in first.differences} == {channel}
            integers = {d.integer for d in first.differences}
            assert len(integers) == 1  # the one sum that the threshold moved over
            assert f"element {channel} at integer {integers.pop()}: network" in str(first)


def test_a_wrong_direction_a_wrong_weight_and_a_wrong_rank_are_found(model: nn.Module) -> None:
    graph = lower(model, Input.bits(8))
    threshold, dot = graph.of_type(Threshold)[1], graph.of_type(Dot)[0]
    ranks = graph.of_type(Lookup)[0]
    swapped = ranks.table.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    faults: list[Node] = [
        replace(threshold, falling=flipped(threshold.falling, 0)),
        replace(dot, weights=flipped(dot.signs, 0, 0)),
        replace(ranks, table=swapped),
    ]
    for fault, where in zip(faults, (1, 0, 2), strict=True):
        nodes = compare(model, with_node(graph, fault), EVERY).nodes
        assert [n.differing > 0 for n in nodes].index(True) == where


def test_lowering_itself_sees_a_threshold_off_by_one(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_one(*args: object) -> ThresholdTable:
        table = read_thresholds(*args)  # type: ignore[arg-type]
        return replace(table, thresholds=table.thresholds + 2)

    monkeypatch.setattr("hwbnn.lowering.activations.read_thresholds", off_by_one)
    with pytest.raises(Mismatch, match=r"threshold_1 \(layers.2\): \d+ of \d+ differ, first in"):
        lower(model, Input.bits(8))


def test_scores_that_merge_two_logits_are_found(model: nn.Module) -> None:
    graph = lower(model, Input.bits(8), output="scores")
    assert compare(model, graph, EVERY).nodes[-1].node == "ranks order"
    ranks = graph.of_type(Lookup)[0]
    merged = replace(ranks, table=ranks.table // 4)
    assert compare(model, with_node(graph, merged), EVERY).nodes[-1].differing > 0


def test_another_models_graph_and_unfit_data_are_refused(model: nn.Module) -> None:
    graph = lower(model, Input.bits(8))
    other = nn.Sequential(BinaryLinear(8, 3, METHOD))
    with pytest.raises(InputError, match="does not belong to this model: it has 9 nodes"):
        compare(other, graph, EVERY)
    with pytest.raises(InputError, match="expected integers from 0 to 1"):
        compare(model, graph, EVERY * 2)


def test_a_forward_that_depends_on_more_than_its_input_is_refused() -> None:
    class Moody(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = BinaryLinear(4, 3, METHOD)
            self.calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return self.layer(x) * self.calls

    with pytest.raises(CannotLower, match="give different numbers"):
        lower(Moody(), Input.bits(4))


def test_logits_nearer_than_the_gap_may_change_places() -> None:
    """Rows of three logits, and scores: in order, two near ones exchanged, two far ones, a tie."""
    real = np.array([[-2.0, 0.5, 3.0]] * 4 + [[-3.0, -2.0, -1.0]] * 2)
    scores = np.array([[0, 1, 2], [1, 0, 2], [0, 2, 1], [0, 1, 1], [0, 1, 2], [2, 1, 0]])
    assert _same_order(real, scores, 2.5)[:, 0].tolist() == [True, True, True, True, True, True]
    assert _same_order(real, scores, 2.4)[:, 0].tolist() == [True, False, False, False, True, True]
    assert _same_order(real, scores)[:, 0].tolist() == [True, False, False, False, True, False]
