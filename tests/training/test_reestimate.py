"""BatchNorm's statistics taken anew: what they become, and when a run takes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from hwbnn.errors import CannotLower
from hwbnn.lowering import lower
from hwbnn.nn import reestimates
from hwbnn.training import Recipe, TrainResult, load_model, train
from hwbnn.training.loop import reestimate

RECIPE = Recipe(
    "digits",
    "digits",
    4,
    input="pixels",
    batch=64,
    learning_rate=0.01,
    schedule="cosine",
    final_rate=0.0,
    augmentation="shift",
    shift=1,
    method="bnn_pp",
    hyper={"hard": 0.4},
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The recipe trained without a stop."""
    return train(RECIPE, tmp_path_factory.mktemp("reestimate") / "whole")


def test_statistics_are_the_means_over_the_batches_in_evaluation() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.BatchNorm1d(3)).train()
    batches = [torch.randn(n, 3) * n + 1 for n in (5, 7)]
    model(batches[0])  # leaves other statistics behind
    reestimate(model, iter(batches))
    first, _, second = model
    behind = [functional.batch_norm(b, None, None, training=True) for b in batches]
    for norm, seen in ((first, batches), (second, behind)):
        torch.testing.assert_close(norm.running_mean, mean_of([b.mean(0) for b in seen]))
        torch.testing.assert_close(norm.running_var, mean_of([b.var(0) for b in seen]))
        assert norm.momentum == 0.1
    assert model.training


def test_a_stopped_run_comes_to_the_same_statistics(whole: TrainResult, tmp_path: Path) -> None:
    assert reestimates(whole.model)
    stopped = train(RECIPE, tmp_path, until=3)
    assert not same(stopped, whole)
    resumed = train(RECIPE, tmp_path, resume=True)
    assert same(resumed, whole)
    assert resumed.accuracy == whole.accuracy
    # Once more: nothing is left to do, and nothing changes.
    again = train(RECIPE, tmp_path, resume=True)
    assert same(again, whole)
    lower(again.model, RECIPE.graph_input())


def test_statistics_are_those_of_the_signs_over_the_last_epoch(whole: TrainResult) -> None:
    counts = [m.num_batches_tracked for m in whole.model.modules() if isinstance(m, nn.BatchNorm1d)]
    assert {int(c) for c in counts} == {23}  # the batches of one epoch, 1442 images by 64


def test_other_methods_keep_the_statistics_of_training(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=1, method="bnn_ste", hyper={})
    model = train(recipe, tmp_path).model
    assert not reestimates(model)


def test_a_loaded_network_stands_at_its_last_epoch(whole: TrainResult) -> None:
    model, recipe = load_model(whole.folder)
    assert (
        lower(model, recipe.graph_input()).digest == lower(whole.model, recipe.graph_input()).digest
    )


def test_a_network_that_is_still_soft_is_not_lowered(tmp_path: Path) -> None:
    result = train(RECIPE, tmp_path, until=2)
    with pytest.raises(CannotLower, match=r"still soft.*train to the last epoch.*'hard'"):
        lower(result.model, RECIPE.graph_input())


def mean_of(several: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(several).mean(0)


def same(a: TrainResult, b: TrainResult) -> bool:
    left, right = a.model.state_dict(), b.model.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)
