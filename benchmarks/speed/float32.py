"""SFC and CNV as float32 layers in torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hwbnn.graph import Conv2d, Dot, Flatten, Graph, MaxPool, Threshold


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
        linear.weight.data = torch.from_numpy(dot.weights.astype(np.float32))
        layers += [linear, norm]
        if dot.name in {t.source for t in graph.of_type(Threshold)}:
            threshold = next(thresholds)
            norm.running_mean = torch.tensor(threshold.thresholds[:, 0], dtype=torch.float32)
            norm.weight.data = torch.from_numpy(np.where(threshold.falling, -1.0, 1.0)).float()
            layers.append(Signs())
    return nn.Sequential(*layers).eval()


def float_cnv(graph: Graph) -> nn.Module:
    """The Graph's layers up to its last sums in float32, as one would train and run them in torch.

    Pixels are integers here. BatchNorm's mean is the threshold and the sign of its gain the
    direction, so that signs are those of the Graph. The pool comes behind the sign: the largest
    sign is that of the largest sum, turned round or not.
    """
    layers: list[nn.Module] = []
    for node in graph.nodes:
        if isinstance(node, Conv2d):
            channels, rows, columns, depth = node.weights.shape
            convolution = nn.Conv2d(depth, channels, (rows, columns), bias=False)
            weights = node.weights.astype(np.float32).transpose(0, 3, 1, 2)
            convolution.weight.data = torch.from_numpy(weights.copy()).float()
            layers.append(convolution)
        elif isinstance(node, Dot):
            linear = nn.Linear(*node.weights.shape[::-1], bias=False)
            linear.weight.data = torch.from_numpy(node.weights.astype(np.float32))
            layers.append(linear)
        elif isinstance(node, Threshold):
            layers += [_norm(graph, node), Signs()]
        elif isinstance(node, MaxPool):
            layers.append(Pool(node))
        elif isinstance(node, Flatten):
            layers.append(nn.Flatten())
    return nn.Sequential(*layers).eval()


def _norm(graph: Graph, node: Threshold) -> nn.Module:
    """A BatchNorm whose sign is the threshold."""
    flat = len(graph.types[node.name].shape) == 1
    norm = (nn.BatchNorm1d if flat else nn.BatchNorm2d)(len(node.falling), eps=0)
    norm.running_mean = torch.tensor(node.thresholds[:, 0], dtype=torch.float32)
    norm.weight.data = torch.from_numpy(np.where(node.falling, -1.0, 1.0)).float()
    return norm


class Pool(nn.Module):
    """Max pooling in which some channels take the smallest, by turning their signs round."""

    def __init__(self, node: MaxPool) -> None:
        super().__init__()
        smallest = np.zeros(1, np.bool_) if node.smallest is None else node.smallest
        order = torch.from_numpy(np.where(smallest, -1.0, 1.0)).float()
        self.register_buffer("order", order[:, None, None])
        self.pool = nn.MaxPool2d(node.kernel, node.stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        order = self.order
        found: torch.Tensor = self.pool(x * order) * order
        return found
