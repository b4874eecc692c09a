"""The data sets that are known by name: what they are, and the digests that they are held to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """What is known of a data set before it is read.

    Attributes:
        classes: names of the classes.
        shape: shape of one image.
        high: the largest pixel that can occur; the smallest is 0.
        train_size: images in the training part; the first ones of the OpenML table.
        train_digest: :func:`hwbnn.training.data.part_digest` of the training part.
        test_digest: the same of the test part.
        openml: number of the OpenML data set; 0 for none.
        folders: names that the folder of the files may have inside a folder of data sets.
        layout: of the files: ``"idx"``, see :mod:`hwbnn.training.idx`; ``"batches"``, see
            :mod:`hwbnn.training.cifar`; empty if there are none.
    """

    classes: tuple[str, ...]
    shape: tuple[int, ...]
    high: int
    train_size: int
    train_digest: str
    test_digest: str
    openml: int = 0
    folders: tuple[str, ...] = ()
    layout: str = ""


_DIGITS = tuple("0123456789")
PUBLISHED: dict[str, Published] = {
    "digits": Published(
        _DIGITS,
        (8, 8),
        16,
        1442,
        "d5517839a928f2d0aebc063963464d2eaf573b1e32a2a1a29581cc93bb7fb97b",
        "dffb3bbc3bee43a253e1a27dcd91eed7938a7aa43dbb1099812cb3e7392d9b1c",
    ),
    "mnist": Published(
        _DIGITS,
        (28, 28),
        255,
        60_000,
        "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
        "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
        openml=554,
        folders=("mnist", "MNIST", "MNIST/raw"),
        layout="idx",
    ),
    "fashion_mnist": Published(
        (
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        (28, 28),
        255,
        60_000,
        "16d82e2b505296aa2b78bd5ea0992634f30419a4c97def7c907d154a35ac6157",
        "9f1ec356a747bfe4ebab3cfb722d3694c9ca737e2570f6f90cf31d7b6fd689d4",
        openml=40996,
        folders=("fashion_mnist", "fashion-mnist", "FashionMNIST", "FashionMNIST/raw"),
        layout="idx",
    ),
    "cifar10": Published(
        (
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        (32, 32, 3),
        255,
        50_000,
        # Of the images in the order of their own digests, see hwbnn.training.cifar.by_digest.
        "1bfc07133540c0f75b30d4288f9236001091c26c9886b9f37d46a8bc66fdcc6c",
        "af1227671396612a0e2c37fb8b7aa96c0301f0463487e1afc591a17a607e58b2",
        openml=40927,
        folders=("cifar-10-batches-bin", "cifar10", "CIFAR-10"),
        layout="batches",
    ),
}
"""The data sets known by name."""
