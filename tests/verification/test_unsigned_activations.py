"""Activations of several bits, as lowered from torch, through every backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hwbnn.graph import Input, Threshold
from hwbnn.lowering import lower
from hwbnn.methods import get
from hwbnn.nn import mlp
from hwbnn.plan import Folded, Plan, Unrolled
from hwbnn.simulators import simulate
from hwbnn.verification import verify

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("bits", "hidden", "layout"),
    [
        (2, 6, Folded(3, 2, sums="bit_serial")),
        (4, 6, Unrolled(sums="adder_tree")),
        # Verilator takes a minute to elaborate three lanes of 255 thresholds; two hold the same.
        (8, 4, Folded(2, 3, sums="bit_planes")),
    ],
)
def test_all_backends_are_equal(
    bits: int, hidden: int, layout: Folded | Unrolled, tmp_path: Path
) -> None:
    torch.manual_seed(bits)
    source = Input("x", (12,), 0, 15, scale=1 / 15)
    model = mlp(source, (hidden, hidden), 6, get("binary_l2", bits=bits)).eval()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm1d)):
        norm.running_mean.normal_()
        norm.weight.data.normal_().mul_(2)
    graph = lower(model, source)
    cuts = graph.of_type(Threshold)
    assert {node.thresholds.shape[1] for node in cuts} == {2**bits - 1}
    x = np.random.default_rng(bits).integers(0, 16, (40, 12))
    levels = simulate(graph, x, trace=True)[cuts[0].name]
    assert len(np.unique(levels)) >= min(2**bits, 20)
    found = verify(
        graph,
        x,
        plan=Plan(default=layout),
        backends=["fast", "hls", "hls-stream", "rtl"],
        folder=tmp_path,
    )
    found.raise_for_mismatch()
    assert all(backend.bits for backend in found.backends)
