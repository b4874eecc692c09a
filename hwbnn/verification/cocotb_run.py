"""Running cores and modules under cocotb, in Icarus Verilog or Verilator.

The same bench as in :mod:`hwbnn.verification.rtl` with cocotbext-axi at the border: slower by far,
but it also runs under Icarus, whose X shows what was never set, and it takes any module.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwbnn import tools
from hwbnn.errors import Mismatch, ToolFailed
from hwbnn.tools.run import telling
from hwbnn.verification.rtl import explained, settings

_TOOLS = {"icarus": "iverilog", "verilator": "verilator"}
SIMULATORS = tuple(_TOOLS)
_ASSERTED = re.compile(r"(?:\[\d+\] )?(?:FATAL|%Fatal|ERROR|%Error): (.+)")
"""A failed assertion as Icarus and Verilator print it."""
_RAISED = re.compile(r"\s+[\w.]*(?:Error|Exception|Failure): ")
_UNWANTED = frozenset(
    {"WAVES", "GUI", "PYTEST_CURRENT_TEST", "COCOTB_TEST_FILTER", "COCOTB_TESTCASE"}
)
"""Variables by which the runner would do something else than it is asked to."""


@dataclass(frozen=True)
class Module:
    """A module compiled for cocotb.

    Attributes:
        simulator: one of :data:`SIMULATORS`.
        top: name of the module.
        folder: where it was compiled.
        waves: whether it can write a waveform.
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
            job: what the bench does; its files are in ``scratch``.
            scratch: folder of the job's files.
            seed: of what registers hold before reset, under Verilator.
            wave: FST file to write, for a module built with ``waves``.
            plusargs: more arguments, for what RTL asks by ``$value$plusargs``.

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
        """What the simulation is started with."""
        plusargs = [f"+{argument}" for argument in given]
        if self.simulator == "icarus":
            return {"plusargs": plusargs + ([f"+dumpfile_path={wave}"] if wave else [])}
        # Registers and memories start at random, differently for each seed.
        plusargs += ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
        return {
            "plusargs": plusargs,
            "test_args": ["--trace-file", str(wave)] if wave else [],
        }


def build(
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
        ToolNotFound: without cocotb or the simulator.
        ToolFailed: if the simulator refuses the sources; the log is named.
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


def _runner(simulator: str) -> Any:
    for name in ("cocotb", "cocotbext-axi", _TOOLS[simulator]):
        tools.require(name)
    from cocotb_tools.runner import get_runner

    runner = get_runner(simulator)
    runner.log.setLevel(logging.WARNING)
    return runner


@contextlib.contextmanager
def _failing(what: str, log: Path) -> Iterator[None]:
    """The runner's ways to fail (it exits, or raises bare errors) as one of ours."""
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
    """The line that says most: an exception in the bench, or what the simulator says last."""
    raised = [line.strip() for line in said if _RAISED.match(line)]
    return raised[-1][:300] if raised else telling(said[-1:])


@contextlib.contextmanager
def _environment(simulator: str) -> Iterator[None]:
    """Sets what the simulator needs; the runner reads this process's own environment."""
    changes = settings() if simulator == "verilator" else {}
    # Our bench asserts nothing; for assertions cocotb would load pytest and all its plugins.
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
