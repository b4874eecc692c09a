"""The command line: thin commands over the package, one file per subject."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line; the entry point ``hwbnn``."""
    # Raise an exception, so that programs that a command has started end with it. Under nohup
    # SIGHUP is ignored, and it stays ignored.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)
    # File names may contain characters that the terminal's encoding lacks.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        from hwbnn.cli.app import app
        from hwbnn.cli.failures import discard_output

        try:
            app()
        finally:
            sys.stdout.flush()  # now, while an error can still be told
    except KeyboardInterrupt:  # while Python imports
        sys.exit(128 + signal.SIGINT)
    except OSError as error:  # of the flush: nobody reads on, or the disk is full
        discard_output()
        if isinstance(error, BrokenPipeError):
            sys.exit(128 + signal.SIGPIPE)
        sys.stderr.write(f"error: standard output: {error.strerror}\n")
        sys.exit(2)


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
