"""Reading and writing arrays and other files; every failure gives an error of one line."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwbnn.errors import InputError, nearest
from hwbnn.graph.arrays import Array


def read_array(path: Path, key: str = "") -> Array:
    """The array in a ``.npy``, ``.npz`` or ``.csv`` file; no code in it is ever run.

    Args:
        path: the file. A ``.csv`` has one sample per row, separated by commas, and may begin with
            one line of column names. It is read as integers if all numbers are written as integers.
        key: name of the array, if a ``.npz`` holds several.
    """
    if path.suffix not in (".npy", ".npz", ".csv"):
        raise InputError(f"{path}: expected a file ending in .npy, .npz or .csv")
    data = read_bytes(path)
    if path.suffix == ".csv":
        return _csv(path, data)
    arrays = _arrays(path, data)
    if key and list(arrays) == [""]:
        raise InputError(f"{path}: holds one array without a name; leave --key {key[:60]} out")
    names = nearest(key, arrays)
    if key and key not in arrays:
        raise InputError(f"{path}: holds no {key[:60]!r}; it holds {names}")
    if not key and len(arrays) != 1:
        raise InputError(f"{path}: holds {names}; name one array with --key")
    array = arrays[key] if key else next(iter(arrays.values()))
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: expected an array of numbers, found {array.dtype} of shape {array.shape}"
        )
    return array


def _arrays(path: Path, data: bytes) -> dict[str, Array]:
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        return {name: loaded[name] for name in loaded.files}
    except Exception as error:  # a stranger's file: numpy, zipfile and zlib raise all sorts
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise InputError(f"{path}: not an array file, or damaged ({reason})") from None


def _csv(path: Path, data: bytes) -> Array:
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected text with commas, found other bytes") from None
    rows = [line for line in lines if line.strip()]
    if rows and not _numbers(rows[0]):
        rows = rows[1:]
    if not rows:
        raise InputError(f"{path}: holds no rows of numbers")
    whole = not any(c in ".eEnN" for row in rows for c in row)
    try:
        return np.loadtxt(rows, np.int64 if whole else np.float64, delimiter=",", ndmin=2)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: not rows of numbers ({str(error).splitlines()[0][:100]})"
        ) from None


def _numbers(row: str) -> bool:
    try:
        [float(cell) for cell in row.split(",")]
    except ValueError:
        return False
    return True


def writable(path: Path, *suffixes: str) -> Path:
    """The path itself, if a file can be written there; checked before long work is done.

    Args:
        path: the file, which need not exist.
        suffixes: the allowed endings of its name.
    """
    if path.suffix not in suffixes:
        raise InputError(f"{path}: expected a name ending in {', '.join(suffixes)}")
    _check_place(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    return path


def writable_folder(path: Path) -> Path:
    """The path itself, if the folder exists or can be made; checked before long work is done."""
    _check_place(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; name an empty or a new folder")
    return path


def _check_place(path: Path) -> None:
    """Refuse a path that cannot be written."""
    reason = "name a place that you may write to"
    try:
        path.exists()  # asked for what it raises: a name may be too long
        folder = path if path.is_dir() else path.parent
        while not folder.exists():
            folder = folder.parent
        good = folder.is_dir() and os.access(folder, os.W_OK)
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        good, reason = False, getattr(error, "strerror", None) or str(error)
    if not good:
        raise InputError(f"{path}: cannot be written: {reason}")


def write_file(path: Path, content: bytes) -> Path:
    """Write a file completely or not at all; make its folder if it is missing."""
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def write_array(path: Path, array: Array) -> Path:
    """Write integers as ``.npy``, or as ``.csv`` with one sample per row."""
    stream = io.BytesIO()
    if path.suffix == ".csv":
        np.savetxt(stream, array.reshape(len(array), -1), fmt="%d", delimiter=",")
    else:
        np.save(stream, array, allow_pickle=False)
    return write_file(path, stream.getvalue())


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> Path:
    """Write arrays by name as one ``.npz``."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", member.getvalue())
    return write_file(path, stream.getvalue())


def read_bytes(path: Path) -> bytes:
    """The contents of a file."""
    try:
        if path.exists() and not path.is_file():  # a device may go on for ever
            raise InputError(f"{path}: is no file; name one")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read: {reason}") from error
