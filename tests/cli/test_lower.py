"""The command that measures what fixed point changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.cli.conftest import Call, refused

FACTORY = """
import torch
import hwbnn
from hwbnn.nn.networks import mlp
from hwbnn.nn.residual import ResidualStages, residual

def image():
    torch.manual_seed(0)
    source = hwbnn.Input("x", (6, 6, 3), 0, 255, scale=2 / 255, offset=-1.0)
    form = ResidualStages((4,), 1, "block", projects=False)
    return residual(source, form, 3, hwbnn.methods.get("bnn_ste"), last="scale"), source

def dense():
    torch.manual_seed(0)
    source = hwbnn.Input("x", (8,), 0, 15)
    return mlp(source, (8,), 3, hwbnn.methods.get("bnn_ste")), source
"""
GIVEN = ("--samples", "x.npy", "--labels", "y.npy")


def write(shape: tuple[int, ...], high: int) -> None:
    rng = np.random.default_rng(0)
    Path("nets.py").write_text(FACTORY)
    np.save("x.npy", rng.integers(0, high + 1, (40, *shape)))
    np.save("y.npy", rng.integers(0, 3, 40))


def test_a_row_for_each_word_length(call: Call) -> None:
    write((6, 6, 3), 255)
    done = call("measure", "--model", "nets:image", *GIVEN, "--fractions", "3,12", "--json")
    assert done.exit_code == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["frames"], facts["data"]) == (40, "x.npy")
    coarse, fine = facts["measured"]
    assert (coarse["fraction"], fine["fraction"]) == (3, 12)
    assert coarse["width"] + 9 == fine["width"]
    assert coarse["mean"] > fine["mean"]
    assert 0 <= fine["agreement"] <= 1
    assert fine["lost"] == 100 * (fine["accuracy_float"] - fine["accuracy_integer"])

    told = call("measure", "--model", "nets:image", *GIVEN, "--fractions", "3,12").stdout
    assert "12 fraction bits" in told.splitlines()[-1]
    assert f"{coarse['mean']:.4f}" in told
    assert f"{coarse['agreement']:.2%}" in told


def test_a_network_without_shortcuts_loses_nothing(call: Call) -> None:
    write((8,), 15)
    done = call("measure", "--model", "nets:dense", *GIVEN, "--json")
    (found,) = json.loads(done.stdout)["measured"]
    assert found["fraction"] is None
    assert (found["largest"], found["agreement"], found["lost"]) == (0, 1, 0)


def test_what_does_not_fit_is_refused(call: Call) -> None:
    write((8,), 15)
    for fractions in ("a", "", "3,21", "-1"):
        result = call("measure", "--model", "nets:dense", *GIVEN, "--fractions", fractions)
        refused(result, "--fractions", "0 to 20")
    result = call("measure", "--model", "nets:dense", "--samples", "x.npy")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: measure: labels: expected --labels")
