"""Labels of a person's own: what is refused, and what accuracy they are held to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hwbnn
from hwbnn import methods
from hwbnn.errors import ConstantOutput, InputError, Mismatch, TrainingMode
from hwbnn.flow.build_steps import measure_network
from hwbnn.flow.state import BuildState, Silent
from hwbnn.graph import Graph, Input
from hwbnn.lowering import lower
from hwbnn.nn import BinaryActivation, BinaryLinear, mlp
from hwbnn.simulators.decisions import check_labels, class_count, compare_decisions
from hwbnn.training import predict
from tests.methods.forms import RealSets

PIXELS = Input("x", (9,), 0, 7)


def net(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return mlp(PIXELS, (12,), 4, "bnn_ste").eval()


def samples(n: int = 60) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 8, (n, 9))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.arange(60) % 5, "expected classes from 0 to 3, found 4 for sample 4; number the"),
        (np.arange(60) % 4 - 1, "expected classes from 0 to 3, found -1 for sample 0"),
        (np.arange(59) % 4, "expected a label for each .*found 59 labels and 60 samples"),
        (np.arange(60) % 4 / 2.0, "expected 60 integers, .*found float64"),
        (np.eye(4, dtype=int)[np.arange(60) % 4], r".*found int64 of shape \(60, 4\)"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels: object, said: str) -> None:
    with pytest.raises(InputError, match=f"labels: {said}"):
        check_labels(labels, 60, class_count(lower(net(), PIXELS)))


def test_labels_for_scores_are_refused() -> None:
    graph = lower(net(), PIXELS, output="scores")
    with pytest.raises(
        InputError, match=r"labels: the Graph gives scores, no class to compare.*leave"
    ):
        class_count(graph)


def test_labels_may_be_a_column_of_any_integers() -> None:
    graph = lower(net(), PIXELS)
    column = np.arange(60, dtype=np.uint8)[:, None] % 4
    assert check_labels(column, 60, class_count(graph)).tolist() == column[:, 0].tolist()


def state_of(graph: Graph) -> BuildState:
    from pathlib import Path

    return BuildState(graph, Path(), samples(), Silent())


def test_accuracies_are_compared_on_the_labels() -> None:
    model = net()
    graph = lower(model, PIXELS)
    classes = predict(model, PIXELS, samples().astype(np.uint8))
    state = state_of(graph)
    measure_network(state, model, classes, "mine")
    (accuracy,) = state.accuracy
    assert accuracy.float_network is not None
    assert accuracy.float_network.value == accuracy.integer_graph.value == 100
    assert sum(each.differing for each in state.agreement) == 0


def test_an_exact_graph_must_decide_as_the_network_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: the network's classes are shifted by one on three samples."""

    def shifted(*args: Any) -> Any:
        found = predict(*args)
        found[[5, 7, 9]] = (found[[5, 7, 9]] + 1) % 4
        return found

    model = net()
    monkeypatch.setattr("hwbnn.training.predict", shifted)
    with pytest.raises(Mismatch, match="classes differ for 3 of 60 samples, first for sample 5"):
        measure_network(state_of(lower(model, PIXELS)), model, np.zeros(60, int), "mine")


class TwoSums(torch.nn.Module):
    """One logit, decided by two sums, behind a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        method = methods.get("bnn_ste")
        self.first = BinaryLinear(9, 6, method, source=PIXELS)
        self.second = BinaryLinear(6, 6, method)
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm1d(6) for _ in range(2))
        self.signs = torch.nn.ModuleList(BinaryActivation(6, method) for _ in range(2))
        self.logit = BinaryLinear(6, 1, RealSets())

    def forward(self, x: torch.Tensor) -> Any:
        past = self.norms[0](self.first(x))
        y = self.norms[1](self.second(self.signs[0](past))) + past
        return self.logit(self.signs[1](y))


def test_what_cannot_be_measured_by_word_length_is_told_as_not_done() -> None:
    torch.manual_seed(0)
    model = TwoSums().eval()
    graph = lower(model, PIXELS)
    assert (graph.fraction is not None, graph.meaning) == (True, "decision")
    classes = predict(model, PIXELS, samples().astype(np.uint8))
    state = state_of(graph)
    measure_network(state, model, classes, "mine", tolerance=1.0)
    assert len(state.accuracy) == 1
    assert state.fixed_point == []
    ((what, why),) = [(each.what, each.why) for each in state.not_done]
    assert what == "fixed point by word length"
    assert "is decided by two sums and has no integer of its own" in why


@pytest.mark.parametrize(("tolerance", "is_refused"), [(0.01, True), (0.2, False)])
def test_fixed_point_may_part_by_a_bound(tolerance: float, is_refused: bool) -> None:
    classes = np.zeros(60, int)
    floats, integer = classes.copy(), classes.copy()
    integer[:6] = 1
    graph = replace(lower(net(), PIXELS), fraction=10)
    if is_refused:
        with pytest.raises(
            Mismatch, match=r"100.00% .* 90.00% .* 10.00 percentage points apart, more than 1;"
        ):
            compare_decisions(graph, floats, integer, classes, tolerance=tolerance)
    else:
        compare_decisions(graph, floats, integer, classes, tolerance=tolerance)


@pytest.mark.parametrize("tolerance", [float("nan"), -0.1, 7])
def test_a_tolerance_is_a_part_of_the_samples(tolerance: float) -> None:
    classes = np.zeros(60, int)
    graph = replace(lower(net(), PIXELS), fraction=10)
    with pytest.raises(InputError, match="tolerance: expected a part of the samples, from 0 to 1"):
        compare_decisions(graph, classes, classes, classes, tolerance=tolerance)


def test_data_of_one_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data: expected samples, or a pair .*, found 1 parts"):
        hwbnn.build(net(), PIXELS, (samples(),), tmp_path / "built")  # type: ignore[arg-type]


def test_a_model_in_training_mode_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwbnn.flow.build_steps.hardware", lambda *_, **__: None)
    data = (samples(), np.full(60, 3))
    with pytest.warns(TrainingMode) as told:
        hwbnn.build(net().train(), PIXELS, data, tmp_path / "built", backends=[], tolerance=1.0)
    assert [w.category for w in told if w.category is not ConstantOutput] == [TrainingMode]


def test_a_constant_output_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwbnn.flow.build_steps.hardware", lambda *_, **__: None)
    model = net()
    with torch.no_grad():
        last = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)][-1]
        last.weight.fill_(0.0)
        last.bias.copy_(torch.arange(4.0))
    with pytest.warns(ConstantOutput) as told:
        hwbnn.build(model, PIXELS, (samples(), np.full(60, 3)), tmp_path / "built", backends=[])
    assert len(told) == 1
