"""Networks of one logit give the decision of binary cross entropy; constant outputs are told."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import hwbnn
from hwbnn.errors import CannotLower, ConstantOutput, InputError, Mismatch
from hwbnn.graph import ArgMax, Dot, Graph, Input, Threshold
from hwbnn.lowering import check_accuracy, compare, explain, floats, lower, measure
from hwbnn.nn import BinaryActivation, BinaryLinear, Scale
from hwbnn.nn.residual import ResidualStages, residual
from tests.lowering.models import METHOD
from tests.lowering.test_two_sums import RealSets

BITS = Input.bits(9)
EVERY = np.array(list(itertools.product((0, 1), repeat=9)))
ENDS: dict[str, Any] = {
    "rising": lambda: norm(0.7, 0.3),
    "falling": lambda: norm(-0.7, 0.3),
    "raw": nn.Identity,
    "scale": lambda: Scale(0.1),
    "bent": lambda: nn.Sequential(norm(1.0, 0.5), nn.PReLU(init=-0.5), norm(1.0, -0.6)),
}


def norm(gain: float, bias: float) -> nn.BatchNorm1d:
    layer = nn.BatchNorm1d(1)
    layer.weight.data.fill_(gain)
    layer.bias.data.fill_(bias)
    return layer.eval()


def network(end: nn.Module, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    hidden = nn.BatchNorm1d(7)
    hidden.running_mean.normal_()  # type: ignore[union-attr]
    body = BinaryLinear(9, 7, METHOD), hidden, BinaryActivation(7, METHOD)
    return nn.Sequential(*body, BinaryLinear(7, 1, METHOD), end).eval()


def decisions(model: nn.Module, source: Input, x: NDArray[Any]) -> NDArray[np.int64]:
    with torch.no_grad():
        return (model(floats(source, x))[:, 0] >= 0).numpy().astype(np.int64)  # type: ignore[no-any-return]


@pytest.mark.parametrize("end", ENDS)
def test_the_bit_is_the_decision_of_the_logit_on_every_input(end: str) -> None:
    model = network(ENDS[end]())
    graph = lower(model, BITS)
    assert graph.meaning == "decision"
    assert not graph.of_type(ArgMax)
    wanted = decisions(model, BITS, EVERY)
    assert 0 < wanted.sum() < len(wanted)
    for engine in ("plain", "fast"):
        found = hwbnn.simulate(graph, EVERY, engine=engine)
        np.testing.assert_array_equal(found[:, 0].astype(np.int64), wanted)
    comparison = compare(model, graph, EVERY)
    assert comparison.differing == 0
    assert comparison.nodes[-1].layer == "class"
    check = check_accuracy(model, graph, EVERY, wanted)
    assert (check.accuracy_float, check.accuracy_integer, check.differing) == (1.0, 1.0, 0)
    (measured,) = measure(model, BITS, EVERY, wanted)
    assert (measured.agreement, measured.accuracy_integer, measured.accuracy_float) == (1, 1, 1)


def test_a_wrong_bit_is_found() -> None:
    model = network(norm(0.7, 0.3))
    graph = lower(model, BITS)
    last = graph.of_type(Threshold)[-1]
    wrong = Threshold(last.name, last.source, last.thresholds + 2, last.falling)
    planted = Graph(tuple(wrong if n is last else n for n in graph.nodes))
    assert compare(model, planted, EVERY).nodes[-1].differing > 0
    with pytest.raises(Mismatch, match=r"classes differ for \d+ of 512 samples"):
        check_accuracy(model, planted, EVERY, decisions(model, BITS, EVERY))


def test_a_logit_of_two_sums_is_decided_and_certified() -> None:
    torch.manual_seed(2)
    model = nn.Sequential(BinaryLinear(9, 1, RealSets()), norm(1.0, 0.2)).eval()
    graph = lower(model, BITS)
    assert "certified" in graph.notes["certificates"]
    wanted = decisions(model, BITS, EVERY)
    np.testing.assert_array_equal(hwbnn.simulate(graph, EVERY)[:, 0], wanted)
    assert compare(model, graph, EVERY).differing == 0


def test_a_logit_behind_shortcuts() -> None:
    source = Input("x", (8, 8, 3), 0, 255, scale=2 / 255, offset=-1.0)
    torch.manual_seed(3)
    model = residual(
        source, ResidualStages((4, 8), 1, "conv", projects=False), 1, hwbnn.methods.get("bnn_ste")
    )
    with torch.no_grad():
        model.train()(torch.randn(64, 3, 8, 8).clamp(-1, 1))
    model.eval()
    graph = lower(model, source)
    assert (graph.meaning, graph.fraction) == ("decision", 18)
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3))
    assert compare(model, graph, x).differing == 0
    wanted = decisions(model, source, x)
    assert 0 < wanted.sum() < len(wanted)
    check = check_accuracy(model, graph, x, wanted)
    assert check.fraction == 18
    assert check.agreement > 0.95
    (measured,) = measure(model, source, x, wanted, fractions=(18,))
    assert measured.accuracy_integer == check.accuracy_integer
    # With coarse numbers a logit near 0 may have the other sign, which is no fault of the Graph.
    assert compare(model, lower(model, source, fraction=1), x).differing == 0


def test_scores_of_one_logit_stay_what_they_were() -> None:
    graph = lower(network(norm(0.7, 0.3)), BITS, output="scores")
    assert graph.meaning == "scores"


def test_the_meaning_is_told() -> None:
    told = explain(network(norm(0.7, 0.3)), BITS)
    assert (told.form, told.output, told.problems) == ("exact", "decision", ())
    assert told.is_lowered
    assert "1 where the logit is at least 0 (BCE's decision)" in str(told)
    assert told.layers[0].kind == "BinaryLinear"


def test_the_core_says_that_the_bit_is_the_class() -> None:
    project = hwbnn.generate(lower(network(norm(0.7, 0.3)), BITS), "rtl")
    files = project.files
    assert json.loads(files["core.json"])["output"]["meaning"] == "decision"
    assert "the network's logit is at least 0" in files["README.md"].decode()


def test_a_sigmoid_behind_the_logit_is_refused_with_what_to_do() -> None:
    with pytest.raises(CannotLower, match="the decision is the same without it: return the logit"):
        lower(network(nn.Sigmoid()), BITS)


@pytest.mark.parametrize(("bias", "said"), [(99.0, "never below 0"), (-99.0, "never at least 0")])
def test_a_logit_of_one_sign_is_a_warning(bias: float, said: str) -> None:
    model = network(norm(0.7, bias))
    with pytest.warns(ConstantOutput, match=f"the logit is {said}, whatever arrives"):
        graph = lower(model, BITS)
    told = explain(model, BITS)
    assert said in told.problems[0]
    assert f"warning: {told.problems[0]}" in told.lines
    with pytest.warns(ConstantOutput, match=r"always [01], for all of 512 samples"):
        assert "warning: the output is always" in str(compare(model, graph, EVERY))
    with pytest.warns(ConstantOutput, match=r"class [01] for all of 512 samples"):
        assert check_accuracy(model, graph, EVERY, EVERY[:, 0]).constant == int(bias > 0)


def test_a_class_that_always_wins_is_a_warning() -> None:
    torch.manual_seed(0)
    last = nn.BatchNorm1d(3)
    last.bias.data[1] = 50.0
    model = nn.Sequential(BinaryLinear(9, 3, METHOD), last).eval()
    with pytest.warns(ConstantOutput, match="class 1 always has the largest logit"):
        graph = lower(model, BITS)
    assert set(hwbnn.simulate(graph, EVERY)[:, 0].tolist()) == {1}


def test_samples_that_are_alike_are_no_constant_output() -> None:
    model = network(norm(0.7, 0.3))
    graph = lower(model, BITS)
    alike = np.repeat(EVERY[:1], 20, axis=0)
    assert compare(model, graph, alike).constant == ""


def test_a_graph_of_another_model_is_no_match() -> None:
    model, other = network(norm(0.7, 0.3)), network(norm(0.7, 0.3), seed=5)
    graph = lower(other, BITS)
    with pytest.raises(Mismatch, match="lowered from another model, or this is a defect"):
        check_accuracy(model, graph, EVERY, decisions(model, BITS, EVERY))


def test_the_accuracy_of_fixed_point_may_part_by_no_more_than_the_tolerance() -> None:
    model = network(norm(0.7, 0.3))
    exact = lower(model, BITS)
    wanted = decisions(model, BITS, EVERY)
    turned = Dot("dot_1", "x", ~exact.of_type(Dot)[0].signs)
    nodes = tuple(turned if n.name == "dot_1" else n for n in exact.nodes)
    wrong = Graph(nodes, fraction=4)
    with pytest.raises(Mismatch, match="percentage points apart, more than 1; lower with a larger"):
        check_accuracy(model, wrong, EVERY, wanted)
    check = check_accuracy(model, wrong, EVERY, wanted, tolerance=1.0)
    assert check.differing > 0
    assert check.accuracy_float == 1.0
    lost = 1.0 - check.accuracy_integer
    assert check_accuracy(model, wrong, EVERY, wanted, tolerance=lost).differing
    with pytest.raises(Mismatch, match="percentage points apart"):
        check_accuracy(model, wrong, EVERY, wanted, tolerance=0.99 * lost)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros(511, int), "found 511 labels and 512 samples"),
        (np.full(512, 2), "expected classes from 0 to 1, found 2 for sample 0"),
        (np.full(512, -1), "found -1 for sample 0"),
        (np.full(512, 0.5), "expected 512 integers, the class of each sample"),
        (np.full(512, np.nan), "expected 512 integers, the class of each sample"),
        (np.zeros((512, 2), int), "found int64 of shape (512, 2)"),
        (np.array(["a"] * 512), "expected 512 integers"),
        ([[0], [1, 2]], "expected 512 integers"),
        (None, "expected 512 integers"),
    ],
)
def test_labels_that_do_not_fit_are_refused_in_a_line(labels: Any, said: str) -> None:
    model = network(norm(0.7, 0.3))
    graph = lower(model, BITS)
    with pytest.raises(InputError) as caught:
        check_accuracy(model, graph, EVERY, labels)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_of_floats_bools_and_columns_are_taken() -> None:
    model = network(norm(0.7, 0.3))
    graph, wanted = lower(model, BITS), decisions(model, BITS, EVERY)
    for labels in (wanted.astype(float), wanted.astype(bool), wanted[:, None]):
        assert check_accuracy(model, graph, EVERY, labels).accuracy_integer == 1.0


def test_labels_for_scores_are_refused() -> None:
    model = network(norm(0.7, 0.3))
    graph = lower(model, BITS, output="scores")
    with pytest.raises(InputError, match="the Graph gives scores, no class to compare"):
        check_accuracy(model, graph, EVERY, EVERY[:, 0])
