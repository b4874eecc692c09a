"""Image data sets as integer arrays, from scikit-learn, a local folder or OpenML.

The digests of all arrays are checked. ``digits`` comes inside scikit-learn's wheel. ``mnist`` and
``fashion_mnist`` are read from a folder with the four IDX files of their publishers, ``cifar10``
from one with its six batches. Without a folder they are fetched once from OpenML through
scikit-learn, and kept as the same files in scikit-learn's data folder.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.arguments import checked_call, checked_class
from hwbnn.errors import InputError, ToolNotFound, nearest
from hwbnn.graph.arrays import Bytes
from hwbnn.training.image_files import (
    CIFAR_BATCHES,
    CIFAR_FILES,
    CIFAR_TEST,
    IDX_FILES,
    by_digest,
    from_planes,
    read_idx,
    read_records,
    write_idx,
    write_records,
)

FOLDER_VARIABLE = "HWBNN_DATA"
"""Environment variable that names the folder of data sets if no option does."""

_DIMENSIONS = (3, 1, 3, 1)


@checked_class()
@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, split into a training part and a test part.

    Attributes:
        name: the data set's name.
        train_images: uint8 array ``(n, *shape)`` of pixels.
        train_labels: uint8 array ``(n,)`` of classes from 0.
        test_images: uint8 array ``(m, *shape)``.
        test_labels: uint8 array ``(m,)``.
        classes: names of the classes, in the order of the labels.
        high: the largest pixel that can occur (16 for ``digits``, else 255); the smallest is 0.
        origin: where the arrays came from, for reports.

    Raises:
        InputError: if the arrays have wrong dtypes or shapes, or hold pixels or labels out of
            range.
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
            for array in (images, labels):
                if not isinstance(array, np.ndarray):
                    raise InputError(
                        f"data set '{self.name}', {part}: expected arrays of dtype uint8, found "
                        f"{type(array).__name__}"
                    )
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
    """SHA-256 of all pixels, then all labels, as one byte each, in order."""
    sha = hashlib.sha256(np.ascontiguousarray(images).tobytes())
    sha.update(np.ascontiguousarray(labels).tobytes())
    return sha.hexdigest()


@dataclass(frozen=True)
class Published:
    """The properties of a published data set, which need none of its files.

    Attributes:
        classes: names of the classes.
        shape: shape of one image.
        high: the largest pixel that can occur; the smallest is 0.
        train_size: number of training images, which come first in the OpenML table.
        train_digest: SHA-256 (:func:`part_digest`) of the training part.
        test_digest: the same of the test part.
        openml: number of the OpenML data set; 0 for none.
        folders: names that the data set's folder may have inside a folder of data sets.
        layout: format of the files (:mod:`hwbnn.training.image_files`): ``"idx"``, or CIFAR's
            ``"batches"``; empty if there are no files.
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
        # Digests of the images sorted by their own digests, see
        # hwbnn.training.image_files.by_digest.
        "1bfc07133540c0f75b30d4288f9236001091c26c9886b9f37d46a8bc66fdcc6c",
        "af1227671396612a0e2c37fb8b7aa96c0301f0463487e1afc591a17a607e58b2",
        openml=40927,
        folders=("cifar-10-batches-bin", "cifar10", "CIFAR-10"),
        layout="batches",
    ),
}
"""The data sets known by name."""

DATASETS: tuple[str, ...] = tuple(PUBLISHED)
"""Names that :func:`dataset` knows."""


@checked_call()
def dataset(name: str, folder: str | Path | None = None) -> Dataset:
    """Load a data set by name.

    Args:
        name: one of :data:`DATASETS`.
        folder: the folder of the data set's files, or the folder above it (``DIR`` for
            ``DIR/mnist`` or ``DIR/cifar-10-batches-bin``). None uses the folder in the environment
            variable ``HWBNN_DATA``; if that is not set either, the data set is fetched from OpenML
            once.

    Returns:
        The data set, its digests equal to the published ones.

    Raises:
        InputError: if no data set has this name, it is not in the folder, a file is damaged, or the
            data set cannot be fetched.
        ToolNotFound: if scikit-learn is needed but not installed.
    """
    if name not in PUBLISHED:
        raise InputError(f"data set {name!r}: expected one of {nearest(name, DATASETS)}")
    if name == "digits":
        return _checked(name, _digits(), f"scikit-learn {_sklearn().__version__}, load_digits")
    chosen = folder or os.environ.get(FOLDER_VARIABLE)
    if chosen:
        arrays, where = _from_folder(name, Path(chosen))
        kind = "IDX files" if PUBLISHED[name].layout == "idx" else "batches"
        return _checked(name, arrays, f"{kind} in {where.name}")
    arrays = _from_openml(name)
    return _checked(name, arrays, f"OpenML data set {PUBLISHED[name].openml}")


Arrays = tuple[Bytes, Bytes, Bytes, Bytes]


def _checked(name: str, arrays: Arrays, origin: str) -> Dataset:
    """The data set of these arrays, whose digests must be the published ones."""
    published = PUBLISHED[name]
    digests = (part_digest(*arrays[:2]), part_digest(*arrays[2:]))
    if digests != (published.train_digest, published.test_digest):
        taken = [n for n, p in PUBLISHED.items() if digests == (p.train_digest, p.test_digest)]
        part = "training" if digests[0] != published.train_digest else "test"
        is_other = f"; it is '{taken[0]}'" if taken else ""
        raise InputError(
            f"data set '{name}' ({origin}): the {part} part differs from the published one by its "
            f"SHA-256{is_other}; get the files again, or name another folder"
        )
    return Dataset(name, *arrays, published.classes, published.high, origin)


def _digits() -> Arrays:
    """The 8x8 digits of scikit-learn, pixels 0 to 16.

    The publishers of this excerpt define no split. Of each class's images, in the order of the
    file, every fifth one (positions 4, 9, ...) belongs to the test part.
    """
    bunch = _sklearn().datasets.load_digits()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    test = np.zeros(len(labels), np.bool_)
    for digit in range(10):
        test[np.flatnonzero(labels == digit)[4::5]] = True
    return images[~test], labels[~test], images[test], labels[test]


def _from_folder(name: str, folder: Path) -> tuple[Arrays, Path]:
    """The arrays of the data set's files, and the folder that holds these files."""
    published = PUBLISHED[name]
    is_idx = published.layout == "idx"
    files = IDX_FILES if is_idx else CIFAR_FILES
    places = [folder, *(folder / inner for inner in published.folders)]
    for place in reversed(places):
        present = [f for f in (_present(place / file, is_idx) for file in files) if f]
        if len(present) == len(files):
            return (_idx if is_idx else _batches)(present), place
    shown = [f"{file}{'[.gz]' if is_idx else ''}" for file in files]
    raise InputError(
        f"data set '{name}': expected {', '.join(shown[:-1])} and {shown[-1]} in {folder} or in "
        f"{folder / published.folders[0]}, found not all of them; put them there or name another "
        "folder"
    )


def _idx(files: list[Path]) -> Arrays:
    """The arrays of four IDX files."""
    images, labels, more_images, more_labels = map(read_idx, files, _DIMENSIONS)
    return images, labels, more_images, more_labels


def _batches(files: list[Path]) -> Arrays:
    """The arrays of CIFAR-10's six files, each part sorted by its images' digests."""
    parts = [read_records(file) for file in files]
    images, labels = (np.concatenate(kind) for kind in zip(*parts[:-1], strict=True))
    return *by_digest(images, labels), *by_digest(*parts[-1])


def _present(file: Path, may_be_zipped: bool) -> Path | None:
    zipped = file.with_name(file.name + ".gz")
    return next((f for f in (file, zipped)[: 1 + may_be_zipped] if f.is_file()), None)


def _from_openml(name: str) -> Arrays:
    """The arrays from OpenML; also kept in scikit-learn's folder in the publishers' format."""
    sklearn = _sklearn()
    published = PUBLISHED[name]
    is_idx = published.layout == "idx"
    kept = Path(sklearn.datasets.get_data_home()) / f"hwbnn-{name}"
    files = [f"{file}.gz" for file in IDX_FILES] if is_idx else CIFAR_FILES
    if all((kept / file).is_file() for file in files):
        return _from_folder(name, kept)[0]
    try:
        with warnings.catch_warnings():
            # The error below reports the same problem as this warning.
            warnings.filterwarnings("ignore", "A network error occurred", UserWarning)
            # The parser that works without pandas is slow, which is why the result is kept.
            parser = "pandas" if find_spec("pandas") else "liac-arff"
            images, labels = sklearn.datasets.fetch_openml(
                data_id=published.openml, as_frame=False, parser=parser, return_X_y=True
            )
    except (OSError, ValueError, HTTPException) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise InputError(
            f"data set '{name}': it is not to be had from OpenML ({reason}); put its "
            f"publishers' files into a folder and name that by an option or by {FOLDER_VARIABLE}"
        ) from error
    pixels = np.asarray(images).astype(np.uint8)
    shaped = pixels.reshape(-1, *published.shape) if is_idx else from_planes(pixels)
    n = published.train_size
    classes = np.asarray(labels).astype(np.uint8)
    arrays: Arrays = shaped[:n], classes[:n], shaped[n:], classes[n:]
    if not is_idx:
        arrays = *by_digest(*arrays[:2]), *by_digest(*arrays[2:])
    _checked(name, arrays, f"OpenML data set {published.openml}")
    _keep(kept, arrays, is_idx)
    return arrays


def _keep(folder: Path, arrays: Arrays, is_idx: bool) -> None:
    """Write the arrays as files in the publishers' format."""
    folder.mkdir(parents=True, exist_ok=True)
    if is_idx:
        for file, array in zip(IDX_FILES, arrays, strict=True):
            write_idx(folder / f"{file}.gz", array)
        return
    parts = [np.array_split(array, len(CIFAR_BATCHES)) for array in arrays[:2]]
    for file, images, labels in zip(CIFAR_BATCHES, *parts, strict=True):
        write_records(folder / file, images, labels)
    write_records(folder / CIFAR_TEST, *arrays[2:])


def _sklearn() -> Any:
    try:
        import sklearn
        import sklearn.datasets
    except ImportError as error:
        raise ToolNotFound(
            "scikit-learn is missing, the data sets need it: pip install 'hwbnn[train]'"
        ) from error
    return sklearn


def most_varying(samples: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """Positions of the elements with the largest variance; among equals the first ones.

    Args:
        samples: uint8 array ``(n, *shape)``, the integer inputs of a network.
        count: number of elements, at most the size of a sample.

    Returns:
        Positions in a flattened sample, in rising order, int64 ``(count,)``.

    >>> most_varying(np.array([[0, 1, 0, 9], [0, 0, 1, 9], [0, 1, 1, 0]], np.uint8), 2)
    array([1, 3])
    """
    rows = samples.reshape(len(samples), -1)
    total = rows.sum(axis=0, dtype=np.int64)
    # The variance times n squared is an integer, so every machine makes the same choice.
    spread = len(rows) * np.einsum("ni,ni->i", rows, rows, dtype=np.int64) - total**2
    return np.sort(np.argsort(-spread, kind="stable")[:count])
