from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwbnn.errors import InputError, Mismatch
from hwbnn.graph import load
from hwbnn.simulators import simulate
from hwbnn.training import Recipe, dataset, load_model, logits, predict, publish, train
from tests.training.samples import mnist_sample

RECIPE = Recipe("digits", "digits", 2, input="pixels", batch=64, learning_rate=0.01)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(RECIPE, tmp_path_factory.mktemp("publish") / "run").folder


def test_the_report_says_what_is_measured(run: Path, tmp_path: Path) -> None:
    report = publish(run, tmp_path / "digits")
    assert report == json.loads((tmp_path / "digits" / "report.json").read_text())
    names = sorted(p.name for p in (tmp_path / "digits").iterdir())
    assert names == ["graph.npz", "model.safetensors", "recipe.toml", "report.json"]
    graph = load(tmp_path / "digits" / "graph.npz")
    digits = dataset("digits")
    found = simulate(graph, digits.test_images.reshape(355, 64))[:, 0]
    assert report["accuracy"]["integer"] == (found == digits.test_labels).mean()
    assert report["accuracy"]["float"] == report["accuracy"]["integer"]
    assert report["test images"] == 355
    assert report["graph"] == graph.digest
    told = json.loads((run / "history.json").read_text())["epochs"]
    curve = report["training"]["curve"]
    assert curve["training accuracy"] == [round(epoch["accuracy"], 6) for epoch in told]
    assert len(curve["loss"]) == RECIPE.epochs
    assert "fixed point" not in report
    compared = report["float against integer"]
    assert (compared["frames"], compared["differing"]) == (355, 0)
    # Two hidden layers of 64 bits, the order of the scores, and the class.
    assert compared["compared"] == 355 * (64 + 64 + 1 + 1)
    model, recipe = load_model(tmp_path / "digits")
    assert recipe == RECIPE
    u = recipe.encode(digits.test_images)
    assert np.array_equal(predict(model, model.input, u), found)
    assert logits(model, model.input, u).shape == (355, 10)


def test_large_weights_are_left_out(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(run, tmp_path)
    monkeypatch.setattr("hwbnn.training.release.MODEL_LIMIT", 1000)
    publish(run, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


def test_files_that_do_not_belong_together_are_refused(run: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for file in run.iterdir():
            if file.is_file():
                (folder / file.name).write_bytes(file.read_bytes())
        return folder

    other = copy("recipe")
    (other / "recipe.toml").write_text(replace(RECIPE, seed=2).to_toml())
    with pytest.raises(InputError, match="another recipe"):
        publish(other, tmp_path / "out")

    told = json.loads((run / "history.json").read_text())
    altered = copy("accuracy")
    (altered / "history.json").write_text(json.dumps({**told, "accuracy": 0.99}))
    with pytest.raises(Mismatch, match=r"accuracy 0\.99"):
        publish(altered, tmp_path / "out")

    for content in ("", "[]", "{}", "[" * 100_000):
        (altered / "history.json").write_text(content)
        with pytest.raises(InputError, match="no history") as error:
            publish(altered, tmp_path / "out")
        assert "\n" not in str(error.value)

    with pytest.raises(InputError, match="other images"):
        publish(run, tmp_path / "out", data=replace(mnist_sample(), name="digits"))
    assert not (tmp_path / "out").exists()
