"""A skipped test fails the run: what is not run here is not shown, so nothing is left out."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run try more damaged files than continuous integration does."""
    parser.addoption(
        "--mutants", type=int, help="damaged files of each kind to try; by default 200 or fewer"
    )
    parser.addoption("--mutant-seed", type=int, default=0, help="seed of the damage")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a run with skipped tests into a failed one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why such a run failed; the reasons stand in the short summary."""
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_line(f"error: {skipped} skipped, expected none", red=True)
