"""The benchmark of layers with integer weights measures what it says, and the speed is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import int8_limit
from benchmarks.figures import integer_layers
from benchmarks.speed import integers
from hwbnn.graph import Dot, Input

SHARE = 0.3
"""Part of the limit that large layers must reach here: 0.62 to 1.3 were measured on a busy machine.

A processor of another kind may fall somewhat behind; plain loops, or packing each window anew, do
not pass.
"""
SMALL = (integers.LAYERS[5], integers.LAYERS[9])
"""The layers whose products fill 16 bits, and so are the slowest of the large ones."""


@pytest.mark.parametrize("layer", integers.LAYERS, ids=lambda layer: layer.name)
def test_every_layer_is_computed_alike_by_all(layer: integers.Layer) -> None:
    integers.compare(layer, layer.inputs(3))


def test_a_way_that_differs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: torch gets one weight with the other sign."""
    layer = integers.Layer("small", Input("x", (8,), -3, 3), (64, 8), 3, 40)
    integers.compare(layer, layer.inputs(40))
    torch_of = integers._torch

    class Wrong(integers.Layer):
        def node(self) -> Any:
            node = super().node()
            weights = node.weights.copy()
            weights[0, np.argmax(weights[0] != 0)] *= -1
            return Dot("sums", "x", weights)

    monkeypatch.setattr(integers, "_torch", lambda layer, x: torch_of(Wrong(**_fields(layer)), x))
    with pytest.raises(AssertionError, match="small: sums differ from the plain simulator's"):
        integers.compare(layer, layer.inputs(40))


def _fields(layer: integers.Layer) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in layer.__dataclass_fields__}


@pytest.mark.parametrize("layer", SMALL, ids=lambda layer: layer.name)
def test_large_layers_reach_a_good_share_of_the_limit(layer: integers.Layer) -> None:
    fewer = replace(layer, samples=layer.samples // 2)
    found = integers.measured(fewer, 3)
    assert found["of_limit"] >= SHARE
    assert found["gmacs"] <= 1.5 * found["limit_gmacs"]
    assert layer.name in "\n".join(
        integer_layers(
            {"machine": {"cpu": "one", "load_before": 1, "load_after": 2}, "rounds": 3,
             "layers": [found]}
        )
    )  # fmt: skip


def test_the_limits_kernel_counts_what_it_says() -> None:
    x = np.random.default_rng(0).integers(-(2**31), 2**31, int8_limit.CHAINS * 8).astype(np.int32)
    turns, total = 300, 0
    for turn in range(turns):
        signed = np.frombuffer(np.int32(turn).tobytes(), np.int8).astype(np.int64)
        products = x.view(np.uint8).reshape(-1, 4).astype(np.int64) * signed
        pairs = products.reshape(-1, 2, 2).sum(axis=2).clip(-(2**15), 2**15 - 1)
        total += int(pairs.sum())
    assert int8_limit._products(x, turns) == (total + 2**31) % 2**32 - 2**31
