"""A generated project: a map of file names to contents, made purely and written safely."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from hwbnn.errors import InputError


@dataclass(frozen=True)
class Project:
    """What a target generates, in memory.

    Attributes:
        target: name of the target that made it, ``"rtl"`` or ``"hls"``.
        files: contents by relative POSIX path. ``graph.npz`` and ``plan.json`` are among them, so
            that a project's folder alone says what it was made from.
    """

    target: str
    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        for name in self.files:
            path = PurePosixPath(name)
            if not name or path.is_absolute() or ".." in path.parts or "\\" in name:
                raise InputError(f"project file {name!r}: expected a path inside the project")
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))

    def text(self, name: str) -> str:
        """One file's contents as text."""
        return self.files[name].decode()

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents: the same Graph and Plan always give the same."""
        sha = hashlib.sha256(f"hwbnn project {self.target}\n".encode())
        for name, content in self.files.items():
            sha.update(f"{name}\n{len(content)}\n".encode())
            sha.update(content)
        return sha.hexdigest()

    def write(self, folder: str | Path) -> Path:
        """Write all files into a folder, replacing the project that was there; all or nothing.

        Only a missing or empty folder, or one that holds a project already, is written to.

        Raises:
            InputError: if the folder holds something else or cannot be written.
        """
        target = Path(folder)
        if target.exists() and (
            not target.is_dir() or (any(target.iterdir()) and not (target / "graph.npz").is_file())
        ):
            raise InputError(f"{target}: holds other files; name an empty or a new folder")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".hwbnn-") as scratch:
                fresh = Path(scratch) / "project"
                for name, content in self.files.items():
                    file = fresh / name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
                if target.exists():
                    shutil.move(target, Path(scratch) / "replaced")
                fresh.replace(target)
        except OSError as error:
            raise InputError(f"{target}: cannot write the project: {error.strerror}") from error
        return target
