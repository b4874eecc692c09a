"""A build's report of what fixed point changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hwbnn import methods
from hwbnn.flow import build
from hwbnn.graph import Input
from hwbnn.lowering import FRACTIONS, lower
from hwbnn.nn.residual import ResidualStages, residual
from hwbnn.report import Report, text

PIXELS = Input("x", (6, 6, 3), 0, 255, scale=2 / 255, offset=-1.0)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """A small network with a shortcut; nothing is generated or synthesised."""
    monkeypatch.setattr("hwbnn.flow.build_steps._generate", lambda *_: {"rtl": None})
    monkeypatch.setattr("hwbnn.flow.build_steps.synthesise", lambda *_: None)
    monkeypatch.setattr("hwbnn.flow.build_steps.by_vitis", lambda *_: None)
    torch.manual_seed(0)
    form = ResidualStages((4,), 1, "block", projects=False)
    return residual(PIXELS, form, 3, methods.get("bnn_ste"), last="scale").eval()


def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (30, 6, 6, 3)), rng.integers(0, 3, 30)


def test_it_is_measured_for_each_word_length(model: torch.nn.Module, tmp_path: Path) -> None:
    report = build(model, PIXELS, samples(), tmp_path, backends=("fast",))
    assert [each.fraction for each in report.fixed_point] == list(FRACTIONS)
    (chosen,) = [each for each in report.fixed_point if each.is_chosen]
    assert chosen.fraction == lower(model, PIXELS).fraction
    (accuracy,) = report.accuracy
    assert chosen.integers.value == accuracy.integer_graph.value
    assert accuracy.float_network is not None
    assert chosen.float_network.value == accuracy.float_network.value
    assert Report.from_json((tmp_path / "report.json").read_bytes()) == report
    assert f"{chosen.width} bits, {chosen.fraction} fraction bits" in text(report, 120)


def test_without_classes_the_report_says_so(model: torch.nn.Module, tmp_path: Path) -> None:
    report = build(model, PIXELS, samples()[0], tmp_path, backends=("fast",))
    assert not report.fixed_point
    assert "fixed point by word length" in [each.what for each in report.not_done]
