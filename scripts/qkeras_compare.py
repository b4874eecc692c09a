"""Compares Keras's results of a QKeras network with simulator, HLS and RTL, bit for bit.

usage: .venv/bin/python scripts/qkeras_compare.py FOLDER

FOLDER has digits.keras and digits.npz, written by scripts/qkeras_digits.py. Prints the comparisons;
the exit status is 1 if anything differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import hwbnn
from hwbnn.simulators import simulate

FRAMES = 16
"""Number of images for HLS and RTL; the simulator computes all images."""


def main(folder: Path, backends: tuple[str, ...] = ("hls", "rtl")) -> int:
    """Compare, and return the number of differing values."""
    given = np.load(folder / "digits.npz", allow_pickle=False)
    images = given["images"].astype(np.int64)
    pixels = hwbnn.Input("x", (8, 8, 1), 0, 16, scale=1 / 16)  # Keras was given x / 16
    graph = hwbnn.read(folder / "digits.keras", pixels)
    found = simulate(graph, images, trace=True)

    differing = 0
    # "threshold_1=q_activation pool_1=max_pooling2d ...": the node that computes each layer.
    nodes = {layer: node for node, layer in (p.split("=") for p in graph.notes["layers"].split())}
    for layer in [name for name in given.files if name.startswith("q_activation")]:
        wrong = int((found[nodes[layer]] != (given[layer] > 0)).sum())
        print(f"simulator, {layer}: {wrong} of {given[layer].size} activations differ")
        differing += wrong

    classes = found[graph.output.name].reshape(-1)
    chosen = given["probabilities"][np.arange(len(classes)), classes]
    wrong = int((chosen < given["probabilities"].max(axis=1)).sum())  # equal scores are a tie
    print(f"simulator: {wrong} of {len(classes)} classes differ from Keras's predict")
    print(f"simulator: {(classes == given['labels']).mean():.2%} of {len(classes)} are right")
    differing += wrong

    for target in backends:
        project = hwbnn.generate(graph, target)
        result = hwbnn.verify(project, images[:FRAMES], backends=[target])
        for backend in result.backends:
            wrong = sum(node.mismatches for node in backend.nodes)
            bits = sum(node.bits for node in backend.nodes)
            print(
                f"{backend.name}: {wrong} values of {FRAMES} images differ ({bits} bits compared)"
            )
            differing += wrong
    return differing


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])) > 0)
