"""Train the recipes of a list one after the other, and resume after a stop.

The first unfinished recipe of the list is resumed after its last complete epoch, then the next one.
A queue may be killed at any moment: at most the current epoch is repeated, and the weights are the
same, bit for bit. Runs are kept in $HWBNN_RUNS, else in ~/.local/share/hwbnn/runs, each in a folder
named after its recipe.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path

from hwbnn.errors import HwbnnError, InputError
from hwbnn.training import Epoch, Recipe, train
from hwbnn.training.folder import HISTORY, MODEL, RECIPE, finished_epochs
from scripts.lock import locked

REPOSITORY = Path(__file__).resolve().parent.parent
QUEUE = REPOSITORY / "recipes" / "queue.txt"
RUNS_VARIABLE = "HWBNN_RUNS"
RUNS = Path("~/.local/share/hwbnn/runs")
AUTOGROUP = Path("/proc/self/autogroup")


class OutOfTime(Exception):
    """Raised if the next epoch would not end in time, after the last checkpoint was written.

    Its text gives the progress of the run.
    """


@dataclass(frozen=True)
class Job:
    """A recipe of the list, and the folder of its run."""

    recipe: Recipe
    folder: Path

    @property
    def has_results(self) -> bool:
        """Whether the folder has results, of this recipe or of another one."""
        return (self.folder / MODEL).is_file() and (self.folder / HISTORY).is_file()

    def is_finished(self) -> bool:
        """Whether the run has trained all of its epochs and written its results.

        Raises:
            InputError: if the results belong to another recipe, or their recipe cannot be read.
        """
        if not self.has_results:
            return False
        found = Recipe.read(self.folder / RECIPE)
        for field in fields(Recipe):
            mine, theirs = getattr(self.recipe, field.name), getattr(found, field.name)
            # The entry 'about' does not affect the weights.
            if field.name != "about" and mine != theirs:
                raise InputError(
                    f"{self.folder}: holds a finished run with {field.name} = {theirs!r}, the "
                    f"recipe of the list has {mine!r}; move the folder away to train anew, or put "
                    "the recipe back"
                )
        return True

    def state(self) -> str:
        """The progress of the run in words.

        Raises:
            InputError: if the results belong to another recipe, or the checkpoint is damaged.
        """
        if self.is_finished():
            return "finished"
        return f"{finished_epochs(self.folder)} of {self.recipe.epochs} epochs"


def read_queue(file: Path, runs: Path) -> list[Job]:
    """The jobs of a list: one recipe file per line, relative to the list; ``#`` starts a comment.

    Raises:
        InputError: if the list or a recipe cannot be read, or two recipes have one name.
    """
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot read the list of recipes: {error}") from error
    jobs: dict[str, Job] = {}
    for line in lines:
        named = line.partition("#")[0].strip()
        if not named:
            continue
        path = file.parent / named
        if path.stem in jobs:
            raise InputError(f"{file}: two recipes are named {path.stem!r}; rename one file")
        jobs[path.stem] = Job(Recipe.read(path), runs / path.stem)
    if not jobs:
        raise InputError(f"{file}: expected a recipe's file on each line, found none")
    return list(jobs.values())


@contextmanager
def only_one(runs: Path) -> Iterator[None]:
    """Refuse a second queue over the same runs; a killed process leaves no lock.

    Raises:
        InputError: if another queue runs, or the folder cannot be written.
    """
    try:
        lock = locked(runs)
    except BlockingIOError:
        raise InputError(f"{runs}: another queue trains there; wait for it, or stop it") from None
    except OSError as error:
        raise InputError(f"{runs}: cannot keep runs there: {error.strerror}") from error
    with lock:
        yield


def deadline(until: str | None, minutes: float | None, now: datetime) -> datetime | None:
    """The time to stop: the next HH:MM of this machine's clock, or some minutes from now.

    Raises:
        InputError: if both are given, or one is invalid.
    """
    if until is not None and minutes is not None:
        raise InputError("expected one of --until and --minutes, found both")
    if minutes is not None:
        if not 0 < minutes < 1e6:
            raise InputError(f"--minutes: expected a positive number, found {minutes:g}")
        return now + timedelta(minutes=minutes)
    if until is None:
        return None
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", until):
        raise InputError(f"--until: expected a time of day as HH:MM, found {until!r}")
    hour, minute = map(int, until.split(":"))
    then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return then if then > now else then + timedelta(days=1)


class Teller:
    """Reports every epoch and the expected end of the run, and ends the run in time."""

    def __init__(self, job: Job, later: int, stop: datetime | None) -> None:
        self.job = job
        self.later = later
        self.stop = stop
        self.begun = time.monotonic()

    def __call__(self, epoch: Epoch) -> None:
        """Report an epoch whose checkpoint is written; raise if the next one would end too late."""
        now, tick = datetime.now(), time.monotonic()
        seconds, self.begun = tick - self.begun, tick
        left = self.job.recipe.epochs - epoch.epoch
        end = now + timedelta(seconds=seconds * left)
        held_out = "" if epoch.held_out is None else f", held out {epoch.held_out:.2%}"
        later = f", then {self.later} more" if self.later else ""
        told(
            f"{self.job.folder.name}: epoch {epoch.epoch} of {self.job.recipe.epochs}, loss "
            f"{epoch.loss:.4f}, training {epoch.accuracy:.2%}{held_out}, {seconds:.0f} s; "
            f"expected to end {end:%d %b %H:%M}{later}"
        )
        if left and self.stop is not None and now + timedelta(seconds=seconds) > self.stop:
            raise OutOfTime(f"{epoch.epoch} of {self.job.recipe.epochs} epochs")


def told(line: str) -> None:
    """Print a line that begins with the time."""
    print(f"{datetime.now():%d %b %H:%M:%S} {line}", flush=True)


def work(jobs: Sequence[Job], stop: datetime | None, data: Path | None) -> int:
    """Train unfinished jobs; 0 if all are finished then, 1 if one failed, 3 if time ran out."""
    failed = 0
    for number, job in enumerate(jobs):
        name = job.folder.name
        try:
            if job.is_finished():
                continue
            if stop is not None and datetime.now() >= stop:
                return 3
            told(f"{name}: goes on after {job.state()}")
            teller = Teller(job, sum(not j.has_results for j in jobs[number + 1 :]), stop)
            result = train(job.recipe, job.folder, resume=True, data_folder=data, on_epoch=teller)
        except OutOfTime as reached:
            told(f"{name}: stopped for the time given, at {reached}")
            return 3
        except (HwbnnError, OSError) as error:  # one that cannot be trained does not stop others
            told(f"{name}: FAILED: {error}")
            failed = 1
            continue
        told(f"{name}: finished, {result.accuracy:.2%} of {result.images} test images")
    return failed


def overview(jobs: Sequence[Job]) -> int:
    """Print the progress of all jobs; 0, or 1 if that of a job cannot be read."""
    failed = 0
    for job in jobs:
        try:
            state = job.state()
        except (HwbnnError, OSError) as error:
            state = f"FAILED: {error}"
            failed = 1
        print(f"{job.folder.name}: {state}")
    return failed


def give_way() -> None:
    """Lower the priority of this process' session, if Linux schedules sessions as groups.

    Such a kernel compares nice values only within a session, which may have no other process. A
    session with other processes, such as a terminal's, is left as it is, because they would be
    slowed too.
    """
    if os.getsid(0) != os.getpid():
        return
    # If the file is missing, forbidden, or was changed too recently, nice 19 must suffice.
    with suppress(OSError):
        AUTOGROUP.write_text("19")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or print the progress."""
    parser = argparse.ArgumentParser("scripts/train-queue", description=__doc__.splitlines()[0])
    parser.add_argument("--queue", type=Path, default=QUEUE, help="list of recipes, a file a line")
    parser.add_argument("--runs", type=Path, help=f"folder of the runs; else ${RUNS_VARIABLE}")
    parser.add_argument("--data", type=Path, help="folder of data sets; else $HWBNN_DATA")
    parser.add_argument("--until", metavar="HH:MM", help="stop before this time of day")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes")
    parser.add_argument("--status", action="store_true", help="say how far all recipes are")
    given = parser.parse_args(arguments)
    runs = (given.runs or Path(os.environ.get(RUNS_VARIABLE) or RUNS)).expanduser()
    try:
        jobs = read_queue(given.queue, runs)
        if given.status:
            return overview(jobs)
        stop = deadline(given.until, given.minutes, datetime.now())
        with only_one(runs):
            return work(jobs, stop, given.data)
    except HwbnnError as error:
        print(f"train-queue: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        told("interrupted; the same command goes on after the last whole epoch")
        return 130


if __name__ == "__main__":
    give_way()
    sys.exit(main())
