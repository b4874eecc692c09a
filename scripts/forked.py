"""Runs pytest in forks of this process, which has already imported the slow modules.

The project itself must not be imported here: every fork imports it anew, with the change to test.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTING = ("pytest", "hypothesis", "hypothesis.strategies")
HEAVY = (*TESTING, "numpy", "numba", "torch", "lightning", "sklearn", "hls4ml")
HEAVY += ("typer.testing", "rich.console", "safetensors.numpy", "matplotlib")
"""Modules that many tests import; missing ones are skipped."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WALL = 12
"""Limit of wall-clock time over the limit of processor time, for runs on a busy machine."""


@dataclass(frozen=True)
class Outcome:
    """How a run of pytest ended.

    Attributes:
        status: pytest's exit status; None if the run was ended because it took too long.
        failed: the first test that failed.
        seconds: processor time, including the programs that it started.
    """

    status: int | None
    failed: str
    seconds: float


class FirstFailure:
    """A plugin of pytest that writes the name of the first test that fails."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Record the first failed phase of a test."""
        if report.failed and not self.file.exists():
            self.file.write_text(report.nodeid)


def preload(names: Sequence[str]) -> None:
    """Import the installed ones of these modules, which forks will need."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def pytest_in_fork(
    tree: Path, arguments: Sequence[str], limit: float, environment: Mapping[str, str]
) -> Outcome:
    """Run pytest in a copy of the repository.

    Args:
        tree: the copy.
        arguments: pytest's arguments, without the program's name.
        limit: limit of the process' processor time in seconds.
        environment: environment variables to set.
    """
    with tempfile.TemporaryDirectory(prefix="hwbnn-mutant-") as folder:
        failure = Path(folder) / "failed"
        # An exception of a signal handler inside a fork's own callbacks would be lost.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        process = os.fork()
        if process == 0:
            _child(tree, arguments, limit, environment, Path(folder))
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            status, used = _wait(process, time.monotonic() + WALL * limit)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process, signal.SIGKILL)  # what it may have left running
        failed = failure.read_text() if failure.is_file() else ""
    # These signals mean the limit of processor time (SIGXCPU) or of wall-clock time (SIGKILL);
    # other signals mean a crash.
    ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    code = None if ended in (signal.SIGXCPU, signal.SIGKILL) else os.waitstatus_to_exitcode(status)
    return Outcome(code, failed, used.ru_utime + used.ru_stime)


def _wait(process: int, until: float) -> tuple[int, resource.struct_rusage]:
    """The status of a fork and its resource usage; ends the fork after its wall-clock limit."""
    try:
        while time.monotonic() < until:
            ended, status, used = os.wait4(process, os.WNOHANG)
            if ended:
                return status, used
            time.sleep(0.02)
    except BaseException:
        _kill(process)
        os.wait4(process, 0)
        raise
    _kill(process)
    _, status, used = os.wait4(process, 0)
    return status, used


def _kill(process: int) -> None:
    """End a fork and the processes that it has started."""
    for kill in (os.killpg, os.kill):  # it may have no group of its own yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(process, signal.SIGKILL)


def _child(
    tree: Path,
    arguments: Sequence[str],
    limit: float,
    environment: Mapping[str, str],
    folder: Path,
) -> None:
    """Run pytest in the fork; never returns."""
    status = 3
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 6))
        os.environ.update(environment)
        os.chdir(tree)
        null = os.open(os.devnull, os.O_RDWR)
        out = os.open(folder / "output", os.O_RDWR | os.O_CREAT)
        for stream, target in ((0, null), (1, out), (2, out)):
            os.dup2(target, stream)
        sys.dont_write_bytecode = True
        here = str(Path(__file__).resolve().parent.parent)
        sys.path[:] = [str(tree), *(p for p in sys.path if p not in ("", here, str(tree)))]
        for name in [n for n in sys.modules if n.partition(".")[0] in ("scripts", "hwbnn")]:
            del sys.modules[name]
        import pytest

        # Plugins that are imported before pytest starts cause this warning, which may be an error.
        arguments = ["-W", "ignore::pytest.PytestAssertRewriteWarning", *arguments]
        status = int(pytest.main(arguments, plugins=[FirstFailure(folder / "failed")]))
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)
