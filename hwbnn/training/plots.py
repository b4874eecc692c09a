"""Plots that compare runs: the quantities, the matplotlib figures, and the HTML page.

Matplotlib is imported only in this file, when a figure is made.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError
from hwbnn.methods import kind
from hwbnn.tools import require
from hwbnn.training.folder import write
from hwbnn.training.history import QUANTILES, Epoch, LayerRecord
from hwbnn.training.side_by_side import Configuration, by_configuration, middle, read_run, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = (0, (4, 1.5))
MARKS = ("", "o", "s", "^", "v", "D")
"""Line markers that distinguish the configurations of one method."""


@dataclass(frozen=True)
class Picture:
    """One plotted quantity.

    Attributes:
        name: stem of its file names.
        title: title above the plot.
        axis: label of the quantity's axis, with its unit.
        says: explanation of the plot, for readers who choose a method.
        of: function from an epoch, or from a layer of it, to the number.
        per_layer: whether ``of`` takes a layer.
        log: whether the axis is logarithmic.
    """

    name: str
    title: str
    axis: str
    says: str
    of: Callable[[Any], float | None]
    per_layer: bool = False
    log: bool = False


def _percent(x: float | None) -> float | None:
    return None if x is None else 100 * x


def _angle(layer: LayerRecord) -> float | None:
    return (
        None if layer.cosine is None else math.degrees(math.acos(max(-1.0, min(1.0, layer.cosine))))
    )


PICTURES = (
    Picture(
        "loss",
        "Training loss",
        "loss",
        "Mean over each epoch's training images, as they were met, without the methods' penalties.",
        lambda e: e.loss,
        log=True,
    ),
    Picture(
        "training",
        "Training accuracy",
        "training images right (%)",
        "In training mode, as the images were met.",
        lambda e: _percent(e.accuracy),
    ),
    Picture(
        "held_out",
        "Held-out accuracy",
        "held-out images right (%)",
        "On training images that were kept from training.",
        lambda e: _percent(e.held_out),
    ),
    Picture(
        "angle",
        "Angle between real and binary weights",
        "angle (degrees)",
        "How far the signs point from the real numbers that they stand for; RBNN rotates to "
        "make it small. Random normal weights have 37 degrees.",
        _angle,
        per_layer=True,
    ),
    Picture(
        "error",
        "Quantization error",
        "squared error / squared norm",
        "What is lost of the real weights with the best scale of each channel; BatchNorm or "
        "the method gives the scale.",
        lambda y: y.error,
        per_layer=True,
    ),
    Picture(
        "flips",
        "Bits that flipped within the epoch",
        "bits of the layer (%)",
        "Many: the weights still search, or swing about zero. Epochs without any flip are left "
        "out, since the axis is logarithmic.",
        lambda y: _percent(y.flips) or None,
        per_layer=True,
        log=True,
    ),
    Picture(
        "gap",
        "Lack of margin",
        "mean of max(0, 1 - |w|)",
        "What weights lack to magnitude 1; margin-aware training makes it small. Its size "
        "depends on the scale in which a method keeps its real weights.",
        lambda y: y.gap,
        per_layer=True,
    ),
    Picture(
        "gradient",
        "Weights that a gradient reaches",
        "trainable numbers (%)",
        "Share of a layer's trainable numbers with a gradient of the loss other than 0, on a "
        "fixed batch. Inputs that are the same in all its images, as a border is, give none.",
        lambda y: _percent(y.gradient),
        per_layer=True,
    ),
    Picture(
        "activations",
        "Activations that let a gradient pass",
        "inputs of the activation (%)",
        "Share of the inputs of the activation behind a layer with a gradient other than 0, "
        "on the same batch: for a clipped estimator those within its window.",
        lambda y: _percent(y.activation_gradient),
        per_layer=True,
    ),
)
ACCURACY = Picture(
    "accuracy", "Test accuracy after the last epoch", "test images right (%)",
    "A dot a run, a bar the mean over seeds, on the whole test set.", lambda _: None,
)  # fmt: skip
MARGINS = Picture(
    "margins", "Margins after the last epoch", "|w| / standard deviation of w",
    "Distance of the real weights from 0, where a bit flips: thin lines from the 5 % to the 95 % "
    "quantile, thick ones from 25 % to 75 %, a dot at the median; means over seeds.",
    lambda _: None,
)  # fmt: skip


WIDTH = 7.2
"""Width of a figure in inches, that of a page's text."""


def figures(configurations: Sequence[Configuration]) -> list[tuple[Picture, Figure]]:
    """Every picture for which the runs have data.

    Args:
        configurations: configurations of one network, data set and number of epochs.

    Returns:
        Pictures and matplotlib figures, accuracy first.

    Raises:
        ToolNotFound: if matplotlib is missing.
    """
    require("matplotlib")
    drawings = [(ACCURACY, _accuracy(configurations))]
    for picture in PICTURES:
        if picture.name == "loss":
            picture = replace(picture, axis=_loss_axis(configurations))
        figure = (
            _per_layer(picture, configurations)
            if picture.per_layer
            else _whole(picture, configurations)
        )
        if figure is not None:
            drawings.append((picture, figure))
    margins = _margins(configurations)
    return drawings if margins is None else [*drawings, (MARGINS, margins)]


def _loss_axis(configurations: Sequence[Configuration]) -> str:
    """The name of the loss with its unit, if all runs have the same loss."""
    names = {run.recipe.loss for configuration in configurations for run in configuration.runs}
    return (
        {"cross_entropy": "cross entropy (nats)", "squared_hinge": "squared hinge loss"}[
            names.pop()
        ]
        if len(names) == 1
        else "loss (each run's own)"
    )


def style(configuration: Configuration) -> dict[str, Any]:
    """Keyword arguments of matplotlib for a configuration's lines."""
    method = kind(configuration.method)
    return {
        "color": method.colour,
        "linestyle": DASHES if method.dashed else "solid",
        "linewidth": 2.0 if configuration.method == "bnn_ste" else 1.3,
        "marker": MARKS[configuration.variant % len(MARKS)],
        "markersize": 3,
        "markevery": 0.1,
        "label": configuration.label,
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


def _draw(axes: Axes, configuration: Configuration, of: Callable[[Epoch], float | None]) -> bool:
    """Draw the mean over seeds in a band from lowest to highest; False if there are no numbers."""
    curves = configuration.curve(of)
    if np.isnan(curves).all():
        return False
    epochs = np.arange(1, curves.shape[1] + 1)
    axes.plot(epochs, middle(curves), **style(configuration))
    if len(curves) > 1:
        axes.fill_between(
            epochs, *spread(curves), color=style(configuration)["color"], alpha=0.15, linewidth=0
        )
    return True


def _whole(picture: Picture, configurations: Sequence[Configuration]) -> Figure | None:
    figure = _new(4.2)
    axes = figure.add_subplot()
    drawn = [_draw(axes, configuration, picture.of) for configuration in configurations]
    if not any(drawn):
        return None
    _dress(axes, picture.axis, picture.log)
    _legend(figure, axes)
    return figure


def _sizes(configurations: Sequence[Configuration]) -> list[int]:
    """Number of bits of each layer; runs of earlier versions may have recorded no layers."""
    seen = [
        run.history.epochs[-1].layers
        for configuration in configurations
        for run in configuration.runs
    ]
    return [layer.weights for layer in max(seen, key=len)]


def _in_layer(epoch: Epoch, number: int, of: Callable[[LayerRecord], Any]) -> Any:
    """``of`` the layer of this number; names of layers differ between methods."""
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


def _per_layer(picture: Picture, configurations: Sequence[Configuration]) -> Figure | None:
    shown = []
    for number, size in enumerate(_sizes(configurations)):
        of = partial(_in_layer, number=number, of=picture.of)
        if any(not np.isnan(configuration.curve(of)).all() for configuration in configurations):
            shown.append((_title(number, size), of))
    if not shown:
        return None
    figure, panels = _grid(len(shown), 2.3)
    for axes, (title, of) in zip(panels, shown, strict=True):
        for configuration in configurations:
            _draw(axes, configuration, of)
        _dress(axes, picture.axis, picture.log)
        axes.set_title(title, fontsize=8, loc="left")
    _legend(figure, panels[0])
    return figure


def _accuracy(configurations: Sequence[Configuration]) -> Figure:
    figure = _new(0.7 + 0.24 * len(configurations))
    axes = figure.add_subplot()
    for place, configuration in enumerate(configurations):
        values = [100 * run.history.accuracy for run in configuration.runs]
        colour = style(configuration)["color"]
        axes.plot(values, [place] * len(values), "o", color=colour, markersize=4, alpha=0.5)
        axes.plot([np.mean(values)], [place], "|", color=colour, markersize=14, markeredgewidth=2)
    _rows(axes, configurations, ACCURACY.axis)
    return figure


def _margins(configurations: Sequence[Configuration]) -> Figure | None:
    sizes = _sizes(configurations)
    if not sizes:
        return None
    figure, panels = _grid(len(sizes), 0.5 + 0.17 * len(configurations))
    for number, (axes, size) in enumerate(zip(panels, sizes, strict=True)):
        for place, configuration in enumerate(configurations):
            told = [
                _in_layer(r.history.epochs[-1], number, lambda y: y.margins)
                for r in configuration.runs
            ]
            known = [m for m in told if m is not None]
            if not known:
                continue
            q = dict(zip(QUANTILES, np.mean(known, axis=0), strict=True))
            colour = style(configuration)["color"]
            axes.plot([q[0.05], q[0.95]], [place] * 2, color=colour, linewidth=1)
            axes.plot([q[0.25], q[0.75]], [place] * 2, color=colour, linewidth=4)
            axes.plot([q[0.5]], [place], "o", color="white", markeredgecolor=colour, markersize=4)
        _rows(axes, configurations, MARGINS.axis)
        axes.set_title(_title(number, size), fontsize=8, loc="left")
    return figure


def _rows(axes: Axes, configurations: Sequence[Configuration], axis: str) -> None:
    """Label one row per configuration, the first on top."""
    axes.set_yticks(
        range(len(configurations)),
        [configuration.label for configuration in configurations],
        fontsize=7,
    )
    axes.set_ylim(len(configurations) - 0.5, -0.5)
    axes.set_xlabel(axis, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25, linewidth=0.5, axis="x")
    axes.spines[["top", "right"]].set_visible(False)


# ---- The page ----

PAGE = "compare.html"
_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: #222; }
h2 { margin-top: 2.5em; font-size: 1.15em; }
img { width: 100%; }
table { border-collapse: collapse; }
td, th { padding: 0.2em 0.9em 0.2em 0; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; }
"""


@checked_call()
def compare_runs(runs: Sequence[str | Path], folder: str | Path) -> Path:
    """Plot finished runs side by side in an HTML page.

    Runs that differ in their seed alone are one line, their mean, in a band from the lowest to the
    highest.

    Args:
        runs: folders that :func:`hwbnn.train` wrote, of one network, data set and number of epochs.
        folder: folder for ``compare.html``, which needs no other file, and for each picture as
            ``<name>.svg`` and ``<name>.png``.

    Returns:
        The page's path.

    Raises:
        InputError: if a run is not finished or does not match the others, or a file cannot be
            written.
        ToolNotFound: if matplotlib is missing.
    """
    if isinstance(runs, str | Path) or not isinstance(runs, Sequence):
        raise InputError(
            f"compare_runs: runs: expected a list of folders of runs, found {type(runs).__name__}"
        )
    configurations = by_configuration([read_run(run) for run in runs])
    target = Path(folder)
    sections = []
    files: dict[str, bytes | str] = {}
    for picture, figure in figures(configurations):
        svg = drawn(figure, "svg")
        files |= {f"{picture.name}.svg": svg, f"{picture.name}.png": drawn(figure, "png")}
        sections.append(_section(picture, svg))
    files[PAGE] = _page(configurations, sections)
    # Everything is drawn and checked before the first file is written.
    for name in files:
        if (target / name).is_dir():
            raise InputError(f"{target / name}: is a folder; name another place for the page")
    for name, content in files.items():
        write(target / name, content)
    return target / PAGE


def drawn(figure: Figure, kind: str) -> bytes:
    """The bytes of a figure's file, ``"svg"`` or ``"png"``; equal figures give equal bytes."""
    import matplotlib as mpl

    stream = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "hwbnn", "svg.fonttype": "path"}):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(stream, format=kind, dpi=150, metadata=metadata)
    return stream.getvalue()


def _section(picture: Picture, svg: bytes) -> str:
    data = base64.b64encode(svg).decode()
    return (
        f"<h2>{escape(picture.title)}</h2>\n<p>{escape(picture.says)}</p>\n"
        f'<img alt="{escape(picture.title)}" src="data:image/svg+xml;base64,{data}">\n'
    )


def _page(configurations: Sequence[Configuration], sections: Sequence[str]) -> str:
    recipe = configurations[0].runs[0].recipe
    title = f"{recipe.network} on {recipe.data}, {recipe.epochs} epochs"
    rows = "".join(_row(configuration) for configuration in configurations)
    count = sum(len(configuration.runs) for configuration in configurations)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n"
        f"<p>{count} runs. Runs that differ in their seed alone are one line, the mean, in a band "
        "from the lowest to the highest.</p>\n"
        "<table>\n<tr><th>method</th><th>runs</th><th>test accuracy, mean</th>"
        f"<th>lowest to highest</th><th>training, CPU s a run</th></tr>\n{rows}</table>\n"
        f"{''.join(sections)}</html>\n"
    )


def _row(configuration: Configuration) -> str:
    accuracies = [run.history.accuracy for run in configuration.runs]
    cells = (
        escape(configuration.label),
        str(len(accuracies)),
        f"{mean(accuracies):.2%}",
        f"{min(accuracies):.2%} to {max(accuracies):.2%}",
        f"{mean(run.history.cpu_seconds for run in configuration.runs):.1f}",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"
