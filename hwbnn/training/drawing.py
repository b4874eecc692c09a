"""Runs side by side, drawn with matplotlib, which is imported here alone and late."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hwbnn.tools import require
from hwbnn.training.history import QUANTILES, Epoch, LayerRecord
from hwbnn.training.pictures import ACCURACY, MARGINS, MARKS, PICTURES, SPARE, STYLES, Picture
from hwbnn.training.sidebyside import RunGroup, middle, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.2
"""Inches: the text of a page."""


def figures(groups: Sequence[RunGroup]) -> list[tuple[Picture, Figure]]:
    """Every picture that has something to show.

    Args:
        groups: of one network, data set and number of epochs.

    Returns:
        Pictures and matplotlib figures, accuracy first.

    Raises:
        ToolNotFound: if matplotlib is missing.
    """
    require("matplotlib")
    made = [(ACCURACY, _accuracy(groups))]
    for picture in PICTURES:
        if picture.name == "loss":
            picture = replace(picture, axis=_loss_axis(groups))
        figure = _per_layer(picture, groups) if picture.per_layer else _whole(picture, groups)
        if figure is not None:
            made.append((picture, figure))
    margins = _margins(groups)
    return made if margins is None else [*made, (MARGINS, margins)]


def _loss_axis(groups: Sequence[RunGroup]) -> str:
    """The loss with its unit, where all runs have one."""
    names = {run.recipe.loss for group in groups for run in group.runs}
    return (
        {"cross_entropy": "cross entropy (nats)", "squared_hinge": "squared hinge loss"}[
            names.pop()
        ]
        if len(names) == 1
        else "loss (each run's own)"
    )


def style(group: RunGroup) -> dict[str, Any]:
    """How a group's lines are drawn."""
    colour, dashes = STYLES.get(group.method, SPARE)
    return {
        "color": colour,
        "linestyle": dashes,
        "linewidth": 2.0 if group.method == "bnn_ste" else 1.3,
        "marker": MARKS[group.variant % len(MARKS)],
        "markersize": 3,
        "markevery": 0.1,
        "label": group.label,
    }


def _new(rows: float) -> Figure:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 8}):
        return Figure(figsize=(WIDTH, rows), layout="constrained")


def _dress(axes: Axes, group_axis: str, log: bool) -> None:
    axes.set_xlabel("epoch", fontsize=8)
    axes.set_ylabel(group_axis, fontsize=8)
    axes.tick_params(labelsize=7, which="both")
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    if log:
        axes.set_yscale("log")


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=7,
        frameon=False, handlelength=3.2,
    )  # fmt: skip


def _draw(axes: Axes, group: RunGroup, of: Callable[[Epoch], float | None]) -> bool:
    """A group's mean over seeds and the band from its lowest to its highest run."""
    curves = group.curve(of)
    if np.isnan(curves).all():
        return False
    epochs = np.arange(1, curves.shape[1] + 1)
    axes.plot(epochs, middle(curves), **style(group))
    if len(curves) > 1:
        axes.fill_between(
            epochs, *spread(curves), color=style(group)["color"], alpha=0.15, linewidth=0
        )
    return True


def _whole(picture: Picture, groups: Sequence[RunGroup]) -> Figure | None:
    figure = _new(4.2)
    axes = figure.add_subplot()
    drawn = [_draw(axes, group, picture.of) for group in groups]
    if not any(drawn):
        return None
    _dress(axes, picture.axis, picture.log)
    _legend(figure, axes)
    return figure


def _sizes(groups: Sequence[RunGroup]) -> list[int]:
    """Bits of each layer; all runs are of one network, old ones may have seen no layers."""
    seen = [run.history.epochs[-1].layers for group in groups for run in group.runs]
    return [layer.weights for layer in max(seen, key=len)]


def _in_layer(epoch: Epoch, number: int, of: Callable[[LayerRecord], Any]) -> Any:
    """Of a layer by its number: its name depends on what the method puts between layers."""
    return of(epoch.layers[number]) if number < len(epoch.layers) else None


def _title(number: int, size: int) -> str:
    return f"layer {number + 1}, {size:,} bits"


def _grid(count: int, height: float) -> tuple[Figure, list[Axes]]:
    columns = min(2, count)
    rows = -(-count // columns)
    figure = _new(0.9 + height * rows)
    first = figure.add_subplot(rows, columns, 1)
    others = [figure.add_subplot(rows, columns, i + 1, sharey=first) for i in range(1, count)]
    return figure, [first, *others]


def _per_layer(picture: Picture, groups: Sequence[RunGroup]) -> Figure | None:
    shown = []
    for number, size in enumerate(_sizes(groups)):
        of = partial(_in_layer, number=number, of=picture.of)
        if any(not np.isnan(group.curve(of)).all() for group in groups):
            shown.append((_title(number, size), of))
    if not shown:
        return None
    figure, panels = _grid(len(shown), 2.3)
    for axes, (title, of) in zip(panels, shown, strict=True):
        for group in groups:
            _draw(axes, group, of)
        _dress(axes, picture.axis, picture.log)
        axes.set_title(title, fontsize=8, loc="left")
    _legend(figure, panels[0])
    return figure


def _accuracy(groups: Sequence[RunGroup]) -> Figure:
    figure = _new(0.7 + 0.24 * len(groups))
    axes = figure.add_subplot()
    for place, group in enumerate(groups):
        values = [100 * run.history.accuracy for run in group.runs]
        colour = style(group)["color"]
        axes.plot(values, [place] * len(values), "o", color=colour, markersize=4, alpha=0.5)
        axes.plot([np.mean(values)], [place], "|", color=colour, markersize=14, markeredgewidth=2)
    _rows(axes, groups, ACCURACY.axis)
    return figure


def _margins(groups: Sequence[RunGroup]) -> Figure | None:
    sizes = _sizes(groups)
    if not sizes:
        return None
    figure, panels = _grid(len(sizes), 0.5 + 0.17 * len(groups))
    for number, (axes, size) in enumerate(zip(panels, sizes, strict=True)):
        for place, group in enumerate(groups):
            told = [
                _in_layer(r.history.epochs[-1], number, lambda y: y.margins) for r in group.runs
            ]
            known = [m for m in told if m is not None]
            if not known:
                continue
            q = dict(zip(QUANTILES, np.mean(known, axis=0), strict=True))
            colour = style(group)["color"]
            axes.plot([q[0.05], q[0.95]], [place] * 2, color=colour, linewidth=1)
            axes.plot([q[0.25], q[0.75]], [place] * 2, color=colour, linewidth=4)
            axes.plot([q[0.5]], [place], "o", color="white", markeredgecolor=colour, markersize=4)
        _rows(axes, groups, MARGINS.axis)
        axes.set_title(_title(number, size), fontsize=8, loc="left")
    return figure


def _rows(axes: Axes, groups: Sequence[RunGroup], axis: str) -> None:
    """A row for each group, the first on top."""
    axes.set_yticks(range(len(groups)), [group.label for group in groups], fontsize=7)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlabel(axis, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25, linewidth=0.5, axis="x")
    axes.spines[["top", "right"]].set_visible(False)
