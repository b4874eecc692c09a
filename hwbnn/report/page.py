"""A report as one self-contained page of HTML, and its summary for notebooks.

Both are pure functions of the report. The templates are in ``templates/``; every text is escaped by
Jinja2, and characters that do not print, such as those that change the direction of text, become
visible. Nothing on the page runs, and nothing is loaded from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hwbnn.report import charts, layers
from hwbnn.report.drawing import clipped, drawing
from hwbnn.report.figure import Figure, number
from hwbnn.report.report import Accuracy, BackendFigures, CoreFigures, Prediction, Report
from hwbnn.report.sources import SourceNotes

if TYPE_CHECKING:
    from jinja2 import Environment

TEXT_LIMIT = 1000
"""The most characters of a text that are shown."""
MATRIX_LIMIT = 24
"""The most classes of a confusion matrix that is shown whole; of others the largest errors."""
RENAMED = {
    "initiation_interval": "interval",
    "logic_delay": "delay of logic",
    "LUT_paired": "LUT, small ones paired",
    "BRAM_18K": "BRAM 18K",
    "BRAM_36K": "BRAM 36K",
}
"""Names of figures as people read them."""
ORDER = ("latency", "initiation_interval", "LUT", "LUT_paired", "FF", "BRAM_36K", "BRAM_18K", "DSP")
"""Figures that come first, in this order."""
SHADES = 5
"""Shades of the cells of a confusion matrix."""


def page(report: Report) -> str:
    """The page of a report: a whole HTML document.

    Args:
        report: the report; the page has a section for everything that it has.
    """
    return _environment().get_template("page.html").render(_context(report))


def summary(report: Report) -> str:
    """A few lines of HTML with the most important figures, for notebooks."""
    return _environment().get_template("summary.html").render(_context(report))


def _context(report: Report) -> dict[str, Any]:
    told = layers.layers(report.nodes)
    core = report.cores[0] if report.cores else None
    table = core.stages if core else None
    rows, around = layers.hardware(told, table.stages if table else ())
    return {
        "report": report,
        "notes": SourceNotes(),
        "tiles": tiles(report),
        "drawing": drawing(told),
        "layers": list(zip(told, rows, strict=True)),
        "around": around,
        "total": layers.total(rows, around),
        "table": table,
        "verdict": verdict(report),
        "cycles_hold": not report.failures
        and any(p.predicted and p.measured for c in report.cores for p in c.cycles.values()),
    }


def verdict(report: Report) -> str:
    """The result of all comparisons in one line, without a mark of good or bad."""
    if report.failures:
        return f"{len(report.failures)} of the comparisons failed"
    if not report.backends:
        return "nothing was compared" if not report.agreement else "as the float network"
    bits = sum(backend.bits for backend in report.backends)
    return f"{number(bits)} bits in {layers.plural(len(report.backends), 'comparison')}"


@dataclass(frozen=True)
class Tile:
    """A figure at the head of the page.

    Attributes:
        name: its name.
        value: the number, as text.
        unit: its unit.
        remark: a line below it.
        sources: the figures that it shows, for their notes.
        good: whether the result is good; None where it is neither good nor bad.
    """

    name: str
    value: str
    unit: str = ""
    remark: str = ""
    sources: tuple[Figure, ...] = ()
    good: bool | None = None


def tiles(report: Report) -> tuple[Tile, ...]:
    """The most important figures: accuracy, equality, latency, rate, size."""
    shown = []
    if report.accuracy:
        shown += _accuracy_tiles(report.accuracy[0])
    equal = "all equal" if report.ok else "NOT equal" if report.failures else "not compared"
    differ = number(sum(backend.mismatches for backend in report.backends))
    count = layers.plural(len(report.backends), "comparison")
    remark = f"{differ} bits differ, in {count}" if report.backends else ""
    shown.append(Tile("Bits", equal, "", remark, good=report.ok))
    for core in report.cores[:1]:
        shown += _core_tiles(core)
    return tuple(shown)


def _accuracy_tiles(each: Accuracy) -> list[Tile]:
    floats = each.float_network
    remark = f"{number(each.frames)} frames of {clipped(each.data, 60)}"
    if floats is not None:
        same = floats.value == each.integer_graph.value
        remark += f"; float network {'the same' if same else percent(floats.value)}"
    figures = (each.integer_graph, floats) if floats else (each.integer_graph,)
    shown = [Tile("Accuracy", f"{each.integer_graph.value:.2f}", "%", remark, figures)]
    if each.roc is not None:
        auc = each.roc.auc
        shown.append(Tile("AUC", f"{auc.value:.4f}", "", "area under the ROC curve", (auc,)))
    return shown


def _core_tiles(core: CoreFigures) -> list[Tile]:
    shown = []
    names = ("latency", "initiation_interval")
    latency, interval = (_best(core.cycles.get(name)) for name in names)
    clock = core.clock
    if latency is not None and clock is None:
        shown.append(Tile("Latency", number(latency.value), _cycles(latency), "", (latency,)))
    elif latency is not None and clock is not None:
        value, unit = duration(latency.value * clock.value)
        remark = f"{number(latency.value)} {_cycles(latency)} of {clock}"
        shown.append(Tile("Latency", value, unit, remark, (latency, clock)))
    if interval is not None and clock is None:
        shown.append(Tile("Interval", number(interval.value), _cycles(interval), "", (interval,)))
    elif interval is not None and clock is not None:
        value, unit = rate(1e9 / (max(1, interval.value) * clock.value))
        every = "cycle" if interval.value == 1 else f"{number(interval.value)} cycles"
        remark = f"a frame every {every}, at {number(1000 / clock.value)} MHz"
        shown.append(Tile("Rate", value, unit, remark, (interval, clock)))
    shown += _size_tiles(core)
    return shown


def _size_tiles(core: CoreFigures) -> list[Tile]:
    """LUTs, whether the core fits the part, and whether it reaches the clock."""
    shown, used = [], core.usage
    lut = _best(core.resources.get("LUT"))
    remark = "by synthesis" if lut is not None else "estimated"
    if lut is None and core.stages is not None:
        parts = [part for stage in core.stages.stages for part in stage.parts]
        source = core.stages.sources.get("resources", "an estimate")
        lut = Figure(sum(part.lut for part in parts), "LUT", source)
    if lut is not None:
        about = "≈ " if remark == "estimated" else ""
        if "LUT" in used:
            remark += f", {share(*used['LUT'])} of the part"
        shown.append(Tile("Size", f"{about}{number(lut.value)}", "LUT", remark, (lut,)))
    if used:
        over = [name for name, (amount, there) in used.items() if amount > there]
        fullest = max(used, key=lambda name: used[name][0] / max(1, used[name][1]))
        remark = f"{figure_name(fullest)} {share(*used[fullest])}"
        fits = "does not fit" if over else "fits"
        shown.append(Tile(clipped(core.part, 40), fits, "", remark, good=not over))
    reached = _best(core.timing.get("Fmax"))
    if reached is not None and core.clock is not None:
        asked = 1000 / core.clock.value
        remark = f"{number(asked)} MHz asked for"
        good = reached.value >= asked
        shown.append(Tile("Clock reached", number(reached.value), "MHz", remark, (reached,), good))
    return shown


def duration(ns: float) -> tuple[str, str]:
    """A time in ns as a number and a unit that suits it.

    >>> duration(125), duration(2310), duration(12_500_000)
    (('125', 'ns'), ('2.31', 'µs'), ('12.5', 'ms'))
    """
    for unit, size in (("ns", 1), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)):
        if ns < 1000 * size or unit == "s":
            return f"{ns / size:.4g}", unit
    raise AssertionError


def rate(per_second: float) -> tuple[str, str]:
    """Frames a second as a number and a unit that suits it.

    >>> rate(1_234), rate(12_500_000)
    (('1,234', 'frames/s'), ('12.5', 'million frames/s'))
    """
    if per_second >= 1e6:
        return number(per_second / 1e6), "million frames/s"
    return number(per_second), "frames/s"


def _cycles(figure: Figure) -> str:
    return "cycle" if figure.value == 1 else "cycles"


def _best(pair: Prediction | None) -> Figure | None:
    """The measured figure, or else the predicted one."""
    return None if pair is None else pair.measured or pair.predicted


# ---- What templates use ----


def percent(value: float) -> str:
    """A share in percent, of two digits behind the point.

    >>> percent(97.123)
    '97.12 %'
    """
    return f"{value:.2f} %"


def share(part: float, whole: float) -> str:
    """A part of a whole in percent; "" of nothing.

    >>> share(1, 8), share(1, 5000), share(0, 0)
    ('12.5 %', 'below 0.1 %', '')
    """
    if 0 < part < whole / 1000:
        return "below 0.1 %"
    return f"{100 * part / whole:.1f} %" if whole else ""


def visible(value: Any) -> Any:
    """A text whose characters all print, of bounded length; other values as they are.

    >>> visible("a\u202eb")
    'a\ufffdb'
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\ufffd" for c in clipped(value, TEXT_LIMIT)
    )


def figure_name(name: str) -> str:
    """The name of a figure as people read it."""
    return RENAMED.get(name, name.replace("_", " "))


def ordered(mapping: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The entries of a mapping in an order that depends on names alone, the known ones first."""
    known = {name: i for i, name in enumerate(ORDER)}
    return sorted(mapping.items(), key=lambda item: (known.get(item[0], len(ORDER)), item[0]))


def shade(count: int, row: tuple[int, ...]) -> int:
    """The shade of a cell of a confusion matrix by its share of the row: 0 for nothing."""
    return -(-SHADES * count // sum(row)) if count else 0


def error_shade(count: int, row: tuple[int, ...]) -> int:
    """The shade of a confusion: 1 up to 3 % of the frames of its class, 2 up to 10 %, 3 above."""
    part = count / sum(row)
    return 1 + (part > 0.03) + (part > 0.1)


def largest_errors(rows: tuple[tuple[int, ...], ...]) -> list[tuple[int, int, int]]:
    """The most frequent confusions: count, correct class, given class."""
    wrong = [
        (count, i, j)
        for i, row in enumerate(rows)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(wrong, key=lambda each: (-each[0], each[1:]))[:20]


def cell(backend: BackendFigures, node: str) -> tuple[str, str]:
    """How a backend computed a node: a class of style, and words."""
    if differing := backend.differing_by_node.get(node):
        return "wrong", f"{differing:,} differ"
    if bits := backend.bits_by_node.get(node):
        return "", f"{bits:,}"
    if node in backend.fused:
        return "muted", f"in {clipped(backend.fused[node], 40)}"
    return "muted", "–"


@cache
def _environment() -> Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hwbnn.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Any] = {
        "number": number,
        "percent": percent,
        "figure_name": figure_name,
        "value_words": layers.value_words,
        "clipped": clipped,
        "ordered": ordered,
    }
    environment.filters.update(filters)
    environment.globals.update(
        charts=charts,
        share=share,
        shade=shade,
        error_shade=error_shade,
        largest_errors=largest_errors,
        cell=cell,
        plural=layers.plural,
        matrix_limit=MATRIX_LIMIT,
    )
    return environment
