"""The network that is measured, SFC: 784-256-256-256-10 on bits, and the same in float32 torch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Threshold, load

MODEL = Path(__file__).parent.parent / "models" / "sfc" / "graph.npz"
WIDTHS = (784, 256, 256, 256, 10)
MACS = sum(n * m for n, m in pairwise(WIDTHS))
"""Multiply-accumulates of one image: 334,336."""


def sfc() -> tuple[Graph, str]:
    """The trained SFC if it is there, else a random one of its shape, and which of them it is."""
    if MODEL.is_file():
        graph = load(MODEL)
        shapes = [dot.weights.shape[::-1] for dot in graph.of_type(Dot)]
        if graph.input.bit and shapes == list(pairwise(WIDTHS)):
            return graph, "models/sfc/graph.npz, trained"
    return random_sfc(), "random weights and thresholds in the shape of SFC"


def random_sfc() -> Graph:
    """SFC with random weights; thresholds near the middle, a tenth of the channels falling."""
    rng = np.random.default_rng(0)
    nodes: list[Any] = [Input.bits(WIDTHS[0])]
    for layer, (n, m) in enumerate(pairwise(WIDTHS), 1):
        nodes.append(Dot(f"dot_{layer}", nodes[-1].name, rng.random((m, n)) < 0.5))
        if layer < len(WIDTHS) - 1:
            cuts = rng.integers(-20, 20, (m, 1), endpoint=True)
            nodes.append(Threshold(f"sign_{layer}", f"dot_{layer}", cuts, rng.random(m) < 0.1))
    nodes.append(ArgMax("class", nodes[-1].name))
    return Graph((*nodes, Output("y", "class")))


class Signs(nn.Module):
    """-1 or +1, the latter for 0 as well."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x >= 0, 1.0, -1.0)


def float_sfc(graph: Graph) -> nn.Module:
    """The hidden layers of the Graph as float32 layers, as one would train and run them in torch.

    BatchNorm's mean is the threshold and the sign of its gain the direction, so that signs are
    those of the Graph; the last BatchNorm leaves the sums as they are.
    """
    layers: list[nn.Module] = []
    thresholds = iter(graph.of_type(Threshold))
    for dot in graph.of_type(Dot):
        m, n = dot.weights.shape
        linear, norm = nn.Linear(n, m, bias=False), nn.BatchNorm1d(m, eps=0)
        linear.weight.data = torch.from_numpy(np.where(dot.weights, 1.0, -1.0)).float()
        layers += [linear, norm]
        if dot.name in {t.source for t in graph.of_type(Threshold)}:
            threshold = next(thresholds)
            norm.running_mean = torch.tensor(threshold.thresholds[:, 0], dtype=torch.float32)
            norm.weight.data = torch.from_numpy(np.where(threshold.falling, -1.0, 1.0)).float()
            layers.append(Signs())
    return nn.Sequential(*layers).eval()


def images(n: int) -> NDArray[np.bool_]:
    """Random images of bits ``(n, 784)``; no way of computing is quicker on other ones."""
    return np.random.default_rng(1).random((n, WIDTHS[0])) < 0.5
