"""Running cores and single modules under cocotb, in Icarus Verilog or Verilator.

The bench does the same as that of :mod:`hwbnn.verification.verilator`, with cocotbext-axi at the
ports. It is far slower, but it also runs under Icarus, where uninitialised signals are X, and it
can drive any module. The names of a core's ports are parameters, so that the same bench drives RTL
of another tool (exported from HLS).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hwbnn import tools
from hwbnn.errors import InputError, Mismatch, ToolFailed
from hwbnn.plan.wire import WireLayout
from hwbnn.project import Project
from hwbnn.tools.processes import telling
from hwbnn.verification.bench import Record, Stimulus, read_record
from hwbnn.verification.core import Core
from hwbnn.verification.verilator import POPCOUNTS, explained, settings

_TOOLS = {"icarus": "iverilog", "verilator": "verilator"}
SIMULATORS = tuple(_TOOLS)
_ASSERTED = re.compile(r"(?:\[\d+\] )?(?:FATAL|%Fatal|ERROR|%Error): (.+)")
"""A failed assertion as Icarus and Verilator print it."""
_RAISED = re.compile(r"\s+[\w.]*(?:Error|Exception|Failure): ")
_UNWANTED = frozenset(
    {"WAVES", "GUI", "PYTEST_CURRENT_TEST", "COCOTB_TEST_FILTER", "COCOTB_TESTCASE"}
)
"""Environment variables that would change what the runner does."""


@dataclass(frozen=True)
class Module:
    """A module compiled for cocotb.

    Attributes:
        simulator: one of :data:`SIMULATORS`.
        top: name of the module.
        folder: where it was compiled.
        waves: whether it can write a waveform.
        parameters: the Verilog parameters that it was compiled with.
    """

    simulator: str
    top: str
    folder: Path
    waves: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def run(
        self,
        job: Mapping[str, Any],
        scratch: Path,
        seed: int = 1,
        wave: Path | None = None,
        plusargs: Sequence[str] = (),
    ) -> None:
        """Run :mod:`hwbnn.verification.cocotb_bench` on a job.

        Args:
            job: the description of the run for the bench, as JSON values.
            scratch: the folder with the files of the job.
            seed: under Verilator, the seed of the values that registers have before reset.
            wave: FST file to write, for a module built with ``waves``.
            plusargs: further arguments, which RTL reads by ``$value$plusargs``.

        Raises:
            Mismatch: if an assertion in the RTL failed.
            ToolFailed: if the simulation ends with an error.
        """
        file = scratch / "job.json"
        file.write_text(json.dumps(dict(job)))
        log, results = scratch / "run.log", scratch / "results.xml"
        with _environment(self.simulator), _failing(f"{self.simulator} on {self.top}", log):
            runner = _runner(self.simulator)
            from cocotb_tools.runner import get_results

            runner.test(
                test_module="hwbnn.verification.cocotb_bench",
                hdl_toplevel=self.top,
                hdl_toplevel_lang="verilog",
                build_dir=self.folder,
                test_dir=scratch,
                results_xml=str(results),
                seed=seed,
                waves=self.waves,
                log_file=log,
                **self._arguments([f"hwbnn_job={file}", *plusargs], seed, wave),
            )
            _, failed = get_results(results)
            if failed:
                raise RuntimeError("the bench failed")

    def _arguments(
        self, given: Sequence[str], seed: int, wave: Path | None
    ) -> dict[str, list[str]]:
        """The runner's arguments for plusargs, seed and waveform."""
        plusargs = [f"+{argument}" for argument in given]
        if self.simulator == "icarus":
            return {"plusargs": plusargs + ([f"+dumpfile_path={wave}"] if wave else [])}
        # Registers and memories start at random, differently for each seed.
        plusargs += ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
        return {
            "plusargs": plusargs,
            "test_args": ["--trace-file", str(wave)] if wave else [],
        }


def build_module(
    sources: Sequence[Path],
    top: str,
    folder: Path,
    *,
    simulator: str = "icarus",
    parameters: Mapping[str, Any] | None = None,
    defines: Sequence[str] = (),
    waves: bool = False,
) -> Module:
    """Compile a module with its parameters for one of the simulators.

    Raises:
        ToolNotFound: if cocotb, cocotbext-axi or the simulator is not installed.
        ToolFailed: if the simulator refuses the sources; the message names the log.
    """
    arguments = {
        "icarus": ["-g2012"],
        "verilator": [
            *("-Wno-fatal", "--no-timing", "--assert", "-O3"),
            *("--x-initial", "unique", "--x-assign", "unique"),
            *(["--trace-fst"] if waves else []),
        ],
    }[simulator]
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    with _environment(simulator):
        runner = _runner(simulator)
        with explained(), _failing(f"{simulator} on {top}", log):
            runner.build(
                sources=list(sources),
                hdl_toplevel=top,
                parameters=dict(parameters or {}),
                defines=dict.fromkeys(defines, 1),
                build_args=arguments,
                build_dir=folder,
                timescale=("1ns", "1ps"),
                waves=waves,
                always=True,
                log_file=log,
            )
    return Module(simulator, top, folder, waves, dict(parameters or {}))


@dataclass(frozen=True)
class Ports:
    """The names of a core's ports; names of streams are prefixes.

    Attributes:
        clock: the clock.
        reset: the synchronous reset, active low.
        source: the AXI4-Stream input of frames.
        sink: the AXI4-Stream output of frames.
        error: the output that is high after a packet of a wrong length, or None.
        also: further signals to record with each output beat, by the name in the recorded files;
            ``tlast`` and ``tkeep`` are checked.
        upper: whether the signals of a stream are in capitals (``TDATA``).
        high: inputs that are always 1.
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
        """The description of the input or output stream, for the bench."""
        signals = {key: self.signal(prefix, f"t{key}") for key in ("valid", "ready", "data")}
        return {"axis": prefix, **signals}


@dataclass(frozen=True)
class CocotbSimulation:
    """A core compiled for cocotb; runs like a :class:`~.verilator.VerilatorSimulation`.

    Attributes:
        core: the description of the core.
        module: the compiled top module.
        build_seconds: wall-clock time of the compilation.
        ports: the names of its ports.
        memories: files that the RTL reads from the folder in which it runs.
    """

    core: Core
    module: Module
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
            plusargs: further arguments, which RTL reads by ``$value$plusargs``.

        Raises:
            InputError: if ``wave`` is given, but the core was built without ``waves``.
            Mismatch: if an assertion in the RTL failed.
            ToolFailed: if the simulator ends with an error.
        """
        if wave is not None and not self.module.waves:
            raise InputError(f"{wave}: build the core with waves first")
        with tempfile.TemporaryDirectory(prefix="hwbnn-run-") as scratch:
            folder = Path(scratch)
            for memory in self.memories:
                shutil.copy(memory, folder)
            frames = stimulus.frames(self.core)
            patience = self.core.latency + self.core.interval
            numbers = stimulus.write(folder, patience, frames)
            begin = time.perf_counter()
            job = self._job(folder, numbers)
            self.module.run(job, folder, stimulus.seed, wave, plusargs)
            seconds = time.perf_counter() - begin
            return replace(read_record(folder, self.core, frames), seconds=seconds)

    def _job(self, folder: Path, numbers: Mapping[str, int]) -> dict[str, Any]:
        ports, core, frames = self.ports, self.core, numbers["frames"]
        sink = ports.stream(ports.sink)
        also = {key: ports.signal(ports.sink, name) for key, name in ports.also.items()}
        taps = [_tap(stream, frames) for stream in core.taps]
        # All bits of a beat are recorded: unused ones must be zero.
        whole = [core.output.bits] * core.output.tokens
        output = _recorded("m_axis", core.output, frames, whole, sink) | {"also": also}
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


def _tap(stream: WireLayout, frames: int) -> dict[str, Any]:
    name = f"tap_{stream.value}"
    signals = {key: f"{name}_{key}" for key in ("valid", "ready", "data")}
    return _recorded(name, stream, frames, stream.used, signals)


def _recorded(
    name: str, stream: WireLayout, frames: int, used: list[int], signals: Mapping[str, str]
) -> dict[str, Any]:
    sizes = {"bytes": stream.bytes, "tokens": stream.tokens, "used": used}
    return {**signals, "name": name, **sizes, "expected": frames * stream.tokens}


def build(
    project: Project,
    folder: Path,
    *,
    simulator: str = "icarus",
    popcount: str = "behavioural",
    waves: bool = False,
) -> CocotbSimulation:
    """Compile a generated ``rtl`` project for cocotb.

    Args:
        project: from ``generate(graph, "rtl", plan)``, or read from its folder.
        folder: where to build.
        simulator: one of :data:`SIMULATORS`.
        popcount: one of :data:`hwbnn.verification.verilator.POPCOUNTS`.
        waves: whether runs can write waveforms; such a core is slower.

    Raises:
        InputError: if it is not an ``rtl`` project.
        ToolNotFound: if cocotb, cocotbext-axi or the simulator is not installed.
        ToolFailed: if the simulator refuses the sources; the message names the log.
    """
    core = Core.of(project)
    sources = project.write(folder / "project")
    begin = time.perf_counter()
    module = build_module(
        [sources / name for name in core.sources],
        core.top,
        folder / "build",
        simulator=simulator,
        defines=[option.removeprefix("-D") for option in POPCOUNTS[popcount]],
        waves=waves,
    )
    return CocotbSimulation(core, module, time.perf_counter() - begin)


def _runner(simulator: str) -> Any:
    for name in ("cocotb", "cocotbext-axi", _TOOLS[simulator]):
        tools.require(name)
    from cocotb_tools.runner import get_runner

    runner = get_runner(simulator)
    runner.log.setLevel(logging.WARNING)
    return runner


@contextlib.contextmanager
def _failing(what: str, log: Path) -> Iterator[None]:
    """Convert failures of the runner, which exits or raises built-in errors, to our own errors.

    Raises:
        Mismatch: if an assertion in the RTL failed, or the core drives X at its ports.
        ToolFailed: for any other failure.
    """
    try:
        yield
    except (SystemExit, RuntimeError, ValueError) as error:
        said = log.read_text(errors="replace").splitlines() if log.is_file() else [str(error)]
        asserted = [match for line in said if (match := _ASSERTED.match(line))]
        if asserted:
            raise Mismatch(f"{what}: {asserted[0][1]}") from None
        why = _why(said)
        if "Cannot convert Logic(" in why:
            raise Mismatch(f"{what}: X on a handshake at the border") from None
        if "convert LogicArray" in why:
            raise Mismatch(f"{what}: X on data at the border") from None
        raise ToolFailed(f"{what}: {why}; the log is {log}") from None


def _why(said: Sequence[str]) -> str:
    """The most informative line: an exception in the bench, or the last line of the simulator."""
    raised = [line.strip() for line in said if _RAISED.match(line)]
    return raised[-1][:300] if raised else telling(said[-1:])


@contextlib.contextmanager
def _environment(simulator: str) -> Iterator[None]:
    """Set environment variables for the simulator; the runner uses this process's environment."""
    changes = settings() if simulator == "verilator" else {}
    # Our bench has no assert; to rewrite asserts, cocotb would load pytest and all its plugins.
    changes["COCOTB_REWRITE_ASSERTION_FILES"] = ""
    before = dict(os.environ)
    for name in _UNWANTED & os.environ.keys():
        del os.environ[name]
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
