"""Starting programs: logs, failures, timeouts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hwbnn.errors import ToolFailed
from hwbnn.tools import run
from tests.sleepers import SLEEPER, was_ended


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_goes_to_the_log_and_to_the_caller(tmp_path: Path) -> None:
    seen: list[str] = []
    code = "import sys; print('one'); print('two', file=sys.stderr)"
    log = tmp_path / "log"
    done = run(_python(code), cwd=tmp_path, log=log, on_line=seen.append)
    assert sorted(seen) == sorted(done.tail) == ["one", "two"]
    first, *rest = log.read_text().splitlines()
    assert first.startswith(sys.executable)
    assert sorted(rest) == ["one", "two"]


def test_words_are_not_read_by_a_shell(tmp_path: Path) -> None:
    word = "$(touch planted); `touch planted` > planted"
    done = run([*_python("import sys; print(sys.argv[1])"), word], cwd=tmp_path)
    assert done.tail == (word,)
    assert not list(tmp_path.iterdir())


def test_a_failure_is_one_line_with_the_error_and_the_log(tmp_path: Path) -> None:
    code = "print('reading\\nError:  no top   module\\nleaving'); raise SystemExit(3)"
    with pytest.raises(ToolFailed) as caught:
        run(_python(code), cwd=tmp_path, log=tmp_path / "log")
    name = Path(sys.executable).name
    expected = f"{name}: ended with status 3: Error: no top module; the log is {tmp_path / 'log'}"
    assert str(caught.value) == expected


def test_a_crash_is_named_by_its_signal(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="ended by SIGSEGV: it printed nothing"):
        run(_python("import os; os.kill(os.getpid(), 11)"), cwd=tmp_path)


def test_a_missing_program_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="nowhere: cannot be started: No such file"):
        run([tmp_path / "nowhere"], cwd=tmp_path)


def test_a_timeout_ends_the_program_and_its_children(tmp_path: Path) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"
    timeout = 0.4
    while not (tmp_path / "begun").is_file():  # a busy machine takes longer to start it
        with pytest.raises(ToolFailed, match=rf"not done after {timeout} s"):
            run(_python(code), cwd=tmp_path, timeout=timeout)
        timeout *= 2
    assert was_ended(tmp_path)


def test_an_interrupted_caller_leaves_nothing_running(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(_python(SLEEPER), cwd=tmp_path, on_line=interrupt)
    assert was_ended(tmp_path)
