"""The tables of ``docs/ways-in.md``, ``docs/qkeras.md`` and ``docs/brevitas.md`` are true."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwbnn.errors import HwbnnError
from hwbnn.graph import Input
from hwbnn.lowering.from_program import lower_program
from hwbnn.lowering.from_torch import brevitas
from hwbnn.readers.keras.activation_quantizers import ACTIVATIONS
from hwbnn.readers.keras.layers import LAYERS
from hwbnn.readers.keras.weight_quantizers import _WEIGHTS
from hwbnn.readers.onnx import program
from hwbnn.readers.onnx.network import _OPERATIONS
from tests.readers.keras.test_layers import IMAGE, conv, signs
from tests.readers.keras.tiny import Tiny, dense, read
from tests.readers.onnx.writer import QONNX, Model, integer, message

DOCS = Path(__file__).parents[2] / "docs"


def table(page: str, head: str) -> list[list[str]]:
    """The cells of the rows below a table's first line, which begins with ``head``."""
    lines = (DOCS / page).read_text().split("\n")
    begin = next(i for i, line in enumerate(lines) if line.startswith(f"| {head}"))
    rows = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def words(rows: list[list[str]]) -> set[str]:
    """What stands in backticks; ``A1D`` with ``2D`` behind it is two names."""
    found = set()
    for cell in (cell for row in rows for cell in row):
        found |= set(re.findall(r"`(\w+)`", cell))
        found |= {f"{name}2D" for name in re.findall(r"`(\w+)1D`/`2D`", cell)}
    return found


def says(template: str, message: str) -> bool:
    """Whether a message has the parts of a documented one; ``...`` stands for anything."""
    pattern = ".*".join(re.escape(part.strip()) for part in template.split("..."))
    return re.search(pattern, message) is not None


# --- ONNX ---


def matmul(model: Model, x: str = "x", scale: Any = 1.0) -> str:
    weights = np.array([[1, -2, 3], [0, 1, -1], [2, 2, 1], [1, 0, 1]], np.float32)
    return model.node("MatMul", x, model.quant(weights, scale, 4))


def unlike(model: Model) -> None:
    one, other = (model.quant("x", scale, 4, narrow=0) for scale in (0.3, 1 / 7))
    model.node("Add", one, other)
    matmul(model, model.last)


def steps(model: Model) -> None:
    """Thresholds at squares, which lie on no line."""
    squares = np.arange(5000, dtype=np.float32)[None] ** 2
    model.node("MultiThreshold", matmul(model), squares, domain=QONNX)
    model.node("MatMul", model.last, np.eye(3, dtype=np.float32))


def many_channels(model: Model) -> None:
    weights = np.random.default_rng(0).integers(-3, 4, (4, 300)).astype(np.float32)
    model.quant(model.node("MatMul", "x", model.quant(weights, 1.0, 4)), 0.3, 16)
    model.node("MatMul", model.last, np.ones((300, 3), np.float32))


def eight_bits(model: Model) -> None:
    rng = np.random.default_rng(0)
    x = model.quant("x", 0.1, 12, narrow=0)
    scale = rng.uniform(0.01, 0.02, (1, 3)).astype(np.float32)
    weights = rng.integers(-127, 128, (4, 3)).astype(np.float32) * scale
    model.node("MatMul", x, model.quant(weights, scale, 8))
    model.node("Add", model.last, rng.normal(size=3).astype(np.float32))


def beyond(model: Model) -> None:
    model.node("Trunc", matmul(model), *map(np.float32, (1, 0, 5, 3)), domain=QONNX)
    model.node("MatMul", model.last, np.eye(3, dtype=np.float32))


ONNX: dict[str, Callable[[Model], object]] = {
    "`QuantizeLinear` and other QCDQ": lambda m: m.node("QuantizeLinear", "x", np.float32(1)),
    "hardware nodes of FINN": lambda m: m.node("MVAU", "x", domain="finn.custom_op.fpgadataflow"),
    "`Trunc` with five inputs whose sums go beyond its bit width": beyond,
    "`Quant` without `signed` or `narrow`": lambda m: m.quant("x", 1.0, 4, narrow=None),
    "more than 16 bits of an activation": lambda m: m.quant("x", 1.0, 17),
    "more than 12 bits, in steps that no multiplication and shift give exactly": steps,
    "more than 8 bits of an activation of very many channels": many_channels,
    "activations with a scale for each channel": lambda m: m.quant("x", np.arange(1.0, 5), 4),
    "float weights": lambda m: m.node("MatMul", "x", np.array([[0.3], [1], [2], [3]], "f4")),
    "weights with a zero point": lambda m: m.node(
        "MatMul", "x", m.quant(np.ones((4, 2), np.float32), 1.0, 4, zero=1.0)
    ),
    "a layer that reads unquantized numbers": lambda m: m.node(
        "MatMul", m.node("Relu", matmul(m)), np.eye(3, dtype=np.float32)
    ),
    "`Add` of branches with unlike scales": unlike,
    "other operations": lambda m: m.node("Einsum", "x"),
    "weights in a second file": lambda m: m.parts.append(
        message(5, integer(1, 2) + integer(2, 1) + message(8, "w") + integer(14, 1))
    ),
    "last layers of 8 bits with unlike scales": eight_bits,
}


def test_every_refused_row_of_onnx_has_a_file_here() -> None:
    assert [row[0] for row in table("ways-in.md", "found |")] == list(ONNX)


@pytest.mark.parametrize("row", table("ways-in.md", "found |"), ids=lambda row: row[0])
def test_a_refused_onnx_file_says_what_is_documented(row: list[str]) -> None:
    found, template, _ = row
    model = Model((1, 4))
    ONNX[found](model)
    with pytest.raises(HwbnnError) as caught:
        lower_program(program(model.bytes()), Input("x", (4,), -20_000, 20_000, scale=0.1))
    assert says(template, str(caught.value)), str(caught.value)
    assert str(caught.value).isprintable()
    if found != "weights in a second file":
        assert str(caught.value).startswith("layer '")


def test_the_documented_operations_are_those_that_are_read() -> None:
    documented = words(table("ways-in.md", "of QONNX and FINN-ONNX |"))
    assert documented == set(_OPERATIONS)


# --- Keras ---

KERAS: dict[str, tuple[Tiny, tuple[int, ...]]] = {
    "`Dense`, `Conv2D` with real weights": (
        Tiny("Dense", {"units": 2, "use_bias": False}, {"kernel": signs(3, 2)}),
        (3,),
    ),
    "`tanh`, `sigmoid`, `relu` with no quantizer behind": (
        Tiny("Activation", {"activation": "tanh"}),
        (3,),
    ),
    "`bernoulli`": (dense(signs(3, 2), "bernoulli"), (3,)),
    '`alpha="auto"` on an activation': (
        Tiny("QActivation", {"activation": "binary(alpha='auto')"}),
        (3,),
    ),
    '`quantized_bits` with one bit and `alpha="auto"`': (
        dense(signs(3, 2), "quantized_bits(1,0,1,alpha='auto')"),
        (3,),
    ),
    "`qnoise_factor` other than 1": (dense(signs(3, 2), "binary(qnoise_factor=0.5)"), (3,)),
    "stochastic rounding of weights": (
        dense(signs(3, 2), "binary(alpha=1,use_stochastic_rounding=True)"),
        (3,),
    ),
    "`Lambda`": (Tiny("Lambda", {"function": "x"}), (3,)),
    "layers of your own": (Tiny("Mine"), (3,)),
    "recurrent layers": (Tiny("QLSTM", {"units": 2}), (3,)),
    "a network inside a network": (Tiny("Sequential", {"layers": []}), (3,)),
    'average pools with `padding="same"`': (
        Tiny("AveragePooling2D", {"pool_size": 2, "padding": "same"}),
        (5, 5, 2),
    ),
    "`channels_first`": (conv(signs(2, 2, 2, 2), data_format="channels_first"), IMAGE),
    "half precision (`mixed_float16`)": (dense(signs(3, 2), dtype="mixed_float16"), (3,)),
    "an option that is not known": (dense(signs(3, 2), lora_rank=4), (3,)),
    "a scale half-way between two powers of two": (
        dense(np.full((2, 2), 2**-0.5), "binary(alpha='auto_po2')"),
        (2,),
    ),
}


def test_every_refused_row_of_keras_has_a_file_here() -> None:
    assert [row[0] for row in table("qkeras.md", "found |")] == list(KERAS)


@pytest.mark.parametrize("row", table("qkeras.md", "found |"), ids=lambda row: row[0])
def test_a_refused_keras_network_says_what_is_documented(row: list[str]) -> None:
    found, template, _ = row
    layer, shape = KERAS[found]
    last = () if layer.kind != "Activation" else (dense(signs(3, 2)),)
    with pytest.raises(HwbnnError) as caught:
        read(layer, *last, shape=shape)
    assert says(template, str(caught.value)), str(caught.value)
    assert str(caught.value).startswith("layer '")


IN_WORDS = (
    *("InputLayer", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise"),
    *("GaussianDropout", "AlphaDropout", "ActivityRegularization", "BatchNormalizationV1"),
    *("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D"),
    *("GlobalAveragePooling2D", "Activation"),
    *("SteSign", "ApproxSign", "SwishSign", "SteHeaviside", "SteTern", "DoReFa"),
    "DoReFaQuantizer",
)
"""Layers that the page names in words: dropout and noise, global pools, quantizers as layers."""
REAL = ("Dense", "Conv1D", "Conv2D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")
"""Layers that are taken only with a quantizer, which other libraries give them."""


def test_the_documented_layers_and_quantizers_of_keras_are_those_that_are_read() -> None:
    rows = table("qkeras.md", "of |")
    documented = words(rows)
    quantizers = set(ACTIVATIONS) | set(_WEIGHTS)
    assert quantizers <= documented
    assert set(LAYERS) - set(IN_WORDS) - set(REAL) <= documented
    known = quantizers | set(LAYERS) | {"softmax", "sigmoid", "max_value", "pad_values", "2D"}
    assert documented - known == set()


# --- Brevitas ---


def test_the_documented_layers_of_brevitas_are_those_that_are_read() -> None:
    text = " ".join(cell for row in table("brevitas.md", "| taken |") for cell in row)
    assert set(re.findall(r"`((?:Quant|Trunc)\w+)", text)) == set(brevitas._READINGS)
