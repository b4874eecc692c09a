"""The commands train and lower, with recipes and with a user's own model."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Call, refused

RECIPE = """
network = "digits"
data = "digits"
epochs = {epochs}
input = "pixels"
learning_rate = 0.01
"""


def test_train_writes_a_run_that_lower_takes(call: Call) -> None:
    Path("recipe.toml").write_text(RECIPE.format(epochs=2))
    Path("empty").mkdir()
    done = call("train", "recipe.toml", "--out", "run", "--data", "empty", "--json")
    assert "--data empty is not read: the data set 'digits'" in done.stderr
    facts = json.loads(done.stdout)
    assert done.exit_code == 0
    assert facts["accuracy"] > 0.5
    assert facts["images"] == 355
    assert "epoch 2/2" in done.stderr
    refused(call("train", "recipe.toml", "--out", "run"), "holds a run already")
    missed = call("train", "run", "--out", "run", "--resume", "--goal", "0.999")
    assert missed.exit_code == 1
    assert missed.stdout.startswith("goal 99.90% missed: ")

    lowered = call("lower", "run", "--out", "new/graph.npz")
    assert lowered.exit_code == 0
    assert lowered.stdout.splitlines()[-1].endswith("-> new/graph.npz")
    assert call("explain", "run").exit_code == 0


def test_recipes_that_do_not_fit_are_refused(call: Call) -> None:
    refused(call("train", "none", "--out", "run"), "none: expected a recipe")
    Path("bad.toml").write_text(RECIPE.format(epochs=2) + "unknown = 1\n")
    refused(call("train", "bad.toml", "--out", "run"), "bad.toml", "'unknown'")
    Path("file").write_text("")
    Path("recipe.toml").write_text(RECIPE.format(epochs=1))
    refused(call("train", "recipe.toml", "--out", "file/run"), "file/run", "cannot be written")
    assert not Path("run").exists()


FACTORY = """
import torch
from torch import nn
import hwbnn
from hwbnn.nn import BinaryActivation, BinaryLinear

def make(layer=None, weight=0.5):
    torch.manual_seed(0)
    method = hwbnn.methods.get("bnn_ste")
    source = hwbnn.Input.bits(6)
    first = BinaryLinear(6, 4, method, source=source)
    first.weight.latent.data[0, 0] = weight
    middle = layer or nn.BatchNorm1d(4)
    return nn.Sequential(
        first, middle, BinaryActivation(4, method), BinaryLinear(4, 3, method), nn.BatchNorm1d(3)
    ), source

def with_softmax():
    return make(nn.Softmax(dim=1))

def with_nan():
    return make(weight=float("nan"))

def alone():
    return make()[0]

class Leaves(torch.nn.Module):
    def forward(self, x):
        raise SystemExit(7)

def leaving():
    return Leaves(), hwbnn.Input.bits(6)

nothing = None
"""


def test_a_users_own_model_is_run_and_that_is_said(call: Call) -> None:
    Path("mine.py").write_text(FACTORY)
    done = call("lower", "--model", "mine:make", "--out", "mine.npz")
    assert done.exit_code == 0, done.stderr
    assert "running mine:make, which is your own Python" in done.stderr
    assert Path("mine.npz").is_file()


def test_models_that_cannot_be_lowered_are_refused(call: Call) -> None:
    Path("other.py").write_text(FACTORY)
    for factory, words in (
        ("other:with_softmax", ["'1'", "Softmax"]),
        ("other:with_nan", ["NaN"]),
        ("other:leaving", ["Leaves: its forward cannot be traced (SystemExit 7)"]),
        ("other:alone", ["expected it to return (torch.nn.Module, hwbnn.Input)"]),
        ("other:nothing", ["no function 'nothing'"]),
        ("nowhere:make", ["no module 'nowhere'"]),
        ("other", ["expected package.module:factory"]),
    ):
        result = call("lower", "--model", factory, "--out", "new/graph.npz")
        assert result.exit_code == 2, factory
        assert result.stdout == ""
        last = result.stderr.splitlines()[-1]
        assert last.startswith("error: ")
        assert all(word in last for word in words), last
        assert not Path("new").exists()
    told = call("explain", "--model", "other:with_softmax")
    assert told.exit_code == 2
    assert "with_softmax: refused: " in told.stdout.splitlines()[-1]
    refused(call("lower"), "expected the folder of a training run, or --model")
    refused(call("lower", "none"), "none: expected the folder of a training run", "digits")


SMALL = """
import torch
from torch import nn
import hwbnn
from hwbnn.nn import BinaryLinear

class Shifted(nn.Module):
    def forward(self, x):
        return x + torch.tensor([0.0, 1e3, 0.0])

def make(tail=nn.Identity):
    torch.manual_seed(3)
    source = hwbnn.Input.bits(8)
    layer = BinaryLinear(8, 3, hwbnn.methods.get("bnn_ste"), source=source)
    return nn.Sequential(layer, nn.BatchNorm1d(3), tail()).eval(), source

def constant():
    return make(Shifted)
"""


def test_lower_compares_accuracy_on_labelled_samples(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("small.py").write_text(SMALL)
    rng = np.random.default_rng(1)
    np.save("x.npy", rng.integers(0, 2, (50, 8)))
    np.save("y.npy", rng.integers(0, 3, 50))
    given = ("--samples", "x.npy", "--labels", "y.npy", "--json")
    done = call("lower", "--model", "small:make", *given)
    facts = json.loads(done.stdout)
    assert facts["accuracy"] == facts["accuracy of floats"]
    assert (facts["frames"], facts["differing"]) == (50, 0)
    # A network that answers the same to everything is lowered, with a word of warning.
    done = call("lower", "--model", "small:constant", *given)
    assert done.exit_code == 0
    assert "warning: " in done.stderr
    # A planted fault: the simulator gives another class than the floats.
    place = importlib.import_module("hwbnn.lowering.from_torch.accuracy")
    real = place.simulate
    monkeypatch.setattr(place, "simulate", lambda *a, **k: (real(*a, **k) + 1) % 3)
    wrong = call("lower", "--model", "small:make", "--out", "wrong.npz", *given)
    assert wrong.exit_code == 1
    assert not Path("wrong.npz").exists()
    assert wrong.stderr.splitlines()[-1].startswith("error: ")
