"""Commands about hardware: generate, verify, synth."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from hwbnn.cli import options
from hwbnn.cli.files import writable, writable_folder, write_file
from hwbnn.cli.inputs import read_graph, read_input
from hwbnn.cli.output import Steps, finish, note, table
from hwbnn.cli.plans import LayoutOptions, with_layout_options
from hwbnn.errors import InputError
from hwbnn.estimate.goals import ns_text
from hwbnn.estimate.planned import PlannedCore
from hwbnn.flow import DEFAULT_FAMILY, design, netlist_family
from hwbnn.graph import Graph, from_bytes
from hwbnn.graph.arrays import Array
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.report import Figure, Prediction
from hwbnn.verification.results import Verification

COLUMNS = (
    "backend", "frames", "bits", "differing", "frames/s", "latency", "interval", "latency, ns",
)  # fmt: skip
_RTL_ONLY = {
    "form": "which has no netlists",
    "framing": "which counts beats",
    "control": "whose registers are the tool's own",
    "port": "whose ports are streams or words",
    **dict.fromkeys(("tid_bits", "tdest_bits", "tuser_bits"), "whose streams have no tags"),
}
"""Options of RTL cores, and why HLS has none of them."""


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("generate")(with_layout_options(generate))
    app.command("verify")(with_layout_options(verify))
    app.command("synth")(with_layout_options(synth))


def generate(
    layout: LayoutOptions,
    graph: options.GraphArgument,
    network_input: options.NetworkInput = "",
    weights: options.NetworkWeights = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the project; with --table it may be left out."),
    ] = None,
    target: Annotated[str, typer.Option(help="`rtl` or `hls` (`hwbnn list targets`).")] = "rtl",
    io: Annotated[
        str | None,
        typer.Option(
            help="For hls: `io_parallel` (default for dense networks) or `io_stream` (default for "
            "images, and for unrolled networks of more than 200,000 synapses)."
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            help="For rtl: the prefix of the names of the core's own modules, so that one design "
            "can hold two cores."
        ),
    ] = "hwbnn",
    vectors: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="For rtl: samples in the test vectors that go with the core; by default 32, or "
            "fewer if the core is large or slow.",
        ),
    ] = None,
    stages: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Show the RTL core stage by stage: cycles, busy share, area, FIFOs.",
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Generate the project of a Graph: SystemVerilog, or HLS C++ for hls4ml.

    A Plan says how the core is laid out: give it as a JSON file, or give goals, alone or together:
    an interval or a rate, a latency, a budget of LUTs, the part that it must fit, the clock. With a
    rate or a latency the smallest core that has it is found; with a part or a budget alone, the
    fastest that fits. If none meets the goals, one line says by what they are missed and what is
    the nearest, and the exit status is 1. By default every layer is unrolled. The project's
    plan.json is a Plan that you can edit.

    Resources are estimated before synthesis. The clock is not checked: the vendor's tool does that.

    For example:

        hwbnn generate sfc --out sfc-rtl

        hwbnn generate sfc --interval 100 --out sfc-folded

        hwbnn generate sfc --board pynq-z2 --mhz 100 --table

        hwbnn generate sfc --form xc7 --mhz 100 --latency-ns 400 --out sfc-trigger

        hwbnn generate sfc --framing batch --control axi4lite --out sfc-dma

        hwbnn generate cnv --part xc7z020clg400-1 --fps 1000 --mhz 150 --table --out cnv-rtl

        hwbnn generate sfc --target hls --io io_stream --out sfc-hls
    """
    from hwbnn.targets import generate as make

    if out is None and not stages:
        raise InputError("generate: expected --out FOLDER, or --table to see the core alone")
    if out is not None:
        writable_folder(out)
    for option, why in _RTL_ONLY.items():
        if target == "hls" and getattr(layout, option) is not None:
            raise InputError(
                f"plan: --{option.replace('_', '-')} has no effect on --target hls, {why}; leave "
                "it out"
            )
    network = read_graph(graph, network_input, weights)
    chosen = layout.chosen(network)
    facts: dict[str, object] = {}
    line = ""
    if out is not None:
        extra = {"io": io} if target == "hls" else {"name": name, "vectors": vectors}
        project = make(network, target, chosen, **extra)
        project.write(out)
        facts |= {"folder": str(out), "digest": project.digest, "files": list(project.files)}
        digest = project.digest[:12]
        line = f"generated {len(project.files)} files ({target}, digest {digest}) -> {out}"
    missed = False
    if target == "rtl" or stages:
        core = PlannedCore.of(network, chosen)
        line = line or core.summary
        if stages:
            facts["stages"] = show_stages(core, quiet=as_json)
        if not as_json:
            for told in core.lines()[out is None :]:  # without files the first line is the result
                note(told)
        facts["core"] = core.facts()
        missed = core.fit is not None and not core.fit.fits
    finish(line, facts, as_json=as_json, failed=missed)


def show_stages(core: PlannedCore, *, quiet: bool) -> list[Mapping[str, object]]:
    """Print the core's stages and its slowest stage; return the stages as plain values."""
    from hwbnn.estimate import table as estimated

    rows = estimated.rows(core.circuit, core.predicted)
    if not quiet:
        table("", estimated.COLUMNS, [row.cells() for row in rows])
        slowest = estimated.bottleneck(rows)
        note(
            f"busiest: {slowest.stage} ({slowest.node}), {slowest.cycles:,} cycles a frame = "
            f"{ns_text(slowest.cycles * core.clock_ns)} ns"
        )
        note(estimated.error_note(rows))
    return estimated.facts(rows)


def verify(
    layout: LayoutOptions,
    project: options.ProjectArgument,
    array: Annotated[
        Path | None,
        typer.Argument(
            metavar="[ARRAY]", help="Samples as .npy, .npz or .csv; random ones without it."
        ),
    ] = None,
    key: options.Key = "",
    network_input: options.NetworkInput = "",
    weights: options.NetworkWeights = None,
    frames: Annotated[int, typer.Option(min=1, help="How many random samples.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of random samples and stalls.")] = 1,
    backends: Annotated[
        str,
        typer.Option(
            help=f"How the network is computed: {options.BACKENDS}; for a project in whose folder "
            "Vitis HLS has run, hls-rtl and hls-rtl-icarus too; by default fast and that of the "
            "project."
        ),
    ] = "",
    rtl_frames: options.RtlFrames = None,
    wave: Annotated[
        Path | None, typer.Option(help="Write the first frames in RTL into this .fst file.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compute a network by several backends and compare every value, bit for bit.

    The plain simulator defines the right values. Cycles are counted and must equal the prediction.
    If anything differs, the exit status is 1 and the first difference is named.

    For example:

        hwbnn verify sfc-rtl images.npy

        hwbnn verify digits --backends fast,hls,rtl,rtl-icarus --frames 20

        hwbnn verify sfc-rtl --backends rtl-icarus --frames 3 --wave sfc.fst
    """
    from hwbnn.verification import verify as run

    if wave is not None:
        writable(wave, ".fst")
    core = layout.core(project, network_input, weights)
    graph = from_bytes(core.files["graph.npz"], project)
    x = random_input(graph, frames, seed) if array is None else read_input(graph, array, key)
    names = options.listed(backends) if backends else ["fast", core.target]
    steps = Steps(1)
    with steps.step(f"verify {', '.join(names)} on {len(x):,} frames"):
        result = run(
            core,
            x,
            backends=names,
            rtl_frames=rtl_frames,
            seed=seed,
            wave=wave,
            progress=lambda backend, n, total: steps.detail(f"{backend}: {n:,} of {total:,}"),
        )
    if not as_json:
        table("", COLUMNS, _rows(result, core))
    wrong = next((backend.failure for backend in result.backends if not backend.ok), None)
    bits = sum(backend.bits for backend in result.backends)
    line = f"all equal: {bits:,} bits in {len(result.backends)} comparisons"
    if any(backend.cycles is not None for backend in result.backends):
        line += ", cycles as predicted"
    line += f" -> {wave}" if wave is not None else f" ({project})"
    finish(wrong or line, result.to_json(), as_json=as_json, failed=not result.ok)


def _rows(result: Verification, project: Project) -> list[tuple[object, ...]]:
    """A row per backend, with latency and interval in cycles if they were counted.

    The latency is given in ns too, at the clock of the project's Plan.
    """
    clock_ns = Plan.from_json(project.files["plan.json"], "plan.json").clock_ns
    rows: list[tuple[object, ...]] = []
    for backend in result.backends:
        cycles = backend.cycles
        latency = "" if cycles is None else _measured(cycles.latency)
        interval = "" if cycles is None else _measured(cycles.interval)
        rate = f"{backend.frames_per_second:,.0f}"
        measured = None if cycles is None else cycles.latency.measured
        ns = "" if measured is None else ns_text(measured.value * clock_ns)
        rows.append(
            (
                backend.name,
                backend.frames,
                backend.bits,
                backend.mismatches,
                rate,
                latency,
                interval,
                ns,
            )
        )
    return rows


def _measured(cycles: Prediction) -> str:
    return "" if cycles.measured is None else str(cycles.measured.value)


SAMPLE_INTEGERS = 1 << 28
"""The most integers of random samples, which take eight bytes each: 2 GiB."""


def random_input(graph: Graph, frames: int, seed: int) -> Array:
    """Random integers ``(frames, *shape)`` over the whole range of the input."""
    node = graph.input
    most = SAMPLE_INTEGERS // graph.types[node.name].size
    if frames > most:
        raise InputError(
            f"--frames: expected at most {most:,} samples of {graph.types[node.name].size:,} "
            f"integers, found {frames:,}; give more in a file"
        )
    rng = np.random.default_rng(seed)
    return rng.integers(node.low, node.high, (frames, *node.shape), endpoint=True)


def synth(
    layout: LayoutOptions,
    project: options.ProjectArgument,
    network_input: options.NetworkInput = "",
    weights: options.NetworkWeights = None,
    family: Annotated[
        str | None,
        typer.Option(
            help="`xc7` (Xilinx 7-series), `xcup` (UltraScale+) or `ecp5` (Lattice); by default "
            "that of the core's netlists, or else xc7."
        ),
    ] = None,
    place: options.Place = False,
    out: Annotated[
        Path | None, typer.Option(help="Write yosys's mapped netlist into this .json file.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Synthesise a core with yosys: LUTs and other resources, estimates before placement.

    For example:

        hwbnn synth sfc-rtl

        hwbnn synth digits --interval 64 --place
    """
    from hwbnn.tools import nextpnr, require, yosys

    if out is not None:
        writable(out, ".json")
    core = layout.core(project, network_input, weights)
    if core.target != "rtl":
        raise InputError(f"{project}: expected a project of target 'rtl', found '{core.target}'")
    if place and family not in (None, "ecp5"):
        raise InputError(f"synth: placing is for ecp5, found --family {family}; leave one out")
    family = _family(netlist_family(core), "ecp5" if place else family)
    if place:
        require("nextpnr-ecp5")  # before synthesis, which takes long
    figures: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory(prefix="hwbnn-synth-") as scratch:
        netlist = Path(scratch) / "netlist.json"
        steps = Steps(2 if place else 1)
        with steps.step(f"synthesise for {family}"):
            done = yosys.synth(*design(core), family, netlist=netlist)
        figures |= done.figures()
        if place:
            with steps.step("place and route"):
                placed = nextpnr.place(netlist)
            figures |= {f"placed {name}": figure for name, figure in placed.figures().items()}
        content = netlist.read_bytes() if out is not None else b""
    if not as_json:
        sources = list(dict.fromkeys(figure.source for figure in figures.values()))
        rows = [(name, str(f), f"[{sources.index(f.source) + 1}]") for name, f in figures.items()]
        table("", ("figure", "value", "source"), rows)
        for i, source in enumerate(sources, 1):
            typer.echo(f"[{i}] {source}")
    line = f"{figures['LUT']}, {figures['FF']} estimated by {done.tool} for {family}"
    if out is not None:
        line += f" -> {write_file(out, content)}"
    facts = {name: asdict(figure) for name, figure in figures.items()}
    finish(line, {"family": family, "figures": facts}, as_json=as_json)


def _family(own: str | None, wanted: str | None) -> str:
    """The FPGA family for synthesis; refused if the core's netlists are for another family."""
    if own is not None and wanted not in (None, own):
        raise InputError(
            f"synth: the core's netlists have primitives of {own}, and none of {wanted}; "
            "'--form portable' makes it for every FPGA"
        )
    return wanted or own or DEFAULT_FAMILY
