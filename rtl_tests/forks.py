"""Many runs of one module under Icarus, each a fork of one process that stands at time 0.

Starting the simulator, its Python and cocotb takes far longer than a short run. So one process is
started; for every run it forks before anything is simulated, so that each run starts from the same
state, with X in every register, as a process of its own would.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cocotb_tools.runner import Icarus

from hwbnn.verification import cocotb_run


class _Started(Exception):
    """Leaves the runner once the simulator has been started."""


class _Runner(Icarus):
    """cocotb's runner, which does not wait for the simulator's end."""

    process: subprocess.Popen[bytes]

    def _execute(self, cmds: Any, cwd: Any) -> None:
        (command,) = cmds
        with (Path(cwd) / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**self.env, "HWBNN_REQUESTS": str(Path(cwd) / "requests")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        raise _Started


class Forks:
    """The process of one compiled module."""

    def __init__(self, module: cocotb_run.Module, scratch: Path) -> None:
        folder = Path(tempfile.mkdtemp(dir=scratch))
        for name in ("requests", "replies"):
            os.mkfifo(folder / name)
        runner = _Runner()
        runner.log.setLevel("WARNING")
        with cocotb_run._environment("icarus"):
            try:
                runner.test(
                    test_module="rtl_tests.serving",
                    hdl_toplevel=module.top,
                    hdl_toplevel_lang="verilog",
                    build_dir=module.folder,
                    test_dir=folder,
                    results_xml=str(folder / "results.xml"),
                )
            except _Started:
                self._process = runner.process
        # For reading too: opening waits for nobody then, and a process that died is noticed below.
        self._requests = os.fdopen(os.open(folder / "requests", os.O_RDWR), "w")
        self._replies = os.fdopen(os.open(folder / "replies", os.O_RDWR | os.O_NONBLOCK), "rb")

    def run(self, job: Path) -> bool:
        """Run a job; whether it ended well. What went wrong a process of its own will say."""
        self._requests.write(f"{job}\n")
        self._requests.flush()
        while not (reply := self._replies.read(1)):
            try:
                self._process.wait(0.005)
                return False
            except subprocess.TimeoutExpired:
                continue
        return reply == b"y"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._replies.close()
