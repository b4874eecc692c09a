"""Reads HDF5 files in a process of its own, which a damaged file may crash or block.

Started by :mod:`hwbnn.tools.hdf5` as a script, with limits of memory and time. It takes files one
after another from its standard input: 8 bytes, the length as a little-endian number, then the file.
It answers each on its standard output by 8 bytes, the length of a JSON object, that object, and the
bytes of all arrays one after another. It imports nothing of hwbnn, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import signal
import sys
from typing import Any

import h5py
import numpy as np

TEXTS = ("model_config", "keras_version", "name")
"""Attributes of HDF5 groups that hold one text."""
LISTS = ("layer_names", "weight_names")
"""Attributes of HDF5 groups that hold a list of names; long lists are in numbered parts."""
LEFT_OUT = ("optimizer", "optimizer_weights")
"""HDF5 groups at the top that are not read."""
OBJECTS = 20_000
DEPTH = 12
PARTS = 1000
RATIO = 1032
"""One byte of deflated data cannot unpack to more bytes than this."""


class Refused(Exception):
    """The file is refused; the message is one line."""


class Reading:
    """The attributes and arrays of one file.

    Args:
        data: the bytes of the file.
        most: most bytes of all arrays together.
    """

    def __init__(self, data: bytes, most: int) -> None:
        self.size = len(data)
        self.most = most
        self.attributes: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.objects = 0
        with h5py.File(h5py.h5f.open_file_image(data)) as file:
            self._folder(file, "", 0)

    def _folder(self, folder: Any, path: str, depth: int) -> None:
        if depth > DEPTH:
            raise Refused(f"groups lie in one another more than {DEPTH} deep")
        found = self._attributes(folder, path)
        if found:
            self.attributes[path] = found
        for name in folder:
            self.objects += 1
            if self.objects > OBJECTS:
                raise Refused(f"it holds more than {OBJECTS} groups and arrays")
            inner = f"{path}/{name}" if path else name
            if not path and name in LEFT_OUT:
                continue
            if not isinstance(folder.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"{inner!r} is a link to another place, which is not followed")
            item = folder[name]
            if isinstance(item, h5py.Group):
                self._folder(item, inner, depth + 1)
            elif isinstance(item, h5py.Dataset):
                self.arrays[inner] = self._array(item, inner)

    def _attributes(self, folder: Any, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in TEXTS:
            if name in folder.attrs:
                found[name] = _text(folder.attrs[name], f"{path}@{name}")
        for name in LISTS:
            if name in folder.attrs:
                found[name] = _names(folder.attrs[name], f"{path}@{name}")
            elif f"{name}0" in folder.attrs:
                parts = (f"{name}{i}" for i in range(PARTS))
                there = [part for part in parts if part in folder.attrs]
                found[name] = [
                    n for part in there for n in _names(folder.attrs[part], f"{path}@{part}")
                ]
        return found

    def _array(self, item: Any, path: str) -> np.ndarray[Any, Any]:
        """Read one array, after checking its shape and storage."""
        kind = item.dtype
        if kind.kind not in "fiub" or kind.hasobject or kind.itemsize > 8:
            raise Refused(f"{path!r} has elements of kind {str(kind)[:40]!r}, which are no numbers")
        if item.shape is None or item.is_virtual or item.external:
            raise Refused(f"{path!r} has its values in another place, which is not read")
        plist = item.id.get_create_plist()
        known = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
        if any(plist.get_filter(i)[0] not in known for i in range(plist.get_nfilters())):
            raise Refused(f"{path!r} is compressed by another way than gzip")
        needed = math.prod(item.shape) * kind.itemsize
        stored = item.id.get_storage_size()
        ratio = RATIO if item.chunks is not None else 1
        if needed > min(stored, self.size) * ratio:
            raise Refused(f"{path!r} has shape {item.shape} but only {stored} bytes in the file")
        if item.chunks is not None and math.prod(item.chunks) * kind.itemsize > self.most:
            raise Refused(f"{path!r} has chunks of shape {item.chunks}")
        self.most -= needed
        if self.most < 0:
            raise Refused(f"the arrays up to {path!r} are larger than is read at most")
        return np.asarray(item[()])


def _text(value: Any, where: str) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if not isinstance(value, str):
        raise Refused(f"{where}: expected a text")
    return str(value)


def _names(value: Any, where: str) -> list[str]:
    array = np.asarray(value)
    if array.ndim != 1 or array.size > OBJECTS:
        raise Refused(f"{where}: expected a list of at most {OBJECTS} names")
    return [_text(name, where) for name in array.tolist()]


def answer(data: bytes, most: int) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON object that describes a file, and the bytes of its arrays."""
    try:
        reading = Reading(data, most)
        listed = []
        parts = []
        for path, array in reading.arrays.items():
            plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            listed.append([path, plain.dtype.str, list(array.shape)])
            parts.append(plain.tobytes())
        return {"attributes": reading.attributes, "arrays": listed}, parts
    except Refused as error:
        return {"refused": str(error)[:300]}, []
    except MemoryError:
        return {"refused": "reading it takes more memory than is given to it"}, []
    except Exception as error:  # a damaged file can raise any exception in the libraries
        return {"refused": f"damaged: {' '.join(str(error).split())[:200]}"}, []


def main(memory: int, most: int, seconds: int) -> None:
    """Answer files until the input ends.

    Args:
        memory: most bytes of address space beyond what the libraries take; 0 for no limit.
        most: most bytes of all arrays of one file together.
        seconds: time for one file, after which this process ends itself, in case its parent is
            gone and cannot end it.
    """
    source = sys.stdin.buffer
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of the libraries must not mix with the answers
    if memory and sys.platform == "linux":
        pages = int(open("/proc/self/statm").read().split()[0])  # noqa: PTH123, SIM115
        limit = pages * resource.getpagesize() + memory
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    while len(head := source.read(8)) == 8:
        data = source.read(int.from_bytes(head, "little"))
        signal.alarm(seconds)
        about, parts = answer(data, most)
        signal.alarm(0)
        text = json.dumps(about).encode()
        sink.write(len(text).to_bytes(8, "little") + text)
        for part in parts:
            sink.write(part)
        sink.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
