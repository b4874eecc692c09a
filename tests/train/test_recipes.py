from __future__ import annotations

from pathlib import Path

import pytest
import torch

import hwbnn
from hwbnn.train import Recipe

FILES = sorted((Path(hwbnn.__file__).parents[1] / "recipes").glob("*.toml"))


def test_there_are_recipes() -> None:
    assert len(FILES) >= 9


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_named_by_what_it_makes_and_says_whose_it_is(file: Path) -> None:
    recipe = Recipe.read(file)
    assert recipe.to_toml() == file.read_text()
    assert file.stem.removesuffix("_short") == f"{recipe.network}_{recipe.method}"
    assert recipe.about.startswith(("As ", "Ours"))
    assert recipe.held_out == 0
    with torch.device("meta"):
        model = recipe.make_model()
    assert model.input.shape == (32, 32, 3)
