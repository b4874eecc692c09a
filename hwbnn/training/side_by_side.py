"""Reads finished runs for comparison, and joins runs that differ only in their seed.

Reading the files of runs needs no torch, but their recipes name methods, which need it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwbnn.errors import InputError
from hwbnn.graph.arrays import Floats
from hwbnn.methods import METHODS
from hwbnn.training.folder import RECIPE, check_recipe, named
from hwbnn.training.history import HISTORY, Epoch, History
from hwbnn.training.recipe import Recipe


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, as its folder describes it.

    Attributes:
        folder: the run's folder.
        recipe: the recipe of the run.
        history: the history of the run.
    """

    folder: Path
    recipe: Recipe
    history: History


@dataclass(frozen=True)
class Configuration:
    """Runs whose recipes differ only in the seed.

    Attributes:
        label: the method's name, and the entries that differ from other configurations of the
            method.
        method: the method's name.
        variant: number of the configuration among those of its method, from 0.
        runs: the runs, sorted by seed.
    """

    label: str
    method: str
    variant: int
    runs: tuple[FinishedRun, ...]

    def curve(self, of: Callable[[Epoch], float | None]) -> Floats:
        """The values of ``of``, float64 ``(runs, epochs)``, with NaN for None."""
        rows = [[of(epoch) for epoch in run.history.epochs] for run in self.runs]
        return np.array([[np.nan if x is None else x for x in row] for row in rows], np.float64)


def read_run(folder: str | Path) -> FinishedRun:
    """The run in a folder.

    Raises:
        InputError: if the folder holds no finished run, or its files do not belong together.
    """
    place = Path(folder)
    recipe = Recipe.read(place / RECIPE)
    history = History.read(place)
    check_recipe(place, recipe, history.provenance)
    if len(history.epochs) != recipe.epochs:
        raise InputError(
            f"{place / HISTORY}: expected the {recipe.epochs} epochs of its recipe, found "
            f"{len(history.epochs)}; train to the last epoch"
        )
    return FinishedRun(place, recipe, history)


def by_configuration(runs: Sequence[FinishedRun]) -> list[Configuration]:
    """The configurations: methods in the order of :data:`hwbnn.methods.METHODS`.

    Raises:
        InputError: if the runs differ in network, data set or number of epochs, so that no picture
            can compare them; or if a run is given twice.
    """
    if not runs:
        raise InputError("compare: expected the folder of at least one run, found none")
    first = runs[0].recipe
    for run in runs:
        for entry in ("network", "data", "epochs"):
            mine, theirs = getattr(run.recipe, entry), getattr(first, entry)
            if mine != theirs:
                raise InputError(
                    f"compare: {run.folder}: {entry} is {mine!r}, in {runs[0].folder} it is "
                    f"{theirs!r}; compare runs of one {entry}"
                )
        mine, theirs = run.history.provenance, runs[0].history.provenance
        if mine.sha256 != theirs.sha256:
            raise InputError(
                f"compare: {run.folder}: was trained on {named(mine)}, {runs[0].folder} on "
                f"{named(theirs)}; compare runs of one data set"
            )
    configurations: dict[str, list[FinishedRun]] = {}
    for run in sorted(runs, key=lambda run: METHODS.index(run.recipe.method)):
        configurations.setdefault(_key(run.recipe), []).append(run)
    return [
        _configuration(members, list(configurations.values()))
        for members in configurations.values()
    ]


def _key(recipe: Recipe) -> str:
    return replace(recipe, seed=0, about="").to_toml()


def _configuration(
    members: list[FinishedRun], configurations: list[list[FinishedRun]]
) -> Configuration:
    recipe = members[0].recipe
    seeds = [run.recipe.seed for run in members]
    if len(set(seeds)) != len(seeds):
        double = next(run for run in members if seeds.count(run.recipe.seed) > 1)
        raise InputError(f"compare: {double.folder}: its recipe is there twice; name each run once")
    siblings = [g for g in configurations if g[0].recipe.method == recipe.method]
    label = recipe.method
    if len(siblings) > 1:
        label += f" ({_difference(recipe, [g[0].recipe for g in siblings])})"
    ordered = tuple(sorted(members, key=lambda run: run.recipe.seed))
    return Configuration(label, recipe.method, siblings.index(members), ordered)


def _difference(recipe: Recipe, siblings: Sequence[Recipe]) -> str:
    """The entries of a recipe that differ within its method."""
    others = [_key(other).splitlines() for other in siblings]
    told = [
        line.replace(" = ", " ")
        for line in _key(recipe).splitlines()
        if line and not line.startswith("[") and any(line not in other for other in others)
    ]
    return ", ".join(told) or "defaults"


def middle(curves: Floats) -> Floats:
    """The mean over runs at each epoch, ``(epochs,)``; NaN where no run has a number."""
    known = ~np.isnan(curves)
    count = known.sum(axis=0)
    total = np.where(known, curves, 0.0).sum(axis=0)
    mean: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def spread(curves: Floats) -> tuple[Floats, Floats]:
    """The lowest and the highest value at each epoch, ``(epochs,)`` each."""
    low = np.where(np.isnan(curves), np.inf, curves).min(axis=0)
    high = np.where(np.isnan(curves), -np.inf, curves).max(axis=0)
    return low, high
