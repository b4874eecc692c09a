"""The networks that are measured, SFC and FINN's CNV, and their images.

SFC is 784-256-256-256-10 on bits. CNV has 32x32x3 pixels of 8 bits; 3x3 convolutions without
padding, of 64-64, 128-128 and 256-256 channels, with 2x2 max pools behind the first two pairs;
dense layers of 512, 512 and 10.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import (
    ArgMax,
    Conv2d,
    Dot,
    Flatten,
    Graph,
    Input,
    MaxPool,
    Node,
    Output,
    Threshold,
    load,
)
from hwbnn.simulators import plain

MODELS = Path(__file__).parent.parent.parent / "models"
SHAPE = (32, 32, 3)
WIDTHS = (64, 64, 128, 128, 256, 256)
"""Channels of the convolutions."""
POOLED = (1, 3)
"""The convolutions that a pool follows."""
DENSE = (512, 512, 10)
IMAGES = 10_000
"""Test images of CIFAR-10, and as many random ones where they are not there."""
SFC_WIDTHS = (784, 256, 256, 256, 10)
SFC_MACS = sum(n * m for n, m in pairwise(SFC_WIDTHS))
"""Multiply-accumulates of one image: 334,336."""


def sfc() -> tuple[Graph, str]:
    """The trained SFC if it is there, else a random one of its shape, and which of them it is."""
    file = MODELS / "sfc" / "graph.npz"
    if file.is_file():
        graph = load(file)
        shapes = [dot.weights.shape[::-1] for dot in graph.of_type(Dot)]
        if graph.input.bit and shapes == list(pairwise(SFC_WIDTHS)):
            return graph, "models/sfc/graph.npz, trained"
    return random_sfc(), "random weights and thresholds in the shape of SFC"


def random_sfc() -> Graph:
    """SFC with random weights; thresholds near the middle, a tenth of the channels falling."""
    rng = np.random.default_rng(0)
    nodes: list[Any] = [Input.bits(SFC_WIDTHS[0])]
    for layer, (n, m) in enumerate(pairwise(SFC_WIDTHS), 1):
        nodes.append(Dot(f"dot_{layer}", nodes[-1].name, rng.random((m, n)) < 0.5))
        if layer < len(SFC_WIDTHS) - 1:
            cuts = rng.integers(-20, 20, (m, 1), endpoint=True)
            nodes.append(Threshold(f"sign_{layer}", f"dot_{layer}", cuts, rng.random(m) < 0.1))
    nodes.append(ArgMax("class", nodes[-1].name))
    return Graph((*nodes, Output("y", "class")))


def bits(n: int) -> NDArray[np.bool_]:
    """Random images of bits ``(n, 784)``; no way of computing is quicker on other ones."""
    return np.random.default_rng(1).random((n, SFC_WIDTHS[0])) < 0.5


def cnv() -> tuple[Graph, str]:
    """The trained CNV if it is there, else a random one of its shape, and which of them it is."""
    if (MODELS / "cnv" / "graph.npz").is_file():
        graph = load(MODELS / "cnv" / "graph.npz")
        if not graph.input.bit and _shape(graph) == _shape(random_cnv()):
            return graph, "models/cnv/graph.npz, trained"
    return random_cnv(), "random weights and thresholds in the shape of CNV"


def _shape(graph: Graph) -> list[tuple[type[Node], tuple[int, ...], tuple[int, ...]]]:
    """What each layer with weights is: its kind, its weights' shape and its value's."""
    layers = (*graph.of_type(Conv2d), *graph.of_type(Dot))
    return [(type(node), node.weights.shape, graph.types[node.name].shape) for node in layers]


@cache
def pictures() -> tuple[NDArray[np.uint8], str]:
    """Images of pixels ``(10000, 32, 32, 3)``, and which they are.

    The test images of CIFAR-10 if ``HWBNN_DATA`` names their folder, else random ones. No way of
    computing is quicker on either.
    """
    if os.environ.get("HWBNN_DATA"):
        from hwbnn.training.data import dataset  # its room imports torch, which takes memory

        return dataset("cifar10").test_images, "test images of CIFAR-10"
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (IMAGES, *SHAPE), np.uint8), "random pixels"


def random_cnv(
    seed: int = 0,
    falls: float = 0.1,
    widths: tuple[int, ...] = WIDTHS,
    dense: tuple[int, ...] = DENSE,
) -> Graph:
    """CNV with random weights; thresholds near the middle of what a few images sum to.

    Of the channels, the share ``falls`` falls, and the pools take the smallest of these.
    """
    rng = np.random.default_rng(seed)
    nodes: list[Node] = [Input.pixels(SHAPE)]
    seen: NDArray[np.generic] = rng.integers(0, 256, (4, *SHAPE), np.uint8)

    def follow(node: Node) -> None:
        nonlocal seen
        types = Graph((*nodes, Output("y", nodes[-1].name))).types
        seen = plain.evaluate(node, seen, *(types[name] for name in node.sources))
        nodes.append(node)

    def sign(name: str) -> NDArray[np.bool_]:
        sums = seen.reshape(-1, seen.shape[-1])
        falling = rng.random(sums.shape[1]) < falls
        cuts = np.median(sums, axis=0).astype(np.int64)[:, None]
        follow(Threshold(name, nodes[-1].name, cuts, falling))
        return falling

    for i, (depth, channels) in enumerate(pairwise((SHAPE[2], *widths))):
        weights = rng.random((channels, 3, 3, depth)) < 0.5
        follow(Conv2d(f"conv_{i}", nodes[-1].name, weights))
        falling = sign(f"sign_{i}")
        if i in POOLED:
            follow(MaxPool(f"pool_{i}", nodes[-1].name, (2, 2), (2, 2), smallest=falling))
    follow(Flatten("flat", nodes[-1].name))
    for i, (n, m) in enumerate(pairwise((widths[-1], *dense))):
        follow(Dot(f"dot_{i}", nodes[-1].name, rng.random((m, n)) < 0.5))
        if i < len(dense) - 1:
            sign(f"sign_dot_{i}")
    follow(ArgMax("class", nodes[-1].name))
    return Graph((*nodes, Output("y", "class")))


def macs(graph: Graph) -> dict[str, int]:
    """Multiply-accumulates of an image, by layer."""
    convolutions = {
        node.name: node.weights[0].size * graph.types[node.name].size
        for node in graph.of_type(Conv2d)
    }
    return convolutions | {node.name: node.weights.size for node in graph.of_type(Dot)}


def words(graph: Graph) -> dict[str, int]:
    """Words of 64 bits to XOR, count and add up for an image, by layer.

    A window, or the inputs of a dense layer, fills whole words, and each plane of integers words of
    its own, since its bits count twice those of the next: 8 for each window and channel of the
    first layer, whose 27 taps fill less than half of a word.
    """
    found = {}
    for node in (*graph.of_type(Conv2d), *graph.of_type(Dot)):
        t = graph.types[node.source]
        planes = 1 if t.bit else (t.high - t.low).bit_length()
        taps, sums = node.weights[0].size, graph.types[node.name].size
        found[node.name] = sums * planes * -(-taps // 64)
    return found


def rising(graph: Graph) -> Graph:
    """The same function without falling channels, and with pools that take the largest only.

    A sum is at most ``t`` where that of the opposite weights is at least ``-t``. A channel whose
    pool takes the smallest bit has the opposite bit instead, and the next layer opposite weights.
    """
    nodes: list[Node] = []
    opposite: dict[str, NDArray[np.bool_]] = {}
    for node in graph.nodes:
        source = opposite.get(node.source) if node.sources else None
        match node:
            case Conv2d() | Dot():
                weights = node.signs if source is None else node.signs ^ source
                if threshold := _sign_of(node, graph):
                    turned = threshold.falling ^ _smallest(threshold, graph)
                    weights = weights ^ turned.reshape(-1, *[1] * (weights.ndim - 1))
                node = replace(node, weights=weights)
            case Threshold():
                smallest = _smallest(node, graph)
                # The opposite of "at least t" is "at most t - 1"; of "at most t", "at least t + 1".
                cuts = node.thresholds[:, 0]
                cuts = np.where(smallest, np.where(node.falling, cuts + 1, 1 - cuts), cuts)
                cuts = np.where(node.falling & ~smallest, -cuts, cuts)
                none = np.zeros_like(node.falling)
                node = replace(node, thresholds=cuts[:, None], falling=none)
                opposite[node.name] = smallest
            case MaxPool():
                assert source is not None
                node, opposite[node.name] = replace(node, smallest=None), source
            case Flatten():
                assert source is not None
                pixels = graph.types[node.name].size // len(source)
                opposite[node.name] = np.tile(source, pixels)
        nodes.append(node)
    return Graph(tuple(nodes))


def _sign_of(node: Conv2d | Dot, graph: Graph) -> Threshold | None:
    """The threshold of a layer's sums; None behind the last."""
    (reader,) = graph.readers(node.name)
    return reader if isinstance(reader, Threshold) else None


def _smallest(node: Threshold, graph: Graph) -> NDArray[np.bool_]:
    """The channels of which the pool behind takes the smallest."""
    (reader,) = graph.readers(node.name)
    none = np.zeros_like(node.falling)
    return reader.smallest if isinstance(reader, MaxPool) and reader.smallest is not None else none
