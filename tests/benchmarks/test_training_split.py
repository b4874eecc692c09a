"""The split of a training step's time: whole, by part, beside the same network in float32."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import training_split
from hwbnn.training import Recipe

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", training_split.RECIPES)
def test_the_float_network_has_the_same_layers(name: str) -> None:
    model = Recipe.read(ROOT / name / "recipe.toml").make_model()
    twin = training_split.float_network(model)
    shapes = [tuple(w.shape) for n, w in model.named_parameters() if n.endswith("weight.latent")]
    layers = [m for m in twin.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == shapes
    x = torch.rand(2, 3, 32, 32) * 0
    assert twin(x).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "around", "part"),
    [
        ("aten::native_batch_norm_backward", [], "BatchNorm"),
        ("aten::mkldnn_convolution", [], "convolution"),
        ("aten::mm", ["step: optimiser"], "optimiser"),
        ("aten::mul", ["step: data"], "data"),
        ("aten::mul", ["aten::max_pool2d"], "binarization"),
        ("aten::addmm", [], "convolution"),
    ],
)
def test_an_operator_belongs_to_one_part(name: str, around: list[str], part: str) -> None:
    assert training_split.part_of(name, around) == part


def test_the_parts_make_up_the_step() -> None:
    recipe = replace(Recipe.read(ROOT / "models" / "lenet" / "recipe.toml"), batch=4)
    found = training_split.measure(recipe, 1, 2)
    assert list(found) == ["binary", "float32"]
    for way in found.values():
        assert way["milliseconds"] > 0
        assert sum(way["shares"].values()) == pytest.approx(1, abs=1e-3)
        assert all(way["shares"][part] > 0 for part in ("convolution", "BatchNorm", "optimiser"))
    results = {"machine": {"cpu": "c", "load_before": 1}, "rounds": 2, "steps": 1}
    text = training_split.table({**results, "networks": {"lenet": found}})
    assert text.count("| lenet |") == 2
