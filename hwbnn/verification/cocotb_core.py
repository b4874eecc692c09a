"""A whole core under cocotb: the C++ bench's files, cocotbext-axi at the border.

What the ports are called is a parameter, so that a core with the same border that another tool
made (RTL exported from HLS) can be driven by the same bench.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hwbnn.errors import InputError
from hwbnn.project import Project
from hwbnn.verification import cocotb_run
from hwbnn.verification.bench import Record, Stimulus, read_record
from hwbnn.verification.core import Core
from hwbnn.verification.rtl import POPCOUNTS
from hwbnn.verification.streams import Stream


@dataclass(frozen=True)
class Ports:
    """What the ports of a core are called; names of streams are prefixes.

    Attributes:
        clock: the clock.
        reset: the synchronous reset, active low.
        source: the AXI4-Stream that takes frames.
        sink: the AXI4-Stream that gives them.
        error: what is high after a packet of a wrong length, or None.
        also: what is recorded with each output beat, by its name in the files; ``tlast`` and
            ``tkeep`` are checked.
        upper: whether signals of a stream are in capitals (``TDATA``).
        high: inputs that are 1 all the time.
    """

    clock: str = "aclk"
    reset: str = "aresetn"
    source: str = "s_axis"
    sink: str = "m_axis"
    error: str | None = "error_o"
    also: Mapping[str, str] = field(default_factory=lambda: {"tlast": "tlast", "tkeep": "tkeep"})
    upper: bool = False
    high: tuple[str, ...] = ()

    def signal(self, stream: str, name: str) -> str:
        """The name of one signal of a stream."""
        return f"{stream}_{name.upper() if self.upper else name}"

    def stream(self, prefix: str) -> dict[str, str]:
        """The bench's description of one side of the border."""
        signals = {key: self.signal(prefix, f"t{key}") for key in ("valid", "ready", "data")}
        return {"axis": prefix, **signals}


@dataclass(frozen=True)
class Simulation:
    """A core compiled for cocotb; runs like :class:`hwbnn.verification.rtl.Simulation`.

    Attributes:
        core: what the core says of itself.
        module: the compiled top module.
        build_seconds: what the compilation took.
        ports: what its ports are called.
        memories: files that the RTL reads from the folder in which it runs.
    """

    core: Core
    module: cocotb_run.Module
    build_seconds: float
    ports: Ports = field(default_factory=Ports)
    memories: tuple[Path, ...] = ()

    def run(
        self, stimulus: Stimulus, *, wave: Path | None = None, plusargs: Sequence[str] = ()
    ) -> Record:
        """Run the core on a stimulus; stalls are pauses of cocotbext-axi's source and sink.

        Args:
            stimulus: beats and stalls.
            wave: FST file to write, for a core built with ``waves``.
            plusargs: more arguments, for what RTL asks by ``$value$plusargs``.

        Raises:
            Mismatch: if an assertion in the RTL failed.
            ToolFailed: if the simulator ends with an error.
        """
        if wave is not None and not self.module.waves:
            raise InputError(f"{wave}: build the core with waves first")
        with tempfile.TemporaryDirectory(prefix="hwbnn-run-") as scratch:
            folder = Path(scratch)
            for memory in self.memories:
                shutil.copy(memory, folder)
            numbers = stimulus.write(folder, self.core.latency + self.core.interval)
            begin = time.perf_counter()
            job = self._job(folder, numbers)
            self.module.run(job, folder, stimulus.seed, wave, plusargs)
            seconds = time.perf_counter() - begin
            return replace(read_record(folder, self.core, stimulus.packets), seconds=seconds)

    def _job(self, folder: Path, numbers: Mapping[str, int]) -> dict[str, Any]:
        ports, core, packets = self.ports, self.core, numbers["packets"]
        sink = ports.stream(ports.sink)
        also = {key: ports.signal(ports.sink, name) for key, name in ports.also.items()}
        taps = [_tap(stream, packets) for stream in core.taps]
        # All bits of a beat count: those that carry nothing must be zero.
        whole = [core.output.bits] * core.output.tokens
        output = _recorded("m_axis", core.output, packets, whole, sink) | {"also": also}
        return {
            **numbers,
            "folder": str(folder),
            "clock": ports.clock,
            "reset": ports.reset,
            "error": ports.error,
            "high": list(ports.high),
            "source": {**ports.stream(ports.source), "bytes": core.input.bytes},
            "sink": sink,
            "streams": [output, *taps],
            "fifos": list(core.fifos),
        }


def _tap(stream: Stream, packets: int) -> dict[str, Any]:
    name = f"tap_{stream.value}"
    signals = {key: f"{name}_{key}" for key in ("valid", "ready", "data")}
    return _recorded(name, stream, packets, stream.used, signals)


def _recorded(
    name: str, stream: Stream, packets: int, used: list[int], signals: Mapping[str, str]
) -> dict[str, Any]:
    sizes = {"bytes": stream.bytes, "tokens": stream.tokens, "used": used}
    return {**signals, "name": name, **sizes, "expected": packets * stream.tokens}


def build(
    project: Project,
    folder: Path,
    *,
    simulator: str = "icarus",
    popcount: str = "counted",
    waves: bool = False,
) -> Simulation:
    """Compile a generated ``rtl`` project for cocotb.

    Args:
        project: from ``generate(graph, "rtl", plan)``, or read from its folder.
        folder: where to build.
        simulator: one of :data:`hwbnn.verification.cocotb_run.SIMULATORS`.
        popcount: one of :data:`hwbnn.verification.rtl.POPCOUNTS`.
        waves: make it able to write waveforms (slower).

    Raises:
        InputError: if it is no ``rtl`` project.
        ToolNotFound: without cocotb, cocotbext-axi or the simulator.
        ToolFailed: if the simulator refuses the sources; the log is named.
    """
    core = Core.of(project)
    sources = project.write(folder / "project")
    begin = time.perf_counter()
    module = cocotb_run.build(
        [sources / name for name in core.sources],
        core.top,
        folder / "build",
        simulator=simulator,
        defines=[option.removeprefix("-D") for option in POPCOUNTS[popcount]],
        waves=waves,
    )
    return Simulation(core, module, time.perf_counter() - begin)
