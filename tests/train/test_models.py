from __future__ import annotations

import json
from pathlib import Path

import pytest

import hwbnn
from hwbnn.graph import load
from hwbnn.lower import lower
from hwbnn.train import Recipe, load_model

MODELS = Path(hwbnn.__file__).parents[1] / "models"
FOLDERS = sorted(path.parent for path in MODELS.glob("*/recipe.toml"))
# What each network must reach on its whole test set after its last epoch.
LEAST = {"digits": 0.95, "tfc": 0.92, "sfc": 0.97, "sfc_8bit": 0.975, "lfc": 0.975}


def test_every_network_that_is_named_is_there() -> None:
    assert {folder.name for folder in FOLDERS} == set(LEAST)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_is_one_thing(folder: Path) -> None:
    """Recipe, Graph and report belong together, and the report says that nothing differs."""
    report = json.loads((folder / "report.json").read_text())
    recipe, graph = Recipe.read(folder / "recipe.toml"), load(folder / "graph.npz")
    assert report["recipe"] == recipe.digest
    assert report["graph"] == graph.digest
    assert report["network"] == recipe.network
    assert report["training"]["epochs"] == recipe.epochs
    assert recipe.held_out == 0
    accuracy, compared = report["accuracy"], report["float against integer"]
    assert accuracy["float"] == accuracy["integer"] >= LEAST[folder.name]
    assert compared["differing"] == 0
    assert compared["frames"] == report["test images"]
    assert graph.input.shape == recipe.graph_input().shape
    assert graph.input.bit == (recipe.input == "bits")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_graph_is_the_lowering_of_the_weights(folder: Path) -> None:
    if not (folder / "model.safetensors").exists():
        assert folder.name == "lfc"  # its weights are too large to keep
        return
    model, recipe = load_model(folder)
    assert lower(model, recipe.graph_input()) == load(folder / "graph.npz")
