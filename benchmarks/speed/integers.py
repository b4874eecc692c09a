"""Layers with integer weights: the fast simulator beside torch and the machine's limit.

usage: python -m benchmarks.speed integers [--rounds N] [--out FOLDER]

Each layer has a Threshold behind it, as in a network. The fast simulator's time is that of both
and of packing what they read; torch's is that of the layer alone, in float32, on tensors that are
there already. Sums are equal (``==``) in every case. Writes ``integers.json`` and ``integers.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import int8_limit
from benchmarks.figures import integer_layers
from benchmarks.harness import describe
from benchmarks.speed.instrumented import Instrumented
from hwbnn.graph import Conv2d, Dot, Graph, Input, Output, Threshold
from hwbnn.graph.arrays import Array
from hwbnn.simulators import plain, simulate

RESULTS = Path(__file__).parent.parent / "results"
SHARE = 0.5
"""Part of the limit of a product of bytes that every large layer must reach."""


@dataclass(frozen=True)
class Layer:
    """A layer of random integer weights.

    Attributes:
        name: as the table shows it.
        source: what it reads.
        weights: the shape of its weights.
        most: the largest of them.
        samples: that are computed at once.
        large: whether it has as many products for each number as hide its loading and storing.
        groups: of a convolution.
    """

    name: str
    source: Input
    weights: tuple[int, ...]
    most: int
    samples: int
    large: bool = True
    groups: int = 1

    def node(self) -> Dot | Conv2d:
        """The layer with random weights."""
        rng = np.random.default_rng(0)
        weights = rng.integers(-self.most, self.most, self.weights, endpoint=True)
        if len(self.weights) == 2:
            return Dot("sums", "x", weights)
        edge = self.weights[1] // 2
        return Conv2d(
            "sums", "x", weights, padding=(edge, edge, edge, edge), groups=self.groups, pad=self.pad
        )

    @property
    def pad(self) -> int:
        """The number outside the image."""
        return -1 if self.source.bit else 0

    def graph(self, behind: bool = True) -> Graph:
        """The layer, and with ``behind`` thresholds near the middle of its sums."""
        node = self.node()
        alone = Graph((self.source, node, Output("y", "sums")))
        if not behind:
            return alone
        channels = alone.types["sums"].channels
        middle = np.median(plain.run(alone, self.inputs(8))["y"].reshape(-1, channels), axis=0)
        cuts = middle.astype(np.int64)[:, None]
        threshold = Threshold("bits", "sums", cuts, np.arange(channels) % 8 == 0)
        return Graph((self.source, node, threshold, Output("y", "bits")))

    def inputs(self, count: int) -> Array:
        """Random inputs."""
        t, rng = self.source, np.random.default_rng(1)
        x = rng.integers(t.low, t.high, (count, *t.shape), endpoint=True)
        return x.astype(np.bool_ if t.bit else np.int16)


def _dense(what: str, source: Input, most: int, outputs: int = 1024) -> Layer:
    n = source.shape[0]
    large = outputs >= 64
    samples = 3840 if large else 19_200
    return Layer(f"dense {n} to {outputs}, {what}", source, (outputs, n), most, samples, large)


LAYERS = (
    _dense("bits, 8-bit weights", Input.bits(1024), 127),
    _dense("bits, ternary weights", Input.bits(1024), 1),
    _dense("4-bit signed, ternary weights", Input("x", (1024,), -8, 7), 1),
    _dense("4 bits, 8-bit weights", Input("x", (1024,), 0, 15), 127),
    _dense("7 bits, 8-bit weights", Input("x", (1024,), 0, 127), 127),
    _dense("8 bits, 8-bit weights", Input("x", (1024,), 0, 255), 127),
    _dense("bits, 8-bit weights", Input.bits(512), 127, 10),
    Layer(
        "3x3 convolution, 64 to 64, bits, 8-bit weights",
        Input.bits((16, 16, 64)), (64, 3, 3, 64), 127, 192,
    ),
    Layer(
        "3x3 convolution, 64 to 64, 4 bits, 8-bit weights",
        Input("x", (16, 16, 64), 0, 15), (64, 3, 3, 64), 127, 192,
    ),
    Layer(
        "3x3 convolution, 64 to 64, 8 bits signed, 8-bit weights",
        Input("x", (16, 16, 64), -128, 127), (64, 3, 3, 64), 127, 192,
    ),
    Layer(
        "1x1 convolution, 64 to 128, 8 bits signed, 8-bit weights",
        Input("x", (16, 16, 64), -128, 127), (128, 1, 1, 64), 127, 384, large=False,
    ),
    Layer(
        "3x3 convolution, 3 to 64, pixels, 8-bit weights",
        Input("x", (32, 32, 3), 0, 255), (64, 3, 3, 3), 127, 384, large=False,
    ),
    Layer(
        "3x3 depthwise convolution, 64, 8 bits, 8-bit weights",
        Input("x", (16, 16, 64), 0, 255), (64, 3, 3, 1), 127, 384, large=False, groups=64,
    ),
)  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each layer")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    machine, rows = describe(), []
    for layer in LAYERS:
        rows.append(measured(layer, given.rounds))
        print(f"{rows[-1]['name']}: {rows[-1]['gmacs']} GMAC/s", flush=True)
    found = {
        "what": "layers with random integer weights, a Threshold behind each",
        "machine": {**machine, "load_after": describe()["load_before"]},
        "rounds": given.rounds,
        "layers": rows,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "integers.json").write_text(json.dumps(found, indent=2) + "\n")
    (given.out / "integers.md").write_text("\n".join(integer_layers(found)) + "\n")
    print("\n".join(integer_layers(found)))


def measured(layer: Layer, rounds: int) -> dict[str, Any]:
    """The speed of one core at a layer: the fast simulator, torch, and the limit, in turn."""
    import torch

    graph, x = layer.graph(), layer.inputs(layer.samples)
    compare(layer, x[:40])
    network, float32 = Instrumented(graph), _torch(layer, x)
    macs = layer.node().weights[0].size * graph.types["sums"].size * layer.samples
    network.run(x[:64], 1)  # compiles what is compiled
    torch.set_num_threads(1)
    ours, theirs, limits = [], [], []
    for _ in range(rounds):
        limits.append(int8_limit.macs_per_second())
        ours.append(network.profile(x))
        begin = time.process_time()
        float32()
        theirs.append(time.process_time() - begin)
    limit = max(limits)
    seconds = min(spent["bits"] + spent.get("sums", 0) + spent.get("x packed", 0) for spent in ours)
    return {
        "name": layer.name,
        "large": layer.large,
        "gmacs": round(macs / seconds / 1e9, 1),
        "torch_gmacs": round(macs / min(theirs) / 1e9, 1),
        "limit_gmacs": round(limit / 1e9, 1),
        "of_limit": round(macs / seconds / limit, 3),
        "of_torch": round(min(theirs) / seconds, 2),
    }


def compare(layer: Layer, x: Array) -> None:
    """Compare sums and bits of the fast simulator with the plain one's, and torch's sums.

    Raises:
        AssertionError: if one of them differs.
    """
    graph = layer.graph()
    expected = simulate(graph, x, engine="plain", trace=True)
    found = simulate(graph, x, engine="fast", trace=True)
    sums = _torch(layer, x)().numpy()
    if len(layer.weights) == 4:
        sums = sums.transpose(0, 2, 3, 1)
    for name, value in (("sums", found["sums"]), ("bits", found["bits"]), ("sums", sums)):
        if not np.array_equal(value, expected[name]):
            raise AssertionError(f"{layer.name}: {name} differ from the plain simulator's")
    if not np.array_equal(simulate(graph, x, engine="fast"), expected["bits"]):
        raise AssertionError(f"{layer.name}: bits of fused sums differ from the plain simulator's")


def _torch(layer: Layer, x: Array) -> Any:
    """The layer in torch: float32, which holds all sums exactly; convolutions channels last."""
    import torch
    from torch.nn import functional

    node, bit = layer.node(), layer.source.bit
    numbers = torch.from_numpy(np.where(x, 1, -1) if bit else x).float()
    weights = torch.from_numpy(node.weights.astype(np.float32))
    if isinstance(node, Dot):
        parts = numbers.split(960)
        return lambda: torch.cat([part @ weights.T for part in parts])
    last = torch.channels_last
    images = numbers.permute(0, 3, 1, 2).contiguous(memory_format=last)
    kernels = weights.permute(0, 3, 1, 2).contiguous(memory_format=last)
    edge = node.padding[0]
    if edge and layer.pad:
        images = functional.pad(images, (edge,) * 4, value=layer.pad)
        images, edge = images.contiguous(memory_format=last), 0
    groups, parts = layer.groups, images.split(64)

    def run() -> Any:
        with torch.inference_mode():
            made = [functional.conv2d(p, kernels, padding=edge, groups=groups) for p in parts]
            return torch.cat(made)

    return run
