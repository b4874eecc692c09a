"""Reading of the three kinds of files that Keras writes, without Keras.

- ``.keras`` is a zip with ``metadata.json``, ``config.json`` and ``model.weights.h5``;
- ``.h5`` has the configuration in an attribute, and the weights;
- ``.json`` has only the configuration; a second file, ``.h5``, has the weights.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwbnn.errors import InputError
from hwbnn.readers.json_text import read_json
from hwbnn.tools.hdf5 import FILE_BYTES, SIGNATURE, Hdf5File, read_hdf5

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
"""The members of a ``.keras`` file; it may have ``assets/``, which are not read."""
JSON_BYTES = 1 << 26
ZIP_BYTES = FILE_BYTES + 2 * JSON_BYTES
MOST_MEMBERS = 1000
_RATIO = 1100
"""One byte of deflated data cannot unpack to more bytes than this."""


@dataclass(frozen=True, eq=False)
class KerasFile:
    """A network as Keras saved it.

    Attributes:
        where: name of the file, for messages.
        config: the JSON object that describes the network.
        weights: the weights of the network.
        generation: 2 for ``tf_keras`` and earlier, 3 for Keras 3.
    """

    where: str
    config: dict[str, Any]
    weights: Hdf5File
    generation: int


def recognises(path: Path, head: bytes) -> bool:
    """Whether a file has one of these formats, by its first bytes or the names in its zip."""
    if head.startswith(SIGNATURE):
        return True
    if head.startswith(b"PK"):
        try:
            with zipfile.ZipFile(path) as archive:
                return {"config.json", "model.weights.h5"} <= set(archive.namelist())
        except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
            return b"config.json" in head and b"metadata.json" in head
    text = head.lstrip()
    return text.startswith(b"{") and b'"class_name"' in text and b'"config"' in text


def read_file(path: Path, weights: Path | None) -> KerasFile:
    """Read a network's file.

    Args:
        path: a ``.keras``, ``.h5`` or ``.json`` file.
        weights: the weights that belong to a ``.json`` file.

    Raises:
        InputError: if a file is damaged, or one is missing.
        ToolNotFound: without h5py.
    """
    data = _bytes(path)
    where = path.name
    beside = None if weights is None else _bytes(weights)
    if beside is not None and not data.lstrip()[:1] == b"{":
        raise InputError(
            f"{where}: has weights itself; a file of weights ({weights}) belongs to a .json file"
        )
    if data.startswith(b"PK"):
        return from_keras(data, where)
    if data.startswith(SIGNATURE):
        return from_h5(data, where)
    if beside is None:
        raise InputError(
            f"{where}: has no weights; give the file that model.save_weights wrote as well "
            "(--weights FILE; in Python weights=)"
        )
    assert weights is not None
    return from_json(data, beside, where, weights.name)


def from_keras(data: bytes, where: str) -> KerasFile:
    """The network in the bytes of a ``.keras`` file."""
    members = _members(data, where)
    metadata = read_json(members["metadata.json"], f"{where}: metadata.json")
    config = _object(read_json(members["config.json"], f"{where}: config.json"), where)
    weights = read_hdf5(members["model.weights.h5"], f"{where}: model.weights.h5")
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return KerasFile(where, config, weights, _generation(version, config))


def from_h5(data: bytes, where: str) -> KerasFile:
    """The network in the bytes of an ``.h5`` file."""
    weights = read_hdf5(data, where)
    root = weights.attributes.get("", {})
    if "model_config" not in root:
        raise InputError(
            f"{where}: expected a network's configuration (attribute model_config), found none; "
            "a file of weights alone needs the .json file of the network: name that one, and this "
            "as its weights"
        )
    config = _object(read_json(root["model_config"], f"{where}: model_config"), where)
    return KerasFile(where, config, weights, _generation(root.get("keras_version"), config))


def from_json(data: bytes, weights: bytes, where: str, where_weights: str) -> KerasFile:
    """The network in the bytes of a ``.json`` file, and the bytes of its file of weights."""
    config = _object(read_json(data, where), where)
    file = read_hdf5(weights, where_weights)
    return KerasFile(where, config, file, _generation(config.get("keras_version"), config))


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > ZIP_BYTES:
            raise InputError(
                f"{path}: expected at most {ZIP_BYTES >> 20} MiB, found {size >> 20} MiB"
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _members(data: bytes, where: str) -> dict[str, bytes]:
    """The three members of a zip; their sizes are checked before they are unpacked."""
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_MEMBERS:
                raise InputError(f"{where}: zip: expected {len(MEMBERS)} files in it, found more")
            for name in MEMBERS:
                named = [entry for entry in entries if entry.filename == name]
                if len(named) != 1:
                    raise InputError(
                        f"{where}: zip: expected one {name} in it, found {len(named)}; "
                        "save the network again with model.save"
                    )
                entry = named[0]
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise InputError(
                        f"{where}: zip: {name}: expected it plain or deflated; other ways of "
                        "packing, which may take any memory, are not unpacked"
                    )
                most = FILE_BYTES if name.endswith(".h5") else JSON_BYTES
                if entry.file_size > min(most, entry.compress_size * _RATIO):
                    raise InputError(
                        f"{where}: zip: {name}: expected at most {most >> 20} MiB, and no more than"
                        f" its {entry.compress_size} packed bytes can hold; found "
                        f"{entry.file_size} bytes"
                    )
                with archive.open(entry) as member:
                    content = member.read(entry.file_size + 1)
                if len(content) != entry.file_size:
                    raise InputError(
                        f"{where}: zip: {name}: expected {entry.file_size} bytes, found "
                        f"{len(content)}; the file is damaged"
                    )
                found[name] = content
    except InputError:
        raise
    except _DAMAGE as error:
        text = ascii(" ".join(str(error).split())[:100])[1:-1]
        raise InputError(f"{where}: damaged zip: {text or type(error).__name__}") from None
    return found


_DAMAGE = (
    *(ValueError, OSError, EOFError, RuntimeError, LookupError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
)
"""Errors of :mod:`zipfile` and of its decompressors on damaged files."""


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a JSON object that describes a network")
    return value


def _generation(version: Any, config: dict[str, Any]) -> int:
    """2 or 3, by the Keras version in the file, or else by the form of its configuration."""
    if isinstance(version, str) and version[:2] in ("0.", "1.", "2.", "3."):
        return 3 if version[0] == "3" else 2
    return 3 if "module" in config else 2
