"""Trains a small binary QKeras network on scikit-learn's digits and saves its results.

usage: .keras-venv/bin/python scripts/qkeras_digits.py FOLDER

Writes digits.keras (the network) and digits.npz (test images, labels and Keras's results for them)
into FOLDER. It runs in the environment of scripts/setup-keras and does not use hwbnn.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from qkeras import QActivation, QConv2D, QDense
from sklearn.datasets import load_digits


def network() -> keras.Model:
    """A convolution and two dense layers, all with binary weights and activations."""
    # docs/qkeras.md shows from here
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            QConv2D(16, 3, kernel_quantizer="binary(alpha=1)", use_bias=False),
            layers.BatchNormalization(),
            QActivation("binary"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            QDense(48, kernel_quantizer="binary(alpha=1)", use_bias=False),
            layers.BatchNormalization(),
            QActivation("binary"),
            QDense(10, kernel_quantizer="binary(alpha=1)", use_bias=False),
            layers.BatchNormalization(),
            layers.Softmax(),
        ]
    )
    # docs/qkeras.md shows to here


def main(folder: Path) -> None:
    """Train, and save the network and its results for the test images."""
    keras.utils.set_random_seed(1)
    digits = load_digits()
    order = np.random.default_rng(1).permutation(len(digits.data))
    images = digits.data[order].astype(np.uint8).reshape(-1, 8, 8, 1)  # 0 to 16
    labels = digits.target[order].astype(np.uint8)
    train, test = slice(0, 1437), slice(1437, None)
    x = images.astype(np.float32) / 16

    model = network()
    epochs, batch = 80, 32
    steps = epochs * -(-len(x[train]) // batch)
    rate = keras.optimizers.schedules.CosineDecay(0.01, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(x[train], labels[train], epochs=epochs, batch_size=batch, verbose=0)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "digits.keras")

    inside = [layer for layer in model.layers if isinstance(layer, QActivation)]
    every = keras.Model(model.inputs, [*(layer.output for layer in inside), *model.outputs])
    *activations, probabilities = every.predict(x[test], verbose=0)
    np.savez_compressed(
        folder / "digits.npz",
        images=images[test],
        labels=labels[test],
        probabilities=probabilities,
        **{layer.name: a.astype(np.int8) for layer, a in zip(inside, activations, strict=True)},
    )
    right = float((probabilities.argmax(axis=1) == labels[test]).mean())
    print(f"{folder / 'digits.keras'}: {right:.2%} of {len(labels[test])} test images are right")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
