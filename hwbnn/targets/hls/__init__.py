"""The HLS target: a Graph as an hls4ml project of our own layers, exact by construction.

hls4ml is the host: it writes the project, its build scripts and its test bench. The arithmetic is
ours, in ``hls/``; hls4ml's own binary lowering is not used.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwbnn.arguments import checked_call
from hwbnn.devices import known_part
from hwbnn.errors import PlanError, ToolNotFound
from hwbnn.graph import Graph, to_bytes
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.targets.hls import describe, scripts, top_function
from hwbnn.targets.hls.calls import Site, calls_of, default_io
from hwbnn.targets.hls.packed_ports import input_port, output_port

if TYPE_CHECKING:
    from hls4ml.model.graph import ModelGraph

__all__ = ["default_io", "generate", "model", "parse_report"]


@checked_call(who="generate hls")
def generate(graph: Graph, plan: Plan | None = None, io: str | None = None) -> Project:
    """The HLS project of a Graph, in memory: the same files for the same Graph, Plan and io.

    Args:
        graph: the network.
        plan: how the network is laid out; by default all layers are unrolled. A folded ``Dot`` of
            ``m`` outputs and ``n`` inputs is written for ``(n / simd) * (m / pe)`` cycles a frame,
            which is hls4ml's reuse factor; its ``pe`` and ``simd`` are rounded up to divisors of
            ``m`` and ``n``. An unrolled ``Dot`` is written for one cycle. The cycles that Vitis
            achieves are not predicted.
        io: ``"io_parallel"`` (a frame at once on wide ports) or ``"io_stream"`` (AXI4-Stream, with
            the Plan's beats, of which at most 1,024 bits are used). By default ``"io_parallel"``,
            but ``"io_stream"`` for networks that need it: those with convolutions or pools, for
            example, or those that would be one pipeline of more than 200,000 synapses.

    Raises:
        PlanError: if the Plan does not fit the Graph, or asks for more than HLS unrolls.
        InputError: if there is no such io type, or the Graph needs another.
        ToolNotFound: if hls4ml is not installed.
    """
    plan = plan or Plan.default_of(graph)
    io = io or default_io(graph, plan)
    part = known_part(plan.device)
    if part is not None and part.device.vendor != "xilinx":
        raise PlanError(
            f"plan: part {part.name}: expected a part of AMD, the only ones that Vitis HLS knows; "
            "the target 'rtl' is for every FPGA"
        )
    calls, site = calls_of(graph, plan, io), Site(graph, plan, io)
    with tempfile.TemporaryDirectory(prefix="hwbnn-") as scratch:
        folder = Path(scratch) / "project"
        host = _hosted("modelgraph")
        written = host.files_of(host.model_of(site, calls, folder), folder)
    x, y = input_port(site), output_port(site)
    about, bench = describe.core(site, calls, x, y), describe.bench_data(graph)
    pipelined = io == "io_parallel" and all(call.reuse == 1 for call in calls)
    return Project(
        "hls",
        {
            **written,
            **scripts.files(plan),
            **top_function.files(graph, x, y, pipelined=pipelined),
            **bench,
            "graph.npz": to_bytes(graph),
            "plan.json": plan.to_json().encode(),
            "core.json": (json.dumps(about, indent=1) + "\n").encode(),
            "README.md": describe.readme(about, bench).encode(),
        },
    )


def model(
    graph: Graph, plan: Plan | None = None, io: str | None = None, *, folder: str | Path
) -> ModelGraph:
    """The hls4ml model of a Graph, for hls4ml's own ``compile()``, ``predict()`` and ``build()``.

    Its ``predict`` takes frames as floats of the Graph's integers (bits as 0 and 1), shape
    ``(frames, elements)``, and gives the output's integers as floats.

    Args:
        graph: the network.
        plan: as for :func:`generate`.
        io: as for :func:`generate`.
        folder: where hls4ml writes when asked to.

    Raises:
        PlanError: if the Plan does not fit the Graph, or asks for more than HLS unrolls.
        InputError: if there is no such io type, or the Graph needs another.
        ToolNotFound: if hls4ml is not installed.
    """
    plan = plan or Plan.default_of(graph)
    io = io or default_io(graph, plan)
    calls, site = calls_of(graph, plan, io), Site(graph, plan, io)
    return _hosted("modelgraph").model_of(site, calls, Path(folder))


def parse_report(folder: str | Path) -> dict[str, Any]:
    """The reports that Vitis wrote into a project's folder, as hls4ml parses them.

    Not tested with a report of a real Vitis; the format is the one that hls4ml reads.

    Returns:
        At least ``{"CSynthesisReport": {"WorstLatency": "12", "LUT": "3456", ...}}``, values as
        text; further keys where co-simulation or Vivado left reports.

    Raises:
        ToolFailed: if there is no synthesis report, or it is not of the expected form.
        ToolNotFound: if hls4ml is not installed.
    """
    report: dict[str, Any] = _hosted("modelgraph").parse_report(Path(folder))
    return report


def _hosted(name: str) -> Any:
    """Import a module that needs hls4ml; the rest of this package works without hls4ml."""
    try:
        return importlib.import_module(f"hwbnn.targets.hls.{name}")
    except ImportError as error:
        raise ToolNotFound(
            f"the target 'hls' needs hls4ml ({error}); run pip install 'hwbnn[hls]'"
        ) from error
