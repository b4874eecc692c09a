"""Paths of hand-written hardware sources and trained networks, in a checkout and in a wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hwbnn.errors import ToolNotFound

_PACKAGE = Path(__file__).resolve().parent


@cache
def assets(kind: str) -> Path:
    """The folder of the ``"rtl"`` or ``"hls"`` sources, or of the ``"models"``.

    A wheel carries them inside the package; a checkout has them beside it.

    Raises:
        ToolNotFound: if neither is there (a broken installation).
    """
    for folder in (_PACKAGE / f"_{kind}", _PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise ToolNotFound(f"the {kind} sources are missing beside {_PACKAGE}; install hwbnn again")


def asset(kind: str, name: str) -> bytes:
    """The contents of the file ``name`` in the folder that :func:`assets` gives for ``kind``."""
    return (assets(kind) / name).read_bytes()
