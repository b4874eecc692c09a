"""The queue of recipes: what it trains, when it stops, and what a kill at any moment leaves."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hwbnn.errors import InputError
from hwbnn.training import Recipe, train
from hwbnn.training.folder import CHECKPOINT
from scripts import train_queue
from scripts.train_queue import deadline, main, only_one, read_queue

REPOSITORY = Path(__file__).parents[2]
RECIPE = Recipe(
    "digits",
    "digits",
    12,
    input="pixels",
    batch=16,
    schedule="cosine",
    learning_rate=0.01,
    final_rate=0.0,
    augmentation="shift",
    shift=1,
    held_out=100,
    method="rbnn",
)
SHORT = replace(RECIPE, epochs=2, batch=64)
NOON = datetime(2026, 1, 31, 12, 0, 30)


def listed(folder: Path, **recipes: Recipe) -> Path:
    """A list of these recipes, with a remark and an empty line."""
    for name, recipe in recipes.items():
        (folder / f"{name}.toml").write_text(recipe.to_toml())
    lines = [f"{name}.toml  # {recipe.epochs} epochs" for name, recipe in recipes.items()]
    file = folder / "queue.txt"
    file.write_text("\n".join(["# what is trained", "", *lines]) + "\n")
    return file


def outcome(folder: Path) -> tuple[bytes, list[dict[str, Any]], float]:
    """Weights, epochs without their times, accuracy of a finished run."""
    told = json.loads((folder / "history.json").read_text())
    epochs = [{**e, "seconds": 0, "cpu_seconds": 0} for e in told["epochs"]]
    return (folder / "model.safetensors").read_bytes(), epochs, told["accuracy"]


def test_the_projects_own_queue_can_be_read(tmp_path: Path) -> None:
    jobs = read_queue(train_queue.QUEUE, tmp_path)
    assert jobs[0].folder.name == "cnv_rbnn"
    shown = subprocess.run(
        ["scripts/train-queue", "--status", "--runs", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [f"{job.folder.name}: 0 of {job.recipe.epochs} epochs" for job in jobs]
    assert shown.stdout.splitlines() == lines


def test_a_queue_trains_all_in_order_and_leaves_alone_what_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = listed(tmp_path, b=SHORT, a=replace(SHORT, seed=2))
    arguments = ["--queue", str(file), "--runs", str(tmp_path / "runs")]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert told.index("b: epoch 2 of 2") < told.index("a: epoch 1 of 2")
    assert "then 1 more" in told
    assert "expected to end" in told
    before = outcome(tmp_path / "runs" / "b")
    assert outcome(train(SHORT, tmp_path / "plain").folder) == before
    assert main(arguments) == 0
    assert not capsys.readouterr().out
    assert main([*arguments, "--status"]) == 0
    assert capsys.readouterr().out == "b: finished\na: finished\n"


def test_one_recipe_that_fails_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = listed(tmp_path, bad=SHORT, good=SHORT)
    runs = tmp_path / "runs"
    train(replace(SHORT, seed=9), runs / "bad", until=1)
    assert main(["--queue", str(file), "--runs", str(runs)]) == 1
    assert "bad: FAILED" in capsys.readouterr().out
    assert (runs / "good" / "history.json").is_file()


def test_it_stops_before_an_epoch_that_would_end_too_late(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = listed(tmp_path, a=SHORT, b=SHORT)
    runs = tmp_path / "runs"
    arguments = ["--queue", str(file), "--runs", str(runs)]
    # The time until the first epoch has ended, imports and all, is longer than what is left.
    stop = datetime.now().replace(microsecond=0)
    monkeypatch.setattr(train_queue, "deadline", lambda *_: stop)
    monkeypatch.setattr(train_queue, "datetime", _Before(stop))
    assert main(arguments) == 3
    assert "a: stopped for the time given, at 1 of 2 epochs" in capsys.readouterr().out
    assert not (runs / "b").exists()
    monkeypatch.undo()
    assert main(arguments) == 0
    assert outcome(runs / "a") == outcome(runs / "b")


class _Before:
    """A clock that stands a microsecond before a moment."""

    def __init__(self, stop: datetime) -> None:
        self.moment = stop.replace(second=max(0, stop.second - 1), microsecond=999_999)

    def now(self) -> datetime:
        return self.moment


@pytest.mark.parametrize(
    ("until", "minutes", "expected"),
    [
        ("12:01", None, datetime(2026, 1, 31, 12, 1)),
        ("12:00", None, datetime(2026, 2, 1, 12, 0)),
        ("7:30", None, datetime(2026, 2, 1, 7, 30)),
        (None, 1.5, datetime(2026, 1, 31, 12, 2)),
        (None, None, None),
    ],
)
def test_the_time_to_stop(
    until: str | None, minutes: float | None, expected: datetime | None
) -> None:
    assert deadline(until, minutes, NOON) == expected


@pytest.mark.parametrize(
    ("until", "minutes"), [("24:00", None), ("noon", None), (None, 0.0), ("12:30", 5.0)]
)
def test_a_time_that_makes_no_sense_is_refused(until: str | None, minutes: float | None) -> None:
    with pytest.raises(InputError, match=r"until|minutes"):
        deadline(until, minutes, NOON)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found none"),
        ("a.toml\nother/a.toml\n", "two recipes are named 'a'"),
        ("missing.toml\n", "cannot read the recipe"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = listed(tmp_path, a=SHORT)
    file.write_text(text)
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "a.toml", tmp_path / "other")
    with pytest.raises(InputError, match=message):
        read_queue(file, tmp_path)


def test_a_second_queue_over_the_same_runs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = listed(tmp_path, a=SHORT)
    with only_one(tmp_path / "runs"):
        assert main(["--queue", str(file), "--runs", str(tmp_path / "runs")]) == 2
    assert "another queue trains there" in capsys.readouterr().err


def _killed_after(command: list[str], line: str, delay: float) -> str:
    """Start the queue, and kill it a while after it has said something; what it said last."""
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for said in process.stdout:
        if line in said:
            time.sleep(delay)
            process.kill()
            break
    process.stdout.read()
    process.stdout.close()
    status = process.wait()
    return "killed" if status == -signal.SIGKILL else str(status)


def test_killed_at_random_moments_it_comes_to_the_same_weights(tmp_path: Path) -> None:
    whole = train(RECIPE, tmp_path / "whole")
    epoch = whole.seconds / RECIPE.epochs
    file, runs = listed(tmp_path, digits=RECIPE), tmp_path / "runs"
    command = [
        sys.executable,
        "-m",
        "scripts.train_queue",
        "--queue",
        str(file),
        "--runs",
        str(runs),
    ]
    moments = random.Random(14)
    killed = 0
    for line in ("goes on", "epoch 1 of", "epoch 8 of"):
        killed += _killed_after(command, line, moments.uniform(0, 2 * epoch)) == "killed"
    assert killed >= 2
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert outcome(runs / "digits") == outcome(whole.folder)


@pytest.mark.parametrize("moment", ["half a checkpoint", "weights without a history"])
def test_killed_while_it_writes_it_comes_to_the_same_weights(tmp_path: Path, moment: str) -> None:
    whole = train(SHORT, tmp_path / "whole")
    file, runs = listed(tmp_path, a=SHORT), tmp_path / "runs"
    arguments = ["--queue", str(file), "--runs", str(runs)]
    program = f"""
        import os, signal
        from pathlib import Path
        from scripts.train_queue import main
        replace = Path.replace
        def dies(self, target):
            name, last = Path(target).name, Path(target).exists()
            if {moment!r} == "half a checkpoint" and name == "last.ckpt" and last:
                self.write_bytes(self.read_bytes()[:1000])
                os.kill(os.getpid(), signal.SIGKILL)
            if {moment!r} != "half a checkpoint" and name == "history.json":
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(self, target)
        Path.replace = dies
        main({arguments!r})
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=REPOSITORY, env=dict(os.environ)
    )
    assert done.returncode == -signal.SIGKILL
    assert main(arguments) == 0
    assert outcome(runs / "a") == outcome(whole.folder)
    assert not list(runs.rglob("*.part"))


def test_a_damaged_checkpoint_stops_no_other_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, runs = listed(tmp_path, bad=SHORT, good=SHORT), tmp_path / "runs"
    checkpoint = train(SHORT, runs / "bad", until=1).folder / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    arguments = ["--queue", str(file), "--runs", str(runs)]
    assert main([*arguments, "--status"]) == 1
    bad, good = capsys.readouterr().out.splitlines()
    assert bad.startswith("bad: FAILED: ")
    assert "damaged" in bad
    assert good == "good: 0 of 2 epochs"
    assert main(arguments) == 1
    assert "bad: FAILED: " in capsys.readouterr().out
    assert (runs / "good" / "history.json").is_file()


def test_a_finished_run_of_a_changed_recipe_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, runs = listed(tmp_path, a=replace(SHORT, epochs=1)), tmp_path / "runs"
    arguments = ["--queue", str(file), "--runs", str(runs)]
    assert main(arguments) == 0
    listed(tmp_path, a=replace(SHORT, epochs=1, about="In other words."))
    assert main([*arguments, "--status"]) == 0
    capsys.readouterr()
    listed(tmp_path, a=SHORT)
    for more in ([], ["--status"]):
        assert main([*arguments, *more]) == 1
        told = capsys.readouterr().out
        assert "a: FAILED: " in told
        assert "finished run with epochs = 1, the recipe of the list has 2; move" in told


def test_an_error_of_the_system_in_training_fails_that_recipe_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def fails(_: Recipe, folder: Path, **__: object) -> None:
        begun.append(folder.name)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train_queue, "train", fails)
    file = listed(tmp_path, a=SHORT, b=SHORT)
    assert main(["--queue", str(file), "--runs", str(tmp_path / "runs")]) == 1
    assert begun == ["a", "b"]
    assert "b: FAILED: [Errno 28] No space left on device" in capsys.readouterr().out
    with pytest.raises(OSError, match="of the body"), only_one(tmp_path / "runs"):
        raise OSError("of the body")


def test_it_lowers_a_session_of_its_own_and_no_other() -> None:
    program = "from scripts import train_queue as q; q.give_way(); print(q.AUTOGROUP.read_text())"
    if not train_queue.AUTOGROUP.is_file():  # a kernel that weighs no sessions
        train_queue.give_way()
        return
    mine = train_queue.AUTOGROUP.read_text()
    for alone in (True, False):
        told = subprocess.run(
            [sys.executable, "-c", program],
            cwd=REPOSITORY,
            start_new_session=alone,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        assert told.endswith(" nice 19") if alone else told == mine.strip()
