"""Every recipe of recipes/ trains a step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import hwbnn
from hwbnn.lowering import floats
from hwbnn.nn import after_step, parameter_groups, penalty, start_epoch
from hwbnn.training import Recipe

FILES = sorted((Path(hwbnn.__file__).parents[1] / "recipes").glob("*.toml"))


def test_there_are_recipes() -> None:
    assert len(FILES) >= 20


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_named_by_what_it_makes_and_says_whose_it_is(file: Path) -> None:
    recipe = Recipe.read(file)
    assert recipe.to_toml() == file.read_text()
    assert file.stem.removesuffix("_short") == f"{recipe.network}_{recipe.method}"
    assert recipe.about.startswith(("As ", "Ours"))
    assert recipe.held_out == 0
    with torch.device("meta" if recipe.network.startswith("resnet18") else "cpu"):
        model = recipe.make_model()
    assert model.input.shape == (32, 32, 3)


SMALL = [file for file in FILES if not file.stem.startswith("resnet18")]


@pytest.mark.parametrize("file", SMALL, ids=lambda file: file.stem)
def test_a_recipe_takes_a_step(file: Path) -> None:
    recipe = Recipe.read(file)
    torch.manual_seed(0)
    model = recipe.make_model()
    optimiser = torch.optim.SGD(parameter_groups(model, lr=0.01))
    start_epoch(model, 0.5)
    u = torch.randint(0, 256, (2, 32, 32, 3))
    logits = model.train()(floats(recipe.graph_input(), u))
    assert logits.shape == (2, 10)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
    extra = penalty(model)
    (loss if extra is None else loss + extra).backward()
    before = [p.detach().clone() for p in model.parameters()]
    optimiser.step()
    after_step(model)
    pairs = zip(before, model.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in pairs)
    assert all(bool(p.isfinite().all()) for p in model.parameters())
