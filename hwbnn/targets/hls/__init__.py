"""The HLS target: a Graph as an hls4ml project of our own layers, exact by construction.

hls4ml is the host: it writes the project, its build scripts and its test bench. The arithmetic is
ours, in ``hls/``; hls4ml's own binary lowering is not used.
"""

from __future__ import annotations

import importlib
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwbnn.errors import ToolFailed, ToolNotFound
from hwbnn.graph import Graph, to_bytes
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.targets.hls import files
from hwbnn.targets.hls.stages import Site, Stage, stages

if TYPE_CHECKING:
    from hls4ml.model.graph import ModelGraph

__all__ = ["generate", "model"]


def generate(graph: Graph, plan: Plan | None = None, io: str = "io_parallel") -> Project:
    """The HLS project of a Graph, in memory: the same files for the same Graph, Plan and io.

    Args:
        graph: the network.
        plan: how it is laid out; by default all layers unrolled. An unrolled ``Dot`` takes a frame
            a cycle, a folded one ``(n / simd) * (m / pe)`` cycles (hls4ml's reuse factor).
        io: ``"io_parallel"`` (a frame at once on wide ports) or ``"io_stream"`` (AXI4-Stream; a
            beat has the most elements that divide the frame and fit the Plan's beat).

    Raises:
        PlanError: if the Plan does not fit the Graph, or asks for more than HLS unrolls.
        InputError: if there is no such io type.
        ToolNotFound: if hls4ml is not installed.
    """
    plan = plan or Plan()
    made = stages(graph, plan, io)
    with tempfile.TemporaryDirectory(prefix="hwbnn-") as scratch:
        folder = Path(scratch) / "project"
        written = _written(_model(graph, plan, io, made, folder), folder)
    site = Site(graph, plan, io)
    lanes = (
        site.lanes(graph.input.name, plan.input_beat),
        site.lanes(graph.output.name, plan.output_beat),
    )
    about = files.core(graph, io, made, lanes)
    bench = files.bench_data(graph)
    return Project(
        "hls",
        {
            **written,
            **bench,
            "graph.npz": to_bytes(graph),
            "plan.json": plan.to_json().encode(),
            "core.json": (json.dumps(about, indent=1) + "\n").encode(),
            "hwbnn_sim.cpp": files.simulation(about).encode(),
            "README.md": files.readme(about, bench).encode(),
        },
    )


def model(
    graph: Graph, plan: Plan | None = None, io: str = "io_parallel", *, folder: str | Path
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
        InputError: if there is no such io type.
        ToolNotFound: if hls4ml is not installed.
    """
    plan = plan or Plan()
    return _model(graph, plan, io, stages(graph, plan, io), Path(folder))


def _model(graph: Graph, plan: Plan, io: str, made: tuple[Stage, ...], folder: Path) -> Any:
    """Import hls4ml late: what else the package does must not need it."""
    try:
        module = importlib.import_module("hwbnn.targets.hls.model")
    except ImportError as error:
        raise ToolNotFound(
            f"the target 'hls' needs hls4ml ({error}); run pip install 'hwbnn[hls]'"
        ) from error
    return module.model_of(graph, plan, io, made, folder)


def _written(hls_model: Any, folder: Path) -> dict[str, bytes]:
    """The files that hls4ml writes, without what differs from run to run."""
    hls_model.write()
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    stamp = hls_model.config.config["Stamp"].encode()
    found["build_lib.sh"] = found["build_lib.sh"].replace(stamp, b"hwbnn")
    config = found["hls4ml_config.yml"]
    for key, value in ((b"OutputDir", b"."), (b"Stamp", b"hwbnn")):
        # A long value continues on indented lines.
        config = re.sub(rb"^%s:.*(\n +.*)*$" % key, key + b": " + value, config, flags=re.MULTILINE)
    found["hls4ml_config.yml"] = config
    for name, content in found.items():
        if str(folder).encode() in content:
            raise ToolFailed(f"hls4ml wrote the scratch folder's name into '{name}'")
    return found
