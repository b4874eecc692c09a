"""CIFAR-10's files: batches of records, a label and the three colour planes of a 32x32 image each.

A record is 1 byte of label and 3072 bytes of pixels: 1024 of red row by row, then of green, then of
blue. Its publishers' folder ``cifar-10-batches-bin`` has five batches to train on and one to test.
Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from hwbnn.errors import InputError
from hwbnn.graph.arrays import Bytes

BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = "test_batch.bin"
FILES = (*BATCHES, TEST)
SHAPE = (32, 32, 3)
_PIXELS = 3 * 32 * 32
SIZE_LIMIT = 60_000 * (1 + _PIXELS)
"""Bytes that a file may have; a larger one is refused unread."""


def read_records(path: Path) -> tuple[Bytes, Bytes]:
    """Images ``(n, 32, 32, 3)`` and labels ``(n,)`` of one file.

    Raises:
        InputError: if the file cannot be read or is no whole number of records.
    """
    try:
        size = path.stat().st_size
        if not size or size % (1 + _PIXELS) or size > SIZE_LIMIT:
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
    """One file of images ``(n, 32, 32, 3)`` and labels ``(n,)``."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), _PIXELS)
    path.write_bytes(np.concatenate([labels[:, None], planes], axis=1).tobytes())


def from_planes(rows: Bytes) -> Bytes:
    """Images ``(n, 32, 32, 3)`` from rows of 3072 pixels, colour by colour."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def by_digest(images: Bytes, labels: Bytes) -> tuple[Bytes, Bytes]:
    """Images and labels in the order of the images' SHA-256, whichever order they came in.

    Places that pass the data set on keep its split but not its order; with this order a training
    run meets the same images wherever they are from. Equal images stand by their labels.
    """
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    order = sorted(range(len(digests)), key=lambda i: (digests[i], labels[i]))
    return images[order], labels[order]
