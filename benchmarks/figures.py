"""Figures of the pages from ``benchmarks/results``, the comparisons with other tools.

``scripts/figures`` writes them into the pages, with the figures of trained networks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.circuits.report import with_sums
from hwbnn.report import number

READING = {"sfc": 784, "sfc_392": 392, "sfc_256": 256}
"""Networks that read fewer and fewer pixels of an image, and the number of pixels."""


def methods(root: Path) -> Iterator[str]:
    """A table of the methods, one row each."""
    try:
        found = read(root, "methods")
    except FileNotFoundError:
        yield "Not measured yet: `python -m benchmarks.methods` does it."
        return
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


def speeds(root: Path) -> Iterator[str]:
    """Images per second of every backend in the last measurement."""
    found = read(root, "simulators")
    yield _measured(found)
    yield ""
    yield "| way | images a second | images in a second of one core |"
    yield "|---|---:|---:|"
    for way in found["images_per_second"]:
        yield f"| {way['name']} | {number(way['median'])} | {number(way['a_core_second'])} |"


def cnv(root: Path) -> Iterator[str]:
    """For the convolutional network: images per second, memory, and the share of the limit."""
    found = read(root, "cnv")
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


def integers(root: Path) -> Iterator[str]:
    """Layers with integer weights, compared with torch and with the machine's limit."""
    yield from integer_layers(read(root, "integers"))


def integer_layers(found: dict[str, Any]) -> Iterator[str]:
    """The table of the results of ``python -m benchmarks.speed integers``."""
    machine, limits = found["machine"], [row["limit_gmacs"] for row in found["layers"]]
    yield (
        f"{machine['cpu']}, one core, at a load of {machine['load_before']:.0f} to "
        f"{machine['load_after']:.0f} by other work; time on the core, best of {found['rounds']} "
        f"turns. An int8 matrix product with AVX2 can do at most {max(limits):.0f} GMAC/s "
        f"({min(limits):.0f} to {max(limits):.0f} measured beside the layers)."
    )
    yield ""
    yield "| layer | fast simulator, GMAC/s | of the int8 limit | torch, GMAC/s | times torch |"
    yield "|---|---:|---:|---:|---:|"
    for row in found["layers"]:
        yield (
            f"| {row['name']} | {row['gmacs']} | {row['of_limit']:.0%} | {row['torch_gmacs']} | "
            f"{row['of_torch']} |"
        )


def _measured(found: dict[str, Any]) -> str:
    """The network, the machine, and the machine's load."""
    machine = found["machine"]
    return (
        f"Network: {found['what']}. Machine: {machine['cpu']}, {machine['cores']} cores, at a load "
        f"of {machine['load_before']:.0f} to {machine['load_after']:.0f} by other work: the "
        "column by processor time hardly depends on it."
    )


def circuits(root: Path) -> Iterator[str]:
    """LUT sites and slices of unrolled layers from every generator; then clock, folded, core."""
    found = read(root, "circuits")["measured"]
    versions = {key.split("/")[1]: row["version"] for key, row in found.items() if "version" in row}
    makers = ("hwbnn", "plain", *versions)
    heads = ["this package", "plain RTL", *versions.values()]
    yield f"| layer, or network | weights | {' | '.join(heads)} |"
    yield "|---|---:|" + "---:|" * len(heads)
    for name, rows in with_sums(found):
        if " layer " not in name:
            cells = [_area(rows[maker]) if maker in rows else "" for maker in makers]
            yield f"| {name} | {number(rows['hwbnn']['synapses'])} | {' | '.join(cells)} |"
    for sentence in (_placed_and_folded(root), _whole(root)):
        yield ""
        yield sentence


def reading(root: Path) -> Iterator[str]:
    """Accuracy and LUTs of networks that read fewer pixels."""
    images, found = read(root, "circuits_images"), read(root, "circuits")["measured"]
    yield "| network | pixels read | test images right | LUT sites | LUTs |"
    yield "|---|---:|---:|---:|---:|"
    for name, pixels in READING.items():
        row = found[f"{name}/hwbnn"]
        counts = f"{number(row['lut_paired'])} | {number(row['lut'])}"
        yield f"| `{name}` | {pixels} | {images[name]['accuracy']:.2%} | {counts} |"


def _placed_and_folded(root: Path) -> str:
    """Clock and latency of a small placed layer, and LUTs per synapse of a folded one."""
    curve = read(root, "circuits_clock").items()
    placed = [row for key, row in curve if key.startswith("64x32,") and "fmax_mhz" in row]
    most, fewest = (
        f"{row['cycles']} cycles at {row['fmax_mhz']:.0f} MHz" for row in (placed[0], placed[-1])
    )
    key, unit = max(read(root, "circuits_folded").items(), key=lambda each: each[1]["synapses"])
    return (
        f"The first of these, placed for ECP5, has a latency of {most} to {fewest}, by how "
        f"many registers it gets. Folded layers take {unit['lut_paired'] / unit['synapses']:.2f} "
        f"LUT sites ({unit['lut'] / unit['synapses']:.2f} LUTs) for each synapse of a cycle in a "
        f"unit of {key}, without thresholds and memory of weights."
    )


def _whole(root: Path) -> str:
    """Resources of a whole core, compared with FINN's."""
    core = read(root, "circuits_models")["sfc, whole"]
    return (
        "The whole core of `sfc`, with stream ports, ArgMax and registers after three levels of "
        f"logic, takes {number(core['lut_paired'])} LUT sites ({number(core['lut'])} LUTs) and "
        f"{number(core['ff'])} flip-flops: an image a cycle, {core['latency']} cycles of latency. "
        "FINN's SFC-max takes 91,131 LUTs, placed, for an image in 16 cycles at 95.83 % (Umuroglu "
        "et al., FPGA 2017)."
    )


def _area(row: dict[str, Any]) -> str:
    """LUT sites, and slices; or why there are none."""
    if "lut_paired" in row:
        counts = f"{number(row['lut_paired'])} / {number(row['slices'])}"
        return counts + (", one decomposition" if row.get("decomposed") else "")
    return f"its estimate {number(row['estimate'])}" if "estimate" in row else "not finished"


def frameworks(root: Path) -> Iterator[str]:
    """Networks of other frameworks against their references, through HLS and RTL, as cores."""
    found = read(root, "frameworks")
    yield (
        "| network | frames | classes tied | compared with its framework | differ "
        "| images in HLS and RTL | nodes "
        "| differ | cycles from image to image; latency |"
    )
    yield "|---|---:|---:|---|---:|---:|---:|---:|---|"
    for name, row in found["compare"].items():
        others = len(row.get("forms", ()))
        shown = f"{name} ({others + 1} files)" if others else name
        cells = [shown, number(row["frames"]), number(row["tied"]), _kinds(row["compared"])]
        cells.append(number(sum(differ for _, differ in row["compared"].values())))
        cells += _through(found["hardware"].get(name))
        yield f"| {' | '.join(cells)} |"
    for name, core in found["core"].items():
        yield ""
        yield (
            f"{name} as a core takes {number(core['lut'])} LUTs ({number(core['lut_paired'])} "
            f"sites after pairing), {number(core['ff'])} flip-flops, {core['bram36']} block RAMs "
            f"of 36 Kbit and {core['bram18']} of 18, and an image in {number(core['interval'])} "
            f"cycles: {number(core['frames_per_second'])} a second at {core['mhz']} MHz (yosys, "
            f"before placement; slowest path {core['logic_ns']:.2f} ns without wires). BNN-PYNQ "
            "publishes 1,842 images a second for its overlay of this network on a PYNQ board."
        )


KINDS = {"sums": "sums", "argmax": "classes", "y": "classes", "scores": "sums"}
"""Words for the arrays of a reference."""


def _kinds(compared: dict[str, list[int]]) -> str:
    """How many numbers of each kind were compared."""
    counts: dict[str, int] = {}
    for key, (count, _) in compared.items():
        kind = "sums" if key.startswith("logits") else KINDS.get(key, "activations")
        counts[kind] = counts.get(kind, 0) + count
    return ", ".join(f"{number(count)} {kind}" for kind, count in counts.items())


def _through(row: dict[str, Any] | None) -> list[str]:
    """Images, nodes and differing bits of HLS and RTL, and cycles."""
    if row is None:
        return ["not run", "", "", ""]
    backends = [b for name, b in row["backends"].items() if name != "fast"]
    nodes = "/".join(str(n) for n in sorted({b["nodes"] for b in backends}))
    differing = number(sum(b["mismatches"] for b in backends))
    return [number(row["frames"]), nodes, differing, _cycles(row.get("cycles"))]


def _cycles(given: dict[str, list[int | None]] | None) -> str:
    """Interval and latency as counted, which are those that were predicted."""
    if given is None:
        return ""
    for name, (predicted, counted) in given.items():
        if counted not in (None, predicted):
            raise ValueError(f"{name}: predicted {predicted}, counted {counted}")
    counts = (given[name][1] for name in ("interval", "latency"))
    return "; ".join("not counted" if n is None else number(n) for n in counts)


def read(root: Path, name: str) -> dict[str, Any]:
    """The last results in the file of this name."""
    path = root / "benchmarks" / "results" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def parts(root: Path) -> Iterator[str]:
    """Networks on parts: the core that meets a goal, or by what it is missed."""
    yield (
        "| network | board | goal | LUT | BRAM 18K | DSP | cycles a frame | frames/s | latency "
        "| fits |"
    )
    yield "|---|---|---|---:|---:|---:|---:|---:|---:|---|"
    for row in read(root, "parts"):
        head = f"| `{row['network']}` | `{row['board']}` | {_goal(row['goal'])} |"
        if "missed" in row:
            yield f"{head} | | | | | | no: {row['missed'].removeprefix('plan: ')} |"
            continue
        used = row["fit"]["resources"]
        shares = (
            f"{used[n]['used']:,} ({used[n]['percent']:.0f} %)" for n in ("LUT", "BRAM_18K", "DSP")
        )
        yield (
            f"{head} {' | '.join(shares)} | {row['initiation_interval']:,} "
            f"| {row['frames_per_second']:,.0f} | {row['latency_ns']:,.0f} ns "
            f"| {row['verdict']} |"
        )


def fabrics(root: Path) -> Iterator[str]:
    """One core on two fabrics."""
    rows = read(root, "fabrics")
    yield "| device | LUT | FF | RAM | Fmax |"
    yield "|---|---:|---:|---:|---:|"
    for row in rows:
        cells = (
            f"{row['cells'][n]['used']:,} of {row['cells'][n]['available']:,}"
            if n in row["cells"]
            else ""
            for n in ("LUT", "FF", "RAM")
        )
        yield f"| {row['fabric']} | {' | '.join(cells)} | {row['mhz']:.0f} MHz |"


def _goal(wanted: dict[str, Any]) -> str:
    if "fps" in wanted:
        return f"{wanted['fps']:,.0f} frames/s"
    if "latency_ns" in wanted:
        return f"latency {wanted['latency_ns']:,.0f} ns"
    return "fastest"
