"""A skipped test fails the run: what is not run here is not shown, so nothing is left out."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run try more damaged files than continuous integration does."""
    parser.addoption(
        "--mutants", type=int, help="damaged files of each kind to try; by default 200 or fewer"
    )
    parser.addoption("--mutant-seed", type=int, default=0, help="seed of the damage")
    parser.addoption(
        "--thorough", action="store_true", help="also the cases that are many of one kind"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases marked ``thorough``, unless ``--thorough`` is given."""
    if config.getoption("--thorough"):
        return
    kept = [item for item in items if item.get_closest_marker("thorough") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


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
