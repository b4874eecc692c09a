"""The small sample of MNIST that is kept with the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwbnn.training.data import PUBLISHED, Dataset


def mnist_sample() -> Dataset:
    """The first 500 training and the first 200 test images of MNIST, under its name."""
    with np.load(Path(__file__).with_name("mnist_sample.npz"), allow_pickle=False) as kept:
        arrays = (
            kept["train_images"],
            kept["train_labels"],
            kept["test_images"],
            kept["test_labels"],
        )
    return Dataset("mnist", *arrays, PUBLISHED["mnist"].classes, origin="sample of 700 images")


def colours(train: int = 40, test: int = 20) -> Dataset:
    """Images of random pixels under the name of CIFAR-10: no network learns from them."""
    drawn = np.random.default_rng(10)
    arrays = [
        made
        for n in (train, test)
        for made in (
            drawn.integers(0, 256, (n, 32, 32, 3), np.uint8),
            drawn.integers(0, 10, n).astype(np.uint8),
        )
    ]
    return Dataset("cifar10", *arrays, PUBLISHED["cifar10"].classes, origin="random pixels")
