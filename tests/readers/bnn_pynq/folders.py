"""Writes BNN-PYNQ folders: a second, independent side of the reader, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

LFC_FOLDINGS = ((32, 64), (64, 32), (32, 64), (16, 8))
"""Processing elements and SIMD of the layers of LFC."""


def write_layer(
    folder: Path, layer: int, weights: Any, thresholds: Any, folding: tuple[int, int], bits: int
) -> None:
    """The files of one layer.

    Args:
        folder: where to.
        layer: its number.
        weights: integers ``(neurons, inputs)``.
        thresholds: integers ``(neurons, steps)``, or None.
        folding: processing elements and SIMD.
        bits: of a weight.
    """
    pe, simd = folding
    codes = (weights + 1) // 2 if bits == 1 else weights % 4
    shifts = np.arange(simd, dtype=np.uint64) * np.uint64(bits)
    words = (codes.astype(np.uint64).reshape(len(codes), -1, simd) << shifts).sum(axis=-1)
    for element in range(pe):
        data = words[element::pe].astype("<u8").tobytes()
        (folder / f"{layer}-{element}-weights.bin").write_bytes(data)
        if thresholds is not None:
            rows = thresholds[element::pe]
            (folder / f"{layer}-{element}-thres.bin").write_bytes(rows.astype("<i8").tobytes())


def write_lfc(folder: Path, seed: int, activation_bits: int) -> dict[str, Any]:
    """A random LFC; its weights and thresholds by layer."""
    rng = np.random.default_rng(seed)
    sizes = ((832, 1024), (1024, 1024), (1024, 1024), (1024, 64))
    found = {}
    folder.mkdir(parents=True, exist_ok=True)
    for i, ((inputs, outputs), folding) in enumerate(zip(sizes, LFC_FOLDINGS, strict=True)):
        weights = rng.choice([-1, 1], (outputs, inputs))
        if i == 0:
            weights[:, 784:] = 1
        steps = 1 if activation_bits == 1 else 2
        middle = inputs // 2 if activation_bits == 1 else 0
        thresholds = np.sort(middle + rng.integers(-25, 25, (outputs, steps)), axis=1)
        write_layer(folder, i, weights, thresholds if i < 3 else None, folding, 1)
        found[f"w{i}"], found[f"t{i}"] = weights, thresholds
    (folder / "classes.txt").write_text("".join(f"{n}\n" for n in range(10)))
    return found
