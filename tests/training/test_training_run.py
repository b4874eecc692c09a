"""Training runs: resumed, repeated, interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import hwbnn
from hwbnn.errors import InputError
from hwbnn.training import Epoch, Recipe, TrainResult, dataset, load_model, predict, train
from hwbnn.training import folder as run_folder
from tests.training.samples import mnist_sample

# All that could make a resumed run differ: momentum, a rate that changes, an order, shifts.
RECIPE = Recipe(
    "digits",
    "digits",
    3,
    input="pixels",
    batch=64,
    schedule="cosine",
    learning_rate=0.01,
    final_rate=0.0,
    augmentation="shift",
    shift=1,
    held_out=100,
)


def equal(a: TrainResult, b: TrainResult) -> bool:
    """Whether two runs ended with the same bits everywhere and tell the same history."""
    left, right = a.model.state_dict(), b.model.state_dict()
    same = left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)
    return same and history(a) == history(b) and a.accuracy == b.accuracy


def history(result: TrainResult) -> list[Epoch]:
    return [replace(epoch, seconds=0.0, cpu_seconds=0.0) for epoch in result.history]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The recipe trained without a stop."""
    return train(RECIPE, tmp_path_factory.mktemp("train") / "whole")


def test_a_stopped_run_resumes_to_the_same_weights(whole: TrainResult, tmp_path: Path) -> None:
    first = train(RECIPE, tmp_path, until=1)
    assert len(first.history) == 1
    assert not equal(first, whole)
    with pytest.raises(InputError, match="no such file"):
        load_model(tmp_path)
    train(RECIPE, tmp_path, until=2, resume=True)
    torch.rand(7)  # what else the process does with torch's generator is no part of it
    assert equal(train(RECIPE, tmp_path, resume=True), whole)
    assert [epoch.epoch for epoch in whole.history] == [1, 2, 3]


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(
    whole: TrainResult, tmp_path: Path
) -> None:
    torch.manual_seed(1234)
    state = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    assert equal(train(RECIPE, tmp_path / "again"), whole)
    # A caller's own draws and threads are left alone.
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not equal(train(replace(RECIPE, seed=2), tmp_path / "other"), whole)


@pytest.fixture
def handler() -> Iterator[Any]:
    """Python's own answer to an interrupt: a suite in the background is started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_run_resumes_to_the_same_weights(
    whole: TrainResult, tmp_path: Path, handler: Any
) -> None:
    def interrupt(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, tmp_path, on_epoch=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (tmp_path / "model.safetensors").exists()
    again: list[int] = []
    resumed = train(RECIPE, tmp_path, resume=True, on_epoch=lambda e: again.append(e.epoch))
    assert equal(resumed, whole)
    assert again == [3]


def test_a_finished_run_resumes_to_itself(whole: TrainResult, tmp_path: Path) -> None:
    assert equal(train(RECIPE, whole.folder, resume=True), whole)


def test_resuming_in_an_empty_folder_begins(whole: TrainResult, tmp_path: Path) -> None:
    assert equal(train(RECIPE, tmp_path / "new", resume=True), whole)


def test_the_accuracy_is_that_of_the_whole_test_set_at_the_last_epoch(whole: TrainResult) -> None:
    digits = dataset("digits")
    assert whole.images == len(digits.test_images) == 355
    x = torch.tensor(digits.test_images.reshape(355, 64)).float() / 16
    found = whole.model(x).detach().numpy().argmax(axis=1)
    assert whole.accuracy == (found == digits.test_labels).mean()
    assert whole.accuracy > 0.6
    assert not whole.model.training


def test_held_out_images_are_not_trained_on(whole: TrainResult, tmp_path: Path) -> None:
    digits = dataset("digits")
    images, labels = digits.train_images.copy(), digits.train_labels.copy()
    images[-100:] = 0
    changed = train(RECIPE, tmp_path / "out", data=replace(digits, train_images=images))
    assert torch.equal(changed.model.layers[0].weight.latent, whole.model.layers[0].weight.latent)
    assert whole.history[-1].held_out != changed.history[-1].held_out
    kept = RECIPE.encode(digits.train_images[-100:])
    right = predict(whole.model, whole.model.input, kept) == labels[-100:]
    assert whole.history[-1].held_out == right.mean()


def test_the_folder_gives_the_model_back(whole: TrainResult) -> None:
    model, recipe = load_model(whole.folder)
    assert recipe == RECIPE
    mine, theirs = model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    assert not model.training
    told = json.loads((whole.folder / "history.json").read_text())
    assert told["accuracy"] == whole.accuracy
    assert told["test images"] == 355
    assert told["data"]["sha256"] == dataset("digits").digest
    assert told["settings"]["threads"] == 1
    assert [e["epoch"] for e in told["epochs"]] == [1, 2, 3]
    assert 0 < told["cpu seconds"] == sum(e["cpu_seconds"] for e in told["epochs"])
    assert told["seconds"] == sum(e["seconds"] for e in told["epochs"])
    names = sorted(p.name for p in whole.folder.iterdir())
    assert names == ["checkpoints", "history.json", "model.safetensors", "recipe.toml"]
    assert [p.name for p in (whole.folder / "checkpoints").iterdir()] == ["last.ckpt"]


class Hostile:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("checked", [True, False])
def test_a_hostile_checkpoint_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checked: bool
) -> None:
    file = tmp_path / "run" / "checkpoints" / "last.ckpt"
    file.parent.mkdir(parents=True)
    torch.save({"recipe": RECIPE.to_toml(), "state_dict": Hostile(tmp_path / "ran")}, file)
    if not checked:  # Lightning's own loading must refuse it too
        monkeypatch.setattr(run_folder, "_check_checkpoint", lambda *_: None)
    with pytest.raises(InputError, match=r"last\.ckpt"):
        train(RECIPE, tmp_path / "run", resume=True)
    assert not (tmp_path / "ran").exists()
    torch.load(file, weights_only=False)  # it is hostile indeed
    assert (tmp_path / "ran").exists()


def test_damaged_checkpoints_are_refused(whole: TrainResult, tmp_path: Path) -> None:
    good = (whole.folder / "checkpoints" / "last.ckpt").read_bytes()
    file = tmp_path / "checkpoints" / "last.ckpt"
    file.parent.mkdir()
    contents = [b"", b"text", good[:1000], good[:-100]]
    for content in contents:
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"last\.ckpt: damaged.*delete") as error:
            train(RECIPE, tmp_path, resume=True)
        assert "\n" not in str(error.value)
    kept = torch.load(whole.folder / "checkpoints" / "last.ckpt", weights_only=True)
    for broken in ({"recipe": 3}, {"other": 1}, [1, 2]):
        torch.save(broken, file)
        with pytest.raises(InputError, match=r"last\.ckpt"):
            train(RECIPE, tmp_path, resume=True)
    for part in ("state_dict", "optimizer_states", "history", "loops", "lr_schedulers"):
        broken = {**kept, part: type(kept[part])()}
        torch.save(broken, file)
        with pytest.raises(InputError, match=r"last\.ckpt: not a checkpoint of this") as error:
            train(RECIPE, tmp_path, resume=True)
        assert "\n" not in str(error.value)


def test_a_folder_with_a_run_is_not_overwritten(whole: TrainResult) -> None:
    before = (whole.folder / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="holds a run already"):
        train(RECIPE, whole.folder)
    with pytest.raises(InputError, match="seed = 1, the recipe given has 9"):
        train(replace(RECIPE, seed=9), whole.folder, resume=True)
    assert (whole.folder / "model.safetensors").read_bytes() == before


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write") as error:
        train(RECIPE, tmp_path / "file" / "run")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"until": 0}, "until: expected 1 to 3"),
        ({"until": 4}, "until: expected 1 to 3"),
        ({"precision": "8-bit"}, "precision '8-bit'"),
        ({"precision": "16-mixed"}, "precision '16-mixed': not to be had"),
        ({"threads": 0}, "threads"),
        ({"devices": 0}, "devices: expected at least 1 or 'auto', found 0"),
        ({"devices": "many"}, "devices: .* found 'many'"),
        ({"accelerator": "abacus"}, "accelerator 'abacus'"),
        ({"accelerator": "gpu"}, "accelerator 'gpu'"),
    ],
)
def test_bad_options_are_refused_and_leave_nothing(
    tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    if options.get("accelerator") == "gpu" and torch.cuda.is_available():
        options = {"accelerator": "gpu", "devices": 1000}
    with pytest.raises(InputError, match=named) as error:
        train(RECIPE, tmp_path / "run", **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_images_that_the_recipe_does_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected images of 64 pixels"):
        train(RECIPE, tmp_path / "run", data=mnist_sample())
    digits = dataset("digits")
    few = replace(
        digits, train_images=digits.train_images[:150], train_labels=digits.train_labels[:150]
    )
    with pytest.raises(InputError, match="150 training images are fewer"):
        train(RECIPE, tmp_path / "run", data=few)
    assert not (tmp_path / "run").exists()


def test_foreign_weights_are_refused(whole: TrainResult, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.to_toml())
    with pytest.raises(InputError, match="no such file"):
        load_model(tmp_path)
    file = tmp_path / "model.safetensors"
    good = (whole.folder / "model.safetensors").read_bytes()
    for content in (b"", good[:-1], good[:100], b"\xff" * 64):
        file.write_bytes(content)
        with pytest.raises(InputError, match="no valid safetensors") as error:
            load_model(tmp_path)
        assert "\n" not in str(error.value)
    doubled = {name: t.double() for name, t in safetensors.torch.load(good).items()}
    file.write_bytes(safetensors.torch.save(doubled))
    with pytest.raises(InputError, match=r"expected torch\.\w+, found torch\.float64"):
        load_model(tmp_path)
    file.write_bytes(good)
    (tmp_path / "recipe.toml").write_text(replace(RECIPE, network="sfc").to_toml())
    with pytest.raises(InputError, match="not the weights of its recipe") as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "least"),
    [
        ({"threshold": 128}, 0.7),
        ({"input": "pixels"}, 0.7),
        ({"threshold": 128, "loss": "squared_hinge", "last": "scale"}, 0.6),
        ({"threshold": 128, "hyper": {"glorot_lr": True}, "learning_rate": 1e-3}, 0.7),
    ],
)
def test_a_sample_of_mnist_is_learned(tmp_path: Path, change: dict[str, Any], least: float) -> None:
    recipe = replace(
        Recipe("tfc", "mnist", 8, batch=20, learning_rate=0.01, threshold=1),
        **{"threshold": None} | change,
    )
    result = train(recipe, tmp_path / "run", data=mnist_sample())
    assert result.accuracy > least
    assert result.history[-1].loss < result.history[0].loss


def test_mixed_precision_keeps_float32_weights(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=2, augmentation="none", shift=0, held_out=0)
    result = train(recipe, tmp_path / "run", precision="bf16-mixed")
    assert all(p.dtype == torch.float32 for p in result.model.parameters())
    assert result.accuracy > 0.5


def test_progress_is_shown_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(replace(RECIPE, epochs=1, schedule="constant", final_rate=None), tmp_path / "quiet")
    assert capsys.readouterr() == ("", "")
    train(
        replace(RECIPE, epochs=1, schedule="constant", final_rate=None),
        tmp_path / "shown",
        progress=True,
    )
    assert "Epoch" in capsys.readouterr().out


def run_script(script: Path) -> tuple[int, str, str]:
    """Run a script that starts itself again; leaves no process behind, come what may."""
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        # A guard against two processes that wait for each other; 15 s are usual.
        out, errors = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, out, errors


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Lightning starts the script again for the second device; one of them writes.

    RBNN's rotations must turn alike in both, though each sees other images.
    """
    recipe = replace(RECIPE, method="rbnn", hyper={})
    script = tmp_path / "two.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os
            import warnings
            warnings.simplefilter("error")
            from hwbnn.training import Recipe, train
            recipe = Recipe.from_toml({recipe.to_toml()!r})
            told = []
            for until, resume in ((1, False), (None, True)):
                result = train(recipe, {str(tmp_path / "run")!r}, devices=2, until=until,
                               resume=resume, on_epoch=lambda e: told.append(e.epoch))
            # One call: what the other process writes does not come in between.
            os.write(1, f"{{result.accuracy}} {{len(result.history)}} {{told}}\\n".encode())
            """
        )
    )
    status, out, errors = run_script(script)
    assert status == 0, errors
    told = json.loads((tmp_path / "run" / "history.json").read_text())
    assert out.count(f"{told['accuracy']} 3 ") == 2
    assert "[1, 2, 3]" in out
    assert told["settings"]["devices"] == 2
    model, _ = load_model(tmp_path / "run")
    digits = dataset("digits")
    found = predict(model, model.input, recipe.encode(digits.test_images))
    assert told["accuracy"] == np.mean(found == digits.test_labels)
    assert told["accuracy"] > 0.6


def test_the_verb_is_the_function_of_the_package() -> None:
    assert hwbnn.training.train is train
    assert hwbnn.train is train
