"""A Graph as one ``.npz`` file: no pickle, a version, a digest, everything checked on loading."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import fields
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np

from hwbnn.arguments import checked_call
from hwbnn.errors import GraphError, nearest
from hwbnn.graph.bits import pack_bits, unpack_bits
from hwbnn.graph.fields import shown
from hwbnn.graph.graph import FRACTION_LIMIT, Graph, check_graph
from hwbnn.graph.nodes import CHANNEL_SCALES, NODE_TYPES, Node

FORMAT = max(CHANNEL_SCALES, *(max(kind.SINCE, *kind.LATER.values(), 1) for kind in NODE_TYPES))
"""Newest format that is read; a file is written in the oldest with all its kinds and fields."""
HEADER = "graph.json"
SIZE_LIMIT = 1 << 30
"""Bytes that the unpacked members of a file may take together; larger files are refused unread."""
HEADER_LIMIT = 1 << 26
"""Bytes of the largest header, 64 MiB: thousands of bytes for each of the most nodes."""
BITS_LIMIT = 1 << 27
"""Most bits (weights and others) in a file; in memory each of them takes a byte."""
NODES_LIMIT = 10_000
_KINDS = {kind.__name__: kind for kind in NODE_TYPES}
# A member's time stamp would make two saves of one Graph differ.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def to_bytes(graph: Graph) -> bytes:
    """The Graph as the bytes of an ``.npz`` file; equal Graphs and notes give equal bytes."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    described = []
    for i, node in enumerate(graph.nodes):
        entry: dict[str, Any] = {"kind": type(node).__name__}
        for f in fields(node):
            value, name = node.written(f.name), node.file_name(f.name)
            if value is None:
                continue
            if not isinstance(value, np.ndarray):
                entry[name] = value
                continue
            key = f"{i}.{name}"
            is_bool = value.dtype == np.bool_
            arrays[key] = pack_bits(value) if is_bool else _least(value)
            entry[name] = {"array": key, "bits": value.shape[-1] if is_bool else 0}
        described.append(entry)
    header = {
        "hwbnn graph": max(_format(node) for node in graph.nodes),
        "digest": graph.digest,
        "notes": dict(graph.notes),
        **({} if graph.fraction is None else {"fraction": graph.fraction}),
        **({} if graph.weight_bits is None else {"weight_bits": graph.weight_bits}),
        "nodes": described,
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        text = json.dumps(header, indent=1).encode()
        arrays = {HEADER: np.frombuffer(text, np.uint8), **arrays}
        for key, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            info = zipfile.ZipInfo(f"{key}.npy", _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue())
    return stream.getvalue()


def _format(node: Node) -> int:
    """The oldest format that can hold this node with all its fields."""
    given = (f.name for f in fields(node) if getattr(node, f.name) is not None)
    return max(node.SINCE, *(node.since(name) for name in given))


def _least(integers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Integers as a file holds them: weights in 8 bits if they fit, else 16; all others in 64."""
    if integers.dtype != np.int16:
        return integers.astype("<i8")
    narrow = integers.astype("i1")
    return narrow if (narrow == integers).all() else integers.astype("<i2")


@checked_call()
def save(graph: Graph, path: str | Path) -> Path:
    """Write the Graph to a file, whole or not at all, and return the path.

    Raises:
        GraphError: if ``graph`` is no Graph, or the file cannot be written.
    """
    check_graph(graph, "save")
    target = Path(path)
    try:
        # A short name: the target's may have the greatest length, so that no ending fits behind it.
        partial = target.with_name(f".{graph.digest[:16]}.part")
        try:
            partial.write_bytes(to_bytes(graph))
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        raise GraphError(f"{target}: cannot write the Graph: {_reason(error)}") from error
    return target


def load(path: str | Path) -> Graph:
    """Read a Graph that :func:`save` wrote.

    Raises:
        GraphError: one line, if the file is missing, truncated, malformed or altered, or if its
            format is newer than this version.
    """
    try:
        if not isinstance(path, str | Path):
            raise GraphError(f"load: expected the name of a file, found {type(path).__name__}")
        status = Path(path).stat()
        if not S_ISREG(status.st_mode):  # a device may never end
            raise GraphError(f"{path}: cannot read the Graph: expected a file")
        if status.st_size > SIZE_LIMIT:
            raise GraphError(f"{path}: larger than {SIZE_LIMIT >> 20} MiB; refused")
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise GraphError(f"{path}: cannot read the Graph: {_reason(error)}") from error
    return from_bytes(data, str(path))


def from_bytes(data: bytes, name: str = "graph") -> Graph:
    """The Graph that :func:`to_bytes` packed.

    Raises:
        GraphError: as :func:`load`; the message begins with ``name``.
    """
    try:
        return _graph(*_unpack(data))
    except GraphError as error:
        reason = str(error)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        reason = f"not a Graph file, or truncated ({_reason(error)})"
    # Damaged files cause many other errors in the readers of zip, numpy and JSON (zlib.error is
    # one). To the user all mean the same: the file is malformed.
    except Exception as error:
        reason = f"malformed Graph file ({_reason(error)})"
    raise GraphError(f"{name}: {_one_line(reason)}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)[:100] or type(error).__name__


def _one_line(text: str) -> str:
    """Text from a stranger's file as one printable line, without control characters."""
    return "".join(c if c.isprintable() else "?" for c in text[:400])


def _unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > NODES_LIMIT or sum(m.file_size for m in members) > SIZE_LIMIT:
            raise GraphError(
                f"larger than {SIZE_LIMIT >> 20} MiB unpacked, or of over {NODES_LIMIT} members; "
                "refused"
            )
        for member in members:
            if member.filename == f"{HEADER}.npy" and member.file_size > HEADER_LIMIT:
                raise GraphError(f"its header is larger than {HEADER_LIMIT >> 20} MiB; refused")
            with archive.open(member) as stream:
                arrays[member.filename.removesuffix(".npy")] = np.lib.format.read_array(
                    io.BytesIO(stream.read()), allow_pickle=False
                )
    if HEADER not in arrays:
        raise GraphError(f"not a Graph file: expected a member '{HEADER}'")
    header = json.loads(arrays.pop(HEADER).astype(np.uint8).tobytes())
    if not isinstance(header, dict) or "hwbnn graph" not in header:
        raise GraphError("not a Graph file: its header names no format")
    if header["hwbnn graph"] not in range(1, FORMAT + 1):
        raise GraphError(
            f"format {shown(header['hwbnn graph'])}: this version reads formats 1 to {FORMAT}; "
            "update hwbnn, or save the Graph again"
        )
    return header, arrays


def _graph(header: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> Graph:
    described = header["nodes"]
    if not isinstance(described, list) or not isinstance(header["notes"], dict):
        raise GraphError("malformed header: expected a list of nodes and a table of notes")
    if len(described) > NODES_LIMIT:
        raise GraphError(f"{len(described)} nodes: expected at most {NODES_LIMIT}")
    _check_bits(described, arrays)
    unread = set(arrays)
    nodes = tuple(_node(header["hwbnn graph"], entry, arrays, unread) for entry in described)
    if unread:
        raise GraphError(f"member {shown(min(unread))}: no node of the header names it")
    notes = dict(header["notes"])
    # Earlier versions kept the number among the notes, as text.
    old = notes.pop("fraction", None) if "fraction" not in header else None
    known = {str(n): n for n in range(FRACTION_LIMIT + 1)}
    fraction = header.get("fraction", known.get(str(old)))
    graph = Graph(nodes, notes, fraction, header.get("weight_bits"))
    if graph.digest != header["digest"]:
        raise GraphError(
            f"the contents have digest {graph.digest[:12]}, the file says "
            f"{shown(header['digest'])[1:13]}: it was altered or damaged; get it again"
        )
    return graph


def _check_bits(described: list[Any], arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Refuse more bits than :data:`BITS_LIMIT` before unpacking; each use of a member counts."""
    fields = [v for entry in described if isinstance(entry, dict) for v in entry.values()]
    packed = [v["array"] for v in fields if isinstance(v, dict) and v["bits"]]
    count = 8 * sum(arrays[key].size for key in packed)
    if count > BITS_LIMIT:
        raise GraphError(f"{count} bits of weights, more than {BITS_LIMIT}; refused")


def _node(form: int, entry: Any, arrays: dict[str, np.ndarray[Any, Any]], unread: set[str]) -> Node:
    given = entry.get("kind") if isinstance(entry, dict) else None
    kind = _KINDS.get(given) if isinstance(given, str) else None
    if kind is None:
        raise GraphError(f"unknown node {shown(entry)}; expected one of {nearest(given, _KINDS)}")
    if form < kind.SINCE:
        raise GraphError(f"a {kind.__name__} in format {form}, which has none")
    names = {kind.file_name(f.name): f.name for f in fields(kind)}
    required = [name for name, field in names.items() if field not in kind.LATER]
    known = [name for name, field in names.items() if kind.LATER.get(field, 1) <= form]
    if not set(required) <= set(entry) - {"kind"} <= set(known):
        raise GraphError(
            f"node {shown(entry.get('name'))} ({kind.__name__}): expected the fields "
            f"{', '.join(known)}, found {shown(', '.join(entry))}"
        )
    values: dict[str, Any] = {}
    for name in set(entry) - {"kind"}:
        value = entry[name]
        if isinstance(value, dict):
            unread.discard(value["array"])
            value = _array(value["bits"], value["array"], arrays)
        values[names[name]] = tuple(value) if isinstance(value, list) else value
    node: Node = kind(**values)
    if form < _format(node):
        raise GraphError(
            f"node '{node.name}' ({kind.__name__}) in format {form}: expected at least format "
            f"{_format(node)} for what it holds"
        )
    return node


def _array(bits: int, key: str, arrays: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The member ``key``, unpacked if it holds rows of ``bits`` bits; ``bits`` 0 means integers."""
    array = arrays[key]
    if not bits:
        return array
    if array.dtype != np.uint8 or array.ndim == 0 or array.shape[-1] != -(-bits // 8):
        raise GraphError(f"member {shown(key)}: expected rows of {shown(bits)} packed bits")
    if bits % 8 and (array[..., -1] >> bits % 8).any():
        raise GraphError(f"member {shown(key)}: expected zeros behind the last bit of each row")
    return unpack_bits(array, bits)
