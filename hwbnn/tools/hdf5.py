"""Untrusted HDF5 files, read in a child process with limits of time and memory.

With a damaged file the HDF5 library can run for ever or crash its process. So only the child
(:mod:`hwbnn.tools.hdf5_child`) opens files, and returns plain arrays. It follows no link to another
file, reads only plain or gzip data, and checks shapes before it takes memory.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from hwbnn.errors import InputError
from hwbnn.graph.arrays import Array
from hwbnn.tools.find import require

FILE_BYTES = 1 << 28
"""Most bytes of a file."""
ARRAY_BYTES = 1 << 28
"""Most bytes of all arrays of a file together."""
MEMORY = 1 << 30
"""Most memory in bytes of the child for a file, beyond what the libraries take."""
SECONDS = 30.0
"""Longest time in seconds for one file."""
_CHILD = Path(__file__).with_name("hdf5_child.py")
_HEADER_BYTES = 1 << 26
_GRACE = 5
"""The child ends itself this many seconds after the limit if its parent has not ended it."""
SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""First bytes of an HDF5 file."""


@dataclass(frozen=True, eq=False)
class Hdf5File:
    """The parts of an HDF5 file that readers of networks need.

    Attributes:
        attributes: for each HDF5 group, by its path without a leading slash ("" is the root): its
            texts and lists of texts, by name.
        arrays: numeric arrays by path, in the order of the file; little-endian and read-only.
    """

    attributes: Mapping[str, Mapping[str, Any]]
    arrays: Mapping[str, Array]


class Hdf5Child:
    """A child process that reads HDF5 files one after another; it is started for the first file.

    Args:
        seconds: longest time in seconds for one file.
        memory: most memory in bytes for one file, beyond what the libraries take.
        array_bytes: most bytes of all arrays of one file together.
    """

    def __init__(
        self, *, seconds: float = SECONDS, memory: int = MEMORY, array_bytes: int = ARRAY_BYTES
    ) -> None:
        self.seconds = seconds
        self.memory = memory
        self.array_bytes = array_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Hdf5Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()

    def read(self, data: bytes, where: str) -> Hdf5File:
        """Read one file.

        Args:
            data: the bytes of the file.
            where: its name, for messages.

        Raises:
            InputError: if the file is damaged or too large, has content that is not supported, or
                takes too long or too much memory.
            ToolNotFound: without h5py.
        """
        if not data.startswith(SIGNATURE):
            raise InputError(f"{where}: expected an HDF5 file, found other bytes at its beginning")
        if len(data) > FILE_BYTES:
            raise InputError(
                f"{where}: expected at most {FILE_BYTES >> 20} MiB, found {len(data) >> 20} MiB"
            )
        process = self._started()
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self.seconds, end)
        timer.daemon = True
        timer.start()
        try:
            return self._exchange(process, data, where)
        except (OSError, EOFError):
            self.close()
            reason = (
                f"reading it takes longer than {self.seconds:g} s"
                if late.is_set()
                else "reading it ended the process that read it"
            )
            raise InputError(f"{where}: damaged HDF5 file: {reason}; save it again") from None
        except InputError:
            raise
        except BaseException:  # also after an interrupt: the child may have sent half an answer
            self.close()
            raise
        finally:
            timer.cancel()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            require("h5py")
            # One thread of linear algebra, since threads reserve memory; no HDF5 plugins.
            settings = {"OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
            # -P: modules in the script's folder do not hide others with the same names.
            limits = (self.memory, self.array_bytes, math.ceil(self.seconds) + _GRACE)
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_CHILD), *map(str, limits)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **settings},
                start_new_session=True,
            )
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], data: bytes, where: str) -> Hdf5File:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(len(data).to_bytes(8, "little"))
        process.stdin.write(data)
        process.stdin.flush()
        length = int.from_bytes(_exactly(process.stdout, 8), "little")
        if length > _HEADER_BYTES:
            self.close()
            raise InputError(f"{where}: expected names of at most {_HEADER_BYTES >> 20} MiB in all")
        about = json.loads(_exactly(process.stdout, length))
        if "refused" in about:
            raise InputError(f"{where}: HDF5 file: {_printable(about['refused'])}")
        arrays: dict[str, Array] = {}
        for path, dtype, shape in about["arrays"]:
            kind = np.dtype(dtype)
            content = _exactly(process.stdout, math.prod(shape) * kind.itemsize)
            arrays[path] = np.frombuffer(content, kind).reshape(shape)
        return Hdf5File(about["attributes"], arrays)


def read_hdf5(data: bytes, where: str) -> Hdf5File:
    """Read one HDF5 file in a child process of its own, see :meth:`Hdf5Child.read`."""
    with Hdf5Child() as child:
        return child.read(data, where)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
