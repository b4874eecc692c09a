"""The comparison of methods: statistics, order, going on after a stop, and what it tells."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks.methods import compare as methods
from benchmarks.methods import table as methods_table
from benchmarks.methods.paired import Run, half_interval, rows
from hwbnn.methods import METHODS
from hwbnn.training import Recipe, train

ROOT = Path(__file__).parent.parent.parent


def runs_of(method: str, accuracies: list[float], seconds: float = 1.0) -> list[Run]:
    return [Run(method, seed, a, seconds) for seed, a in enumerate(accuracies)]


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    base, other = [0.90, 0.91, 0.89, 0.92], [0.88, 0.90, 0.885, 0.89]
    found = rows([*runs_of("bnn_ste", base, 2.0), *runs_of("other", other, 3.0)], "bnn_ste")[1]
    test = stats.ttest_rel(other, base).confidence_interval(0.95)
    assert found.difference is not None
    assert found.half is not None
    assert found.difference - found.half == pytest.approx(test.low)
    assert found.difference + found.half == pytest.approx(test.high)
    assert found.is_below == (test.high < 0)
    assert found.time == 1.5
    assert (found.seeds, found.pairs) == (4, 4)
    assert (found.lowest, found.highest) == (0.88, 0.9)
    assert found.accuracy == pytest.approx(np.mean(other))


def test_only_shared_seeds_are_paired_and_one_gives_no_interval() -> None:
    found = rows([*runs_of("bnn_ste", [0.9]), *runs_of("other", [0.8, 0.99])], "bnn_ste")[1]
    assert (found.seeds, found.pairs, found.half) == (2, 1, None)
    assert found.difference == pytest.approx(-0.1)
    assert not found.is_below
    alone = rows(runs_of("other", [0.8]), "bnn_ste")[0]
    assert (alone.difference, alone.time) == (None, None)
    assert half_interval([0.5]) is None


def test_a_method_is_below_when_its_whole_interval_is() -> None:
    base = runs_of("bnn_ste", [0.9, 0.9, 0.9])
    sure = rows([*base, *runs_of("a", [0.88, 0.881, 0.879])], "bnn_ste")[1]
    unsure = rows([*base, *runs_of("b", [0.80, 0.91, 0.89])], "bnn_ste")[1]
    above = rows([*base, *runs_of("c", [0.92, 0.921, 0.919])], "bnn_ste")[1]
    assert [sure.is_below, unsure.is_below, above.is_below] == [True, False, False]


def test_the_first_seed_of_all_methods_comes_first() -> None:
    planned = methods.tasks(Path("runs"), ["digits", "sfc"], METHODS)
    assert len(planned) == 13 * len(METHODS)
    assert len({task.folder for task in planned}) == len(planned)
    first = planned[: 2 * len(METHODS)]
    assert {task.recipe.seed for task in first} == {0}
    assert [task.recipe.method for task in first] == [*METHODS, *METHODS]
    assert [task.recipe.seed for task in planned] == sorted(task.recipe.seed for task in planned)
    sfc = next(task.recipe for task in planned if task.experiment == "sfc")
    kept = Recipe.read(ROOT / "models" / "sfc" / "recipe.toml")
    assert sfc == replace(kept, seed=0, about="", method=sfc.method, hyper=sfc.hyper)
    assert (sfc.epochs, sfc.held_out) == (40, 0)


def test_tuning_never_trains_on_what_it_looks_at() -> None:
    planned = methods.tuning(Path("runs"), "sfc", ["bnn_ste"], 5)
    assert {task.recipe.held_out for task in planned} == {5000}
    assert {task.recipe.epochs for task in planned} == {5}
    assert [dict(task.recipe.hyper) for task in planned] == [{}, {"glorot_lr": True}]
    assert len({task.folder for task in planned}) == 2


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> methods.Experiment:
    """The digits experiment, of one epoch and two seeds."""

    class Short(methods.Experiment):
        def recipe(self) -> Recipe:
            return replace(super().recipe(), epochs=2)

    experiment = Short("digits", 2, 300)
    monkeypatch.setattr(methods, "EXPERIMENTS", {"digits": experiment})
    return experiment


def test_a_stopped_comparison_goes_on(short: methods.Experiment, tmp_path: Path) -> None:
    first, second = methods.tasks(tmp_path, ["digits"], ["bnn_ste"])
    train(first.recipe, first.folder, until=1)  # as if killed
    assert first.finished() is None
    assert methods.run(first) is None
    history = first.finished()
    assert history is not None
    assert len(history["epochs"]) == 2
    before = (first.folder / "history.json").read_bytes()
    assert methods.run(first) is None
    assert (first.folder / "history.json").read_bytes() == before
    told = methods.collect([first, second], {})["experiments"]["digits"]
    assert [(row["method"], row["seeds"]) for row in told["rows"]] == [("bnn_ste", 1)]


def test_a_run_by_another_recipe_is_kept_aside(short: methods.Experiment, tmp_path: Path) -> None:
    task = methods.tasks(tmp_path, ["digits"], ["bnn_ste"])[0]
    other = replace(task.recipe, epochs=1)
    train(other, task.folder)
    assert task.finished() is None
    assert methods.run(task) is None
    assert task.finished() is not None
    aside = task.folder.with_name(f"bnn_ste-0.{other.digest[:8]}")
    assert Recipe.read(aside / "recipe.toml") == other


def test_a_run_that_another_process_is_at_is_left_to_it(
    short: methods.Experiment, tmp_path: Path
) -> None:
    task = methods.tasks(tmp_path, ["digits"], ["bnn_ste"])[0]
    task.folder.parent.mkdir(parents=True)
    with task.folder.with_name("bnn_ste-0.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert methods.run(task) is None
    assert not task.folder.exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_fails_is_told_and_the_others_are_made(
    short: methods.Experiment, tmp_path: Path, jobs: int
) -> None:
    planned = methods.tasks(tmp_path, ["digits"], ["bnn_ste"])
    planned[0].folder.mkdir(parents=True)
    (planned[0].folder / "recipe.toml").write_text("no recipe")
    reasons = [wrong for _, wrong in methods.each(planned, jobs)]
    assert reasons[0] is not None
    assert "no valid TOML" in reasons[0]
    assert reasons[1] is None
    assert planned[1].finished() is not None
    found = methods.collect(planned, {"digits/bnn_ste-0": reasons[0]})
    assert "## Failed\n\n- digits/bnn_ste-0: bnn_ste-0: InputError" in methods_table.page(found)


def page_of(rows_found: list[dict[str, Any]], explanations: dict[str, Any]) -> str:
    experiment = {
        "recipe": "models/sfc/recipe.toml",
        "data": "mnist",
        "epochs": 40,
        "test images": 10_000,
        "rows": rows_found,
        "hyper": {"bnn_ste": {}, "other": {"k": 3}},
    }
    return methods_table.page(
        {
            "baseline": "bnn_ste",
            "experiments": {"sfc": experiment},
            "explanations": explanations,
            "failed": {},
            "machine": {"cpu": "a processor", "versions": {"torch": "2"}},
        }
    )


def test_a_method_below_is_marked_and_explained() -> None:
    base, below = runs_of("bnn_ste", [0.9, 0.9, 0.9]), runs_of("other", [0.88, 0.881, 0.879])
    told = [{**vars(row), "below": row.is_below} for row in rows([*base, *below], "bnn_ste")]
    page = page_of(told, {"other": {"why": "It has less.", "test": "tests/x.py::test_less"}})
    assert "| `other` \\* | 3 | 88.00% | 87.90% to 88.10% | -2.00 | -2.25 to -1.75 | 1.00 |" in page
    assert "| `bnn_ste` | 3 | 90.00% | 90.00% to 90.00% | baseline |  | 1.00 |" in page
    assert "- `other`: It has less. (`tests/x.py::test_less`)" in page
    assert "- `other`: k = 3" in page
    assert "- `other`: not explained yet" in page_of(told, {})


def test_the_settings_are_those_of_methods_there_are_and_name_tests_there_are() -> None:
    import tomllib

    known = tomllib.loads(methods.SETTINGS.read_text())
    entries = {"method", "hyper", "candidates", "below", "test", *methods.EXPERIMENTS}
    for method, table in known.items():
        assert set(table) <= entries, method
        assert table.get("method", method) in METHODS
        assert ("method" in table) == (method not in METHODS)
        assert ("below" in table) == ("test" in table), method
        if "test" in table:
            file, *_, name = table["test"].split("::")
            text = (ROOT / file).read_text()
            assert re.search(rf"^ *def {re.escape(name)}\(", text, re.MULTILINE)
    every = methods.tasks(Path("runs"), list(methods.EXPERIMENTS), list(methods.settings()))
    assert len({task.folder for task in every}) == len({t.recipe.digest for t in every})


def test_it_runs_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.methods", "--runs", str(tmp_path / "runs")]
    command += ["--collect", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("# Methods side by side")
    assert json.loads((tmp_path / "out" / "methods.json").read_text())["experiments"] == {}
