"""Vitis HLS: synthesis of a project, its report, and the RTL that it exports.

This was written without access to Vitis. It is tested with a program that takes the place of Vitis
and writes a report in the published format; it has never been tried with a real Vitis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hwbnn import tools
from hwbnn.errors import InputError, ToolFailed, ToolNotFound
from hwbnn.project import Project
from hwbnn.report import Figure
from hwbnn.targets.hls import parse_report
from hwbnn.targets.hls.scripts import STEPS, options
from hwbnn.tools import Tool

PROGRAMS: dict[str, tuple[str, ...]] = {
    "vitis_hls": ("-f", "build_prj.tcl"),
    "vitis-run": ("--tcl", "build_prj.tcl", "--mode", "hls"),
}
"""Programs that can run the build script, and their arguments; the first one on PATH is used."""
MISSING = (
    f"neither {' nor '.join(PROGRAMS)} is on PATH: synthesis of HLS needs Vitis from AMD; source "
    "its settings64.sh, or use the target 'rtl', which needs none"
)
"""The message of the error if there is no Vitis HLS."""
UNITS = {
    **dict.fromkeys(("TargetClockPeriod", "EstimatedClockPeriod"), "ns"),
    **dict.fromkeys(("BestLatency", "WorstLatency", "IntervalMin", "IntervalMax"), "cycles"),
    **dict.fromkeys(("LUT", "FF", "DSP", "BRAM_18K", "URAM"), ""),
}
"""Entries of hls4ml's ``CSynthesisReport`` that are figures of the design, and their units."""


@dataclass(frozen=True)
class VitisSynthesis:
    """A project synthesised by Vitis HLS.

    Attributes:
        project: the project, with the RTL that Vitis wrote among its files.
        figures: the figures of the report, by hls4ml's names (:data:`UNITS`).
        unknown: entries of the report that are not numbers, as text (such as ``undef``).
    """

    project: Project
    figures: Mapping[str, Figure]
    unknown: Mapping[str, str]


def find() -> Tool | None:
    """The program that runs Vitis HLS, if one is on PATH."""
    return next((tool for name in PROGRAMS if (tool := tools.find(name))), None)


def synthesise(
    project: Project, folder: Path, *, export: bool = False, log: Path | None = None
) -> VitisSynthesis:
    """Run Vitis HLS on a project in a folder and read its report.

    Args:
        project: a project of the target ``hls``.
        folder: where to write the project: a new or empty folder, or the folder of a project.
        export: whether to export the RTL as an IP core too.
        log: file for all output of Vitis; by default ``vitis.log`` in the folder.

    Raises:
        InputError: if the project is not of the target ``hls``.
        ToolNotFound: if no Vitis HLS is on PATH.
        ToolFailed: if Vitis ends with an error or writes no report; the message names the log.
    """
    if project.target != "hls":
        raise InputError(f"project: expected one of the target 'hls', found '{project.target}'")
    program = find()
    if program is None:
        raise ToolNotFound(MISSING)
    sources = project.write(folder)
    steps = {**dict.fromkeys(STEPS, False), "reset": True, "synth": True, "export": export}
    (sources / "build_opt.tcl").write_text(options(steps))
    command = [*program.command, *PROGRAMS[program.name]]
    log = log or sources / "vitis.log"
    tools.run(command, cwd=sources, log=log)
    try:
        report = parse_report(sources)["CSynthesisReport"]
        return _read(report, Project.read(sources), program)
    except (ToolFailed, InputError) as error:
        # The folder may be temporary, but the log has the output of the program.
        raise ToolFailed(f"{error}; the log is {log}") from error


def _read(report: Mapping[str, str], project: Project, program: Tool) -> VitisSynthesis:
    source = f"{program}, estimate of HLS synthesis"
    figures, unknown = {}, {}
    for name, unit in UNITS.items():
        said = report.get(name)
        if said is None:
            continue
        try:
            figures[name] = Figure(_number(said), unit, source)
        except (ValueError, InputError):  # such as "undef", or "inf"
            unknown[name] = str(said)[:40]
    if not figures:
        raise ToolFailed(f"{program.name}: its synthesis report has no figure such as LUT")
    return VitisSynthesis(project, figures, unknown)


def _number(said: str) -> int | float:
    return int(said) if said.strip().isdecimal() else float(said)
