"""The benchmark of training steps: what it compares is one network, and what it tells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import training
from hwbnn.methods import METHODS, BinaryWeight
from hwbnn.nn import parts

ROOT = Path(__file__).parent.parent.parent


def test_all_contenders_are_one_network() -> None:
    plain = training.plain("tfc").model
    linear = [(m.in_features, m.out_features) for m in plain if isinstance(m, nn.Linear)]
    assert linear == [(784, 64), (64, 64), (64, 64), (64, 10)]
    x = torch.randint(0, 2, (8, 784)).float() * 2 - 1
    assert plain(x).shape == (8, 10)
    for name in METHODS:
        model = training.of_method(name, "tfc").model
        shapes = [weight.shape[::-1] for weight in parts(model, BinaryWeight)]  # type: ignore[type-abstract]
        assert shapes == linear, name
        assert sum(isinstance(m, nn.BatchNorm1d) for m in model.modules()) == 3
        assert model(x).shape == (8, 10)


def test_a_step_trains() -> None:
    contender = training.of_method("bnn_ste", "tfc")
    torch.manual_seed(1)
    x, wanted = torch.randint(0, 2, (64, 784)).float() * 2 - 1, torch.randint(0, 10, (64,))
    loss = nn.functional.cross_entropy
    before = loss(contender.model(x), wanted).item()
    for _ in range(20):
        contender.step(x, wanted)
    assert loss(contender.model(x), wanted).item() < before / 2
    latent = contender.model.layers[0].weight.latent
    with torch.no_grad():
        latent[0, 0] = 5
    contender.step(x, wanted)
    assert latent.max() <= 1  # the method's own part of a step was done


def test_the_variants_are_there_and_their_limits_too() -> None:
    for name in training.VARIANTS:
        assert training.of_method(name, "tfc").name == name
    assert set(training.LIMITS) <= {*METHODS, *training.VARIANTS}


def test_turns_alternate_and_the_first_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    contenders = [training.plain("tfc"), training.of_method("bnn_ste", "tfc")]
    for contender in contenders:
        contender.step = lambda x, wanted, name=contender.name: order.append(name)  # type: ignore[method-assign, misc]
    training.race(contenders, rounds=2, steps=2)
    a, b = (contender.name for contender in contenders)
    assert order == [a, a, b, b, b, b, a, a, a, a, b, b]
    assert all(len(contender.seconds) == 2 for contender in contenders)


def entry(name: str, seconds: list[float], hook: float = 0.0) -> dict[str, Any]:
    contender = training.plain("tfc")
    contender.name, contender.seconds, contender.epoch_seconds = name, seconds, hook
    contender.wall_seconds = seconds
    return training._entry(contender, base=0.01)


def test_what_is_over_its_limit_is_marked() -> None:
    assert entry("bnn_ste", [0.012, 0.9, 0.011])["of float32"] == 1.2
    assert not entry("bnn_ste", [0.012])["over"]
    assert entry("bnn_ste", [0.014])["over"]
    assert not entry("rbnn", [0.024])["over"]
    assert entry("rbnn", [0.024], hook=training.EPOCH * 0.002)["over"]
    assert not entry("proxy_bnn, full", [0.9])["over"]
    assert not entry("Brevitas 1W1A", [0.9])["over"]
    found = {
        "batch": 256,
        "rounds": 1,
        "steps": 1,
        "machine": {"cpu": "x", "load_before": 0, "load_after": 1, "versions": {}},
        "brevitas": "0.13.4",
        "networks": {"sfc": [entry("Brevitas 1W1A", [0.02]), entry("bnn_ste", [0.014])]},
    }
    row = "| bnn_ste | 14.00 | 14.00 to 14.00 | 1.40 | 0.70 | at most 1.3, over |"
    assert row in training.table(found)


def test_it_runs_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.training", "--networks", "tfc"]
    command += ["--methods", "bnn_ste", "--rounds", "1", "--steps", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (tmp_path / "training.md").read_text().strip()
    found = json.loads((tmp_path / "training.json").read_text())
    assert [e["name"] for e in found["networks"]["tfc"]][-1] == "bnn_ste"


def test_the_kept_results_are_within_what_is_promised() -> None:
    found = json.loads((training.RESULTS / "training.json").read_text())
    for net in ("sfc", "lfc"):
        entries = {e["name"]: e for e in found["networks"][net]}
        assert set(METHODS) <= set(entries)
        assert "Brevitas 1W1A" in entries
        assert [name for name, e in entries.items() if e["over"]] == []
