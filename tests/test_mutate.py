"""Mutation testing: what is changed in a source, which tests are chosen, and who survives."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.lock import locked
from scripts.mutants import Mutant, is_one, mutants
from scripts.mutate import Suite, main

REPOSITORY = Path(__file__).resolve().parent.parent

SOURCE = b'''"""A module of \xc2\xb1 1."""
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import os

LIMIT = 3
Kind = Literal[1, 2]


def small(n: int, most: int = LIMIT) -> bool:
    """Whether n is small."""
    if n < 0:
        raise ValueError(f"{n + 1}: at least {0}")
    return n <= most
'''


def test_all_kinds_of_faults_are_made_and_nothing_else_is_touched() -> None:
    found = mutants("m.py", SOURCE)
    assert [(m.line, m.kind, m.before, m.after) for m in found] == [
        (7, "constant", "3", "(2)"),
        (7, "constant", "3", "4"),
        (13, "comparison", "n < 0", "(n <= 0)"),
        (13, "condition", "n < 0", "(not (n < 0))"),
        (13, "constant", "0", "(-1)"),
        (13, "constant", "0", "1"),
        (14, "removed", 'raise ValueError(f"{n + 1}: at least {0}")', "pass"),
        (15, "return", "return n <= most", "return None"),
        (15, "comparison", "n <= most", "(n < most)"),
    ]
    assert [m.function for m in found] == [0, 0, *[11] * 7]
    for mutant in found:
        assert is_one(mutant, SOURCE)
        changed = mutant.applied(SOURCE)
        assert SOURCE.replace(mutant.before.encode(), mutant.after.encode(), 1) != SOURCE
        assert len(changed) - len(SOURCE) == len(mutant.after) - len(mutant.before)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("x = a and not b", ["(a or not b)", "(b)"]),
        ("x = a is None", ["(a is not None)"]),
        ("x = a in b < c", ["(a in b <= c)", "(a not in b < c)"]),
        ("x = a // 2", ["3", "(1)", "(a * 2)"]),
        ("x = a << True", ["(a >> True)", "False"]),
        ("x += a", ["pass"]),
        ("call(a)", ["pass"]),
        ("x = '%s' % a", []),
        ("x: Literal[3] = a", []),
        ("x = a if b else c", ["(not (b))"]),
    ],
)
def test_a_fault_of_each_kind(text: str, after: list[str]) -> None:
    source = f"{text}\n".encode()
    found = [m for m in mutants("m.py", source) if is_one(m, source)]
    assert sorted(m.after for m in found) == sorted(after)


def test_a_sum_over_two_lines_stays_python() -> None:
    source = b"x = (\n    a\n    + b\n)\n"
    (mutant,) = mutants("m.py", source)
    assert ast.unparse(ast.parse(mutant.applied(source))) == "x = a - b"


def test_tests_are_chosen_by_what_they_call_quickest_first_within_their_budgets() -> None:
    def entry(seconds: float, *call: str, **more: object) -> dict[str, object]:
        return {"seconds": seconds, "hardware": False, "setup": [], "call": list(call), **more}

    tests = Suite.read(
        {
            "a": {
                "a::slow": entry(9, "hwbnn/f/f.py:1"),
                "a::quick": entry(1, "hwbnn/f/f.py:1"),
                "a::broken": entry(0, "hwbnn/f/f.py:1", failed=True),
                "a::core": entry(50, "hwbnn/f/f.py:1", hardware=True),
                "a::other": entry(1, "hwbnn/f/f.py:7"),
            },
            "b": {"b::makes": entry(2, setup=["hwbnn/f/f.py:9"]), "b::uses": entry(3)},
            "tests/f/f": {"tests/f/f::near": entry(2, "hwbnn/f/g.py:5")},
            "c": {"c::far": entry(1, "hwbnn/f/g.py:5"), "c::near": entry(0.5, "hwbnn/f/g.py:5")},
        }
    )

    def chosen(
        function: int, budget: float = 20, hardware: float = 60, file: str = "f"
    ) -> list[str]:
        mutant = Mutant(f"hwbnn/f/{file}.py", 1, 0, 1, "", "", "", function)
        return tests.chosen(mutant, budget, hardware)

    assert chosen(1) == ["a::quick", "a::slow", "a::core"]
    assert chosen(1, 9.5, 0) == ["a::quick"]
    # A test of the same room goes before one that takes a little less.
    assert chosen(5, file="g") == ["c::near", "tests/f/f::near", "c::far"]
    # A fixture of the file may be what another of its tests looks at.
    assert chosen(9) == ["b::makes", "b::uses"]
    # Nothing is seen to call it: all that call anything in its file.
    assert chosen(0, hardware=0) == ["a::other", "a::quick", "b::makes", "b::uses", "a::slow"]


TESTED = """
def least(a, b):
    return a if a < b else b


def double(a):
    return a + a


def unused(a):
    return a - 1
"""
ITS_TESTS = """
from hwbnn.graph.small import double, least

def test_least():
    assert least(1, 2) == 1 and least(3, 2) == 2 and least(2, 2) == 2

def test_double():
    double(4)
"""


STATUSES = {
    ("a < b", "(a <= b)"): "survived",  # equal numbers are one number
    ("a < b", "(not (a < b))"): "killed",
    ("return a if a < b else b", "return None"): "killed",
    ("a + a", "(a - a)"): "survived",
    ("return a + a", "return None"): "survived",
    ("a - 1", "(a + 1)"): "survived",
    ("1", "2"): "survived",
    ("1", "(0)"): "survived",
    ("return a - 1", "return None"): "survived",
}
SMALL = "hwbnn/graph/small.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository of one file, its tests and the scripts; its map is made, in the folder w."""
    files = {SMALL: TESTED, "tests/test_small.py": ITS_TESTS, ".gitignore": "/w/"}
    files["pyproject.toml"] = '[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n'
    files |= {f"hwbnn/{folder}__init__.py": "" for folder in ("", "graph/")}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    shutil.copytree(REPOSITORY / "scripts", tmp_path / "scripts")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "All"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    assert "tests/test_small.py: 2 tests" in mutate(tmp_path, "map")
    return tmp_path


def begun(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.mutate", "--work", "w", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def mutate(project: Path, *arguments: str) -> str:
    process = begun(project, *arguments)
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    return out


def tried(project: Path) -> list[dict[str, Any]]:
    """The results so far."""
    lines = (project / "w" / "mutants.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def statuses(project: Path) -> dict[tuple[str, str], str]:
    return {(r["before"], r["after"]): r["status"] for r in tried(project)}


def test_it_finds_what_no_test_notices_and_goes_on_where_it_stopped(project: Path) -> None:
    first = mutate(project, "run", "--rooms", "graph", "--mutants", "3")
    assert first.count("of 3 ") == 3
    with (project / "w" / "mutants.jsonl").open("a") as stream:
        stream.write('{"name": "half a li')  # killed while it wrote
    second = mutate(project, "run", "--rooms", "graph", "--mutants", "100")
    assert len(tried(project)) == 9
    assert statuses(project) == STATUSES
    assert "9 tried, 2 killed" in second
    assert (project / "w" / "tree" / SMALL).read_text() == TESTED
    assert (project / "w" / "report.md").read_text() == mutate(project, "report")


def test_survivors_are_tried_again_with_new_tests(project: Path) -> None:
    mutate(project, "run", "--rooms", "graph", "--mutants", "100")
    new = project / "tests" / "test_new.py"
    new.write_text(
        "from hwbnn.graph.small import double\n\ndef test_sum():\n    assert double(4) == 8\n"
    )
    told = mutate(project, "again", "tests/test_new.py", "--new")
    now = statuses(project)
    assert {k for k, v in now.items() if v != STATUSES[k]} == {
        ("a + a", "(a - a)"),
        ("return a + a", "return None"),
    }
    assert "9 tried, 4 killed" in told
    new.write_text("def test_wrong():\n    assert False\n")
    process = begun(project, "again", "tests/test_new.py", "--new")
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "without any mutant tests/test_new.py::test_wrong failed" in errors


def test_killed_in_the_middle_of_a_mutant_it_comes_to_the_same_results(project: Path) -> None:
    file = project / "w" / "tree" / SMALL
    for kill in (signal.SIGTERM, signal.SIGKILL):
        process = begun(project, "run", "--rooms", "graph", "--mutants", "100")
        while file.read_text() == TESTED:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(kill)
        process.communicate()
        assert process.returncode == (128 + kill if kill == signal.SIGTERM else -kill)
        assert (file.read_text() == TESTED) == (kill == signal.SIGTERM)
        assert not tried(project)
    mutate(project, "run", "--rooms", "graph", "--mutants", "100")
    assert len(tried(project)) == 9
    assert statuses(project) == STATUSES
    assert file.read_text() == TESTED


def test_tests_that_take_longer_than_the_budget_are_told_apart_from_none(project: Path) -> None:
    mutate(project, "run", "--rooms", "graph", "--mutants", "100", "--budget", "0")
    assert set(statuses(project).values()) == {"its tests take too long"}
    assert "9 with tests that take too long" in mutate(project, "report")


def test_a_second_run_in_the_same_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(tmp_path):
        for verb in ("map", "run"):
            assert main(["--work", str(tmp_path), verb]) == 2
            assert "another run works there" in capsys.readouterr().err
