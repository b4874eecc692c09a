"""A pytest plugin that records which functions each test calls, for mutation testing.

Only calls are traced, not lines, so tests take little longer. Functions that numba compiles, and
calls in other processes, are not recorded.

    TOUCHED=FILE python -m pytest -p scripts.touched tests/graph
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

ROOT = f"{Path(__file__).resolve().parent.parent}/"


def cpu_seconds() -> float:
    """Processor time of this process and of the finished programs that it has started.

    Unlike wall-clock time it hardly depends on the load of the machine.
    """
    used = os.times()
    return time.process_time() + used.children_user + used.children_system


class Touched:
    """Collects the calls while a phase of a test runs."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.tests: dict[str, dict[str, Any]] = {}

    def trace(self, calls: set[str]) -> Any:
        """A trace function that records calls and does not trace lines."""

        def note(frame: FrameType, event: str, _: object) -> None:
            code = frame.f_code
            if code.co_filename.startswith(ROOT):
                calls.add(f"{code.co_filename[len(ROOT) :]}:{code.co_firstlineno}")

        return note

    def phase(self, item: pytest.Item, name: str) -> Generator[None, None, None]:
        """Trace one phase of a test."""
        calls: set[str] = set()
        begun, before = cpu_seconds(), sys.gettrace()
        sys.settrace(self.trace(calls))
        try:
            yield
        finally:
            sys.settrace(before)
            entry = self.tests.setdefault(
                item.nodeid, {"seconds": 0.0, "hardware": _is_hardware(item)}
            )
            entry["seconds"] += cpu_seconds() - begun
            entry[name] = sorted(c for c in calls if c.startswith("hwbnn/"))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Trace the fixtures; those of a module are made in the first test that uses them."""
        yield from self.phase(item, "setup")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Trace the test itself."""
        yield from self.phase(item, "call")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Mark tests that fail without a mutant, because they cannot detect one."""
        if report.failed and report.nodeid in self.tests:
            self.tests[report.nodeid]["failed"] = True

    def pytest_sessionfinish(self) -> None:
        """Write the calls of all tests."""
        self.file.write_text(json.dumps(self.tests))


def _is_hardware(item: pytest.Item) -> bool:
    return item.get_closest_marker("hardware") is not None


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin if ``TOUCHED`` names a file."""
    if "TOUCHED" in os.environ:
        config.pluginmanager.register(Touched(Path(os.environ["TOUCHED"])))
