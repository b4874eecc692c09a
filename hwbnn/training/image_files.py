"""File formats of published image data sets: IDX, and CIFAR-10's batches of records.

An IDX file, plain or gzipped, consists of two zero bytes, a type code (8 for unsigned bytes, the
only one used here), the number of axes, each axis' length as a big-endian 32-bit integer, and the
elements with the last axis running fastest.

A record of CIFAR-10 is 1 byte for the label and 3072 bytes for the pixels of a 32x32 image: 1024
red ones row by row, then the green ones, then the blue ones. The publishers' folder
``cifar-10-batches-bin`` has five batches for training and one for testing. Krizhevsky, "Learning
Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import InputError
from hwbnn.graph.arrays import Bytes

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
IDX_LIMIT = 1 << 30
"""Largest number of elements of a file; a file whose header gives more is refused unread."""
_UNSIGNED_BYTES = 8


def read_idx(path: str | Path, ndim: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file.

    Args:
        path: the file; gzipped if its name ends in ``.gz``.
        ndim: required number of axes: 3 for images, 1 for labels.

    Returns:
        uint8 array.

    Raises:
        InputError: if the file cannot be read, is no such IDX file, or is shorter or longer than
            its header says.
    """
    path = Path(path)
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as stream:
            magic = stream.read(4)
            expected = bytes((0, 0, _UNSIGNED_BYTES, ndim))
            if magic != expected:
                raise InputError(
                    f"{path}: not an IDX file of bytes with {ndim} axes: expected it to begin "
                    f"with {expected.hex()}, found {magic.hex() or 'nothing'}; get it again"
                )
            header = stream.read(4 * ndim)
            if len(header) < 4 * ndim:
                raise InputError(f"{path}: the IDX header is truncated; get the file again")
            shape = struct.unpack(f">{ndim}I", header)
            size = prod(shape)
            if size > IDX_LIMIT:
                raise InputError(
                    f"{path}: its header announces {'x'.join(map(str, shape))} elements, more "
                    f"than {IDX_LIMIT}; refused"
                )
            # Reading one byte too many detects a file that is too long without reading all of it.
            data = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot read it: {reason}; get the file again") from error
    if len(data) != size:
        found = f"only {len(data)}" if len(data) < size else "more"
        raise InputError(
            f"{path}: its header announces {'x'.join(map(str, shape))} = {size} elements, "
            f"found {found}; get the file again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def write_idx(path: str | Path, array: NDArray[np.uint8]) -> None:
    """Write an array of unsigned bytes as an IDX file, gzipped if the name ends in ``.gz``.

    Args:
        path: the file to write.
        array: uint8 array of at most 255 axes.
    """
    path = Path(path)
    header = bytes((0, 0, _UNSIGNED_BYTES, array.ndim)) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    content = header + np.ascontiguousarray(array, np.uint8).tobytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


CIFAR_BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
CIFAR_TEST = "test_batch.bin"
CIFAR_FILES = (*CIFAR_BATCHES, CIFAR_TEST)
CIFAR_SHAPE = (32, 32, 3)
_PIXELS = 3 * 32 * 32
CIFAR_LIMIT = 60_000 * (1 + _PIXELS)
"""Largest file in bytes; larger ones are refused unread."""


def read_records(path: Path) -> tuple[Bytes, Bytes]:
    """Images ``(n, 32, 32, 3)`` and labels ``(n,)`` of one file.

    Raises:
        InputError: if the file cannot be read or is no whole number of records.
    """
    try:
        size = path.stat().st_size
        if not size or size % (1 + _PIXELS) or size > CIFAR_LIMIT:
            raise InputError(
                f"{path}: expected records of {1 + _PIXELS} bytes, at most 60,000, found {size} "
                "bytes; get the file again"
            )
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot read it: {error.strerror}") from error
    records = content.reshape(-1, 1 + _PIXELS)
    return from_planes(records[:, 1:]), np.ascontiguousarray(records[:, 0])


def write_records(path: Path, images: Bytes, labels: Bytes) -> None:
    """Write images ``(n, 32, 32, 3)`` and labels ``(n,)`` into one file."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), _PIXELS)
    path.write_bytes(np.concatenate([labels[:, None], planes], axis=1).tobytes())


def from_planes(rows: Bytes) -> Bytes:
    """Images ``(n, 32, 32, 3)`` from rows ``(n, 3072)``: all red, then green, then blue pixels."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def by_digest(images: Bytes, labels: Bytes) -> tuple[Bytes, Bytes]:
    """Images and labels sorted by the images' SHA-256.

    Distributors of the data set keep its split but not its order. With this order a training run
    gets the same images in the same order, wherever the files come from. Equal images are sorted by
    their labels.
    """
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    order = sorted(range(len(digests)), key=lambda i: (digests[i], labels[i]))
    return images[order], labels[order]
