"""Printing: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from hwbnn.report import Report, renderable


class _Console(Console):
    """A console, which is made for each use because callers may replace the standard streams."""

    def on_broken_pipe(self) -> None:
        """Raise the error, which :mod:`hwbnn.cli.failures` handles."""
        raise BrokenPipeError


def _err() -> Console:
    return _Console(stderr=True, soft_wrap=True, highlight=False)


def printable(text: str) -> str:
    """The text on one line without control characters, which file names may contain."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def complain(message: str) -> None:
    """Print an error on standard error, in one line."""
    _err().print(Text.assemble(("error: ", "bold red"), printable(message)))


def note(message: str) -> None:
    """Print a remark for people on standard error."""
    _err().print(Text(printable(message), "dim"))


def finish(result: str, facts: Mapping[str, Any], *, as_json: bool, failed: bool = False) -> None:
    """End a command: one line for people, or all facts as JSON for programs.

    Args:
        result: the result and the path of its file or folder.
        facts: the same for programs, as plain values.
        as_json: print ``facts`` and nothing else.
        failed: whether the hardware differs or a goal was missed: the command exits with 1.
    """
    if as_json:
        typer.echo(json.dumps(dict(facts), indent=2))
    else:
        typer.echo(printable(result))
    if failed:
        raise typer.Exit(1)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on standard output, with numbers aligned to the right."""
    shown = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        # The first column has names, which users copy: never wrap them.
        shown.add_column(
            column, justify="right" if numeric else "left", overflow="fold", no_wrap=i == 0
        )
    for row in rows:
        shown.add_row(
            *(Text(f"{cell:,}" if isinstance(cell, int) else printable(str(cell))) for cell in row)
        )
    _Console(highlight=False).print(shown)


def command_line() -> str:
    """The command line as the user typed it, for reports."""
    return shlex.join(("hwbnn", *map(printable, sys.argv[1:])))


def show_report(report: Report) -> None:
    """Print a report as a table on standard output."""
    _Console(highlight=False).print(renderable(report))


class Steps:
    """Progress of a command with several steps: one line per step, with its seconds."""

    def __init__(self, count: int) -> None:
        """Expect ``count`` steps."""
        self._count = count
        self._done = 0
        self._label = ""
        self._status: Status | None = None

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show ``what`` as the current step while the block runs."""
        console = _err()
        self._done += 1
        self._label = f"[{self._done}/{self._count}] {what}"
        begin = time.monotonic()
        with console.status(Text(f"{self._label} ...")) as self._status:
            yield
        self._status = None
        console.print(Text(f"{self._label}  {time.monotonic() - begin:.1f} s"))

    def detail(self, what: str) -> None:
        """Show the progress of the current step, in a terminal only."""
        if self._status is not None:
            self._status.update(Text(f"{self._label} ... {what}"))


def tell_report(report: Report, path: Path, *, as_json: bool, what: str = "") -> None:
    """End a command with a report; the last line names its file, or says if all is equal."""
    if as_json:
        typer.echo(report.to_json(), nl=False)
    else:
        show_report(report)
        verdict = "all equal" if report.ok else "NOT equal"
        typer.echo(printable(f"{what or verdict} -> {path}"))
    if not report.ok:
        raise typer.Exit(1)
