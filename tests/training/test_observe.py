"""Quantities observed in training."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn import methods
from hwbnn.graph import Input
from hwbnn.methods import METHODS
from hwbnn.nn import Mlp
from hwbnn.nn.networks import mlp
from hwbnn.training import Epoch, Recipe, train
from hwbnn.training.history import QUANTILES, LayerRecord
from hwbnn.training.observe import Observer

RECIPE = Recipe(
    "digits", "digits", 2, input="pixels", batch=64, augmentation="shift", shift=1, held_out=100
)


def watched(method: str = "bnn_ste") -> tuple[Mlp, Observer, Tensor]:
    """A small network, its observer after start(), and the probe."""
    torch.manual_seed(3)
    model = mlp(Input.bits(12), (9, 7), 4, methods.get(method))
    x = torch.randint(0, 2, (40, 12)).float() * 2 - 1
    observer = Observer(model, x, torch.arange(40) % 4, functional.cross_entropy)
    observer.start()
    return model, observer, x


def test_observing_changes_no_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = train(RECIPE, tmp_path / "seen")
    assert all(len(epoch.layers) == 3 for epoch in seen.history)
    monkeypatch.setattr(Observer, "start", lambda self: None)
    monkeypatch.setattr(Observer, "layers", lambda self: ())
    unseen = train(RECIPE, tmp_path / "unseen")
    assert unseen.history[-1].layers == ()
    left, right = seen.model.state_dict(), unseen.model.state_dict()
    assert all(torch.equal(left[key], right[key]) for key in right)
    assert [e.loss for e in seen.history] == [e.loss for e in unseen.history]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("training", [True, False])
def test_observing_leaves_everything_as_it_was(name: str, training: bool) -> None:
    model, observer, _ = watched(name)
    model.train(training)
    model.layers[1].eval()  # each module gets its own mode back
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    layers = observer.layers()
    assert [layer.name for layer in layers] == list(observer.weights)
    assert len(layers) == 3
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters())
    assert model.training is training
    assert not model.layers[1].training
    assert not model.layers[1]._forward_pre_hooks
    for layer in layers:
        assert layer.flips == 0
        assert layer.cosine is not None
        assert 0 < layer.cosine <= 1  # the bits are the signs of the real numbers
        assert 0 <= layer.gap <= 1
        assert 0 < layer.gradient <= 1
        numbers = [x for x in asdict(layer).values() if isinstance(x, float)]
        assert all(math.isfinite(x) for x in numbers)
    assert [layer.activation_gradient is None for layer in layers] == [False, False, True]


def test_the_numbers_are_those_of_their_formulas() -> None:
    model, observer, _ = watched()
    w = model.layers[0].weight.latent.detach().double().numpy()
    b = np.where(w >= 0, 1.0, -1.0)
    layer = observer.layers()[0]
    assert layer.weights == 108
    best = abs(w).mean(axis=1, keepdims=True) * b
    assert layer.error == pytest.approx(((w - best) ** 2).sum() / (w**2).sum(), rel=1e-4)
    cosine = (w * b).sum() / np.linalg.norm(w) / np.linalg.norm(b)
    assert layer.cosine == pytest.approx(cosine, rel=1e-4)
    assert layer.gap == pytest.approx(np.maximum(0, 1 - abs(w)).mean(), rel=1e-4)
    assert layer.margins == pytest.approx(np.quantile(abs(w), QUANTILES) / w.std(), rel=1e-4)


class Scaled(methods.BinaryWeight):
    """Weights with a scale and an offset for each channel, which count for nothing here."""

    def __init__(self) -> None:
        super().__init__(methods.get("bnn_ste"))
        self.shape = (2, 2)
        self.latent = nn.Parameter(torch.tensor([[1.0, -3.0], [-0.5, 0.5]]))

    def real(self) -> Tensor:
        return self.latent

    def codes(self) -> methods.Codes:
        scale, offset = torch.tensor([7.0, 0.5]), torch.tensor([1.0, -1.0])
        return methods.Codes(methods.sign(self.latent), scale, offset)


def test_the_error_is_that_of_the_best_scale_of_each_channel() -> None:
    _, observer, _ = watched()
    observer.weights["layers.0"] = Scaled()
    observer.start()
    layer = observer.layers()[0]
    assert layer.error == pytest.approx((1 + 1) / (1 + 9 + 0.5), rel=1e-5)  # 2 stands for 1 and 3
    assert layer.cosine == pytest.approx(5 / (10.5**0.5 * 2), rel=1e-5)
    assert layer.gradient == 0  # the model does not use these


def test_flips_are_counted_from_the_start() -> None:
    model, observer, _ = watched()
    with torch.no_grad():
        model.layers[0].weight.latent[2, :6] *= -1
    assert observer.layers()[0].flips == pytest.approx(6 / 108, rel=1e-5)
    observer.start()
    assert observer.layers()[0].flips == 0


def test_gradients_arrive_where_the_clipped_estimator_lets_them() -> None:
    model, observer, x = watched()
    with torch.no_grad():
        model.layers[1].weight.mul_(3)  # BatchNorm's gain: most inputs of the sign beyond 1
    statistics = model.layers[1].running_mean.clone()
    layer = observer.layers()[0]
    model.train()
    entering = model.layers[1](model.layers[0](x))
    assert not torch.equal(model.layers[1].running_mean, statistics)
    within = float((entering.abs() <= 1).float().mean())
    assert 0.05 < within < 0.6
    assert layer.activation_gradient == pytest.approx(within, rel=1e-5)
    with torch.no_grad():
        model.layers[1].bias.fill_(50)  # nothing passes any more
    dead = observer.layers()[0]
    assert (dead.activation_gradient, dead.gradient) == (0, 0)


def test_weights_of_zeros_have_no_angle() -> None:
    model, observer, _ = watched()
    with torch.no_grad():
        model.layers[0].weight.latent.zero_()
    layer = observer.layers()[0]
    assert (layer.error, layer.cosine, layer.margins) == (None, None, None)
    assert LayerRecord.read(json.loads(json.dumps(asdict(layer)))) == layer


def test_histories_are_read_back_and_old_ones_too(tmp_path: Path) -> None:
    result = train(replace(RECIPE, epochs=1), tmp_path)
    told = json.loads((tmp_path / "history.json").read_text())["epochs"]
    assert [Epoch.read(entries) for entries in told] == list(result.history)
    del told[0]["layers"]
    assert Epoch.read(told[0]) == replace(result.history[0], layers=())
    with pytest.raises(TypeError, match="unknown entries of an epoch: colour"):
        Epoch.read({**told[0], "colour": 1})
