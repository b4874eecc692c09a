"""IDX files, the format in which MNIST and its successors are published; plain or gzipped.

An IDX file is: two zero bytes, a type code (8 for unsigned bytes, the only one used here), the
number of axes, each axis' length as a big-endian 32-bit integer, then the elements, last axis
fastest.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import InputError

SIZE_LIMIT = 1 << 30
"""Elements that a file may hold; one that announces more is refused unread."""
_UNSIGNED_BYTES = 8


def read_idx(path: str | Path, ndim: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file.

    Args:
        path: the file; gzipped if its name ends in ``.gz``.
        ndim: axes that it must have: 3 for images, 1 for labels.

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
            if size > SIZE_LIMIT:
                raise InputError(
                    f"{path}: its header announces {'x'.join(map(str, shape))} elements, more "
                    f"than {SIZE_LIMIT}; refused"
                )
            # One byte more than announced tells a file that is too long without reading all of it.
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
