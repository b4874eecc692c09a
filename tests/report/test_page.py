"""The page of a report: whole, well-formed, safe, and readable by everyone."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest

from hwbnn import methods
from hwbnn.report import (
    BackendFigures,
    Figure,
    MarginHistogram,
    NodeFigures,
    Prediction,
    Report,
    number,
    page,
)
from hwbnn.report.drawing import DRAWN, drawing
from hwbnn.report.layers import edges, hardware, layers
from tests.report.sample import report

VOID = {"meta", "link", "br", "rect", "path", "circle", "polyline"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Document(HTMLParser):
    """A page's elements in order; the last that was opened must be closed first."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def figures(value: Any) -> Iterator[Figure]:
    """Every figure inside a report."""
    if isinstance(value, Figure):
        yield value
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from figures(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from figures(item)
    elif hasattr(value, "values"):
        for item in value.values():
            yield from figures(item)


def residual() -> tuple[NodeFigures, ...]:
    """A long network with shortcuts, some within others."""
    nodes = [NodeFigures("x", "Input", (), (8, 8, 16), 0, 1, 1)]
    before = "x"
    for i in range(40):
        size = {"shape": (8, 8, 16), "low": -9, "high": 9, "width": 5}
        nodes += [
            NodeFigures(f"c{i}", "Conv2d", (before,), **size, weights=9, kernel=(3, 3)),
            NodeFigures(f"t{i}", "Threshold", (f"c{i}",), **size, thresholds=1),
            NodeFigures(f"d{i}", "Conv2d", (f"t{i}",), **size, weights=9, kernel=(3, 3)),
            NodeFigures(f"a{i}", "Add", (f"d{i}", before), **size),
        ]
        before = f"a{i}"
    nodes += [
        NodeFigures("all", "Add", (before, "a3"), (8, 8, 16), -99, 99, 8),
        NodeFigures("y", "Output", ("all",), (8, 8, 16), -99, 99, 8, meaning="scores"),
    ]
    return tuple(nodes)


def test_every_figure_is_there_with_its_source() -> None:
    given = report()
    shown = Document(page(given))
    for figure in figures(replace(given, cores=(replace(given.cores[0], available={}),))):
        assert figure.source in shown.words
        value = f"{figure.value:.2f}" if figure.unit == "%" else number(figure.value)
        assert value in shown.words or f"{figure.value:.4f}" in shown.words
    for node in given.nodes:
        assert node.name in shown.words
    for backend in given.backends:
        assert number(backend.bits) in shown.words
    for told in ("200", "147", "hwbnn demo", given.digest, "fits", "folded 5 x 32", "7 of 16"):
        assert told in shown.words


def test_the_first_lines_say_what_matters() -> None:
    shown = Document(page(report())).words
    head = shown[:700]
    for told in (
        "digits",
        "All equal, bit for bit: 202,280 bits in 4 comparisons, cycles as predicted",
        "Accuracy 1, 2 96.39 %",
        "Latency 3, 4 155 ns 31 cycles of 5 ns",
        "25 million frames/s",
        "4,987 LUT",
        "9.4 % of the part",
        "xc7z020clg400-1 fits",
        "131.1 MHz",
    ):
        assert told in head


def test_what_is_wrong_is_at_the_head() -> None:
    broken = BackendFigures(
        "rtl", 10, 100, 3, failure="rtl: node 't': frame 2", differing_by_node={"t": 3}
    )
    shown = Document(page(replace(report(), backends=(broken,)))).words
    assert "✗ NOT equal: 1 of the comparisons failed" in shown
    assert "rtl: node 't': frame 2" in shown[:300]
    assert "3 differ" not in shown  # nothing was noted by node
    told = replace(broken, bits_by_node={"t": 100})
    assert "3 differ" in Document(page(replace(report(), backends=(told,)))).words
    core = report().cores[0]
    small = replace(core, available={"LUT": Figure(4000, "LUT", "list")})
    assert "does not fit" in page(replace(report(), cores=(small,)))
    late = {"latency": Prediction(Figure(31, "cycles", "model"), Figure(32, "cycles", "bench"))}
    shown = Document(page(replace(report(), cores=(replace(core, cycles=late),)))).words
    assert "predicted 31 cycles, counted 32 cycles" in shown[:300]
    assert "Nothing" not in Document(page(Report("n", "d"))).words
    assert "✗ nothing was compared" in Document(page(Report("n", "d"))).words


@pytest.mark.parametrize("given", [report(), Report("n", "d"), replace(report(), nodes=residual())])
def test_the_document_is_well_formed(given: Report) -> None:
    text = page(given)
    shown = Document(text)
    assert text.startswith("<!DOCTYPE html>")
    assert shown.of("html") == [{"lang": "en"}]
    ids = Counter(attributes["id"] for _, attributes in shown.elements if "id" in attributes)
    assert set(ids.values()) == {1}
    for tag, attributes in shown.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert all(each in ids for each in (attributes.get(name) or "").split())
        if "href" in attributes and tag == "a":
            target = attributes["href"] or ""
            assert target.startswith("#")
            assert target[1:] in ids
    levels = [int(tag[1]) for tag, _ in shown.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert all(table.get("aria-labelledby") for table in shown.of("table"))
    assert all(head.get("scope") for head in shown.of("th"))
    for picture in shown.of("svg"):
        assert "aria-labelledby" in picture or picture.get("aria-hidden") == "true"


def test_nothing_runs_and_nothing_is_loaded() -> None:
    text = page(report())
    shown = Document(text)
    (policy,) = (m["content"] for m in shown.of("meta") if "http-equiv" in m)
    assert policy == POLICY
    tags = {tag for tag, _ in shown.elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base", "img", "use", "image"}
    assert [a["href"] for a in shown.of("link")] == ["data:,"]
    for _, attributes in shown.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "style")
        ]
    assert set(re.findall(r"url\(([^)]*)\)", text)) == {"#arrow"}
    assert "@import" not in text
    assert "http:" not in text
    assert "https:" not in text


HOSTILE = (
    "<script>alert(1)</script>",
    '" onload="alert(1)',
    "'><img src=x onerror=alert(1)>",
    "</style><script>alert(1)</script>",
    "{{ 7 * 191 }}{% raw %}",
    "a\u202eb\u2066c",
    "שלום عربي",
    "x" * 10_000,
    "javascript:alert(1)",
    "]]><!--",
)


def hostile(text: str) -> Report:
    """A report whose every text is this one."""

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            return text
        if isinstance(value, Figure):
            return Figure(value.value, text, text)
        if hasattr(value, "__dataclass_fields__"):
            names = [n for n in value.__dataclass_fields__ if n != "nodes"]
            return replace(value, **{name: filled(getattr(value, name)) for name in names})
        if isinstance(value, tuple):
            return tuple(map(filled, value))
        if hasattr(value, "items"):
            return {
                (k if k in ("cycles", "resources") else f"{text}{k}"): filled(v)
                for k, v in value.items()
            }
        return value

    given = report()
    names = {node.name: f"{text}{i}" for i, node in enumerate(given.nodes)}
    nodes = tuple(
        replace(
            node,
            name=names[node.name],
            sources=tuple(names[s] for s in node.sources),
            layer=text,
            meaning=text,
        )
        for node in given.nodes
    )
    return replace(filled(replace(given, nodes=())), nodes=nodes)


@pytest.mark.parametrize("text", HOSTILE)
def test_names_of_strangers_are_text(text: str) -> None:
    expected, shown = Document(page(report())), Document(page(hostile(text)))
    assert len(page(hostile(text))) < 1_000_000
    allowed = {tag for tag, _ in expected.elements}
    assert {tag for tag, _ in shown.elements} <= allowed
    for _, attributes in shown.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "style")
        ]
        target = attributes.get("href") or ""
        assert target.startswith("#") or target in ("", "data:,")
    assert "1337" not in page(hostile(text))
    assert "\u202e" not in page(hostile(text))
    assert "\u2066" not in page(hostile(text))
    if len(text) < 60:
        assert (
            " ".join("".join(c if c.isprintable() else "\ufffd" for c in text).split())
            in shown.words
        )


def test_a_report_by_strangers_is_read_before_it_is_shown() -> None:
    read = Report.from_json(replace(report(), network=HOSTILE[0]).to_json())
    assert page(read) == page(replace(report(), network=HOSTILE[0]))


# ---- Layers and their picture ----


def test_nodes_that_belong_together_are_one_layer() -> None:
    told = layers(report().nodes)
    assert [layer.names for layer in told] == [
        *(("x",), ("flat",), ("sums", "t"), ("wide",), ("more",), ("both",), ("best", "y")),
    ]
    assert [layer.title for layer in told[2:4]] == ["Dense, 64 → 10", "Rescale"]
    assert told[2].details == "640 × 2 bits, 10 thresholds"
    assert told[-1].title == "Largest score: class"
    stages = report().cores[0].stages
    assert stages is not None
    rows, around = hardware(told, stages.stages)
    assert (rows[2].lut, rows[2].cycles, rows[2].busy, rows[2].fifos) == (780, 4, 0.5, ((7, 16),))
    assert rows[2].form == "folded 5 x 32"
    assert (around.lut, around.ff) == (14, 80)


@pytest.mark.parametrize("nodes", [report().nodes, residual()])
def test_every_value_reaches_its_readers_in_the_picture(nodes: tuple[NodeFigures, ...]) -> None:
    told = layers(nodes)
    picture = drawing(told)
    assert picture is not None
    boxes = [box for column in picture.columns for box in column.boxes]
    assert len(boxes) == len(told)
    arrows = [arrow for column in picture.columns for arrow in column.arrows]
    assert len(arrows) == len(list(edges(told)))
    for column in picture.columns:
        spans = sorted((box.y, box.y + box.height) for box in column.boxes)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
        assert spans[-1][1] <= column.height <= 1400
        # Every arrow ends at the edge of a box, at its top or at its right side.
        for arrow in column.arrows:
            numbers = [int(n) for n in re.findall(r"\d+", arrow)]
            if "V" in arrow:
                assert numbers[2] in [top for top, _ in spans]
            else:
                assert any(top < numbers[1] < bottom for top, bottom in spans)
        # No two rails of a column share a place.
        rails: dict[int, list[tuple[int, int]]] = {}
        for path in column.paths:
            if m := re.fullmatch(r"M(\d+) (\d+)V(\d+)", path):
                x, top, bottom = map(int, m.groups())
                rails.setdefault(x, []).append((top, bottom))
        for spans in rails.values():
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(sorted(spans)))


def test_networks_beyond_all_measure_have_no_picture() -> None:
    nodes = [NodeFigures("x", "Input", (), (1,), 0, 1, 1)]
    for i in range(DRAWN + 1):
        nodes.append(NodeFigures(f"p{i}", "MaxPool", (nodes[-1].name,), (1,), 0, 1, 1))
    assert drawing(layers(nodes)) is None
    assert "too many layers" in page(replace(report(), nodes=tuple(nodes)))


def test_a_long_network_is_a_small_page() -> None:
    many = tuple(MarginHistogram(f"t{i}", "", 8, 1, (5,) * 24, 5, 0) for i in range(40))
    assert len(page(replace(report(), nodes=residual(), margins=many))) < 400_000


# ---- Colours ----


def schemes() -> dict[str, dict[str, str]]:
    """The colours of the style sheet: light, dark and printed."""
    style = files("hwbnn.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    parts = {"light": style.partition("@media")[0]}
    for name, mark in (("dark", "prefers-color-scheme: dark"), ("print", "@media print")):
        parts[name] = style.partition(mark)[2].partition("}")[0]
    return {
        name: dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for name, part in parts.items()
    }


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_contrast(scheme: str) -> None:
    colour = schemes()["light"] | schemes()[scheme]
    surfaces = ["paper", "panel"]
    for text in ("ink", "muted", "blue", "wrong"):
        for surface in surfaces:
            assert contrast(colour[text], colour[surface]) >= 4.5, (text, surface)
    shades = [f"shade{i}" for i in range(1, 6)] + [f"error{i}" for i in range(1, 4)]
    for surface in ("tint", *shades):
        assert contrast(colour["ink"], colour[surface]) >= 4.5, surface
    assert contrast(colour["blue"], colour["tint"]) >= 4.5 or scheme != "dark"
    for graphic in ("blue", "muted"):
        assert contrast(colour[graphic], colour["paper"]) >= 3


def test_charts_have_the_colours_of_plots() -> None:
    plots = {methods.kind(name).colour for name in methods.METHODS}
    for colours in schemes().values():
        for name in ("blue", "orange"):
            assert colours.get(name, "#0077bb") in plots


def test_a_notebook_shows_the_summary() -> None:
    shown = Document(report()._repr_html_())
    for told in ("digits : all equal, 202,280 bits", "96.39 %", "155 ns", "4,987 LUT"):
        assert told in shown.words
    assert len(report()._repr_html_()) < 5000
    assert not {tag for tag, _ in shown.elements} & {"script", "html", "body", "a", "link", "img"}


def test_nothing_of_our_own_is_replaced() -> None:
    assert "\ufffd" not in page(report()) + report()._repr_html_()
