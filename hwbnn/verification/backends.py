"""The backends that a verification can run, all with the same interface.

A backend is prepared once (generated, compiled), computes one batch after another, and then returns
its results. All backends are compared with the plain simulator, which computes each batch once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn import tools
from hwbnn.errors import InputError
from hwbnn.graph import Graph
from hwbnn.graph.arrays import Array
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.simulators import FrameProgress, simulate
from hwbnn.targets import generate
from hwbnn.verification.core import DAMAGE
from hwbnn.verification.results import BackendResult, Comparison, first_difference

Values = Mapping[str, Array]
Reference = Callable[[Array], Array]


@dataclass(frozen=True)
class Job:
    """The subject and the options of a verification.

    Attributes:
        graph: the Graph that every backend must compute.
        plan: the Plan for hardware that a backend has to generate.
        given: the user's project, or None if the user gave a Graph.
        frames: the number of all inputs.
        folder: where backends build.
        reference: a callable that computes the output, or None.
        popcount: form of the ``popcount`` module in RTL
            (:data:`hwbnn.verification.verilator.POPCOUNTS`).
        hls_popcount: form of the popcount in HLS (:data:`hwbnn.verification.hls.POPCOUNTS`).
        rtl_frames: the most frames that RTL computes, or None for all.
        seed: seed of the stalls and of the values that registers have before reset.
        wave: FST file for the first frames in RTL, or None.
        progress: called with the backend's name, the frames done and all frames.
    """

    graph: Graph
    plan: Plan
    given: Project | None
    frames: int
    folder: Path
    reference: Reference | None = None
    popcount: str = "behavioural"
    hls_popcount: str = "builtin"
    rtl_frames: int | None = None
    seed: int = 1
    wave: Path | None = None
    progress: FrameProgress | None = None

    def project(self, target: str, **options: Any) -> Project:
        """The user's project if it has this target and io type, else a newly generated one."""
        given = self.given
        if given is not None and given.target == target:
            wanted = options.get("io")
            if wanted is None or wanted == io(given):
                return given
        return generate(self.graph, target, self.plan, **options)


def io(project: Project) -> str:
    """The io type of an ``hls`` project: ``io_parallel`` or ``io_stream``.

    Raises:
        InputError: if its ``core.json`` does not state the io type.
    """
    try:
        return str(json.loads(project.text("core.json"))["io"])
    except DAMAGE:
        raise InputError("core.json: expected an entry 'io'; generate the project again") from None


class Backend:
    """The base class of all backends: it compares values and adds up frames and seconds."""

    def __init__(self, name: str, job: Job) -> None:
        """Begin with nothing computed; ``name`` is the name of the backend."""
        self.name, self.job = name, job
        self.comparison = Comparison(job.graph)
        self.frames = 0
        self.seconds = 0.0
        self.build_seconds = 0.0
        self.faults: list[str] = []
        self.fused: Mapping[str, str] = {}

    def prepare(self) -> None:
        """Generate and compile the files that it needs."""

    def wanted(self, frames: int) -> int:
        """How many inputs this backend computes; slow backends take only the first ones."""
        return frames

    def batch(self, x: Array, expected: Values) -> None:
        """Compute and compare the next batch."""
        raise NotImplementedError

    def notes(self) -> dict[str, str]:
        """Notes for the report."""
        return {}

    def results(self) -> list[BackendResult]:
        """The results; more than one if the backend runs in several ways."""
        return [self.result()]

    def result(self, **more: Any) -> BackendResult:
        """The result of all batches."""
        return BackendResult(
            self.name,
            self.comparison.results,
            self.frames,
            self.seconds,
            build_seconds=self.build_seconds,
            fused=self.fused,
            faults=tuple(self.faults),
            notes=self.notes(),
            **more,
        )

    def compared(self, expected: Values, found: Values, seconds: float) -> None:
        """Compare one batch and count it."""
        self.comparison.add(expected, found)
        self.frames += len(next(iter(expected.values())))
        self.seconds += seconds


class Fast(Backend):
    """The fast simulator."""

    def prepare(self) -> None:
        """Compile its kernels by a first call, so that later timings exclude the compilation."""
        t = self.job.graph.types[self.job.graph.input.name]
        frame: Array = np.full((1, *t.shape), t.low, np.bool_ if t.bit else np.int64)
        begin = time.perf_counter()
        simulate(self.job.graph, frame, engine="fast")
        self.build_seconds = time.perf_counter() - begin

    def batch(self, x: Array, expected: Values) -> None:
        """Run without trace for the timing and with trace for all values; compare both outputs."""
        graph, output = self.job.graph, self.job.graph.output.name
        begin = time.perf_counter()
        alone = simulate(graph, x, engine="fast")
        seconds = time.perf_counter() - begin
        self.compared(expected, simulate(graph, x, engine="fast", trace=True), seconds)
        untraced = Comparison(graph)
        untraced.add({output: expected[output]}, {output: alone})
        first = first_difference(untraced.results)
        if first is not None:
            self.faults.append(f"without trace: {first}")

    def notes(self) -> dict[str, str]:
        """The compiler of its kernels."""
        return tools.versions("numba")


class Referred(Backend):
    """The network that the Graph came from, or anything else that computes its output."""

    def batch(self, x: Array, expected: Values) -> None:
        """Compare the output alone."""
        assert self.job.reference is not None
        output = self.job.graph.output.name
        wanted = expected[output]
        begin = time.perf_counter()
        answer = np.asarray(self.job.reference(x))
        seconds = time.perf_counter() - begin
        if answer.size != wanted.size:
            raise InputError(
                f"reference: expected an array of shape {wanted.shape}, as the graph gives, "
                f"found {answer.shape}"
            )
        self.compared({output: wanted}, {output: answer.reshape(wanted.shape)}, seconds)


class Hls(Backend):
    """C simulation of an HLS project."""

    def __init__(self, name: str, job: Job, io: str | None) -> None:
        """Set hls4ml's io type, ``io_parallel`` or ``io_stream``; None for the Graph's default."""
        super().__init__(name, job)
        self.io = io

    def prepare(self) -> None:
        """Compile the C++ for simulation."""
        from hwbnn.targets.hls import default_io
        from hwbnn.verification import hls

        project = self.job.project("hls", io=self.io or default_io(self.job.graph, self.job.plan))
        place = self.job.folder / "hls"
        self.simulation = hls.build(project, place, popcount=self.job.hls_popcount)
        self.build_seconds = self.simulation.build_seconds

    def batch(self, x: Array, expected: Values) -> None:
        """Compare every value that the project shows."""
        run = self.simulation.run(x)
        self.fused = run.fused
        self.compared(expected, run.values, run.seconds)

    def notes(self) -> dict[str, str]:
        """The program that ran, with its version."""
        return {"popcount": self.job.hls_popcount, **tools.versions("g++", "hls4ml")}
