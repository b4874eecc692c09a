"""The layers and networks of the benchmark of unrolled circuits, what they compute, and inputs.

A design of any contender is a module ``top(clk, x, y)`` with registers at its inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import Dot, Graph, Select, Threshold, load
from hwbnn.graph.arrays import Bools, Ints
from hwbnn.plan import constants

MODELS = Path(__file__).parent.parent.parent / "models"
RANDOM = ((64, 32), (256, 64), (256, 256), (784, 256))
TRAINED = ("tfc", "sfc", "sfc_392", "sfc_256")
"""Networks in ``models/``; the last two read some of the pixels."""
DEPTH = 4
"""Layers of each."""
NAMES = (
    *(f"{n}x{m}" for n, m in RANDOM),
    "64-32-10",
    *(name + of for name in TRAINED for of in ("", *(f" layer {i + 1}" for i in range(DEPTH)))),
)
"""All cases in order."""


@dataclass(frozen=True)
class Layer:
    """Weights, and the least popcounts of a 1; without those it gives the popcounts.

    Attributes:
        weights: bool ``(neurons, inputs)``.
        wanted: int64 ``(neurons,)``.
        scale_offset: AdaBin's scale and offset of each neuron.
        bits: of an input.
    """

    weights: Bools
    wanted: Ints | None
    scale_offset: tuple[Ints, Ints] | None = None
    bits: int = 1

    @property
    def width(self) -> int:
        """Bits of an output."""
        return 1 if self.wanted is not None else self.weights.shape[1].bit_length()

    def of(self, x: Bools) -> Ints:
        """Its outputs, int64 ``(frames, neurons)``, for bool ``(frames, inputs)``."""
        assert (self.scale_offset, self.bits) == (None, 1), "only netlists are made of other layers"
        # Every weight times every input as +-1 in float32: whole numbers, far below 2^24.
        signs = np.where(x, 1, -1).astype(np.float32) @ np.where(self.weights, 1, -1).T
        counts = (signs.astype(np.int64) + self.weights.shape[1]) // 2
        return counts if self.wanted is None else (counts >= self.wanted).astype(np.int64)


def outputs(layers: list[Layer], x: Bools) -> Ints:
    """What layers behind each other give."""
    for layer in layers:
        found = layer.of(x)
        x = found.astype(np.bool_)
    return found


def cases() -> dict[str, list[Layer]]:
    """All layers, or networks, by name; trained ones whole and layer by layer."""
    made = {f"{n}x{m}": [random_layer(n, m)] for n, m in RANDOM}
    made["64-32-10"] = [random_layer(64, 32), Layer(random_layer(32, 10).weights, None)]
    for name in TRAINED:
        layers = list(trained(name))
        made[name] = layers
        made |= {f"{name} layer {i}": [layer] for i, layer in enumerate(layers, start=1)}
    return made


def random_layer(inputs: int, neurons: int) -> Layer:
    """Random weights, and thresholds about the middle."""
    weights = np.random.default_rng(0).integers(0, 2, (neurons, inputs)).astype(np.bool_)
    return Layer(weights, inputs // 2 + np.arange(neurons) % 5 - 2)


def trained(name: str) -> Iterator[Layer]:
    """The layers of a network in ``models/``; the last gives its popcounts."""
    graph = load(MODELS / name / "graph.npz")
    for dot in graph.of_type(Dot):
        behind, x = graph.readers(dot.name)[0], graph.types[dot.source]
        if not isinstance(behind, Threshold):
            yield Layer(dot.signs, None)
            continue
        cuts, weights = constants.ThresholdConstants.of(behind), dot.weights.astype(np.int64)
        if dot.scale_offset is None:
            raw, wanted = constants.fused(weights, cuts, x)
            yield Layer(raw.weights > 0, wanted[0, :, 0] + 1, bits=x.width)
        else:
            sums, wanted = constants.scaled_thresholds(cuts, *dot.scale_offset, weights, x, None)
            scale_offset = sums.scale, sums.offset
            yield Layer(sums.raw.weights > 0, wanted[0, :, 0] + 1, scale_offset, x.width)


def bits_read(graph: Graph, x: NDArray[np.integer]) -> Bools:
    """The bits that the first layer of a network reads of its inputs ``(frames, inputs)``."""
    for node in graph.of_type(Select):
        x = x[:, node.index]
    width = graph.types[graph.input.name].width
    return (x[:, :, None] >> np.arange(width) & 1).reshape(len(x), -1).astype(np.bool_)


def vectors(layer: Layer, count: int) -> Bools:
    """Inputs: nothing set, all set, sums that just reach a threshold or just do not, random ones.

    Args:
        layer: the first one.
        count: how many.
    """
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, (count, layer.weights.shape[1])).astype(np.bool_)
    x[0], x[1] = False, True
    for frame in range(2, count // 2):
        neuron = int(rng.integers(len(layer.weights)))
        x[frame] = layer.weights[neuron]
        middle = layer.weights.shape[1] // 2
        least = middle if layer.wanted is None else int(layer.wanted[neuron])
        wrong = np.clip(x.shape[1] - least + frame % 2, 0, x.shape[1])
        x[frame, rng.permutation(x.shape[1])[:wrong]] ^= True
    return x
