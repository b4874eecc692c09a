"""hls4ml 1.3.0's own lowering of binary networks, to be measured and compared beside ours.

The network is dense layers of -1 and +1 weights without bias, between them BatchNorm and sign. It
goes to hls4ml as the list of layers that its own Keras converter makes of ``BinaryDense``,
``BatchNormalization`` and ``Activation('binary_tanh')``, in the form that its Vitis backend is made
for, without Keras: the converter's only other work is reading arrays from a file. (With the
quantizer of its QKeras converter instead, ``BinaryQuantizer(1)``, the pass
``quantize_dense_output`` quantises weights twice and makes all of them +1.) Inputs are -1 and +1 as
floats; precision is ``ap_fixed<24,12>``, which holds every sum exactly; the last layer gives sums.

What its own lowering gets wrong, on the same network as the float one and ours:

- BatchNorm with negative gain: the merged threshold is compared ``>=`` all the same.
- Thresholds between two integers are rounded down, so that the integer below fires too.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.model.graph import ModelGraph
from hls4ml.model.quantizers import BinaryQuantizer
from hls4ml.utils.config import create_config
from numpy.typing import NDArray

from hwbnn.graph import Dot, Graph, Input, Node, Output, Threshold

PRECISION = "ap_fixed<24,12>"


@dataclass(frozen=True)
class Block:
    """A dense layer and what follows: ``sign(gain * (sum - mean))`` a channel, or the bare sum.

    Attributes:
        weights: bool array ``(outputs, inputs)``, True for +1.
        gain: float array ``(outputs,)`` without zeros, None behind the last layer.
        mean: float array ``(outputs,)``, None behind the last layer.
    """

    weights: NDArray[np.bool_]
    gain: NDArray[np.float64] | None = None
    mean: NDArray[np.float64] | None = None


def random_blocks(
    widths: tuple[int, ...], seed: int, *, falling: float, odd: bool
) -> tuple[Block, ...]:
    """A random network of even widths.

    Args:
        widths: inputs, then the outputs of each layer.
        seed: of everything drawn.
        falling: share of channels whose gain is negative.
        odd: means are odd integers, which no sum of an even number of terms takes; otherwise any
            numbers of one decimal.
    """
    rng = np.random.default_rng(seed)
    blocks = []
    for layer, (n, m) in enumerate(pairwise(widths), 1):
        weights = rng.random((m, n)) < 0.5
        spread = max(2, int(n**0.5))
        mean = rng.integers(-spread, spread, m) // 2 * 2 + 1 if odd else np.zeros(m)
        mean = mean if odd else rng.integers(-10 * spread, 10 * spread, m) / 10
        # Powers of two: hls4ml's `gain * mean / gain` then is the mean, without rounding.
        gain = rng.choice((0.5, 1.0, 2.0), m) * np.where(rng.random(m) < falling, -1, 1)
        last = layer == len(widths) - 1
        blocks.append(Block(weights) if last else Block(weights, gain, mean.astype(np.float64)))
    return tuple(blocks)


def float_sums(blocks: tuple[Block, ...], x: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The network as its layers say it, in float64; sums and signs are exact."""
    values = np.where(x, 1.0, -1.0)
    for block in blocks:
        values = values @ np.where(block.weights, 1.0, -1.0).T
        if block.gain is not None:
            values = np.where(block.gain * (values - block.mean) >= 0, 1.0, -1.0)
    return values.astype(np.int64)


def graph_of(blocks: tuple[Block, ...]) -> Graph:
    """The same network as a Graph: integer thresholds, each with its direction."""
    nodes: list[Node] = [Input.bits(blocks[0].weights.shape[1])]
    for layer, block in enumerate(blocks):
        nodes.append(Dot(f"dot_{layer}", nodes[-1].name, block.weights))
        if block.gain is not None and block.mean is not None:
            falling = block.gain < 0
            reached = np.where(falling, np.floor(block.mean), np.ceil(block.mean))
            cuts = reached.astype(np.int64)[:, None]
            nodes.append(Threshold(f"sign_{layer}", nodes[-1].name, cuts, falling))
    return Graph((*nodes, Output("y", nodes[-1].name)))


def blocks_of(graph: Graph) -> tuple[Block, ...]:
    """The layers of a Graph of ``Dot`` and ``Threshold`` with one threshold a channel."""
    blocks = []
    for dot in graph.of_type(Dot):
        block = Block(dot.signs)
        for reader in graph.readers(dot.name):
            if isinstance(reader, Threshold):
                gain = np.where(reader.falling, -1.0, 1.0)
                block = Block(dot.signs, gain, reader.thresholds[:, 0].astype(np.float64))
        blocks.append(block)
    return tuple(blocks)


def lowered(blocks: tuple[Block, ...], folder: Path) -> ModelGraph:
    """hls4ml's own lowering of the network, compiled for C simulation in a folder."""
    inputs = blocks[0].weights.shape[1]
    layers: list[dict[str, Any]] = [
        {"class_name": "InputLayer", "name": "x", "input_shape": [inputs]}
    ]
    for i, block in enumerate(blocks):
        layers += _layers(i, block)
    config = create_config(output_dir=str(folder), backend="Vitis", io_type="io_parallel")
    model = {"Precision": {"default": PRECISION}, "ReuseFactor": 1, "Strategy": "Latency"}
    config["HLSConfig"] = {"Model": model}
    # hls4ml prints as it goes.
    with contextlib.redirect_stdout(io.StringIO()):
        made = ModelGraph.from_layer_list(config, layers)
        made.compile()
    return made


def _layers(i: int, block: Block) -> list[dict[str, Any]]:
    """What hls4ml's Keras converter makes of the layers of one block."""
    m, n = block.weights.shape
    dense = {
        "class_name": "BinaryDense",
        "name": f"dense_{i}",
        "n_in": n,
        "n_out": m,
        "use_bias": False,
        "weight_data": np.where(block.weights, 1.0, -1.0).T,
        "bias_data": None,
        "weight_quantizer": BinaryQuantizer(bits=2),
        "bias_quantizer": BinaryQuantizer(bits=2),
    }
    if block.gain is None:
        return [dense]
    norm = {
        "class_name": "BatchNormalization",
        "name": f"norm_{i}",
        **{"n_in": m, "n_out": m, "n_filt": -1, "use_gamma": True, "use_beta": True},
        **{"gamma_data": block.gain, "beta_data": np.zeros(m), "mean_data": block.mean},
        **{"variance_data": np.ones(m), "epsilon": 0.0},
    }
    sign = {"class_name": "Activation", "name": f"sign_{i}", "activation": "binary_tanh"}
    return [dense, norm, sign]


def sums(model: ModelGraph, x: NDArray[np.bool_]) -> NDArray[np.int64]:
    """What hls4ml's own lowering gives for inputs, by its ``predict``."""
    found = model.predict(np.where(x, np.float32(1), np.float32(-1)))
    return np.asarray(found).astype(np.int64).reshape(len(x), -1)


def bare_calls(model: ModelGraph, x: NDArray[np.bool_]) -> Callable[[int], None]:
    """Runs the first inputs by direct calls of the C function, without ``predict``'s loop."""
    given = np.where(x, np.float32(1), np.float32(-1))
    function, _ = model._get_top_function(given)
    out = np.zeros(model.get_output_variables()[0].size(), np.float32)

    def run(n: int) -> None:
        for frame in given[:n]:
            function(frame, out)

    return run
