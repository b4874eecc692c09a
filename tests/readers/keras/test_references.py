"""Files of QKeras 0.9 and qkeras-v3 against what these libraries computed of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hwbnn.program import Quantizer, WeightedLayer
from hwbnn.readers import read_program
from tests.readers.keras.evaluate import values

FILES = Path(__file__).parent / "files"
NAMES = (
    "digits_bin_dense.keras",
    "digits_bin_dense_qkeras09.h5",
    "digits_ter_conv.keras",
    "digits_ter_conv.h5",
    "digits_ter_conv_qkeras09.h5",
    "digits_ter_conv_qkeras09.json",
)


def reference(name: str) -> Any:
    """The arrays that the library computed of a file."""
    stem = "digits_bin_dense" if name.startswith("digits_bin_dense") else "digits_ter_conv"
    return np.load(FILES / f"{stem}_ref.npz")


@pytest.mark.parametrize("name", NAMES)
def test_weights_activations_and_logits_are_the_library_s(name: str) -> None:
    weights = FILES / f"{Path(name).stem}_weights.h5" if name.endswith(".json") else None
    program = read_program(FILES / name, weights)
    found = values(program, load_digits().data / 16)
    wanted = reference(name)
    compared = 0
    for key in wanted.files:
        if key.startswith("weights_"):
            layer = program.by_name[key.removeprefix("weights_")]
            assert isinstance(layer, WeightedLayer)
            assert np.array_equal(np.moveaxis(layer.weights, 0, -1), wanted[key]), key
            compared += 1
    for key in ("a1", "a2"):
        layer = program.by_name[key]
        assert isinstance(layer, Quantizer)
        levels = wanted[f"{key}_levels"].astype(np.float64)
        mine = found[key][:400].reshape(400, -1)
        codes = wanted[f"{key}_codes_first400"]
        if len(levels) == 2:
            codes = np.unpackbits(codes, axis=1)[:, : mine.shape[1]]
        assert np.array_equal(mine, levels[codes.reshape(mine.shape)]), key
        compared += 1
    assert compared == 5
    logits = found[program.output]
    assert np.array_equal(logits, wanted["logits"])
    assert np.array_equal(logits.argmax(axis=1), wanted["argmax"])
