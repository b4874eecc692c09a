"""Reports as JSON: written, read, refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hwbnn.errors import InputError
from hwbnn.report import BackendFigures, CoreFigures, Figure, Prediction, Report, number
from tests.report.sample import report


def _told() -> Any:
    return json.loads(report().to_json())


def _read(told: object) -> Report:
    return Report.from_json(json.dumps(told), "report.json")


def test_json_and_back_is_the_same_report() -> None:
    text = report().to_json()
    again = Report.from_json(text)
    assert again == report()
    assert again.to_json() == text


def test_entries_with_a_default_may_be_left_out() -> None:
    assert _read({"hwbnn report": 1, "network": "x", "digest": "d"}) == Report("x", "d")


def _broken() -> list[tuple[str, object]]:
    def changed(*path: Any, to: object) -> Any:
        told = _told()
        inner = told
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to
        return told

    without = _told()
    del without["digest"]
    figure = ("accuracy", 0, "integer_graph")
    core = ("cores", 0)
    return [
        (r"clock: expected a period in ns", changed(*core, "clock", "value", to=0)),
        (r"'busy' from 0 to 1", changed(*core, "stages", "stages", 0, "busy", to=1.5)),
        (r"a fill for each depth", changed(*core, "stages", "stages", 1, "fill", to=[])),
        (r"node 'x': expected sizes from 1", changed("nodes", 0, "shape", to=[0])),
        (r"nodes: 't': expected a new name", changed("nodes", 2, "name", to="t")),
        (r"nodes: 'x': expected a new name, and sources", changed("nodes", 0, "sources", to=["t"])),
        (r"confusion: expected a square", changed("accuracy", 0, "confusion", to=[[1, 2]])),
        (r"confusion: expected a square", changed("accuracy", 0, "confusion", to=[[-1]])),
        (r"roc: expected counts", changed("accuracy", 0, "roc", "chosen_true", to=10**6)),
        (r"roc: expected counts", changed("accuracy", 0, "roc", "true_positives", to=[0])),
        (r"margins of 't': expected at most 64", changed("margins", 0, "counts", to=[1] * 65)),
        (r"expected a report with the entry 'hwbnn report'", []),
        (r"expected a report with the entry 'hwbnn report'", {"network": "x"}),
        (r"expected format 3, found '4'; a newer hwbnn", changed("hwbnn report", to=4)),
        (r"expected format 3", changed("hwbnn report", to=True)),
        (r"expected format 3", changed("hwbnn report", to=10**4000)),
        (r"network: expected printable text", changed("network", to="\ud800")),
        (r"network: expected printable text", changed("network", to="\x1b[2J")),
        (r"versions: expected names of printable text", changed("versions", to={"\ud800": "1"})),
        (r"unknown entry '\\ud800'", changed("\ud800", to=1)),
        (r"value: expected a number of at most 1e30", changed(*figure, "value", to=10**400)),
        (r"frames: expected a number of at most", changed("accuracy", 0, "frames", to=10**40)),
        (r"entry 'digest' is missing", without),
        (r"unknown entry 'colour'", changed("colour", to=1)),
        (r"backends\[0\]: unknown entry 'speed'", changed("backends", 0, "speed", to=1)),
        (r"network: expected text, found '7'", changed("network", to=7)),
        (r"backends: expected a list", changed("backends", to={})),
        (r"backends\[1\]: expected an object", changed("backends", 1, to=3)),
        (
            r"backends\[0\]: bits: expected an integer, found 'True'",
            changed("backends", 0, "bits", to=True),
        ),
        (
            r"backends\[0\]: bits: expected an integer, found '1.5'",
            changed("backends", 0, "bits", to=1.5),
        ),
        (r"versions: torch: expected text", changed("versions", "torch", to=None)),
        (r"value: expected an integer or a number", changed(*figure, "value", to="1")),
        (r"integer_graph: figure: source: expected who", changed(*figure, "source", to=" ")),
    ]


@pytest.mark.parametrize(("message", "told"), _broken())
def test_what_is_no_report_gets_one_line(message: str, told: object) -> None:
    with pytest.raises(InputError, match=message) as caught:
        _read(told)
    assert str(caught.value).startswith("report.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "nan", '{"hwbnn report": NaN}', "[" * 100_000, b"\xff"])
def test_what_is_no_json_gets_one_line(text: str | bytes) -> None:
    with pytest.raises(InputError, match="report: not JSON"):
        Report.from_json(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1", None])
def test_a_figure_is_a_finite_number(value: Any) -> None:
    with pytest.raises(InputError, match="figure: value"):
        Figure(value, "LUT", "yosys")


@pytest.mark.parametrize("source", ["", "  ", None])
def test_a_figure_says_where_it_came_from(source: Any) -> None:
    with pytest.raises(InputError, match="figure: source"):
        Figure(1, "LUT", source)


def test_numbers_read_well() -> None:
    assert [number(v) for v in (0, 999, 1000, 12.5, 131.078, 0.5, 1e6, -2000)] == [
        *("0", "999", "1,000", "12.5", "131.1", "0.5", "1,000,000", "-2,000"),
    ]


def test_good_needs_something_compared_and_nothing_wrong() -> None:
    assert report().ok
    assert not replace(report(), backends=(), agreement=()).ok
    assert not replace(report(), backends=(BackendFigures("fast", 3, 0, 0),)).ok
    assert not replace(report(), backends=(BackendFigures("fast", 3, 9, 1),)).ok
    assert not replace(
        report(), backends=(BackendFigures("rtl", 3, 9, 0, failure="rtl: tlast early"),)
    ).ok
    late = {"latency": Prediction(Figure(31, "cycles", "model"), Figure(32, "cycles", "bench"))}
    assert not replace(report(), cores=(CoreFigures("folded", "d", late),)).ok
    alone = {"latency": Prediction(Figure(31, "cycles", "model"))}
    assert replace(report(), cores=(CoreFigures("folded", "d", alone),)).ok


def test_hls4ml_finds_its_keys() -> None:
    (core,) = _told()["cores"]
    assert core["hls4ml"] == {
        "CSynthesisReport": {
            "BestLatency": "31",
            "WorstLatency": "31",
            "IntervalMin": "8",
            "IntervalMax": "8",
            "LUT": "4987",
            "FF": "3214",
            "DSP": "0",
            "BRAM_18K": "1",
            "EstimatedClockPeriod": "7.629",
        }
    }
    # A block of 36 Kbit counts as two of 18.
    blocks = {
        name: Prediction(None, Figure(n, "BRAM", "yosys"))
        for name, n in (("BRAM_36K", 3), ("BRAM_18K", 1))
    }
    made = replace(report(), cores=(CoreFigures("c", "d", {}, blocks),)).to_json()
    assert json.loads(made)["cores"][0]["hls4ml"] == {"CSynthesisReport": {"BRAM_18K": "7"}}
