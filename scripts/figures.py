"""The figures of README.md and of models/README.md, from what was measured.

``models/<name>/report.json`` is what training and lowering measured, ``models/<name>/build.json``
what ``hwbnn build`` or ``hwbnn demo`` reported of the hardware, ``benchmarks/results`` what
``scripts/bench`` and ``python -m benchmarks.methods`` measured.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.circuits_report import with_sums
from hwbnn.graph import Dot, Graph, load
from hwbnn.report import Report, number, text

REPOSITORY = Path(__file__).resolve().parent.parent
ADABIN = {"qat": "sfc_adabin", "exact": "sfc_adabin_exact", "drop": "sfc_adabin_drop"}
"""AdaBin's modes and the published networks trained in them."""
COLUMNS = ("latency", "initiation_interval", "LUT", "FF")
MARK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def networks(root: Path) -> Iterator[str]:
    """A table of the trained networks."""
    yield "| network | method | data | test images | float | integer | codes compared | differing |"
    yield "|---|---|---|---:|---:|---:|---:|---:|"
    for path in sorted((root / "models").glob("*/report.json")):
        found = json.loads(path.read_bytes())
        accuracy, compared = found["accuracy"], found["float against integer"]
        cells = (
            f"[{path.parent.name}](models/{path.parent.name})",
            f"`{_recipe(path.parent).get('method', 'bnn_ste')}`",
            found["data"]["name"],
            number(found["test images"]),
            f"{accuracy['float']:.2%}",
            f"{accuracy['integer']:.2%}",
            number(compared["compared"]),
            number(compared["differing"]),
        )
        yield f"| {' | '.join(cells)} |"


def _recipe(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "recipe.toml").read_text())


def models(root: Path) -> Iterator[str]:
    """A table of the folders of ``models/``: what each was trained by, and its Graph's digest."""
    yield "| folder | network | data set | input | method | seed | test accuracy | graph |"
    yield "|---|---|---|---|---|---:|---:|---|"
    for path in sorted((root / "models").glob("*/report.json")):
        found, recipe = json.loads(path.read_bytes()), _recipe(path.parent)
        bits = recipe.get("input", "bits") == "bits"
        cells = (
            f"`{path.parent.name}`",
            recipe["network"],
            recipe["data"],
            (f"bits: pixel >= {recipe['threshold']}" if bits else "pixels")
            + (f", {recipe['reads']} of them" if "reads" in recipe else ""),
            f"`{recipe.get('method', 'bnn_ste')}`",
            recipe.get("seed", 1),
            f"{found['accuracy']['integer']:.2%}",
            f"`{found['graph'][:12]}`",
        )
        yield f"| {' | '.join(map(str, cells))} |"


def shortcuts(root: Path) -> Iterator[str]:
    """Of networks with shortcuts, what each word length of their fixed point changes."""
    found = {
        path.parent.name: json.loads(path.read_bytes()).get("fixed point", ())
        for path in sorted((root / "models").glob("*/report.json"))
    }
    if not any(found.values()):
        yield "No network with shortcuts is published yet; `hwbnn measure RUN` measures a run."
        return
    yield (
        "| network | bits behind the point | bits | logits off | at most | same class | integer "
        "| float | points lost |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for name, lengths in found.items():
        for told in lengths:
            lost = 100 * (told["accuracy_float"] - told["accuracy_integer"])
            cells = (
                f"`{name}`",
                told["fraction"],
                told["width"],
                number(told["mean"]),
                number(told["largest"]),
                f"{told['agreement']:.2%}",
                f"{told['accuracy_integer']:.2%}",
                f"{told['accuracy_float']:.2%}",
                f"{lost:.2f}",
            )
            yield f"| {' | '.join(map(str, cells))} |"


def curves(root: Path) -> Iterator[str]:
    """How training went: the accuracy on training images at some ten epochs."""
    yield "| network | epochs | training images right, by epoch |"
    yield "|---|---:|---|"
    for path in sorted((root / "models").glob("*/report.json")):
        told = json.loads(path.read_bytes())["training"]
        reached = told.get("curve", {}).get("training accuracy", ())
        if reached:
            last = len(reached)
            shown = sorted({1 + round(i * (last - 1) / 9) for i in range(10)})
            points = ", ".join(f"{epoch}: {reached[epoch - 1]:.1%}" for epoch in shown)
            yield f"| `{path.parent.name}` | {last} | {points} |"


def methods(root: Path) -> Iterator[str]:
    """The methods side by side, a row each."""
    path = root / "benchmarks" / "results" / "methods.json"
    if not path.is_file():
        yield "Not measured yet: `python -m benchmarks.methods` does it."
        return
    found = json.loads(path.read_bytes())
    tables = {
        name: {row["method"]: row for row in told["rows"]}
        for name, told in found["experiments"].items()
    }
    heads = [
        (f"{name}, {told['seeds']} seed{'s'[: told['seeds'] > 1]}", "difference, points", "time")
        for name, told in found["experiments"].items()
    ]
    yield f"| method | {' | '.join(cell for head in heads for cell in head)} |"
    yield "|---|" + "---:|" * (3 * len(heads))
    every = dict.fromkeys(method for table in tables.values() for method in table)
    for method in every:
        cells = [cell for table in tables.values() for cell in _compared(table.get(method), found)]
        yield f"| `{method}` | {' | '.join(cells)} |"


def _compared(row: dict[str, Any] | None, found: dict[str, Any]) -> tuple[str, str, str]:
    """Accuracy, difference to the baseline with its interval, and training time of one method."""
    if row is None:
        return "", "", ""
    accuracy = f"{row['accuracy']:.2%}"
    if row["method"] == found["baseline"]:
        return accuracy, "baseline", "1"
    if row["difference"] is None:
        return accuracy, "", ""
    difference = f"{100 * row['difference']:+.2f}"
    if row["half"] is not None:
        difference += f" ± {100 * row['half']:.2f}"
    return accuracy, difference + (" \\*" if row["below"] else ""), f"{row['time']:.2f}"


def adabin(root: Path) -> Iterator[str]:
    """AdaBin's three modes: what each reaches, what lowering certified, what the core takes."""
    folders = {mode: root / "models" / name for mode, name in ADABIN.items()}
    path = root / "benchmarks" / "results" / "methods.json"
    runs = json.loads(path.read_bytes())["experiments"]["sfc"]["rows"]
    reached = {row["method"]: row for row in runs}
    yield ("| mode | test accuracy, seeds | integers of each layer | LUT | DSP | FF | latency |")
    yield "|---|---:|---|---:|---:|---:|---:|"
    for mode, folder in folders.items():
        row = reached[folder.name.removeprefix("sfc_")]
        core = Report.from_json((folder / "build.json").read_bytes()).cores[0]
        pairs = {**core.resources, **core.cycles}
        told = (pairs[name].measured for name in ("LUT", "DSP", "FF", "latency"))
        cells = (
            f"`{mode}`",
            f"{row['accuracy']:.2%}, {row['seeds']}",
            "; ".join(_integers(load(folder / "graph.npz"))),
            *("not run" if figure is None else number(figure.value) for figure in told),
        )
        yield f"| {' | '.join(cells)} |"


def _integers(graph: Graph) -> Iterator[str]:
    """What each layer with an offset sums, and what was certified of it."""
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
        "| core | ways (frames, where fewer) | frames | bits compared | differing "
        "| latency, cycles | interval, cycles | LUT | FF |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for path in sorted((root / "models").glob("*/build*.json")):
        report = Report.from_json(path.read_bytes(), str(path))
        most = max(way.frames for way in report.ways)
        ways = "; ".join(
            way.name if way.frames == most else f"{way.name} ({number(way.frames)})"
            for way in report.ways
        )
        for core in report.cores:
            pairs = {**core.cycles, **core.resources}
            told = [pairs[name].measured if name in pairs else None for name in COLUMNS]
            cells = (
                f"{_core_name(report, path)}, {core.name}",
                ways,
                number(most),
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
    yield _measured(found)
    yield ""
    yield "| way | images a second | images in a second of one core |"
    yield "|---|---:|---:|"
    for way in found["images_per_second"]:
        yield f"| {way['name']} | {number(way['median'])} | {number(way['a_core_second'])} |"


def cnv(root: Path) -> Iterator[str]:
    """Images of the convolutional network a second, memory, and the distance from the limit."""
    found = json.loads((root / "benchmarks" / "results" / "cnv.json").read_bytes())
    bound, took = found["limit"], {row["name"]: row for row in found["memory"]}
    yield _measured(found)
    yield ""
    yield (
        "| way | images a second | images in a second of one core | most memory, MiB "
        "| of that for computing |"
    )
    yield "|---|---:|---:|---:|---:|"
    for way in found["images_per_second"]:
        row = took[way["name"]]
        speeds = f"{number(way['median'])} | {number(way['a_core_second'])}"
        memory = f"{number(row['peak'])} | {number(row['peak'] - row['ready'])}"
        yield f"| {way['name']} | {speeds} | {memory} |"
    yield ""
    yield (
        f"One core of this machine can count {bound['words_per_second'] / 1e9:.1f} billion words a "
        f"second, which is {number(bound['images_per_second_at_the_limit'])} images of "
        f"{number(bound['words_an_image'])} words each, pixels as 8 planes of bits. The fast "
        f"simulator reaches {bound['of_limit']:.0%} of that on one thread, and "
        f"{bound['of_limit_in_layers_of_bits']:.0%} in the layers whose inputs are bits; pixels it "
        "adds in 16 bits."
    )


def _measured(found: dict[str, Any]) -> str:
    """What was measured, on what machine, and what else it did."""
    machine = found["machine"]
    return (
        f"Network: {found['what']}. Machine: {machine['cpu']}, {machine['cores']} cores, at a load "
        f"of {machine['load_before']:.0f} to {machine['load_after']:.0f} by other work: the "
        "column by processor time hardly depends on it."
    )


def circuits(root: Path) -> Iterator[str]:
    """LUTs of unrolled layers by every way of making them that was measured."""
    path = root / "benchmarks" / "results" / "circuits.json"
    found = json.loads(path.read_bytes())["measured"]
    versions = {key.split("/")[1]: row["version"] for key, row in found.items() if "version" in row}
    makers = ("hwbnn", "plain", *versions)
    heads = ["this package", "plain RTL", *versions.values()]
    yield f"| layer, or network | weights | {' | '.join(heads)} |"
    yield "|---|---:|" + "---:|" * len(heads)
    for name, rows in with_sums(found):
        if " layer " not in name:
            cells = [_luts(rows[maker]) if maker in rows else "" for maker in makers]
            yield f"| {name} | {number(rows['hwbnn']['synapses'])} | {' | '.join(cells)} |"
    curve = json.loads(path.with_name("circuits_clock.json").read_bytes())
    placed = [row for key, row in curve.items() if key.startswith("64x32,") and "fmax_mhz" in row]
    ends = [
        f"{row['cycles']} cycles at {row['fmax_mhz']:.0f} MHz" for row in placed[:: len(placed) - 1]
    ]
    images = json.loads(path.with_name("circuits_images.json").read_bytes())
    reading = [
        f"`{name}` {100 * row['accuracy']:.2f} % of the test images right in "
        f"{number(found[f'{name}/hwbnn']['lut'])} LUTs"
        for name in ("sfc", "sfc_392", "sfc_256")
        if (row := images[name])
    ]
    folded = json.loads(path.with_name("circuits_folded.json").read_bytes())
    key, unit = max(folded.items(), key=lambda item: item[1]["synapses"])
    yield ""
    yield (
        f"The first of these, placed for ECP5, has a latency of {ends[0]} to {ends[1]}, by how "
        f"many registers it gets. Folded layers take {unit['lut'] / unit['synapses']:.2f} LUTs for "
        f"each synapse of a cycle in a unit of {key}, without thresholds and memory of weights."
    )
    yield ""
    yield (
        f"Reading less of the input: {reading[0]}, {reading[1]} by 392 of the 784 pixels, "
        f"{reading[2]} by 256."
    )
    core = json.loads(path.with_name("circuits_models.json").read_bytes())["sfc, whole"]
    yield ""
    yield (
        "The whole core of `sfc`, with stream ports, ArgMax and registers after three levels of "
        f"logic, takes {number(core['lut'])} LUTs and {number(core['ff'])} flip-flops: an image a "
        f"cycle, {core['latency']} cycles of latency. FINN's SFC-max takes 91,131 LUTs, placed, "
        "for an image in 16 cycles at 95.83 % (Umuroglu et al., FPGA 2017)."
    )


def _luts(row: dict[str, Any]) -> str:
    if "lut" in row:
        return number(row["lut"]) + (", one decomposition" if row.get("decomposed") else "")
    return f"its estimate {number(row['estimate'])}" if "estimate" in row else "not finished"


SECTIONS = {
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
}
PAGES = ("README.md", "models/README.md")


def written(page: str, root: Path) -> str:
    """The page with its figures as the reports have them."""
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
