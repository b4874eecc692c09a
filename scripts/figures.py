"""Writes the figures in README.md and in the pages that it links to, from the reports.

``models/<name>/report.json`` has the results of training and lowering, and
``models/<name>/build.json`` the hardware report of ``hwbnn build`` or ``hwbnn demo``; both are
:class:`hwbnn.report.Report`. ``benchmarks/figures.py`` makes the figures of the benchmarks.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import (
    circuits,
    cnv,
    fabrics,
    frameworks,
    integers,
    methods,
    parts,
    read,
    reading,
    speeds,
)
from hwbnn.graph import Dot, Graph, load
from hwbnn.report import Report, number, text

REPOSITORY = Path(__file__).resolve().parent.parent
ADABIN = {"qat": "sfc_adabin", "exact": "sfc_adabin_exact", "drop": "sfc_adabin_drop"}
"""AdaBin's modes, and the published network of each."""
SUMMARY = {
    "digits": "build.json",
    "sfc": "build_folded.json",
    "sfc_256": "build.json",
    "sfc_adabin": "build_folded.json",
    "lenet": "build.json",
    "cnv": "build.json",
    "resnet20_rbnn": "build.json",
}
"""The networks in the table of README.md, and the report file of each network's core."""
COLUMNS = ("latency", "initiation_interval", "LUT_paired", "LUT", "FF")
MARK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def networks(root: Path) -> Iterator[str]:
    """A table of the trained networks."""
    yield "| network | method | data | test images | float | integer | codes compared | differing |"
    yield "|---|---|---|---:|---:|---:|---:|---:|"
    for path in sorted((root / "models").glob("*/report.json")):
        found = Report.read(path)
        (accuracy,), known = found.accuracy, found.provenance
        assert accuracy.float_network is not None
        assert known is not None
        cells = (
            f"[{path.parent.name}]({path.parent.name})",
            f"`{_recipe(path.parent).get('method', 'bnn_ste')}`",
            known.data,
            number(accuracy.frames),
            f"{accuracy.float_network.value:.2f}%",
            f"{accuracy.integer_graph.value:.2f}%",
            number(sum(each.compared for each in found.agreement)),
            number(sum(each.differing for each in found.agreement)),
        )
        yield f"| {' | '.join(cells)} |"


def summary(root: Path) -> Iterator[str]:
    """The table in README.md: some networks, each with its core."""
    yield (
        "| network | data | float | integers | bits compared | differing | LUT sites | LUTs "
        "| block RAMs | DSPs | latency, cycles | interval, cycles |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for name, build in SUMMARY.items():
        folder = root / "models" / name
        told = Report.read(folder / "report.json")
        (accuracy,), known = told.accuracy, told.provenance
        assert accuracy.float_network is not None
        assert known is not None
        report = Report.from_json((folder / build).read_bytes(), build)
        core = report.cores[0]
        found = {
            key: pair.measured.value
            for key, pair in {**core.resources, **core.cycles}.items()
            if pair.measured is not None
        }
        cells = (
            f"[{name}](models/{name})",
            known.data,
            f"{accuracy.float_network.value:.2f}%",
            f"{accuracy.integer_graph.value:.2f}%",
            number(sum(backend.bits for backend in report.backends)),
            number(sum(backend.mismatches for backend in report.backends)),
            number(found["LUT_paired"]),
            number(found["LUT"]),
            f"{found['BRAM_36K'] + found['BRAM_18K'] / 2:g}",
            *(number(found[key]) for key in ("DSP", "latency", "initiation_interval")),
        )
        yield f"| {' | '.join(cells)} |"


def _recipe(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "recipe.toml").read_text())


def models(root: Path) -> Iterator[str]:
    """A table of the folders of ``models/``: recipe, accuracy and digest of the Graph."""
    yield "| folder | network | data set | input | method | seed | test accuracy | graph |"
    yield "|---|---|---|---|---|---:|---:|---|"
    for path in sorted((root / "models").glob("*/report.json")):
        found, recipe = Report.read(path), _recipe(path.parent)
        bits = recipe.get("input", "bits") == "bits"
        cells = (
            f"`{path.parent.name}`",
            recipe["network"],
            recipe["data"],
            (f"bits: pixel >= {recipe['threshold']}" if bits else "pixels")
            + (f", {recipe['reads']} of them" if "reads" in recipe else ""),
            f"`{recipe.get('method', 'bnn_ste')}`",
            recipe.get("seed", 1),
            f"{found.accuracy[0].integer_graph.value:.2f}%",
            f"`{found.digest[:12]}`",
        )
        yield f"| {' | '.join(map(str, cells))} |"


def shortcuts(root: Path) -> Iterator[str]:
    """For networks with shortcuts, the effect of each word length of their fixed point."""
    found = {
        path.parent.name: Report.read(path).fixed_point
        for path in sorted((root / "models").glob("*/report.json"))
    }
    if not any(found.values()):
        yield "No network with shortcuts is published yet; `hwbnn measure RUN` measures a run."
        return
    yield (
        "| network | fraction bits | bits | logits off | at most | same class | integer "
        "| float | points lost |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for name, lengths in found.items():
        for told in lengths:
            lost = told.float_network.value - told.integers.value
            cells = (
                f"`{name}`",
                told.fraction,
                told.width,
                number(told.mean.value),
                number(told.largest.value),
                f"{told.agreement.value:.2f}%",
                f"{told.integers.value:.2f}%",
                f"{told.float_network.value:.2f}%",
                f"{lost:.2f}",
            )
            yield f"| {' | '.join(map(str, cells))} |"


def curves(root: Path) -> Iterator[str]:
    """The course of training: the accuracy on training images at about ten epochs."""
    yield "| network | epochs | training images right, by epoch |"
    yield "|---|---:|---|"
    for path in sorted((root / "models").glob("*/report.json")):
        told = Report.read(path).training
        reached = () if told is None else told.accuracy
        if reached:
            last = len(reached)
            shown = sorted({1 + round(i * (last - 1) / 9) for i in range(10)})
            points = ", ".join(f"{epoch}: {reached[epoch - 1]:.1%}" for epoch in shown)
            yield f"| `{path.parent.name}` | {last} | {points} |"


def adabin(root: Path) -> Iterator[str]:
    """AdaBin's three modes: accuracy, integers certified by lowering, and resources."""
    folders = {mode: root / "models" / name for mode, name in ADABIN.items()}
    runs = read(root, "methods")["experiments"]["sfc"]["rows"]
    reached = {row["method"]: row for row in runs}
    yield (
        "| mode | test accuracy, seeds | integers of each layer | LUT sites | LUTs | DSP | FF "
        "| latency |"
    )
    yield "|---|---:|---|---:|---:|---:|---:|---:|"
    for mode, folder in folders.items():
        row = reached[folder.name.removeprefix("sfc_")]
        core = Report.from_json((folder / "build.json").read_bytes()).cores[0]
        pairs = {**core.resources, **core.cycles}
        told = (pairs[name].measured for name in ("LUT_paired", "LUT", "DSP", "FF", "latency"))
        cells = (
            f"`{mode}`",
            f"{row['accuracy']:.2%}, {row['seeds']}",
            "; ".join(_integers(load(folder / "graph.npz"))),
            *("not run" if figure is None else number(figure.value) for figure in told),
        )
        yield f"| {' | '.join(cells)} |"


def _integers(graph: Graph) -> Iterator[str]:
    """The integer sums of each layer, and the number of certified pairs ``(D, S)``."""
    parts = graph.notes.get("certificates", "").split("; ")
    said = dict(part.split(": ", 1) for part in parts if part)
    for dot in graph.of_type(Dot):
        if dot.scale is None or dot.offset is None:
            yield f"{dot.name}: D"
            continue
        power = int(dot.scale.max()).bit_length() - 1
        pairs = re.search(r"all (\d+) pairs", said.get(dot.name, ""))
        shown = f", certified on {number(int(pairs[1]))} pairs" if pairs else ""
        yield f"{dot.name}: 2^{power} D + R S, R to {number(int(abs(dot.offset).max()))}{shown}"


def hardware(root: Path) -> Iterator[str]:
    """A table of the cores that were built, verified and synthesised."""
    yield (
        "| core | backends (frames, where fewer) | frames | bits compared | differing "
        "| latency, cycles | interval, cycles | LUT sites | LUTs | FF |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for path in sorted((root / "models").glob("*/build*.json")):
        report = Report.from_json(path.read_bytes(), str(path))
        most = max(backend.frames for backend in report.backends)
        backends = "; ".join(
            backend.name if backend.frames == most else f"{backend.name} ({number(backend.frames)})"
            for backend in report.backends
        )
        for core in report.cores:
            pairs = {**core.cycles, **core.resources}
            told = [pairs[name].measured if name in pairs else None for name in COLUMNS]
            cells = (
                f"{_core_name(report, path)}, {core.name}",
                backends,
                number(most),
                number(sum(backend.bits for backend in report.backends)),
                number(sum(backend.mismatches for backend in report.backends)),
                *("not run" if figure is None else number(figure.value) for figure in told),
            )
            yield f"| {' | '.join(cells)} |"


def _core_name(report: Report, path: Path) -> str:
    """The network's name, and the Plan's name from ``build_<plan>.json``."""
    return report.network + path.stem.removeprefix("build").replace("_", ", ")


def demo(root: Path) -> Iterator[str]:
    """The output of the demo."""
    report = Report.from_json((root / "models" / "digits" / "build.json").read_bytes())
    yield "```text"
    yield from text(report, width=100).rstrip().splitlines()
    yield "```"


PUBLISHED = (
    ("TreeLUT I", "97", "4,478", "the network; whether its encoder counts is not known to us"),
    ("PolyLUT-Add", "96", "14,810", "the network; whether its encoder counts is not known to us"),
    (
        "Logic Shrinkage, MLP",
        "97.47",
        "63,928",
        "the network; whether its encoder counts is not known to us",
    ),
    ("DWN, small", "97.1", "692", "without its encoder"),
    ("DWN, medium", "97.9", "1,413", "without its encoder"),
    ("DWN, large", "98.3", "4,082", "without its encoder"),
    ("DWN made anew by others", "97.76", "3,464", "with its encoder, on a board"),
)
"""Networks for MNIST, an image a cycle: percent of test images, LUTs and remark, as published, by
Vivado."""


def votes(root: Path) -> Iterator[str]:
    """Networks of six-input neurons beside what others published."""
    yield "| network | test images right, % | LUT sites | LUTs | counted |"
    yield "|---|---:|---:|---:|---|"
    for folder in sorted((root / "models").glob("votes*")):
        report = Report.from_json((folder / "build.json").read_bytes())
        figures = report.cores[0].resources
        sites, luts = (figures[name].measured for name in ("LUT_paired", "LUT"))
        (accuracy,) = Report.read(folder / "report.json").accuracy
        cells = (
            f"[{folder.name}](../models/{folder.name})",
            f"{accuracy.integer_graph.value:.2f}",
            *("not run" if figure is None else number(figure.value) for figure in (sites, luts)),
            "the whole core, by yosys: comparisons of pixels, ArgMax, stream ports",
        )
        yield f"| {' | '.join(cells)} |"
    for name, right, luts_published, remark in PUBLISHED:
        yield f"| {name} | {right} |  | {luts_published} | {remark} |"


SECTIONS = {
    "votes": votes,
    "summary": summary,
    "reading": reading,
    "parts": parts,
    "fabrics": fabrics,
    "circuits": circuits,
    "networks": networks,
    "models": models,
    "shortcuts": shortcuts,
    "curves": curves,
    "methods": methods,
    "adabin": adabin,
    "hardware": hardware,
    "demo": demo,
    "speeds": speeds,
    "cnv": cnv,
    "integers": integers,
    "frameworks": frameworks,
}
PAGES = (
    *("README.md", "models/README.md", "benchmarks/README.md"),
    *("docs/report.md", "docs/hardware.md"),
)


def written(page: str, root: Path) -> str:
    """The page with its figures replaced by those of the reports."""
    return MARK.sub(
        lambda found: found[1] + "\n".join(SECTIONS[found[2]](root)) + "\n" + found[3], page
    )


def main() -> int:
    """Write or check the pages; 1 if one is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the repository")
    given = parser.parse_args()
    stale = False
    for name in PAGES:
        path: Path = given.root / name
        page = path.read_text()
        fresh = written(page, given.root)
        if not given.check:
            path.write_text(fresh)
            print(f"figures written -> {path}")
        elif fresh != page:
            print(f"error: {path}: its figures are not those of the reports; run scripts/figures")
            stale = True
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
