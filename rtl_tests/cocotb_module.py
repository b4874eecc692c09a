"""Runs a cocotb bench of its own, a file beside this one, on one module of the library."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cocotb_tools.runner import get_runner

from hwbnn.assets import assets
from hwbnn.verification import cocotb_run
from hwbnn.verification.verilator import settings


def failures(
    folder: Path,
    top: str,
    bench: str,
    *,
    simulator: str = "icarus",
    parameters: Mapping[str, Any] | None = None,
    fault: Sequence[str] = (),
    test: str | None = None,
) -> list[str]:
    """The names of the tests that fail; those of a bench without any test fail too.

    Args:
        folder: where to compile and run.
        top: the module.
        bench: the name of the file with its cocotb tests, in this folder.
        simulator: Icarus or Verilator.
        parameters: of the module.
        test: the one test to run; all if None.
        fault: a module's name, a pattern that it has once, and the text that replaces it.
    """
    sources = sorted(assets("rtl").glob("*.sv"))
    if fault:
        name, there, instead = fault
        at = [path.stem for path in sources].index(name)
        text, count = re.subn(there, instead, sources[at].read_text())
        assert count == 1, f"{name}: {there} is there {count} times"
        sources[at] = folder / f"{name}.sv"
        sources[at].write_text(text)
    build = folder / "build"
    cocotb_run.build_module(sources, top, build, simulator=simulator, parameters=parameters)
    runner = get_runner(simulator)
    with cocotb_run._environment(simulator):
        settings()
        results = runner.test(
            test_module=f"rtl_tests.{bench}",
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            build_dir=build,
            test_dir=folder,
            test_filter=None if test is None else rf"\.{test}$",
            results_xml=str(folder / "results.xml"),
            log_file=folder / "run.log",
        )
    cases = list(ElementTree.parse(results).iter("testcase"))
    assert cases, (folder / "run.log").read_text()[-3000:]
    return [case.attrib["name"] for case in cases if case.find("failure") is not None]
