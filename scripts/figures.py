"""The figures of README.md, from what was measured.

``models/<name>/report.json`` is what training and lowering measured, ``models/<name>/build.json``
what ``hwbnn build`` or ``hwbnn demo`` reported of the hardware, ``benchmarks/results`` what
``scripts/bench`` measured.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from hwbnn.report import Report, number, text

REPOSITORY = Path(__file__).resolve().parent.parent
COLUMNS = ("latency", "initiation_interval", "LUT", "FF")
MARK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def networks(root: Path) -> Iterator[str]:
    """A table of the trained networks."""
    yield "| network | data | test images | float | integer | codes compared | differing |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for path in sorted((root / "models").glob("*/report.json")):
        found = json.loads(path.read_bytes())
        accuracy, compared = found["accuracy"], found["float against integer"]
        cells = (
            f"[{path.parent.name}](models/{path.parent.name})",
            found["data"]["name"],
            number(found["test images"]),
            f"{accuracy['float']:.2%}",
            f"{accuracy['integer']:.2%}",
            number(compared["compared"]),
            number(compared["differing"]),
        )
        yield f"| {' | '.join(cells)} |"


def hardware(root: Path) -> Iterator[str]:
    """A table of the cores that were built, verified and synthesised."""
    yield (
        "| core | ways | frames each | bits compared | differing | latency, cycles "
        "| interval, cycles | LUT | FF |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for path in sorted((root / "models").glob("*/build*.json")):
        report = Report.from_json(path.read_bytes(), str(path))
        ways = "; ".join(way.name for way in report.ways)
        for core in report.cores:
            pairs = {**core.cycles, **core.resources}
            told = [pairs[name].measured if name in pairs else None for name in COLUMNS]
            cells = (
                f"{_core_name(report, path)}, {core.name}",
                ways,
                number(max(way.frames for way in report.ways)),
                number(sum(way.bits for way in report.ways)),
                number(sum(way.mismatches for way in report.ways)),
                *("not run" if figure is None else number(figure.value) for figure in told),
            )
            yield f"| {' | '.join(cells)} |"


def _core_name(report: Report, path: Path) -> str:
    """The network, and what ``build_<plan>.json`` says of its Plan."""
    return report.network + path.stem.removeprefix("build").replace("_", ", ")


def demo(root: Path) -> Iterator[str]:
    """What the demo prints."""
    report = Report.from_json((root / "models" / "digits" / "build.json").read_bytes())
    yield "```text"
    yield from text(report, width=100).rstrip().splitlines()
    yield "```"


def speeds(root: Path) -> Iterator[str]:
    """Images a second of every way, as the benchmark last measured them."""
    found = json.loads((root / "benchmarks" / "results" / "simulators.json").read_bytes())
    machine = found["machine"]
    yield (
        f"Network: {found['what']}. Machine: {machine['cpu']}, {machine['cores']} cores, at a load "
        f"of {machine['load_before']:.0f} to {machine['load_after']:.0f} by other work: the last "
        "column, by processor time, hardly depends on it."
    )
    yield ""
    yield "| way | images a second | images in a second of one core |"
    yield "|---|---:|---:|"
    for way in found["images_per_second"]:
        yield f"| {way['name']} | {number(way['median'])} | {number(way['a_core_second'])} |"


SECTIONS = {"networks": networks, "hardware": hardware, "demo": demo, "speeds": speeds}


def written(page: str, root: Path) -> str:
    """The page with its figures as the reports have them."""
    return MARK.sub(
        lambda found: found[1] + "\n".join(SECTIONS[found[2]](root)) + "\n" + found[3], page
    )


def main() -> int:
    """Write or check README.md; 1 if it is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the repository")
    given = parser.parse_args()
    path: Path = given.root / "README.md"
    page = path.read_text()
    fresh = written(page, given.root)
    if given.check:
        if fresh != page:
            print(f"error: {path}: its figures are not those of the reports; run scripts/figures")
        return int(fresh != page)
    path.write_text(fresh)
    print(f"figures written -> {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
