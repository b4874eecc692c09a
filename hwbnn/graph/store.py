"""A Graph as one ``.npz`` file: no pickle, a version, a digest, everything checked on loading."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn.errors import GraphError
from hwbnn.graph.bits import pack_bits, unpack_bits
from hwbnn.graph.graph import Graph
from hwbnn.graph.nodes import NODE_TYPES, Node

FORMAT = 1
HEADER = "graph.json"
SIZE_LIMIT = 1 << 30
"""Bytes that the unpacked members of a file may take together; larger files are refused unread."""
NODES_LIMIT = 10_000
_KINDS = {kind.__name__: kind for kind in NODE_TYPES}
# A member's time stamp would make two saves of one Graph differ.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def to_bytes(graph: Graph) -> bytes:
    """The Graph as the bytes of an ``.npz`` file, the same bytes for the same Graph and notes."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    described = []
    for i, node in enumerate(graph.nodes):
        entry: dict[str, Any] = {"kind": type(node).__name__}
        for f in fields(node):
            value = getattr(node, f.name)
            if not isinstance(value, np.ndarray):
                entry[f.name] = value
                continue
            key = f"{i}.{f.name}"
            is_bool = value.dtype == np.bool_
            arrays[key] = pack_bits(value) if is_bool else value.astype("<i8")
            entry[f.name] = {"array": key, "bits": value.shape[-1] if is_bool else 0}
        described.append(entry)
    header = {
        "hwbnn graph": FORMAT,
        "digest": graph.digest,
        "notes": dict(graph.notes),
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


def save(graph: Graph, path: str | Path) -> Path:
    """Write the Graph to a file, whole or not at all; returns the path."""
    target = Path(path)
    partial = target.with_name(target.name + ".part")
    try:
        partial.write_bytes(to_bytes(graph))
        partial.replace(target)
    except OSError as error:
        raise GraphError(f"{target}: cannot write the Graph: {error.strerror}") from error
    return target


def load(path: str | Path) -> Graph:
    """Read a Graph that :func:`save` wrote.

    Raises:
        GraphError: one line, if the file is missing, truncated, newer, malformed or altered.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise GraphError(f"{path}: cannot read the Graph: {error.strerror}") from error
    return from_bytes(data, str(path))


def from_bytes(data: bytes, name: str = "graph") -> Graph:
    """The Graph that :func:`to_bytes` packed; ``name`` stands in front of errors."""
    try:
        header, arrays = _unpack(data)
        graph = _graph(header, arrays)
    except GraphError as error:
        raise GraphError(f"{name}: {error}") from None
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise GraphError(f"{name}: not a Graph file, or truncated ({error})") from None
    # What is left to go wrong in numpy's and json's readers all means one thing to the user.
    except (ValueError, KeyError, TypeError, RuntimeError, RecursionError, MemoryError) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise GraphError(f"{name}: malformed Graph file ({reason})") from None
    except Exception as error:  # zlib.error has no public home; a stranger's file must not crash us
        raise GraphError(f"{name}: damaged Graph file ({type(error).__name__})") from None
    return graph


def _unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > NODES_LIMIT or sum(m.file_size for m in members) > SIZE_LIMIT:
            raise GraphError(f"larger than {SIZE_LIMIT >> 20} MiB unpacked; refused")
        for member in members:
            with archive.open(member) as stream:
                arrays[member.filename.removesuffix(".npy")] = np.lib.format.read_array(
                    io.BytesIO(stream.read()), allow_pickle=False
                )
    if HEADER not in arrays:
        raise GraphError(f"not a Graph file: expected a member '{HEADER}'")
    header = json.loads(arrays.pop(HEADER).astype(np.uint8).tobytes())
    if not isinstance(header, dict) or "hwbnn graph" not in header:
        raise GraphError("not a Graph file: its header names no format")
    if header["hwbnn graph"] != FORMAT:
        raise GraphError(
            f"format {header['hwbnn graph']!r}: this version reads format {FORMAT}; "
            "update hwbnn, or save the Graph again"
        )
    return header, arrays


def _graph(header: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> Graph:
    described = header["nodes"]
    if not isinstance(described, list) or not isinstance(header["notes"], dict):
        raise GraphError("malformed header: expected a list of nodes and a table of notes")
    graph = Graph(tuple(_node(entry, arrays) for entry in described), header["notes"])
    if graph.digest != header["digest"]:
        raise GraphError(
            f"the contents have digest {graph.digest[:12]}, the file says "
            f"{str(header['digest'])[:12]}: it was altered or damaged; get it again"
        )
    return graph


def _node(entry: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> Node:
    kind = _KINDS.get(entry.get("kind", "")) if isinstance(entry, dict) else None
    if kind is None:
        raise GraphError(f"unknown node {str(entry)[:60]}; expected one of {', '.join(_KINDS)}")
    known = {f.name for f in fields(kind)}
    given = set(entry) - {"kind"}
    if given != known:
        raise GraphError(
            f"node {str(entry.get('name'))[:60]!r} ({kind.__name__}): expected the fields "
            f"{sorted(known)}, found {sorted(map(str, given))}"[:240]
        )
    values: dict[str, Any] = {}
    for field in known:
        value = entry[field]
        if isinstance(value, dict):
            array = arrays[value["array"]]
            if value["bits"]:
                if array.dtype != np.uint8 or array.shape[-1] != -(-value["bits"] // 8):
                    raise GraphError(f"member '{value['array']}': not packed bits of its size")
                array = unpack_bits(array, value["bits"])
            value = array
        values[field] = tuple(value) if isinstance(value, list) else value
    return kind(**values)
