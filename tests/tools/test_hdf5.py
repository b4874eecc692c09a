"""HDF5 files of strangers: plain arrays out, and nothing that a file asks for beyond that."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hwbnn.errors import InputError, ToolNotFound
from hwbnn.tools import hdf5
from hwbnn.tools.hdf5 import Hdf5Child, read_hdf5

SECRET = np.arange(4.0)


def made(write: Callable[[Any], object], **options: Any) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        write(file)
    return stream.getvalue()


def ordinary(file: Any) -> None:
    file["a/b"] = np.float32([[1, 2], [3, 4]])
    file.create_dataset("a/c", data=np.arange(100.0), compression="gzip", chunks=(30,))
    file["big"] = np.asarray([1, 256], ">i4")
    file["empty"] = np.zeros((0, 3))
    file["a"].attrs["weight_names"] = [b"b", b"c"]
    file.attrs["model_config"] = "{}"
    file.attrs["ignored"] = np.zeros(3)
    file["optimizer/c"] = np.zeros(5)


@pytest.fixture(scope="module")
def child() -> Any:
    with Hdf5Child() as process:
        yield process


def test_arrays_and_known_attributes_are_read(child: Hdf5Child) -> None:
    found = child.read(made(ordinary), "t")
    assert sorted(found.arrays) == ["a/b", "a/c", "big", "empty"]
    assert found.arrays["a/b"].tolist() == [[1, 2], [3, 4]]
    assert found.arrays["a/b"].dtype == np.float32
    assert found.arrays["a/c"].tolist() == list(range(100))
    assert found.arrays["big"].tolist() == [1, 256]
    assert found.arrays["empty"].shape == (0, 3)
    assert found.attributes == {"": {"model_config": "{}"}, "a": {"weight_names": ["b", "c"]}}


def test_long_lists_of_names_come_in_parts(child: Hdf5Child) -> None:
    def write(file: Any) -> None:
        file.attrs["layer_names0"] = ["a", "b"]
        file.attrs["layer_names1"] = ["c"]

    assert child.read(made(write), "t").attributes[""]["layer_names"] == ["a", "b", "c"]


def test_nothing_outside_the_file_is_read(child: Hdf5Child, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = SECRET
    raw = tmp_path / "raw"
    raw.write_bytes(SECRET.tobytes())

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource(str(other), "secret", (4,))
        file.create_virtual_dataset("x", layout)

    writers: dict[str, Callable[[Any], object]] = {
        "link": lambda file: file.__setitem__("x", h5py.ExternalLink(str(other), "secret")),
        "link to another place": lambda file: file.__setitem__("x", h5py.SoftLink("/y")),
        "another place": virtual,
        "in another": lambda file: file.create_dataset(
            "x", (4,), "f8", external=[(str(raw), 0, 32)]
        ),
    }
    for said, write in writers.items():
        with pytest.raises(InputError, match=said):
            child.read(made(write), "t")


def test_sizes_are_checked_before_memory_is_taken(child: Hdf5Child) -> None:
    def chunked(file: Any) -> None:
        file.create_dataset("x", (1 << 40,), "f8", chunks=(1 << 10,), compression="gzip")

    def never_written(file: Any) -> None:
        file.create_dataset("x", (1 << 40,), "f8")

    for write in (chunked, never_written):
        with pytest.raises(InputError, match="only 0 bytes"):
            child.read(made(write), "t")
    with (
        Hdf5Child(array_bytes=100) as small,
        pytest.raises(InputError, match="larger than is read"),
    ):
        small.read(made(lambda file: file.__setitem__("x", np.zeros(13))), "t")


def test_the_memory_of_the_child_is_limited() -> None:
    data = made(lambda file: file.create_dataset("x", data=np.zeros(10**7), compression="gzip"))
    assert len(data) < 10**6
    with Hdf5Child(memory=1 << 25) as small, pytest.raises(InputError, match="memory"):
        small.read(data, "t")


def test_other_elements_and_filters_are_refused(child: Hdf5Child) -> None:
    writers: dict[str, Callable[[Any], object]] = {
        "no numbers": lambda file: file.__setitem__("x", "text"),
        "another way than gzip": lambda file: file.create_dataset(
            "x", data=np.zeros(9), compression="lzf"
        ),
        "nested|in one another": lambda file: file.create_group("a/" * 20),
    }
    for said, write in writers.items():
        with pytest.raises(InputError, match=said):
            child.read(made(write), "t")


def test_other_bytes_and_cut_files_are_refused(child: Hdf5Child) -> None:
    data = made(ordinary)
    for wrong in (b"", b"hello", data[:100], data[: len(data) // 2]):
        with pytest.raises(InputError) as caught:
            child.read(wrong, "t")
        assert str(caught.value).isprintable()
    assert child.read(data, "t").arrays  # the child goes on


def test_a_file_that_keeps_the_library_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with Hdf5Child(seconds=60) as busy:
        assert busy.read(made(ordinary), "t").arrays
        process = busy._process
        assert process is not None
        busy.seconds = 0.05
        monkeypatch.setattr(hdf5.Hdf5Child, "_exchange", _waits)
        with pytest.raises(InputError, match=r"longer than 0\.05 s"):
            busy.read(made(ordinary), "t")
        assert process.poll() is not None
        monkeypatch.undo()
        busy.seconds = 60
        assert busy.read(made(ordinary), "t").arrays  # in a new process


HANGS = (Path(__file__).parent / "hangs.h5").read_bytes()
"""A network's file with one byte changed, in whose attributes the library goes round for ever."""


def test_a_file_that_hangs_the_library_is_given_up() -> None:
    with Hdf5Child(seconds=1) as child, pytest.raises(InputError, match="longer than 1 s"):
        child.read(HANGS, "t")


def test_a_child_without_a_parent_ends_itself() -> None:
    command = [sys.executable, "-P", str(hdf5._CHILD), "0", "1000000", "1"]
    job = len(HANGS).to_bytes(8, "little") + HANGS
    done = subprocess.run(command, input=job, capture_output=True)
    assert done.returncode == -signal.SIGALRM
    assert done.stdout == b""


def _waits(self: Hdf5Child, process: Any, data: bytes, where: str) -> Any:
    """Ask for an answer to a file whose bytes never come."""
    process.stdin.write((1 << 20).to_bytes(8, "little"))
    process.stdin.flush()
    return hdf5._exactly(process.stdout, 8)


def test_a_child_that_dies_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with Hdf5Child() as child:
        process = child._started()
        monkeypatch.setattr(Hdf5Child, "_started", lambda self: process)
        process.kill()
        process.wait()
        with pytest.raises(InputError, match="ended the process"):
            child.read(made(ordinary), "t")


def test_without_h5py_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ToolNotFound(f"{name}: not found")

    monkeypatch.setattr(hdf5, "require", missing)
    with pytest.raises(ToolNotFound, match="h5py"):
        read_hdf5(made(ordinary), "t")
