"""Readers of networks' files: each makes a :class:`~hwbnn.program.Program` or refuses the file.

There is one module for each format, listed in :data:`FORMATS`. Each has ``NAME``,
``recognises(path, head)`` and ``read(path, weights)``; the kind of a file is recognised by its
content, never by its name. Files are untrusted: no code in them runs, and sizes are checked before
memory is taken. A damaged file raises :class:`~hwbnn.errors.InputError`; a layer without an exact
form raises :class:`~hwbnn.errors.CannotLower`, which names it and says what to change.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from hwbnn.errors import InputError
from hwbnn.program import Program

FORMATS: tuple[str, ...] = ("bnn_pynq", "onnx", "keras")
"""The modules of this package that read files, in the order in which they are tried."""
HEAD = 4096
"""Number of a file's first bytes that a reader gets to recognise it."""


class Reader(Protocol):
    """A module that reads one format."""

    NAME: str

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether a file (``head``: its first bytes) or a folder (``head`` empty) has this format.

        Imports only the standard library and reads as little as possible.
        """

    def read(self, path: Path, weights: Path | None) -> Program:
        """The network in a file or folder; ``weights`` is a second file, for formats with one."""


def recognise(path: Path) -> Reader | None:
    """The reader of a file or folder, by its content; None if no reader recognises it.

    Raises:
        InputError: if there is no such file.
    """
    try:
        head = b""
        if not path.is_dir():
            with path.open("rb") as file:
                head = file.read(HEAD)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    for name in FORMATS:
        reader = cast(Reader, importlib.import_module(f"hwbnn.readers.{name}"))
        if reader.recognises(path, head):
            return reader
    return None


def names() -> list[str]:
    """The formats that are read, for messages."""
    modules = (importlib.import_module(f"hwbnn.readers.{name}") for name in FORMATS)
    return [cast(Reader, module).NAME for module in modules]


def read_program(path: Path | str, weights: Path | str | None = None) -> Program:
    """The network in a file or folder.

    Args:
        path: a file or folder of one of :data:`FORMATS`.
        weights: a second file, for formats that keep the weights in a file of their own.

    Raises:
        InputError: if no reader recognises the file, or it is damaged.
        CannotLower: naming a layer that has no exact form, and what to change.
    """
    path = Path(path)
    reader = recognise(path)
    if reader is None:
        raise InputError(
            f"{path}: expected a network, one of {', '.join(names()) or 'none'}; found none"
        )
    return reader.read(path, None if weights is None else Path(weights))
