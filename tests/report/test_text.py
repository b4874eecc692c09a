"""Reports as text."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from hwbnn.report import (
    Accuracy,
    BackendFigures,
    CoreFigures,
    Figure,
    Prediction,
    Report,
    renderable,
    text,
)
from tests.report.sample import report

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("width", [80, 120])
def test_the_text_is_as_it_was(width: int) -> None:
    # After a wanted change: write text(report(), width) to the file and read it as a person would.
    assert text(report(), width) == (GOLDEN / f"report-{width}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_longer_and_no_figure_is_cut(width: int) -> None:
    source = "a tool with quite a long name 1.2.3, on a device with a long name, seed 1"
    huge = Figure(123_456_789, "frames/s", source)
    backend = BackendFigures("rtl verilator, folded 16x56", 70_000, 987_654_321_012, 0, huge)
    cycles = {"initiation_interval": Prediction(Figure(1_234_567, "cycles", "model"))}
    shown = text(
        replace(report(), backends=(backend,), cores=(CoreFigures("x" * 30, "d", cycles),)), width
    )
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    for told in ("70,000", "987,654,321,012", "123,456,789", "1,234,567"):
        assert told in shown
    assert source in " ".join(shown.split())


def test_every_figure_and_source_is_shown() -> None:
    given = report()
    shown = " ".join(text(given, 120).split())
    pairs = [
        pair
        for core in given.cores
        for part in (core.cycles, core.resources, core.timing)
        for pair in part.values()
    ]
    for pair in pairs:
        for figure in (pair.predicted, pair.measured):
            assert figure is None or (str(figure).split()[0] in shown and figure.source in shown)
    for each in given.cores[0].depths:
        assert each.latency.source in shown
    for told in ("1 level 44 [", "2 levels, chosen 31 3.21 [", "4 levels 24 ["):
        assert told in shown
    for backend in given.backends[2:]:
        assert f"{backend.name} {backend.ran}, {backend.frames} frames" in shown
    assert all(
        f"{name}" in shown
        for backend in given.backends
        for name in (backend.name, f"{backend.bits:,}")
    )
    for each in given.fixed_point:
        assert f"{each.width} bits, {each.fraction} fraction bits" in shown
        assert each.mean.source in shown
    assert shown.endswith("all equal: 202,280 bits in 4 comparisons, cycles as predicted")


def test_what_is_wrong_ends_the_report_in_words() -> None:
    broken = BackendFigures(
        "rtl verilator", 10, 100, 3, failure="rtl verilator: v_dot1: frame 2, bit 7"
    )
    late = {"latency": Prediction(Figure(31, "cycles", "model"), Figure(32, "cycles", "bench"))}
    shown = text(replace(report(), backends=(broken,), cores=(CoreFigures("folded", "d", late),)))
    assert shown.splitlines()[-2:] == [
        "WRONG: rtl verilator: v_dot1: frame 2, bit 7",
        "WRONG: core folded: latency: predicted 31 cycles, counted 32 cycles",
    ]
    assert "all equal" not in shown


def test_a_report_of_nothing_does_not_look_good() -> None:
    assert text(Report("sfc", "ab" * 32)).endswith("nothing was compared\n")
    empty = replace(report(), backends=(BackendFigures("hls", 0, 0, 0),))
    assert "WRONG: hls: nothing was compared" in text(empty)


def test_what_names_hold_is_text_and_no_markup() -> None:
    given = Report(
        "[red]x",
        "ab" * 32,
        (Accuracy("[/bold] data", 1, None, Figure(50, "%", "[link=x]tool[/link]")),),
        files={"[b]": "[/b]"},
    )
    shown = text(given)
    for told in ("[red]x", "[/bold] data", "[link=x]tool[/link]", "[b]", "[/b]"):
        assert told in shown


def test_a_terminal_gets_colours_where_they_mean_something() -> None:
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system="standard")
    console.print(renderable(report()))
    assert "\x1b[32m" in out.getvalue()  # green: nothing differs
    wrong = replace(report(), backends=(BackendFigures("rtl", 1, 10, 1),))
    out.truncate(0)
    console.print(renderable(wrong))
    assert "\x1b[1;31m" in out.getvalue()
