"""Runs :mod:`rtl_tests.driver_bench`: the drivers of a generated core with its RTL."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from cocotb_tools.runner import get_runner

from hwbnn.project import Project
from hwbnn.verification import cocotb_run
from hwbnn.verification.cocotb_run import Module

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O1")


def compiled(
    project: Project, folder: Path, *, name: str = "my", simulator: str = "icarus"
) -> Module:
    """The core of a project, its Verilog top for cocotb."""
    written = project.write(folder / "core")
    sources = [*(written / f for f in project.text("files.f").split()), written / f"ip/{name}_ip.v"]
    return cocotb_run.build_module(
        sources, f"{name}_ip", folder / "build", simulator=simulator, defines=["HWBNN_COUNTONES"]
    )


def library(folder: Path, name: str) -> Path:
    """The C driver of a core's folder as a library, with the core's description as a symbol."""
    drivers, source, built = folder / "drivers", folder / "described.c", folder / "driver.so"
    source.write_text(
        f'#include "{name}_core.h"\nhwbnn_description_t described;\n'
        "__attribute__((constructor)) static void fill(void) "
        f"{{ described = {name}_core; }}\n"
    )
    files = [source, drivers / "hwbnn_driver.c", drivers / "hwbnn_linux.c"]
    command = ["gcc", *STRICT, "-shared", "-fPIC", f"-I{drivers}", "-o", built, *files]
    subprocess.run(command, check=True)
    return built


def run_drivers(
    project: Project,
    core: Module,
    folder: Path,
    x: np.ndarray,
    y: np.ndarray,
    *,
    batch: int,
    faults: bool,
    stalls: float = 0.3,
    test: str | None = None,
    name: str = "my",
) -> tuple[list[str], str]:
    """Send frames through a core by both drivers.

    Args:
        project: the core's files, whose drivers are run.
        core: the core, compiled.
        folder: a scratch folder.
        x: the frames.
        y: the results expected.
        batch: frames in a transfer.
        faults: whether errors are provoked too.
        stalls: how often the DMA stalls, from 0 to 1.
        test: the one test of the bench to run; all if None.
        name: the name of the core.

    Returns:
        The names of the tests that failed, and everything that was printed.
    """
    written = project.write(folder / "core")
    for key, values in (("x", x), ("y", y)):
        np.save(folder / f"{key}.npy", values)
    job = {
        "folder": str(written),
        "library": str(library(written, name)),
        "x": str(folder / "x.npy"),
        "y": str(folder / "y.npy"),
        "batch": batch,
        "stalls": stalls,
        "faults": faults,
    }
    (folder / "job.json").write_text(json.dumps(job))
    log = folder / "run.log"
    with cocotb_run._environment(core.simulator):
        results = get_runner(core.simulator).test(
            test_module="rtl_tests.driver_bench",
            hdl_toplevel=core.top,
            hdl_toplevel_lang="verilog",
            build_dir=core.folder,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            log_file=log,
            plusargs=[f"+hwbnn_job={folder / 'job.json'}"],
            test_filter=None if test is None else rf"\.{test}$",
        )
    cases = list(ElementTree.parse(results).iter("testcase"))
    assert cases, log.read_text()[-3000:]
    failed = [case.attrib["name"] for case in cases if case.find("failure") is not None]
    return failed, log.read_text()
