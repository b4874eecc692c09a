"""A lock on a folder, which a process holds until it ends in any way."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


def locked(folder: Path) -> IO[str]:
    """Make the folder and lock it; the lock is held until the file returned is closed.

    Forks of this process do not hold the lock, so a fork that outlives a killed process blocks
    nobody.

    Raises:
        BlockingIOError: if another process holds the lock.
        OSError: if the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        lock.close()
        raise
    os.register_at_fork(after_in_child=lock.close)
    return lock
