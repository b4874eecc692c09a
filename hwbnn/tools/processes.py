"""Running external programs: output goes to a log, a failure becomes an error of one line."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbnn.errors import ToolFailed

TAIL_LINES = 20
_ERROR = re.compile(r"\b(?:error|fatal|exception|assert\w*)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Finished:
    """A program that ended with status 0.

    Attributes:
        seconds: wall-clock time of the run.
        tail: the last lines of its output.
    """

    seconds: float
    tail: tuple[str, ...]


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    on_line: Callable[[str], None] | None = None,
    name: str | None = None,
) -> Finished:
    """Run a program to its end, never through a shell.

    The program has a process group of its own. At a timeout, or when an exception ends the wait for
    it (an interrupt, or an exception of a signal handler), all processes of this group are killed,
    so that no compiler or simulator is left running.

    Args:
        command: program and arguments.
        cwd: working directory of the program.
        log: file for the command line and all output (standard output and error).
        env: environment variables, such as those of :func:`hwbnn.tools.environment`; None for those
            of this process.
        timeout: longest time in seconds; None for no limit.
        on_line: called with each line of output; an exception that it raises ends the program.
        name: name of the program in messages; by default its file name.

    Raises:
        ToolFailed: if the program cannot be started, ends with a status other than 0 or takes too
            long; the message has the first error among its last lines, and names the log.
    """
    words = [str(word) for word in command]
    name = name or Path(words[0]).name
    where = f"; the log is {log}" if log else ""
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(log.open("w", encoding="utf-8")) if log else None
        if out:
            out.write(shlex.join(words) + "\n")
        try:
            process = subprocess.Popen(
                words,
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise ToolFailed(f"{name}: cannot be started: {error.strerror}") from error
        late = stack.enter_context(_deadline(process, timeout))
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if out:
                    out.write(line)
                tail.append(line.rstrip())
                if on_line is not None:
                    on_line(line.rstrip())
            status = process.wait()
        finally:
            _end(process)
    if late.is_set():
        raise ToolFailed(f"{name}: not done after {timeout:g} s, ended{where}")
    if status:
        raise ToolFailed(f"{name}: {_status(status)}: {telling(tail)}{where}")
    return Finished(time.monotonic() - begin, tuple(tail))


def telling(lines: Sequence[str] | deque[str], length: int = 300) -> str:
    """The line that most probably says what went wrong: the first error, or else the last line."""
    spoken = [" ".join(line.split()) for line in lines if line.strip()]
    errors = [line for line in spoken if _ERROR.search(line)]
    return (errors[:1] or spoken[-1:] or ["it printed nothing"])[0][:length]


def _status(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[str], timeout: float | None) -> Iterator[threading.Event]:
    """End the program after ``timeout`` seconds; the event is set if that happened."""
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(timeout, end) if timeout is not None else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        yield late
    finally:
        if timer:
            timer.cancel()


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[str]) -> None:
    """End a program and its running children, and wait for the program."""
    if process.returncode is None:
        _kill(process)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
