"""Turns errors into one clear line on standard error and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import typer

from hwbnn.cli.output import complain, note
from hwbnn.errors import ConstantOutput, GoalMissed, HwbnnError, Mismatch, nearest

UsageError: Any = typer.BadParameter.__base__
"""The usage error of the click that Typer uses, which may be Typer's own copy."""


@contextmanager
def one_line() -> Iterator[None]:
    """Turn every expected error into one line; other errors are defects and keep their trace.

    The exit status is 1 for a mismatch or a missed goal, 130 for an interrupt, and 2 for problems
    that the user can solve: arguments, files, permissions, space, memory, missing packages.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("always", ConstantOutput)
            yield
    except HwbnnError as error:
        complain(str(error))
        raise typer.Exit(1 if isinstance(error, Mismatch | GoalMissed) else 2) from None
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        complain(_usage(error))
        raise typer.Exit(2) from None
    except ModuleNotFoundError as error:
        from hwbnn.tools.packages import explained

        explanation = explained(error)
        if explanation is error:
            raise
        complain(str(explanation))
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        complain("interrupted")
        raise typer.Exit(128 + signal.SIGINT) from None
    except BrokenPipeError:  # such as `hwbnn list models | head -1`: nobody reads on
        discard_output()
        raise typer.Exit(128 + signal.SIGPIPE) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        complain(f"{where}{error.strerror or error}")
        raise typer.Exit(2) from None
    except (UnicodeEncodeError, UnicodeDecodeError) as error:
        complain(f"a text holds characters that cannot be read or written ({error.reason})")
        raise typer.Exit(2) from None
    except MemoryError as error:
        complain(f"not enough memory: {error or 'give the command less at once'}")
        raise typer.Exit(2) from None


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning on standard error, in one line, without our source location."""
    note(f"warning: {message}")


def discard_output() -> None:
    """Discard output that is not yet printed, so that Python can end without another error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: Any) -> str:
    """One line with the mistake, the command, and the accepted alternatives."""
    said = error.format_message().strip().rstrip(".")
    ctx = error.ctx
    if ctx is None:
        return str(said)
    if type(error).__name__ == "NoSuchOption":
        wrong = error.option_name
        options = [o for p in ctx.command.params for o in p.opts if o.startswith("--")]
        said = f"no option {wrong}; expected one of {nearest(wrong, [*options, '--help'])}"
    command = " ".join(["hwbnn", *ctx.command_path.split()[1:]])
    return f"{said}; see '{command} --help'"
