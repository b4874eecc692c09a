"""Data sets of images as arrays of integers, from scikit-learn or a local folder, digests checked.

``digits`` comes inside scikit-learn's wheel. ``mnist`` and ``fashion_mnist`` are read from a folder
with the four IDX files of their publishers, or fetched once from OpenML through scikit-learn and
kept as the same four files in its data folder.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import InputError, ToolNotFound
from hwbnn.train.idx import read_idx, write_idx

FOLDER_VARIABLE = "HWBNN_DATA"
"""Environment variable that names the folder of data sets where no option does."""

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_DIMENSIONS = (3, 1, 3, 1)

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, split into what is trained on and what is only tested on.

    Attributes:
        name: the data set's name.
        train_images: uint8 array ``(n, *shape)`` of pixels.
        train_labels: uint8 array ``(n,)`` of classes from 0.
        test_images: uint8 array ``(m, *shape)``.
        test_labels: uint8 array ``(m,)``.
        classes: what the labels stand for.
        high: the largest pixel that can occur (16 for ``digits``, else 255); the smallest is 0.
        origin: where the arrays came from, for reports.

    Raises:
        InputError: if the arrays do not fit together.
    """

    name: str
    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes
    classes: tuple[str, ...]
    high: int = 255
    origin: str = "memory"

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if images.dtype != np.uint8 or labels.dtype != np.uint8 or labels.ndim != 1:
                raise InputError(
                    f"data set '{self.name}', {part}: expected images and a row of labels of "
                    f"dtype uint8, found {images.dtype} {images.shape}, {labels.dtype} "
                    f"{labels.shape}"
                )
            if len(images) != len(labels) or not len(images) or images.shape[1:] != self.shape:
                raise InputError(
                    f"data set '{self.name}', {part}: expected as many images of shape "
                    f"{self.shape} as labels, found {images.shape} and {labels.shape}"
                )
            if images.max() > self.high or labels.max() >= len(self.classes):
                raise InputError(
                    f"data set '{self.name}', {part}: expected pixels up to {self.high} and labels "
                    f"below {len(self.classes)}, found {images.max()} and {labels.max()}"
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return self.train_images.shape[1:]

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of the training and the test part."""
        parts = (
            part_digest(self.train_images, self.train_labels),
            part_digest(self.test_images, self.test_labels),
        )
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def part_digest(images: Bytes, labels: Bytes) -> str:
    """SHA-256 over all pixels, then all labels, one byte each, in order."""
    sha = hashlib.sha256(np.ascontiguousarray(images).tobytes())
    sha.update(np.ascontiguousarray(labels).tobytes())
    return sha.hexdigest()


@dataclass(frozen=True)
class Published:
    """What is known of a data set before it is read.

    Attributes:
        classes: names of the classes.
        shape: shape of one image.
        high: the largest pixel that can occur; the smallest is 0.
        train_size: images in the training part; the first ones of the OpenML table.
        train_digest: :func:`part_digest` of the training part.
        test_digest: the same of the test part.
        openml: number of the OpenML data set; 0 for none.
        folders: names that the folder of the IDX files may have inside a folder of data sets.
    """

    classes: tuple[str, ...]
    shape: tuple[int, ...]
    high: int
    train_size: int
    train_digest: str
    test_digest: str
    openml: int = 0
    folders: tuple[str, ...] = ()


_DIGITS = tuple("0123456789")
PUBLISHED = {
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
    ),
}

DATASETS: tuple[str, ...] = tuple(PUBLISHED)
"""Names that :func:`dataset` knows."""


def dataset(name: str, folder: str | Path | None = None) -> Dataset:
    """Load a data set by name.

    Args:
        name: one of :data:`DATASETS`.
        folder: where the IDX files of ``mnist`` or ``fashion_mnist`` are: the folder of the files
            or one above it (``DIR/mnist``). Without it the folder named by the environment
            variable ``HWBNN_DATA`` counts; without that the set is fetched from OpenML once.

    Returns:
        The data set, its digests equal to the published ones.

    Raises:
        InputError: if no data set has this name, it is not in the folder, a file is damaged, or it
            is not to be fetched.
        ToolNotFound: if scikit-learn is needed and missing.
    """
    if name not in PUBLISHED:
        raise InputError(f"data set {name!r}: expected one of {', '.join(DATASETS)}")
    if name == "digits":
        return _checked(name, _digits(), f"scikit-learn {_sklearn().__version__}, load_digits")
    chosen = folder or os.environ.get(FOLDER_VARIABLE)
    if chosen:
        arrays, where = _from_folder(name, Path(chosen))
        return _checked(name, arrays, f"IDX files in {where.name}")
    arrays = _from_openml(name)
    return _checked(name, arrays, f"OpenML data set {PUBLISHED[name].openml}")


Arrays = tuple[Bytes, Bytes, Bytes, Bytes]


def _checked(name: str, arrays: Arrays, origin: str) -> Dataset:
    """The data set of these arrays, if they are the published ones."""
    published = PUBLISHED[name]
    found = (part_digest(*arrays[:2]), part_digest(*arrays[2:]))
    if found != (published.train_digest, published.test_digest):
        taken = [n for n, p in PUBLISHED.items() if found == (p.train_digest, p.test_digest)]
        part = "training" if found[0] != published.train_digest else "test"
        is_other = f"; it is '{taken[0]}'" if taken else ""
        raise InputError(
            f"data set '{name}' ({origin}): the {part} part differs from the published one by its "
            f"SHA-256{is_other}; get the files again, or name another folder"
        )
    return Dataset(name, *arrays, published.classes, published.high, origin)


def _digits() -> Arrays:
    """The 8x8 digits of scikit-learn, pixels 0 to 16.

    The publishers of this excerpt give no split. Of each class's images, in the order of the file,
    every fifth one (positions 4, 9, ...) is for testing.
    """
    bunch = _sklearn().datasets.load_digits()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    test = np.zeros(len(labels), np.bool_)
    for digit in range(10):
        test[np.flatnonzero(labels == digit)[4::5]] = True
    return images[~test], labels[~test], images[test], labels[test]


def _from_folder(name: str, folder: Path) -> tuple[Arrays, Path]:
    """The four IDX files, and the folder in which they were found."""
    places = [folder, *(folder / inner for inner in PUBLISHED[name].folders)]
    for place in reversed(places):
        found = [_present(place / file) for file in FILES]
        if all(found):
            arrays = [read_idx(f, n) for f, n in zip(found, _DIMENSIONS, strict=True) if f]
            return (arrays[0], arrays[1], arrays[2], arrays[3]), place
    raise InputError(
        f"data set '{name}': expected {FILES[0]}[.gz], {FILES[1]}[.gz], {FILES[2]}[.gz] and "
        f"{FILES[3]}[.gz] in {folder} or in {folder / PUBLISHED[name].folders[0]}, found not all "
        "of them; put them there or name another folder"
    )


def _present(file: Path) -> Path | None:
    zipped = file.with_name(file.name + ".gz")
    return next((f for f in (file, zipped) if f.is_file()), None)


def _from_openml(name: str) -> Arrays:
    """The arrays as OpenML has them, kept as IDX files in scikit-learn's data folder."""
    sklearn = _sklearn()
    kept = Path(sklearn.datasets.get_data_home()) / f"hwbnn-{name}"
    if all((kept / f"{file}.gz").is_file() for file in FILES):
        return _from_folder(name, kept)[0]
    published = PUBLISHED[name]
    try:
        with warnings.catch_warnings():
            # What it warns of on the way to giving up is said by the error below.
            warnings.filterwarnings("ignore", "A network error occurred", UserWarning)
            # This parser needs no pandas; it is slow, which is why its result is kept.
            images, labels = sklearn.datasets.fetch_openml(
                data_id=published.openml, as_frame=False, parser="liac-arff", return_X_y=True
            )
    except (OSError, ValueError, HTTPException) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise InputError(
            f"data set '{name}': it is not to be had from OpenML ({reason}); put its four IDX "
            f"files into a folder and name that by an option or by {FOLDER_VARIABLE}"
        ) from error
    pixels = np.asarray(images).astype(np.uint8).reshape(-1, *published.shape)
    n = published.train_size
    classes = np.asarray(labels).astype(np.uint8)
    arrays = pixels[:n], classes[:n], pixels[n:], classes[n:]
    _checked(name, arrays, f"OpenML data set {published.openml}")
    kept.mkdir(parents=True, exist_ok=True)
    for file, array in zip(FILES, arrays, strict=True):
        write_idx(kept / f"{file}.gz", array)
    return arrays


def _sklearn() -> Any:
    try:
        import sklearn
        import sklearn.datasets
    except ImportError as error:
        raise ToolNotFound(
            "scikit-learn is missing, the data sets need it: pip install 'hwbnn[train]'"
        ) from error
    return sklearn
