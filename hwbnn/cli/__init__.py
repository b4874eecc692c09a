"""The command line: thin commands over the package, one file for those of one subject."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line; the entry point ``hwbnn``."""
    # As an exception, so that the programs that a command has started are ended with it; nohup has
    # SIGHUP ignored, which it stays.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)
    # Names of files may hold what the terminal's encoding cannot express.
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
