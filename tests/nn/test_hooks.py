"""The hooks that a training loop calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from hwbnn.graph import Input
from hwbnn.methods import (
    Activation,
    BinaryWeight,
    ClipSTE,
    Codes,
    Method,
    Options,
    Part,
    get,
    quantize,
)
from hwbnn.methods.base import SignActivation
from hwbnn.methods.estimators import Settings
from hwbnn.nn import after_step, mlp, parameter_groups, parts, penalty, set_progress, start_epoch


@dataclass(frozen=True)
class Noting(Method):
    """A method that notes what is called and uses every hook."""

    name: ClassVar[str] = "noting"
    strength: float = 0.5
    calls: list[tuple[str, int]] = field(default_factory=list, compare=False)

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        return _Weight(self, shape)

    def make_activation(self, channels: int) -> Activation:
        return SignActivation(self, channels, ClipSTE())

    def schedule(self, u: float) -> Settings:
        return {"lam": self.strength * u}

    def penalty(self, weights: Sequence[BinaryWeight]) -> Tensor:
        terms = [w.settings["lam"] * w.latent.abs().sum() for w in weights]  # type: ignore[operator]
        return torch.stack(terms).sum()

    def on_epoch(self, weights: Sequence[BinaryWeight]) -> None:
        self.calls.append(("epoch", len(weights)))

    def after_step(self, weights: Sequence[BinaryWeight]) -> None:
        self.calls.append(("step", len(weights)))


class _Weight(BinaryWeight):
    def __init__(self, method: Method, shape: tuple[int, ...]) -> None:
        super().__init__(method)
        self.shape = shape
        self.latent = nn.Parameter(torch.ones(shape))
        self.gate = nn.Parameter(torch.ones(1))

    def real(self) -> Tensor:
        return self.latent * self.gate

    def codes(self) -> Codes:
        return Codes(quantize(self.latent * self.gate, ClipSTE(), self.settings))

    def options(self) -> Mapping[str, Options]:
        return {"gate": Options(lr_scale=3.0, decay=False)}


@pytest.fixture
def method() -> Noting:
    return Noting()


@pytest.fixture
def model(method: Noting) -> nn.Module:
    return mlp(Input.bits(4), (3,), 2, method)


def test_hooks_get_all_weights_of_a_method_at_once(model: nn.Module, method: Noting) -> None:
    start_epoch(model, 0.25)
    after_step(model)
    assert method.calls == [("epoch", 2), ("step", 2)]
    assert {p.settings["lam"] for p in parts(model, Part)} == {0.125}
    assert len(parts(model, Part)) == 3
    set_progress(model, 1.0)
    assert method.calls == [("epoch", 2), ("step", 2)]
    assert {p.settings["lam"] for p in parts(model, Part)} == {0.5}


def test_methods_of_one_model_are_kept_apart(method: Noting) -> None:
    other = Noting(strength=2.0)
    model = nn.Sequential(mlp(Input.bits(4), (3,), 2, method), mlp(Input.bits(2), (), 2, other))
    after_step(model)
    assert (method.calls, other.calls) == ([("step", 2)], [("step", 1)])


def test_penalties_are_summed_and_differentiable(model: nn.Module) -> None:
    start_epoch(model, 1.0)
    term = penalty(model)
    assert term is not None
    assert term.item() == 0.5 * (4 * 3 + 3 * 2)
    term.backward()
    weight = parts(model, _Weight)[0]
    assert (weight.latent.grad == 0.5).all()
    assert penalty(mlp(Input.bits(4), (), 2, get("bnn_ste"))) is None


def test_groups_follow_the_methods_options(model: nn.Module) -> None:
    groups = parameter_groups(model, lr=0.1, weight_decay=0.02)
    found = {(round(g["lr"], 6), g["weight_decay"]): len(g["params"]) for g in groups}
    assert found == {(0.1, 0.02): 2 + 4, (0.3, 0.0): 2}
    model.get_parameter("layers.1.weight").requires_grad = False
    frozen = parameter_groups(model, lr=0.1)
    assert sum(len(g["params"]) for g in frozen) == 7
