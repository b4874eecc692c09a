"""Writes the messages of an ONNX file: protocol buffers, fields in ascending order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwbnn.graph.arrays import Array

TYPES = {"float32": 1, "int64": 7, "float64": 11}
"""ONNX's numbers of the types."""
Attribute = int | float | str | Sequence[int]


def varint(n: int) -> bytes:
    """An integer in the variable-length format; negative ones as 64-bit two's complement."""
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def integer(number: int, n: int) -> bytes:
    """The field ``number`` with an integer."""
    return varint(number << 3) + varint(n)


def message(number: int, content: bytes | str) -> bytes:
    """The field ``number`` with bytes, a text or another message."""
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, array: Array) -> bytes:
    """A tensor of one of :data:`TYPES`."""
    sizes = b"".join(integer(1, n) for n in array.shape)
    data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    return sizes + integer(2, TYPES[array.dtype.name]) + message(8, name) + message(9, data)


def attribute(name: str, value: Attribute) -> bytes:
    """An attribute of a node."""
    head = message(1, name)
    if isinstance(value, float):
        return head + varint(2 << 3 | 5) + np.float32(value).tobytes() + integer(20, 1)
    if isinstance(value, int):
        return head + integer(3, value) + integer(20, 2)
    if isinstance(value, str):
        return head + message(4, value) + integer(20, 3)
    return head + b"".join(integer(8, n) for n in value) + integer(20, 7)


def node(
    op: str,
    inputs: Sequence[str],
    output: str,
    domain: str = "",
    attributes: Mapping[str, Attribute] | None = None,
) -> bytes:
    """A node with one output; the node has the output's name."""
    parts = [message(1, name) for name in inputs]
    parts += [message(2, output), message(3, output), message(4, op)]
    parts += [message(5, attribute(*pair)) for pair in (attributes or {}).items()]
    return b"".join(parts) + (message(7, domain) if domain else b"")


def value_info(name: str, shape: Sequence[int], dtype: str = "float32") -> bytes:
    """The type of an input or output, with a batch of one in front, as FINN takes it."""
    sizes = b"".join(message(1, integer(1, n)) for n in (1, *shape))
    kind = message(1, integer(1, TYPES[dtype]) + message(2, sizes))
    return message(1, name) + message(2, kind)


def annotation(name: str, datatype: str) -> bytes:
    """FINN's data type of a value."""
    return message(1, name) + message(2, message(1, "finn_datatype") + message(2, datatype))
