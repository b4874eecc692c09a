"""Commands about hardware: generate, verify, synth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hwbnn.cli import options
from hwbnn.cli.arrays import writable
from hwbnn.cli.given import read_graph, read_plan
from hwbnn.cli.show import finish
from hwbnn.errors import InputError
from hwbnn.graph import Graph
from hwbnn.plan import Plan


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("generate")(generate)
    app.command("verify")(verify)
    app.command("synth")(synth)


def generate(
    graph: options.GraphArgument,
    out: Annotated[Path, typer.Option(help="Folder for the project.")],
    target: Annotated[str, typer.Option(help="`rtl` or `hls` (`hwbnn list targets`).")] = "rtl",
    plan: options.PlanFile = None,
    interval: options.Interval = None,
    luts: options.Luts = None,
    io: Annotated[str, typer.Option(help="Of hls: `io_parallel` or `io_stream`.")] = "io_parallel",
    as_json: options.Json = False,
) -> None:
    """Generate the project of a Graph: SystemVerilog, or HLS C++ for hls4ml.

    How it is laid out is said by a Plan: a JSON file, a target interval, or a budget of LUTs; by
    default every layer is unrolled. The project's plan.json is a Plan to begin with.

    For example:

        hwbnn generate sfc --out sfc-rtl

        hwbnn generate sfc --interval 100 --out sfc-folded

        hwbnn generate sfc --target hls --io io_stream --out sfc-hls
    """
    from hwbnn.targets import generate as make

    writable(out)
    network = read_graph(graph)
    chosen = choose_plan(network, plan, interval, luts)
    extra = {"io": io} if target == "hls" else {}
    project = make(network, target, chosen, **extra)
    project.write(out)
    facts = {"folder": str(out), "digest": project.digest, "files": list(project.files)}
    finish(
        f"generated {len(project.files)} files ({target}, digest {project.digest[:12]}) -> {out}",
        facts,
        as_json=as_json,
    )


def choose_plan(graph: Graph, plan: Path | None, interval: int | None, luts: int | None) -> Plan:
    """The Plan of a file, or the one that meets a goal; unrolled if none is given.

    Raises:
        InputError: if more than one is given.
        PlanError: if the goal cannot be met.
    """
    given = [x for x in (plan, interval, luts) if x is not None]
    if len(given) > 1:
        raise InputError("plan: expected one of --plan, --interval and --luts, found several")
    if interval is not None:
        from hwbnn.estimate import plan_for_ii

        return plan_for_ii(graph, interval)
    if luts is not None:
        from hwbnn.estimate import plan_for_luts

        return plan_for_luts(graph, luts)
    return read_plan(plan).check(graph)


def verify(graph: options.GraphArgument) -> None:
    """Compute a Graph in every way and compare bit for bit."""
    raise NotImplementedError


def synth(graph: options.GraphArgument) -> None:
    """Synthesise a core with yosys: LUTs and other resources, on demand placed timing."""
    raise NotImplementedError


Facts = dict[str, Any]
