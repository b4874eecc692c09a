"""A program that sleeps for long, and whether it was ended before it woke, without a clock."""

from __future__ import annotations

import fcntl
from pathlib import Path

SLEEPER = """
import fcntl, time
held = open("held", "w")
fcntl.flock(held, fcntl.LOCK_EX)
open("begun", "w").close()
print("begun", flush=True)
time.sleep(60)
open("late", "w").close()
"""
"""Code in Python: holds a lock in its folder as long as it runs, and leaves a file if it wakes."""


def was_ended(folder: Path) -> bool:
    """Whether the sleeper of a folder has begun and was ended; waits for its end, whichever.

    However slow the machine is: the lock is free once the program is gone.
    """
    if not (folder / "begun").is_file():
        return False
    with (folder / "held").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
    return not (folder / "late").exists()
