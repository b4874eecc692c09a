"""The page of runs side by side: one HTML file with all pictures in it, and the pictures alone."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from hwbnn.errors import InputError
from hwbnn.training.drawing import figures
from hwbnn.training.folder import write
from hwbnn.training.pictures import Picture
from hwbnn.training.sidebyside import RunGroup, grouped, read_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "compare.html"
_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: #222; }
h2 { margin-top: 2.5em; font-size: 1.15em; }
img { width: 100%; }
table { border-collapse: collapse; }
td, th { padding: 0.2em 0.9em 0.2em 0; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; }
"""


def compare_runs(runs: Sequence[str | Path], folder: str | Path) -> Path:
    """Plot finished runs side by side into a page.

    Runs that differ in their seed alone are one line, their mean, in a band from the lowest to the
    highest.

    Args:
        runs: folders that :func:`hwbnn.train` wrote, of one network, data set and number of epochs.
        folder: gets ``compare.html``, which needs no other file, and each picture as
            ``<name>.svg`` and ``<name>.png``.

    Returns:
        The page's path.

    Raises:
        InputError: if a run is not finished or does not fit the others, or nothing can be written.
        ToolNotFound: if matplotlib is missing.
    """
    groups = grouped([read_run(run) for run in runs])
    target = Path(folder)
    sections = []
    files: dict[str, bytes | str] = {}
    for picture, figure in figures(groups):
        svg = drawn(figure, "svg")
        files |= {f"{picture.name}.svg": svg, f"{picture.name}.png": drawn(figure, "png")}
        sections.append(_section(picture, svg))
    files[PAGE] = _page(groups, sections)
    # All is drawn before the first file is written, and no file takes the place of a folder.
    for name in files:
        if (target / name).is_dir():
            raise InputError(f"{target / name}: is a folder; name another place for the page")
    for name, content in files.items():
        write(target / name, content)
    return target / PAGE


def drawn(figure: Figure, kind: str) -> bytes:
    """A figure as a file; the same figure gives the same bytes."""
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


def _page(groups: Sequence[RunGroup], sections: Sequence[str]) -> str:
    recipe = groups[0].runs[0].recipe
    title = f"{recipe.network} on {recipe.data}, {recipe.epochs} epochs"
    rows = "".join(_row(group) for group in groups)
    count = sum(len(group.runs) for group in groups)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n"
        f"<p>{count} runs. Runs that differ in their seed alone are one line, the mean, in a band "
        "from the lowest to the highest.</p>\n"
        "<table>\n<tr><th>method</th><th>runs</th><th>test accuracy, mean</th>"
        f"<th>lowest to highest</th><th>training, CPU s a run</th></tr>\n{rows}</table>\n"
        f"{''.join(sections)}</html>\n"
    )


def _row(group: RunGroup) -> str:
    found = [run.history.accuracy for run in group.runs]
    cells = (
        escape(group.label),
        str(len(found)),
        f"{mean(found):.2%}",
        f"{min(found):.2%} to {max(found):.2%}",
        f"{mean(run.history.cpu_seconds for run in group.runs):.1f}",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"
