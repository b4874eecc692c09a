"""IDX files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hwbnn.errors import InputError
from hwbnn.training import image_files
from hwbnn.training.image_files import read_idx, write_idx

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
# Written out by hand from the description of the format, not by write_idx.
IMAGES_FILE = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(range(24))


def one_line(error: pytest.ExceptionInfo[InputError], *parts: object) -> None:
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_reads_the_published_layout(tmp_path: Path, name: str) -> None:
    content = gzip.compress(IMAGES_FILE) if name.endswith("gz") else IMAGES_FILE
    (tmp_path / name).write_bytes(content)
    found = read_idx(tmp_path / name, 3)
    assert found.dtype == np.uint8
    assert np.array_equal(found, IMAGES)


@pytest.mark.parametrize("name", ["labels", "labels.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    labels = np.array([5, 0, 4, 255], np.uint8)
    write_idx(tmp_path / name, labels)
    assert np.array_equal(read_idx(tmp_path / name, 1), labels)
    write_idx(tmp_path / "images", IMAGES)
    assert (tmp_path / "images").read_bytes() == IMAGES_FILE


@pytest.mark.parametrize("length", range(len(IMAGES_FILE)))
def test_every_truncation_is_refused(tmp_path: Path, length: int) -> None:
    file = tmp_path / "images"
    file.write_bytes(IMAGES_FILE[:length])
    with pytest.raises(InputError) as error:
        read_idx(file, 3)
    one_line(error, file)


def test_truncated_gzip_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "images.gz"
    whole = gzip.compress(IMAGES_FILE)
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError) as error:
            read_idx(file, 3)
        one_line(error, file)


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "images.gz"
    whole = bytearray(gzip.compress(IMAGES_FILE))
    whole[-5] ^= 1  # the checksum
    file.write_bytes(whole)
    with pytest.raises(InputError) as error:
        read_idx(file, 3)
    one_line(error, file)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda b: b + b"\0", "found more"),
        (lambda b: b"\1" + b[1:], "01000803"),
        (lambda b: b[:2] + b"\x0d" + b[3:], "00000d03"),  # floats
        (lambda b: b[:3] + b"\1" + b[4:], "00000801"),  # labels where images belong
        (lambda b: b"\x1f\x8b" + b[2:], "1f8b"),  # gzipped without the ending
        (lambda b: b[:4] + b"\xff" * 12 + b[16:], "refused"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, change, named: str) -> None:
    file = tmp_path / "images"
    file.write_bytes(change(IMAGES_FILE))
    with pytest.raises(InputError) as error:
        read_idx(file, 3)
    one_line(error, file, named)


def test_a_file_that_unpacks_to_more_than_it_announces_is_not_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "images.gz"
    file.write_bytes(gzip.compress(IMAGES_FILE + bytes(1 << 26)))
    with pytest.raises(InputError) as error:
        read_idx(file, 3)
    one_line(error, "found more")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError) as error:
            read_idx(path, 3)
        one_line(error, path)


def test_the_limit_holds_for_what_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "images"
    file.write_bytes(IMAGES_FILE)
    monkeypatch.setattr(image_files, "IDX_LIMIT", 23)
    with pytest.raises(InputError) as error:
        read_idx(file, 3)
    one_line(error, "2x3x4", 23)
