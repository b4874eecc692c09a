"""The small sample of MNIST that is kept with the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwbnn.train.data import PUBLISHED, Dataset


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
