"""The command line: thin commands over the package, one file for each few of them."""

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
    from hwbnn.cli.app import app

    app()


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
