"""Networks of random weights against what QKeras and Larq compute; wrong rules are seen there.

``scripts/keras_references.py`` made the files with the libraries themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwbnn
from hwbnn.program import Program, Quantizer
from hwbnn.program import quantizers as rules
from hwbnn.readers import json_text, read_program
from hwbnn.readers.keras import activation_quantizers, saved_model, weight_quantizers
from hwbnn.readers.keras.architecture import LayerConfig
from hwbnn.readers.keras.translation import Translation
from hwbnn.readers.keras.weight_quantizers import QuantizedWeights
from tests.readers.keras.evaluate import values

FILES = Path(__file__).parent / "files"
NAMES = (
    *("depthwise.keras", "sequence.keras", "folded.keras", "branches.keras"),
    *("folded_qkeras09.h5", "larq_padded.h5", "larq_dense.h5"),
    *("images.keras", "anomalies.keras", "words.keras", "norms.keras", "residual.keras"),
)
GRID = 1 << 12
"""Sums that are multiples of ``1 / GRID`` are compared as such: libraries compute in float32."""


def differences(name: str) -> tuple[int, int]:
    """Values of a network that differ from the library's, and how many were compared."""
    program = read_program(FILES / name)
    given = np.load(FILES / f"{Path(name).stem}.npz")
    found = values(program, given["u"] / 256)
    differing = compared = 0
    for layer in given.files:
        of_layer = (f"{layer}/activation", f"{layer}/bias", layer)
        value = next((key for key in of_layer if key in found), None)
        if value is None or layer == given.files[-1]:
            continue  # the last may have lost its softmax
        mine, theirs = found[value], given[layer].astype(np.float64)
        theirs = theirs.reshape(mine.shape)
        step = program.by_name[value]
        if isinstance(step, Quantizer):
            codes = np.rint((np.stack([mine, theirs]) - step.offset) / step.scale)
        else:
            codes = np.stack([mine * GRID, np.rint(theirs * GRID)])
            if (codes[0] != np.rint(codes[0])).any():
                continue  # real numbers, behind a BatchNorm or a real scale
        differing += int((codes[0] != codes[1]).sum())
        compared += mine.size
    return differing, compared


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_computes_what_the_library_does(name: str) -> None:
    differing, compared = differences(name)
    assert differing == 0
    assert compared > 400


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_answers_as_the_library(name: str) -> None:
    given = np.load(FILES / f"{Path(name).stem}.npz")
    u = given["u"].astype(np.int64)
    program: Program = read_program(FILES / name)
    low = -128 if name.startswith("larq") else 0
    arriving = hwbnn.Input("x", program.shape, low, low + 255, scale=1 / 256)
    graph = hwbnn.read(FILES / name, arriving)
    classes = hwbnn.simulate(graph, u.reshape(-1, *program.shape)).reshape(-1)
    answered = given[given.files[-1]].reshape(len(u), -1)
    chosen = answered[np.arange(len(u)), classes]
    assert (chosen >= answered.max(axis=1) - 1e-6).all()  # equal scores differ by rounding


def halves_go_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def rounding(*place: Any, **options: Any) -> Any:
        return rules.rounding(*place, **{**options, "rule": "half_up"})

    monkeypatch.setattr(activation_quantizers, "rounding", rounding)


def no_alpha_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write null for every alpha that the library filled in, as older versions do."""

    def read_json(data: bytes, where: str) -> Any:
        null = data.replace(b'"alpha": "auto_po2"', b'"alpha": null')
        assert null != data or b"config.json" not in where.encode()
        return json_text.read_json(null, where)

    monkeypatch.setattr(saved_model, "read_json", read_json)


def test_a_kernel_without_alpha_is_one_with_powers_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    no_alpha_in_the_file(monkeypatch)
    assert differences("branches.keras")[0] == differences("depthwise.keras")[0] == 0


def alpha_none_is_1(monkeypatch: pytest.MonkeyPatch) -> None:
    no_alpha_in_the_file(monkeypatch)
    monkeypatch.setattr(weight_quantizers, "_AUTOMATIC", ())


def depthwise_scales_for_each_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Translation.quantized

    def each(self: Any, layer: Any, key: str, array: Any, **options: Any) -> QuantizedWeights:
        if key != "depthwise_quantizer":
            return right(self, layer, key, array, **options)
        parts = [right(self, layer, key, array[:, :, [c]]) for c in range(array.shape[2])]
        codes = np.concatenate([part.codes for part in parts], axis=2)
        return QuantizedWeights(codes, parts[0].scale)

    monkeypatch.setattr(Translation, "quantized", each)


def zero_is_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    def sign(*place: Any, **options: Any) -> Any:
        return rules.sign(*place, **{**options, "zero_is_positive": False})

    monkeypatch.setattr(activation_quantizers, "sign", sign)


def zeros_stand_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    right = LayerConfig.number

    def number(self: LayerConfig, key: str, default: float) -> float:
        return 0.0 if key == "pad_values" else right(self, key, default)

    monkeypatch.setattr(LayerConfig, "number", number)


PLANTED = {
    halves_go_up: "folded.keras",
    alpha_none_is_1: "branches.keras",
    depthwise_scales_for_each_channel: "depthwise.keras",
    zero_is_negative: "larq_dense.h5",
    zeros_stand_outside: "larq_padded.h5",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_wrong_rule_is_seen(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    differing, _ = differences(PLANTED[plant])
    assert differing > 0
