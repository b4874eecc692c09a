"""CIFAR-10's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwbnn.errors import InputError
from hwbnn.training import image_files
from tests.training.samples import colours


def test_a_record_is_a_label_and_three_planes(tmp_path: Path) -> None:
    planes = np.arange(2 * 3072).astype(np.uint8).reshape(2, 3, 32, 32)
    content = b"".join(bytes([7 + i]) + planes[i].tobytes() for i in range(2))
    (tmp_path / "some.bin").write_bytes(content)
    images, labels = image_files.read_records(tmp_path / "some.bin")
    assert labels.tolist() == [7, 8]
    for row, column, colour in ((0, 0, 0), (31, 5, 2), (9, 30, 1)):
        assert images[1, row, column, colour] == planes[1, colour, row, column]
    image_files.write_records(tmp_path / "again.bin", images, labels)
    assert (tmp_path / "again.bin").read_bytes() == content


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_files_of_no_whole_number_of_records_are_refused(tmp_path: Path, size: int) -> None:
    file = tmp_path / "some.bin"
    file.write_bytes(bytes(size))
    with pytest.raises(InputError, match=f"expected records of 3073 bytes.*found {size}"):
        image_files.read_records(file)
    with pytest.raises(InputError, match="cannot read it"):
        image_files.read_records(tmp_path / "none.bin")


def test_too_large_a_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "some.bin"
    with file.open("wb") as stream:
        stream.truncate(60_001 * 3073)
    with pytest.raises(InputError, match="at most 60,000"):
        image_files.read_records(file)


def test_the_order_of_the_images_is_their_own() -> None:
    sample = colours()
    images, labels = image_files.by_digest(sample.train_images, sample.train_labels)
    mixed = np.random.default_rng(3).permutation(len(labels))
    again = image_files.by_digest(sample.train_images[mixed], sample.train_labels[mixed])
    assert np.array_equal(images, again[0])
    assert np.array_equal(labels, again[1])
    # Each image keeps its label.
    for image, label in zip(images, labels, strict=True):
        (at,) = np.flatnonzero((sample.train_images == image).all(axis=(1, 2, 3)))
        assert sample.train_labels[at] == label
    # Equal images stand by their labels.
    twice = np.stack([images[0], images[0]])
    assert image_files.by_digest(twice, np.array([5, 2], np.uint8))[1].tolist() == [2, 5]
