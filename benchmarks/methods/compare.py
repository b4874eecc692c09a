"""Every method under one recipe: accuracy over the same seeds, against the baseline.

usage: python -m benchmarks.methods --runs FOLDER [--only digits,sfc] [--methods ...] [--jobs N]
       python -m benchmarks.methods --runs FOLDER --tune sfc [--methods ...] [--epochs N]
       python -m benchmarks.methods --runs FOLDER --collect

The first form trains what is not trained yet, the first seed of every method before the second of
any, and writes ``benchmarks/results/methods.json`` and ``methods.md`` after each run. Stopped in
any way, it goes on where it was. The second tries the ``candidates`` of ``methods.toml`` by
held-out training images. Data come from ``HWBNN_DATA`` or a download.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import multiprocessing
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.harness import describe
from benchmarks.methods import table
from benchmarks.methods.paired import Run, rows
from hwbnn.errors import HwbnnError
from hwbnn.methods import METHODS
from hwbnn.training import Recipe, train

ROOT = Path(__file__).parent.parent.parent
RESULTS = Path(__file__).parent.parent / "results"
SETTINGS = Path(__file__).with_name("methods.toml")
BASELINE = "bnn_ste"


@dataclass(frozen=True)
class Experiment:
    """A recipe that all methods are trained by.

    Attributes:
        model: folder of ``models/`` with the recipe; its method and seed are replaced.
        seeds: how many, from 0.
        held_out: last training images that tuning looks at instead of the test images.
    """

    model: str
    seeds: int
    held_out: int

    def recipe(self) -> Recipe:
        """The recipe, before it has method and seed."""
        return replace(Recipe.read(ROOT / "models" / self.model / "recipe.toml"), about="")


EXPERIMENTS = {
    "digits": Experiment("digits", 10, 300),
    "sfc": Experiment("sfc", 3, 5000),
    "lfc": Experiment("lfc", 1, 5000),
}


@dataclass(frozen=True)
class Task:
    """One run: what is trained, and where.

    Attributes:
        experiment: its name.
        entry: the method's name, or that of a variant in ``methods.toml``.
        recipe: all of it.
        folder: where its files go.
    """

    experiment: str
    entry: str
    recipe: Recipe
    folder: Path

    def finished(self) -> dict[str, Any] | None:
        """The history of the finished run, None if it is yet to be made."""
        try:
            found = json.loads((self.folder / "history.json").read_bytes())
        except OSError:
            return None
        return dict(found) if found["recipe"] == self.recipe.digest else None


def settings(file: Path = SETTINGS) -> dict[str, dict[str, Any]]:
    """The tables of ``methods.toml``: one for each method, then the variants of methods."""
    found: dict[str, dict[str, Any]] = tomllib.loads(file.read_text())
    return {**{method: {} for method in METHODS}, **found}


def chosen_hyper(table: Mapping[str, Any], experiment: str) -> dict[str, Any]:
    """A method's hyper-parameters: those for all experiments, then those for this one."""
    return {**table.get("hyper", {}), **table.get(experiment, {})}


def tasks(runs: Path, names: Sequence[str], entries: Sequence[str]) -> list[Task]:
    """Every run of some experiments, the first seed of all methods and variants first."""
    tables = settings()
    every = []
    for position, name in enumerate(names):
        experiment = EXPERIMENTS[name]
        for seed in range(experiment.seeds):
            for rank, entry in enumerate(entries):
                method = tables[entry].get("method", entry)
                hyper = chosen_hyper(tables[entry], name)
                recipe = replace(experiment.recipe(), method=method, hyper=hyper, seed=seed)
                task = Task(name, entry, recipe, runs / name / f"{entry}-{seed}")
                every.append(((seed, position, rank), task))
    return [task for _, task in sorted(every, key=lambda pair: pair[0])]


def tuning(runs: Path, name: str, methods: Sequence[str], epochs: int | None) -> list[Task]:
    """A run for each candidate, the defaults first; the test images take no part in the choice."""
    experiment, tables = EXPERIMENTS[name], settings()
    plain = replace(experiment.recipe(), held_out=experiment.held_out, seed=0)
    plain = plain if epochs is None else replace(plain, epochs=epochs)
    made = []
    for method in methods:
        for hyper in ({}, *tables[method].get("candidates", ())):
            recipe = replace(plain, method=method, hyper=hyper)
            folder = runs / f"tune-{name}" / f"{method}-{recipe.digest[:8]}"
            made.append(Task(name, method, recipe, folder))
    return made


def run(task: Task) -> str | None:
    """Make or finish one run; what went wrong in one line, or None.

    A run that another process is at is left to it; one by another recipe is moved aside.
    """
    task.folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(task.folder.with_name(task.folder.name + ".lock")) as is_ours:
        if not is_ours or task.finished() is not None:
            return None
        kept = task.folder / "recipe.toml"
        try:
            if kept.exists() and (old := Recipe.read(kept)) != task.recipe:
                task.folder.rename(task.folder.with_name(f"{task.folder.name}.{old.digest[:8]}"))
            train(task.recipe, task.folder, resume=True)
        except (HwbnnError, RuntimeError, ValueError, OSError) as error:
            return f"{task.folder.name}: {type(error).__name__}: {' '.join(str(error).split())}"
    return None


@contextmanager
def _alone(file: Path) -> Iterator[bool]:
    """Whether no other process holds the file; it is freed when this one ends in any way."""
    with file.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def each(todo: Sequence[Task], jobs: int) -> Iterator[tuple[Task, str | None]]:
    """Make the runs, ``jobs`` at a time; each with what went wrong."""
    if jobs == 1:
        yield from ((task, run(task)) for task in todo)
        return
    packed = [(t.experiment, t.entry, t.recipe.to_toml(), str(t.folder)) for t in todo]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield from zip(todo, pool.map(_unpacked, packed), strict=True)


def _unpacked(packed: tuple[str, str, str, str]) -> str | None:
    """Make a run that came as texts: a recipe does not pass from process to process."""
    experiment, entry, text, folder = packed
    return run(Task(experiment, entry, Recipe.from_toml(text), Path(folder)))


def collect(every: Sequence[Task], failed: Mapping[str, str]) -> dict[str, Any]:
    """What all finished runs came to, as ``methods.json`` has it."""
    tables, found = settings(), {}
    for name in EXPERIMENTS:
        told = [(t, h) for t in every if t.experiment == name and (h := t.finished())]
        if not told:
            continue
        order = {entry: rank for rank, entry in enumerate(tables)}
        told.sort(key=lambda pair: (order[pair[0].entry], pair[0].recipe.seed))
        runs = [Run(t.entry, t.recipe.seed, h["accuracy"], h["cpu seconds"]) for t, h in told]
        recipe = EXPERIMENTS[name].recipe()
        found[name] = {
            "recipe": f"models/{EXPERIMENTS[name].model}/recipe.toml",
            "network": recipe.network,
            "data": recipe.data,
            "epochs": recipe.epochs,
            "test images": told[0][1]["test images"],
            "seeds": EXPERIMENTS[name].seeds,
            "rows": [{**asdict(row), "below": row.is_below} for row in rows(runs, BASELINE)],
            "hyper": {method: chosen_hyper(table, name) for method, table in tables.items()},
            "runs": [
                asdict(r) | {"recipe": t.recipe.digest}
                for r, (t, _) in zip(runs, told, strict=True)
            ],
        }
    return {
        "baseline": BASELINE,
        "experiments": found,
        "explanations": {
            method: {"why": table["below"], "test": table["test"]}
            for method, table in tables.items()
            if "below" in table
        },
        "failed": dict(failed),
        "machine": describe(),
    }


def write(found: Mapping[str, Any], out: Path) -> None:
    """Write the results for programs and for people."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "methods.json").write_text(json.dumps(found, indent=1) + "\n")
    (out / "methods.md").write_text(table.page(found))


def held_out(todo: Sequence[Task]) -> list[dict[str, Any]]:
    """What the candidates came to on the held-out images, best first within a method."""
    told = [(t.recipe, h) for t in todo if (h := t.finished())]
    found = [
        {
            "method": recipe.method,
            "hyper": dict(recipe.hyper),
            "epochs": recipe.epochs,
            "held out": recipe.held_out,
            "accuracy": history["epochs"][-1]["held_out"],
            "cpu seconds": history["cpu seconds"],
        }
        for recipe, history in told
    ]
    return sorted(found, key=lambda e: (METHODS.index(e["method"]), -e["accuracy"]))


def main() -> int:
    """Train, collect, write; 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--only", default="digits,sfc", help=f"some of {', '.join(EXPERIMENTS)}")
    parser.add_argument(
        "--methods", default=",".join(settings()), help="and variants in methods.toml, by commas"
    )
    parser.add_argument("--seeds", type=int, default=99, help="only the first so many seeds")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--collect", action="store_true", help="train nothing, write the results")
    parser.add_argument("--tune", choices=EXPERIMENTS, help="try candidates by held-out images")
    parser.add_argument("--epochs", type=int, help="of tuning, if not those of the recipe")
    given = parser.parse_args()
    chosen = [name.strip() for name in given.methods.split(",")]
    if given.tune:
        todo = tuning(given.runs, given.tune, chosen, given.epochs)
    else:
        todo = tasks(given.runs, given.only.split(","), chosen)
        todo = [task for task in todo if task.recipe.seed < given.seeds]
    every = tasks(given.runs, list(EXPERIMENTS), list(settings()))
    failed: dict[str, str] = {}
    begun = [] if given.collect else [t for t in todo if t.finished() is None]
    print(f"{len(todo)} runs, {len(begun)} to make", file=sys.stderr)
    for number, (task, wrong) in enumerate(each(begun, given.jobs), 1):
        history = task.finished()
        result = wrong or (f"{history['accuracy']:.2%}" if history else "left to another process")
        print(f"{number}/{len(begun)} {task.experiment}/{task.folder.name}: {result}", flush=True)
        if wrong:
            failed[f"{task.experiment}/{task.folder.name}"] = wrong
        if not given.tune:
            write(collect(every, failed), given.out)
    if given.tune:
        found = held_out(todo)
        file = given.out / f"tuning-{given.tune}.json"
        file.write_text(json.dumps(found, indent=1) + "\n")
        print(table.tuning(found))
    else:
        write(collect(every, failed), given.out)
        print((given.out / "methods.md").read_text())
    for line in failed.values():
        print(f"failed: {line}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
