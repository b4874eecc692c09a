"""The results of the benchmark of unrolled circuits as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.circuits.clock import PICTURE, draw
from benchmarks.circuits.folded import CHANNELS, FINN, INPUTS
from benchmarks.circuits.layers import DEPTH, NAMES

Entry = Mapping[str, Any]
OURS = "hwbnn"
PEERS = ("plain", "alkaid", "da4ml")
CONTENDERS = (OURS, *PEERS, "hwbnn, UltraScale+")
COUNTED = ("lut", "lut_paired", "slices")
"""What is compared with the best of the others."""
SUMMED = (
    *("lut", "lut_paired", "carry", "ff", "slices", "synapses"),
    *("netlist_seconds", "synth_cpu_seconds", "values_compared"),
)
"""What is added up over the layers of a network."""
HEAD = """\
# Unrolled binary layers after synthesis

One image a cycle, thresholds included, registers at inputs and outputs only. LUTs as yosys maps
them (synth_xilinx, estimates before placement), and paired by the one rule of
`hwbnn/tools/lut_pairs.py`. Slices are those that are filled: a carry cell takes a slice, whose LUTs
any logic may use; four LUTs, eight flip-flops and a CARRY4 each, on UltraScale+ (CLBs) twice that
with a CARRY8. What a slice can bring out of a position at once is not asked, and no vendor tool
has packed these netlists. Seconds are of the processor: generating, and synthesis without ABC's
proof of its own mapping; memory is the largest of yosys. Before synthesis each design computed so
many values, which were all right: a sample, beside which ours alone are proved. alkaid did not
finish the largest layers with its own search over decompositions; there it gets one, that of
`circuits/peer.py`, which need not be its best, and a network with such a layer is marked as it. A
network's layers are added up below them, each with its registers; memory is that of the largest.
`python -m benchmarks.circuits` makes this file.
"""


def write(results: Path) -> None:
    """Write ``circuits.md`` from the JSON beside it."""
    found = read(results / "circuits.json")
    lines = [HEAD, *_synthesised(found["measured"]), "", *_compared(found["measured"])]
    tables = {"images": _images, "scale": _scale, "clock": _clock, "cores": _cores}
    tables |= {"models": _models, "folded": _folded}
    for name, table in tables.items():
        told = read(results / f"circuits_{name}.json")
        if told:
            lines += ["", *table(told)]
        if told and name == "clock":
            draw(told, results / PICTURE)
    tools = sorted({row["tool"] for row in found["measured"].values() if "tool" in row})
    lines += ["", f"Synthesis: {', '.join(tools)}. Machine: {found['machine']['cpu']}.", ""]
    (results / "circuits.md").write_text("\n".join(lines))


def read(path: Path) -> dict[str, Any]:
    """Results so far; empty without a file."""
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def by_case(measured: Mapping[str, Entry]) -> Iterator[tuple[str, dict[str, Entry]]]:
    """The cases in order, and what each contender came to."""
    for name in NAMES:
        rows = {by: measured[f"{name}/{by}"] for by in CONTENDERS if f"{name}/{by}" in measured}
        if rows:
            yield name, rows


def with_sums(measured: Mapping[str, Entry]) -> Iterator[tuple[str, dict[str, Entry]]]:
    """The cases, and after the last layer of a network what its layers come to together."""
    for name, rows in by_case(measured):
        yield name, rows
        network, _, number = name.partition(" layer ")
        if number == str(DEPTH):
            added = {by: row for by in rows if (row := _summed(network, by, measured))}
            if added:
                yield f"{network}, its layers", added


def _summed(network: str, by: str, measured: Mapping[str, Entry]) -> Entry:
    """What the layers of a network come to by one contender.

    That is the first failure, if there is one, and empty if not all layers were tried.
    """
    rows = [measured.get(f"{network} layer {i + 1}/{by}", {}) for i in range(DEPTH)]
    for i, row in enumerate(rows):
        if "failed" in row:
            known = {what: row[what] for what in ("version", "synapses") if what in row}
            return known | {"failed": f"layer {i + 1}: {row['failed']}"}
    if not all(rows):
        return {}
    made: dict[str, Any] = dict(rows[0]) | {"peak_mib": max(row["peak_mib"] for row in rows)}
    made["decomposed"] = any(row.get("decomposed") for row in rows)
    for what in SUMMED:
        if what in made:
            made[what] = round(sum(row[what] for row in rows), 1)
    return made


def _row(*cells: object) -> str:
    shown = (f"{c:,}" if isinstance(c, int) else "" if c is None else str(c) for c in cells)
    return f"| {' | '.join(shown)} |"


def _synthesised(measured: Mapping[str, Entry]) -> Iterator[str]:
    yield (
        "| layer | by | LUT | LUT a synapse | LUT paired | carry cells | FF | slices "
        "| generate s | synthesis s | MiB | values compared |"
    )
    yield "|---|---|" + "---:|" * 10
    for name, rows in with_sums(measured):
        for by, row in rows.items():
            shown = row.get("version", by) + (
                ", one decomposition" if row.get("decomposed") else ""
            )
            if "failed" in row:
                own = f"; by its own estimate {row['estimate']:,}" if "estimate" in row else ""
                yield _row(name, shown, row["failed"] + own, *[None] * 9)
                continue
            cells = [row["lut"], f"{row['lut'] / row['synapses']:.3f}"]
            cells += [row[key] for key in ("lut_paired", "carry", "ff", "slices")]
            cells += [row.get("netlist_seconds"), row["synth_cpu_seconds"]]
            yield _row(name, shown, *cells, row["peak_mib"], row["values_compared"])


def _finished(rows: Mapping[str, Entry]) -> Mapping[str, Entry]:
    """What was not stopped by a limit or an error."""
    return {by: row for by, row in rows.items() if "failed" not in row}


def ratios(rows: Mapping[str, Entry]) -> dict[str, tuple[float, str]]:
    """Ours over the best of the others, and which that is, for each of :data:`COUNTED`."""
    done = _finished(rows)
    others = {by: done[by] for by in PEERS if by in done}
    made = {}
    for what in COUNTED if others and OURS in done else ():
        best = min(others, key=lambda by: others[by][what])
        made[what] = rows[OURS][what] / others[best][what], best
    return made


def _compared(measured: Mapping[str, Entry]) -> Iterator[str]:
    yield "Ours over the best of the others that finished, by each count:"
    yield ""
    yield "| layer | LUT | LUT paired | slices | others that finished |"
    yield "|---|---:|---:|---:|---|"
    for name, rows in with_sums(measured):
        made = ratios(rows)
        if made:
            shown = (f"{ratio:.3f} ({best})" for ratio, best in made.values())
            done = [by for by in PEERS if by in _finished(rows)]
            yield _row(name, *shown, ", ".join(done))


def _images(told: Mapping[str, Entry]) -> Iterator[str]:
    yield "Trained networks, every layer a netlist that is proved for all inputs; besides, all test"
    yield "images of MNIST computed by the netlists and compared with the simulator. LUTs of the"
    yield "layers' logic, without ArgMax, registers and ports."
    yield ""
    yield (
        "| network | accuracy | images | equal | LUT | of each layer | CARRY4 | levels "
        "| cycles at 3 levels |"
    )
    yield "|---|" + "---:|" * 8
    for name, row in told.items():
        cells = [name, f"{100 * row['accuracy']:.2f} %", row["images"], row["equal"]]
        cells += [sum(row["luts"]), " ".join(f"{n:,}" for n in row["luts"]), sum(row["carry4"])]
        yield _row(*cells, " ".join(map(str, row["levels"])), sum(row["latency_3_levels"]))


def _clock(told: Mapping[str, Entry]) -> Iterator[str]:
    first = next(row for row in told.values() if "device" in row)
    yield f"The portable form on {first['device']}, mapped by {first['yosys']}, placed and routed"
    yield f"by {first['tool']} (one seed, out of context): registers after so many levels of logic,"
    yield "a level being a carry chain with its tables. Cycles count the registers at inputs and"
    yield "outputs; latency is cycles over the clock. Cells, wires: shares of the slowest path."
    yield ""
    yield (
        "| part | levels | cycles | Fmax, MHz | latency, ns | cells, ns | wires, ns | LUT4 | FF "
        "| CCU2C |"
    )
    yield "|---|" + "---:|" * 9
    for key, row in told.items():
        cells = [key.rsplit(",", 1)[0], row["levels"], row["cycles"]]
        cells += [row.get(k) for k in ("fmax_mhz", "latency_ns", "logic_ns", "routing_ns")]
        if "failed" in row:
            cells[3] = row["failed"]
        yield _row(*cells, *(row[k] for k in ("lut4", "ff", "ccu2c")))
    yield ""
    yield f"![Latency against the clock, by how many registers a part gets]({PICTURE})"


def _cores(told: Mapping[str, Entry]) -> Iterator[str]:
    first = next(iter(told.values()))
    yield f"Whole folded cores of published networks on {first['device']}, mapped by"
    yield f"{first['yosys']}, placed and routed by {first['tool']} (one seed, out of context), with"
    yield "one and with two registers behind deep memories of weights (`Plan.memory_registers`)."
    yield "Frames a second are those of the interval at this Fmax. Cells, wires: shares of the"
    yield "slowest path."
    yield ""
    yield (
        "| network | interval, cycles | registers | latency, cycles | Fmax, MHz | frames/s "
        "| cells, ns | wires, ns | LUT4 | FF | BRAM 16K |"
    )
    yield "|---|" + "---:|" * 10
    for row in told.values():
        if "failed" in row:
            yield _row(row["name"], row["interval"], row["registers"], row["failed"], *[None] * 7)
            continue
        cells = [row[k] for k in ("name", "interval", "registers", "cycles", "fmax_mhz")]
        cells += [row[k] for k in ("frames_per_second", "logic_ns", "routing_ns", "lut4", "ff")]
        yield _row(*cells, row["used"].get("DP16KD", 0))


def _scale(told: Mapping[str, Entry]) -> Iterator[str]:
    yield "Larger random layers, generated, proved for all inputs and computed, not synthesised:"
    yield "seconds of one processor for the search, the proof and the text, largest memory."
    yield ""
    yield (
        "| layer | LUT | LUT a synapse | CARRY4 | levels | search s | proof s | text s | text, MiB "
        "| MiB | values compared |"
    )
    yield "|---|" + "---:|" * 10
    for name, row in told.items():
        cells = [name, row["luts"], f"{row['luts'] / row['synapses']:.3f}"]
        cells += [row[k] for k in ("carry4", "levels", "search_s", "proof_s", "text_s", "text_mib")]
        yield _row(*cells, row["peak_mib"], row["values_compared"])


def _models(told: Mapping[str, Entry]) -> Iterator[str]:
    yield "Whole cores under Verilator with the C++ bench, as the model that counts ones and as the"
    yield "netlist itself (gates): seconds of the processor, largest memory of a process so far,"
    yield "images that were computed and those that equal the simulator."
    yield ""
    yield (
        "| core | compile s | MiB | images | equal | images in a second of one core "
        "| latency, cycles | interval |"
    )
    yield "|---|" + "---:|" * 7
    for key, row in told.items():
        if "frames" in row:
            cells = [row[k] for k in ("build_cpu_seconds", "peak_mib", "frames", "equal")]
            cells += [row[k] for k in ("frames_per_cpu_second", "latency", "interval")]
            yield _row(key, *cells)
    yield ""
    yield "The same by yosys, whole: layers as netlists with registers after three levels of logic,"
    yield "stream ports, ArgMax. The delay is of cells, no wires."
    yield ""
    yield "| core | LUT | LUT paired | CARRY4 | FF | logic ns | latency, cycles | interval |"
    yield "|---|" + "---:|" * 7
    for key, row in told.items():
        if "lut" in row:
            cells = [row[k] for k in ("lut", "lut_paired", "carry", "ff", "logic_ns", "latency")]
            yield _row(key, *cells, row["interval"])


def _folded(told: Mapping[str, Entry]) -> Iterator[str]:
    yield "The unit of folded layers, with weights from a memory: a row of 64 products by what"
    yield f"counts them, and units of neurons x synapses a cycle, of a layer of {INPUTS} inputs and"
    yield f"{CHANNELS} neurons, with the tokens that are kept and all control, without thresholds"
    yield f"and memory of weights. FINN's whole SFC-max takes {FINN:.1f} LUTs a synapse of a cycle,"
    yield "placed (91,131 LUTs, 334,000 synapses in 16 cycles)."
    yield ""
    yield (
        "| unit | synapses a cycle | LUT | LUT a synapse | LUT paired | paired a synapse | CARRY4 "
        "| FF | logic ns |"
    )
    yield "|---|" + "---:|" * 8
    for key, row in told.items():
        cells = [row["lut"], f"{row['lut'] / row['synapses']:.2f}", row["lut_paired"]]
        cells += [f"{row['lut_paired'] / row['synapses']:.2f}", row["carry"], row["ff"]]
        yield _row(key, row["synapses"], *cells, row["logic_ns"])
