"""A report as a table for people: the figures in columns, their sources in a list below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hwbnn.report.figure import Figure, number
from hwbnn.report.report import (
    Accuracy,
    BackendFigures,
    CoreFigures,
    Depth,
    FixedPointFigures,
    Prediction,
    Report,
)
from hwbnn.report.sources import SourceNotes

_NUMBERS = 4
"""Number of columns for figures."""

_LABELS = {
    "initiation_interval": "interval",
    "logic_delay": "delay of logic",
    "LUT_paired": "LUT, small ones paired",
}


def text(report: Report, width: int = 80) -> str:
    """The report as plain text.

    Args:
        report: the report.
        width: most characters of a line.
    """
    out = StringIO()
    console = Console(file=out, width=width, color_system=None, legacy_windows=False)
    console.print(renderable(report))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def renderable(report: Report) -> RenderableType:
    """The report for a :class:`rich.console.Console`."""
    sources = _Sources()
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold")
    for _ in range(_NUMBERS):
        grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True, style="dim")
    for i, rows in enumerate(_sections(report, sources)):
        if i:
            grid.add_row()
        for row in rows:
            grid.add_row(*row)
    parts: list[RenderableType] = [
        Text.assemble((report.network, "bold"), f", graph {report.digest[:12]}"),
        "",
        grid,
        "",
    ]
    ran = {w.name: f"{w.ran}, {number(w.frames)} frames" for w in report.backends if w.ran}
    parts += _listed("layers that are netlists: what was run", ran)
    parts += _listed("not done", {each.what: each.why for each in report.not_done})
    parts += _listed("files", report.files)
    parts += _listed("sources", {f"[{i}]": name for name, i in sources.numbers.items()})
    return Group(*parts, _verdict(report))


Row = list[Text]
_HEAD = "bold"


class _Sources(SourceNotes):
    """Source notes as text."""

    def of(self, *figures: Figure | None) -> Text:
        """The marks of the sources of these figures, such as ``[1]``."""
        return Text(" ".join(f"[{mark}]" for mark in self.marks(*figures)))


def _sections(report: Report, sources: _Sources) -> Iterator[list[Row]]:
    if report.accuracy:
        rows = [_accuracy(each, sources) for each in report.accuracy]
        yield [_row("accuracy", "frames", "float", "integer", style=_HEAD), *rows]
    if report.fixed_point:
        rows = [_fixed_point(each, sources) for each in report.fixed_point]
        named = ("fixed point: logits", "off", "at most", "agree", "accuracy")
        yield [_row(*named, style=_HEAD), *rows]
    if report.backends:
        rows = [_backend(backend, sources) for backend in report.backends]
        named = ("compared bit by bit", "frames", "bits", "differing", "frames/s")
        yield [_row(*named, style=_HEAD), *rows]
    for core in report.cores:
        head = (f"core {core.name}", "predicted", "measured", "of part" if core.available else "")
        yield [_row(*head, style=_HEAD), *_core(core, sources)]
        if core.depths:
            over = ("latency, registers after", "cycles", "logic, ns")
            yield [_row(*over, style=_HEAD), *(_depth(each, sources) for each in core.depths)]
    if report.hls_synthesis:
        pairs = {name: Prediction(None, figure) for name, figure in report.hls_synthesis.items()}
        rows = [_pair(name, pair, sources, exact=False) for name, pair in pairs.items()]
        yield [_row("Vitis HLS, io_stream", "", "estimated", style=_HEAD), *rows]


def _row(label: str, *cells: str | Text, mark: Text | None = None, style: str = "") -> Row:
    shown = [cell if isinstance(cell, Text) else Text(cell, style) for cell in cells]
    shown += [Text()] * (_NUMBERS - len(shown))
    return [Text(label, style), *shown, mark or Text()]


def _accuracy(each: Accuracy, sources: _Sources) -> Row:
    figures = (each.float_network, each.integer_graph)
    cells = [_percent(figure) for figure in figures]
    mark = sources.of(*figures)
    return _row(f"  {each.data}", number(each.frames), *cells, mark=mark)


def _fixed_point(each: FixedPointFigures, sources: _Sources) -> Row:
    figures = (each.mean, each.largest, each.agreement, each.integers)
    cells = [number(each.mean.value), number(each.largest.value)]
    cells += [_percent(figure) for figure in figures[2:]]
    label = f"  {each.width} bits, {each.fraction} fraction bits"
    mark = sources.of(*figures, each.float_network)
    return _row(f"{label}{', chosen' if each.is_chosen else ''}", *cells, mark=mark)


def _percent(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.value:.2f} {figure.unit}"


def _backend(backend: BackendFigures, sources: _Sources) -> Row:
    differing = Text(number(backend.mismatches), "green" if backend.ok else "bold red")
    rate = "" if backend.rate is None else number(round(backend.rate.value))
    cells = (number(backend.frames), number(backend.bits), differing, rate)
    return _row(f"  {backend.name}", *cells, mark=sources.of(backend.rate))


def _core(core: CoreFigures, sources: _Sources) -> list[Row]:
    rows = [_pair(name, pair, sources, exact=True) for name, pair in core.cycles.items()]
    rows += _times(core, sources)
    for name, pair in {**core.resources, **core.timing}.items():
        rows.append(_pair(name, pair, sources, exact=False))
        if name in core.usage:
            taken, there = core.usage[name]
            rows[-1][3] = Text(f"{100 * taken / max(1, there):.1f} %")
            figures = (pair.measured or pair.predicted, core.available[name])
            rows[-1][-1] = sources.of(*figures)
    return rows


def _times(core: CoreFigures, sources: _Sources) -> list[Row]:
    """The cycles of a core as times at the clock that its Plan states, which is not checked."""
    if core.clock is None or not core.cycles:
        return []
    period, rows = core.clock.value, []
    for name, label in (("latency", "  latency, ns"), ("initiation_interval", "  frames a second")):
        pair = core.cycles.get(name, Prediction())
        cells = []
        for figure in (pair.predicted, pair.measured):
            ns = 0 if figure is None else max(1, figure.value) * period
            time = ns if name == "latency" else 1e9 / max(ns, 1e-9)
            cells.append("" if figure is None else number(round(time, 1)))
        rows.append(_row(label, *cells, mark=sources.of(core.clock)))
    stated = number(round(1000 / period, 3))
    return [*rows, _row("  clock stated, MHz", "", stated, mark=sources.of(core.clock))]


def _depth(each: Depth, sources: _Sources) -> Row:
    delay = "" if each.logic_delay is None else number(each.logic_delay.value)
    depth = each.logic_levels_per_register
    label = f"  {depth} level{'s' * (depth > 1)}{', chosen' if each.is_chosen else ''}"
    mark = sources.of(each.latency, each.logic_delay)
    return _row(label, number(each.latency.value), delay, mark=mark)


def _pair(name: str, pair: Prediction, sources: _Sources, *, exact: bool) -> Row:
    given = [figure for figure in (pair.predicted, pair.measured) if figure is not None]
    unit = given[0].unit if given else ""
    label = _LABELS.get(name, name.replace("_", " "))
    named = f"  {label}, {unit}" if unit and unit.lower() not in name.lower() else f"  {label}"
    cells = [
        Text("" if figure is None else number(figure.value))
        for figure in (pair.predicted, pair.measured)
    ]
    if exact and len(given) == 2:
        cells[1].stylize("green" if given[0].value == given[1].value else "bold red")
    return _row(named, *cells, mark=sources.of(*given))


def _listed(title: str, items: Mapping[str, str]) -> list[RenderableType]:
    if not items:
        return []
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, what in items.items():
        grid.add_row(Text(name), Text(what))
    return [Text(title, _HEAD), Padding(grid, (0, 0, 0, 2)), ""]


def _verdict(report: Report) -> Text:
    if report.failures:
        return Text("\n".join(f"WRONG: {line}" for line in report.failures), "bold red")
    if not report.backends:
        return Text("nothing was compared", "bold red")
    bits = sum(backend.bits for backend in report.backends)
    n = len(report.backends)
    told = f"all equal: {number(bits)} bits in {n} comparison{'s' if n > 1 else ''}"
    counted = any(p.predicted and p.measured for c in report.cores for p in c.cycles.values())
    return Text(f"{told}{', cycles as predicted' if counted else ''}", "bold green")
