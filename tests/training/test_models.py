"""The folders of models/ belong together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import hwbnn
from benchmarks.methods.compare import settings
from hwbnn.graph import load
from hwbnn.lowering import lower
from hwbnn.report import Report
from hwbnn.training import Recipe, load_model

MODELS = Path(hwbnn.__file__).parents[1] / "models"
FOLDERS = sorted(path.parent for path in MODELS.glob("*/recipe.toml"))
# What each network must reach on its whole test set after its last epoch.
LEAST = {
    **{"digits": 0.95, "tfc": 0.92, "sfc": 0.97, "sfc_8bit": 0.975, "lfc": 0.986},
    **{"sfc_392": 0.975, "sfc_256": 0.97},
    **{"lenet": 0.992, "cnv": 0.82, "votes": 0.97},
    **{"resnet20_rbnn": 0.64, "resnet20_conv_adabin": 0.68},
}
IN_RTL = {"lenet": 1000, "cnv": 200, "resnet20_rbnn": 50, "resnet20_conv_adabin": 50}
"""How many test images RTL computed of the networks whose simulation takes long; else all."""
IN_BUILD = {"resnet20_conv_adabin": 50}
"""How many test images a build computed by every backend, where not all."""
WITHOUT_HLS = {"votes"}
"""Networks that HLS has not computed."""
LONG = {"resnet20_conv_adabin"}
"""Networks whose lowering takes half a minute, which is not repeated here."""
MOST_LOST = 0.001
"""Of the accuracy, by the fixed point of shortcuts at the word length of the Graph."""
LEAST_OF_METHODS = 0.96
"""Of SFC by any method."""


def test_every_network_that_is_named_is_there() -> None:
    names = {folder.name for folder in FOLDERS}
    assert set(LEAST) <= names
    assert names - set(LEAST) <= {f"sfc_{entry}" for entry in settings()}


def test_the_networks_of_the_methods_are_one_recipe() -> None:
    sfc = replace(Recipe.read(MODELS / "sfc" / "recipe.toml"), about="", seed=0)
    tables = settings()
    for folder in FOLDERS:
        if folder.name not in LEAST:
            recipe, entry = Recipe.read(folder / "recipe.toml"), folder.name.removeprefix("sfc_")
            assert recipe.method == tables[entry].get("method", entry)
            assert recipe.hyper == tables[entry].get("hyper", {})
            assert replace(recipe, method=sfc.method, hyper=sfc.hyper) == sfc


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_builds_are_of_the_graph_and_all_equal(folder: Path) -> None:
    """HLS and RTL gave every bit of every node, on the whole test set or on its first images."""
    report = Report.read(folder / "report.json")
    files = list(folder.glob("build*.json"))
    assert files or folder.name in ("lfc", "sfc_8bit", "sfc_392", "tfc")
    for file in files:
        built = Report.from_json(file.read_bytes())
        assert built.ok
        assert built.digest == report.digest
        frames = {backend.name: backend.frames for backend in built.backends}
        for backend in ("float network", "fast", "hls"):
            if backend == "hls" and folder.name in WITHOUT_HLS:
                assert backend not in frames
                continue
            assert frames[backend] == IN_BUILD.get(folder.name, report.accuracy[0].frames)
        assert frames["rtl"] == IN_RTL.get(folder.name, report.accuracy[0].frames)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_is_one_thing(folder: Path) -> None:
    """Recipe, Graph and report belong together, and the report says that nothing differs."""
    report = Report.read(folder / "report.json")
    recipe, graph = Recipe.read(folder / "recipe.toml"), load(folder / "graph.npz")
    known, training = report.provenance, report.training
    assert known is not None
    assert training is not None
    assert (known.recipe, known.input) == (recipe.digest, recipe.contract)
    assert (known.data, len(known.sha256)) == (recipe.data, 64)
    assert report.digest == graph.digest
    assert report.network == recipe.network
    assert training.epochs == recipe.epochs
    assert report.ok
    assert recipe.held_out == 0
    least = LEAST.get(folder.name, LEAST_OF_METHODS)
    (accuracy,) = report.accuracy
    assert accuracy.float_network is not None
    reached, integer = accuracy.float_network.value / 100, accuracy.integer_graph.value / 100
    assert reached >= least
    if report.fixed_point:
        (chosen,) = [told for told in report.fixed_point if told.is_chosen]
        assert chosen.fraction == graph.fraction
        assert chosen.frames == accuracy.frames
        assert chosen.integers.value == accuracy.integer_graph.value
        assert reached - integer <= MOST_LOST
    else:
        assert integer == reached
    assert report.agreement
    assert sum(each.differing for each in report.agreement) == 0
    (compared,) = report.backends
    assert (compared.name, compared.mismatches) == ("float network", 0)
    assert compared.bits == sum(each.compared for each in report.agreement)
    assert compared.frames == accuracy.frames
    assert graph.input.shape == recipe.graph_input().shape
    assert graph.input.bit == (recipe.input == "bits")


@pytest.mark.parametrize(
    "folder", [f for f in FOLDERS if f.name not in LONG], ids=lambda folder: folder.name
)
def test_the_graph_is_the_lowering_of_the_weights(folder: Path) -> None:
    if not (folder / "model.safetensors").exists():
        # Their weights are too large to keep.
        assert folder.name in ("lfc", "sfc_proxy_bnn", "lenet", "cnv", "votes")
        return
    model, recipe = load_model(folder)
    assert lower(model, recipe.graph_input()) == load(folder / "graph.npz")
