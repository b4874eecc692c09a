"""Running an HLS project: C simulation of whole batches.

C simulation compiles the same C++ that Vitis would synthesise, in the standard that Vitis accepts
(C++11), into a library that computes a whole batch in one call. hls4ml's own ``predict`` and
``trace`` call the C++ once for each frame and pass values as floats.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hwbnn import tools
from hwbnn.errors import InputError, ToolFailed, nearest
from hwbnn.graph import Graph, check_name, from_bytes
from hwbnn.graph.arrays import Array
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.simulators import check_input
from hwbnn.targets import generate
from hwbnn.targets.hls.calls import NETWORK
from hwbnn.verification.core import DAMAGE, malformed

POPCOUNTS = {"builtin": ("-DHWBNN_POPCOUNT_BUILTIN",), "tree": ()}
"""Compiler options of both forms of popcount: the compiler's builtin, or as synthesis sees it."""
OPTIONS = (
    *("-std=c++11", "-fPIC", "-shared", "-fvisibility=hidden", "-DHWBNN_TRACE_VALUES"),
    # Without inlined constructors, the start-up code of ten thousands of constants compiles three
    # times as fast. The simulation runs as fast as before.
    *("--param", "early-inlining-insns=0"),
)
_SLOT = re.compile(r"HWBNN_TRACE\((\d+),")
"""The line of generated C++ that traces a value; it captures the number of the value's slot."""


@dataclass(frozen=True)
class BatchResult:
    """The results of a batch.

    Attributes:
        values: every value that the project traces, by name: arrays ``(frames, *shape)``, bool for
            bits and int64 else. Without tracing, the output alone.
        fused: values that are not traced, each with the value whose call computes it.
        seconds: wall-clock time of the batch.
    """

    values: dict[str, Array]
    fused: Mapping[str, str]
    seconds: float

    @property
    def frames_per_second(self) -> float:
        """Frames computed in a second."""
        frames = len(next(iter(self.values.values())))
        return frames / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, eq=False)
class CSimulation:
    """A project compiled for C simulation.

    Attributes:
        graph: the Graph that the project computes.
        about: its ``core.json``.
        build_seconds: wall-clock time of the compilation; 0 if an earlier build was reused.
        library: the loaded library.
    """

    graph: Graph
    about: Mapping[str, Any]
    build_seconds: float
    library: ctypes.CDLL

    def run(self, x: ArrayLike, *, trace: bool = True) -> BatchResult:
        """Compute a batch.

        Args:
            x: integers (or bits as 0 and 1, or bool) of shape ``(frames, *input shape)``.
            trace: whether to return every value that the project traces, instead of the output
                alone.

        Raises:
            InputError: if ``x`` does not fit the Graph's input.
            ToolFailed: if frames cross the output port otherwise than ``hls/hwbnn_axis.h`` says.
        """
        checked = check_input(self.graph, x)
        frames = len(checked)
        given = np.ascontiguousarray(checked, dtype=self._kept(self.graph.input.name))
        slots = self.about["trace"]
        names = [slot["value"] for slot in slots] if trace else []
        values = {name: self._memory(name, frames) for name in names}
        sinks = (ctypes.c_void_p * max(1, len(slots)))()
        for i, array in enumerate(values.values()):
            sinks[i] = array.ctypes.data
        output = self._memory(self.graph.output.name, frames)
        begin = time.perf_counter()
        faults = self.library.hwbnn_simulate(
            ctypes.c_void_p(given.ctypes.data),
            ctypes.c_void_p(output.ctypes.data),
            sinks,
            ctypes.c_size_t(frames),
        )
        seconds = time.perf_counter() - begin
        if faults:
            raise ToolFailed(
                f"C simulation: {faults} of {frames} frames crossed the output port with a wrong "
                "tlast, tkeep, number of beats or unused bit; expected none"
            )
        values[self.graph.output.name] = output
        shaped = {name: self._shaped(name, array) for name, array in values.items()}
        return BatchResult(shaped, self.about["fused"], seconds)

    def _kept(self, name: str) -> type[np.generic]:
        return np.uint8 if self.graph.types[name].bit else np.int32

    def _memory(self, name: str, frames: int) -> Array:
        return np.zeros((frames, self.graph.types[name].size), self._kept(name))

    def _shaped(self, name: str, array: Array) -> Array:
        t = self.graph.types[name]
        return array.astype(np.bool_ if t.bit else np.int64).reshape(len(array), *t.shape)


def build(
    project: Project,
    folder: Path,
    *,
    popcount: str = "builtin",
    optimise: str = "-O1",
) -> CSimulation:
    """Compile a generated ``hls`` project for C simulation and load it.

    Args:
        project: from ``generate(graph, "hls", plan)``, or read from its folder.
        folder: where to build; a library from an earlier build of the same project is reused.
        popcount: one of :data:`POPCOUNTS`.
        optimise: the compiler's option; optimisation beyond ``-O1`` gains little here.

    Raises:
        InputError: if the project is not of the target ``hls``, or no popcount has this name.
        ToolNotFound: if g++ is not installed.
        ToolFailed: if the compiler refuses the sources; the message names the log.
    """
    if project.target != "hls":
        raise InputError(f"project: expected one of the target 'hls', found '{project.target}'")
    if popcount not in POPCOUNTS:
        raise InputError(f"popcount {popcount!r}: expected one of {nearest(popcount, POPCOUNTS)}")
    graph, about = _read(project)
    compiler = tools.require("g++")
    options = [*OPTIONS, optimise, *POPCOUNTS[popcount]]
    key = "\n".join([project.digest, *compiler.command, compiler.version, *options])
    place = folder / hashlib.sha256(key.encode()).hexdigest()[:16]
    library = place / "hwbnn_sim.so"
    seconds = 0.0
    if not library.is_file():
        sources = project.write(place / "project")
        command = [*compiler.command, *arguments(options)]
        seconds = tools.run(command, cwd=sources, log=place / "build.log").seconds
        (sources / "hwbnn_sim.so").replace(library)
    loaded = ctypes.CDLL(str(library))
    loaded.hwbnn_simulate.restype = ctypes.c_size_t
    return CSimulation(graph, about, seconds, loaded)


def arguments(options: Sequence[str]) -> list[str]:
    """The compiler's command in the folder of a project's sources."""
    return [*options, "-Ifirmware/ap_types", "hwbnn_sim.cpp", "-o", "hwbnn_sim.so"]


def _read(project: Project) -> tuple[Graph, dict[str, Any]]:
    """Read the Graph and ``core.json``, and check that both agree with what the C++ traces.

    The library writes traced values into arrays whose sizes come from the Graph.
    """
    if "graph.npz" not in project.files:
        raise InputError("project: expected a file graph.npz, found none; generate it again")
    graph = from_bytes(project.files["graph.npz"])
    try:
        about = json.loads(project.text("core.json"))
        traced, fused = [slot["value"] for slot in about["trace"]], about["fused"]
        shown = [name for name in graph.types if name in traced]
        whole = {*traced, *fused, graph.output.name} == set(graph.types)
        slots = _SLOT.findall(project.text(f"firmware/{NETWORK}.cpp"))
        sound = traced == shown and whole and slots == [str(i) for i in range(len(traced))]
        check_name(about["top"])  # of no use here; a file that has none is damaged all the same
        if not sound or not set(map(check_name, fused.values())) <= set(graph.types):
            raise ValueError("it traces other values than the C++")
    except DAMAGE as error:
        raise malformed(error) from None
    return graph, about


def run(
    what: Graph | Project,
    x: ArrayLike,
    io: str = "io_parallel",
    *,
    plan: Plan | None = None,
    trace: bool = True,
    popcount: str = "builtin",
) -> BatchResult:
    """Generate the project if necessary, compile it and compute a batch, in one call.

    Args:
        what: a Graph, or a project of the target ``hls``, for which ``io`` and ``plan`` have no
            effect.
        x: integers of shape ``(frames, *input shape)``.
        io: ``"io_parallel"`` or ``"io_stream"``.
        plan: how the Graph is laid out; by default all layers are unrolled.
        trace: whether to return every value that the project traces, instead of the output alone.
        popcount: one of :data:`POPCOUNTS`.
    """
    project = what if isinstance(what, Project) else generate(what, "hls", plan, io=io)
    with tempfile.TemporaryDirectory(prefix="hwbnn-hls-") as scratch:
        return build(project, Path(scratch), popcount=popcount).run(x, trace=trace)
