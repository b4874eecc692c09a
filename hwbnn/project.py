"""A generated project: its files in memory, by name; a folder is written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from hwbnn.arguments import checked_call, checked_class
from hwbnn.errors import InputError
from hwbnn.notebook import html_table

SIZE_LIMIT = 1 << 30
"""Bytes that the files of a project may have together."""

NAME = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
"""Allowed names of files: nothing that a shell, Tcl or Make reads as more than a name."""
BUILT = re.compile(r"build/|(.*/)?(__pycache__|\.pytest_cache)/")
"""Folders in a project for what its own scripts and benches make: not read, and not kept."""
LEFT_OUT = re.compile(
    rf"({BUILT.pattern}).*|"
    r"\w+_prj/(?!solution\d+/(impl|syn)/(verilog|report)/).*|\w+\.log"
)
"""Files that tools make in a project's folder, some of it huge: these files are not read."""
TARGET = re.compile(r"[a-z][a-z0-9]{0,15}")
"""Names of targets."""
MANIFEST = ".hwbnn-project"
"""The file that lists all others of a written project: only these are replaced by a new one."""


@checked_class()
@dataclass(frozen=True, repr=False)
class Project:
    """The files that a target generates, in memory.

    Attributes:
        target: name of the target that made it, ``"rtl"`` or ``"hls"``.
        files: contents by relative POSIX path. ``graph.npz`` and ``plan.json`` are among them, so
            that a project's folder alone says what it was made from.
    """

    target: str
    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        if not isinstance(self.files, Mapping):
            raise InputError(
                f"project: files: expected a dict of bytes by name, found "
                f"{type(self.files).__name__}"
            )
        for name, content in self.files.items():
            if not isinstance(content, bytes):
                raise InputError(
                    f"project file {str(name)[:60]!r}: expected bytes, found "
                    f"{type(content).__name__}"
                )
            if (
                not isinstance(name, str)
                or not NAME.fullmatch(name)
                or not {".", ".."}.isdisjoint(name.split("/"))
            ):
                raise InputError(
                    f"project file {str(name)[:60]!r}: expected a path inside the project, of "
                    "letters, digits, '_', '-', '.' and '/'"
                )
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))

    def __repr__(self) -> str:
        size = sum(map(len, self.files.values()))
        return (
            f"<Project: {self.target}, {len(self.files)} files, {size:,} bytes, "
            f"digest {self.digest[:12]}>"
        )

    def _repr_html_(self) -> str:
        """The files as a table, for notebooks."""
        rows = [(name, len(content)) for name, content in self.files.items()]
        return html_table(repr(self)[1:-1], ("file", "bytes"), rows)

    def text(self, name: str) -> str:
        """One file's contents as text.

        Raises:
            InputError: if there is no such file, or it is not UTF-8.
        """
        if name not in self.files:
            raise InputError(f"project: expected a file {name}, found none; generate it again")
        try:
            return self.files[name].decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name}: expected text, found byte {error.start} that is none; generate the "
                "project again"
            ) from None

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal over names and contents; Graph and Plan determine it."""
        sha = hashlib.sha256(f"hwbnn project {self.target}\n".encode())
        for name, content in self.files.items():
            sha.update(f"{name}\n{len(content)}\n".encode())
            sha.update(content)
        return sha.hexdigest()

    @checked_call(who="Project.write")
    def write(self, folder: str | Path) -> Path:
        """Write all files into a folder, replacing the project that was there; all or nothing.

        Only a missing or empty folder, or one that holds a project and nothing else, is written to.

        Raises:
            InputError: if the folder holds something else or cannot be written; it is then as it
                was before.
        """
        target = Path(folder)
        try:
            other = _other(target)
            if other:
                raise InputError(
                    f"{target}: holds other files ({other[:60]!r}); name an empty or a new folder"
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".hwbnn-") as scratch:
                fresh = Path(scratch) / "project"
                names = "".join(f"{name}\n" for name in self.files)
                for name, content in {**self.files, MANIFEST: names.encode()}.items():
                    file = fresh / name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
                _exchange(target, fresh, Path(scratch) / "replaced")
        except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{target}: cannot write the project: {reason}") from error
        return target

    @classmethod
    @checked_call(who="Project.read")
    def read(cls, folder: str | Path) -> Project:
        """The project that :meth:`write` put into a folder, with any later changes of its files.

        Raises:
            InputError: if the folder holds no project.
        """
        root = Path(folder)
        if not (root / "graph.npz").is_file() or not (root / "core.json").is_file():
            raise InputError(
                f"{root}: expected a generated project (graph.npz and core.json in it); "
                "'hwbnn generate' makes one"
            )
        files: dict[str, bytes] = {}
        try:
            files_there = [p for p in root.rglob("*") if p.is_file() and not p.is_symlink()]
            named = {p.relative_to(root).as_posix(): p for p in files_there if p.name != MANIFEST}
            named = {name: p for name, p in named.items() if not LEFT_OUT.fullmatch(name)}
            if sum(path.stat().st_size for path in named.values()) > SIZE_LIMIT:
                raise InputError(f"{root}: larger than {SIZE_LIMIT >> 20} MiB, no project; refused")
            files = {name: path.read_bytes() for name, path in named.items()}
            about = json.loads(files["core.json"])
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{root}: cannot read the project: {error}"[:200]) from error
        return cls(_target(about, root), files)


def _target(about: object, root: Path) -> str:
    """The target named in ``core.json``, whose parsed content is ``about``."""
    target = about.get("target") if isinstance(about, dict) else None
    if isinstance(about, dict) and target is None and "hwbnn core" in about:
        return "rtl"  # cores of earlier versions do not name it
    if not isinstance(target, str) or not TARGET.fullmatch(target):
        raise InputError(
            f"{root}: core.json: expected an object that names its target, "
            f"found {str(target)[:40]!r}; generate the project again"
        )
    return target


def _other(target: Path) -> str:
    """The name of a file at ``target`` that no project wrote; empty if there is none."""
    if not target.exists():
        return ""
    if not target.is_dir():
        return target.name
    manifest = target / MANIFEST
    known = {MANIFEST, *manifest.read_text().splitlines()} if manifest.is_file() else set()
    inside = (p for p in target.rglob("*") if p.is_symlink() or not p.is_dir())
    names = {p.relative_to(target).as_posix() for p in inside} - known
    built = manifest.is_file()  # by the scripts of the project that is there
    return min((name for name in names if not (built and BUILT.match(name))), default="")


def _exchange(target: Path, fresh: Path, replaced: Path) -> None:
    """Move ``fresh`` to ``target`` and the old ``target`` to ``replaced``; undone on failure."""
    if not target.exists():
        fresh.rename(target)
        return
    target.rename(replaced)
    try:
        fresh.rename(target)
    except BaseException:  # an interrupt too
        replaced.rename(target)
        raise
