"""Synthesis by yosys: the resources of a design on Xilinx or ECP5 before placement.

yosys comes as a library (``pyosys``) that may end its process, so it runs in a child. Every file is
copied into a scratch folder under a checked name; nothing of a file's content reaches a command.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwbnn.errors import InputError, ToolFailed, nearest
from hwbnn.report import Figure
from hwbnn.tools.find import Tool, require
from hwbnn.tools.lut_pairs import pairs, small_luts
from hwbnn.tools.processes import run
from hwbnn.tools.resources import FAMILIES, XILINX, Resources

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADING = re.compile(r"(?:\d+\.)+ Executing (.+?)(?: pass)?(?: \(.*)?\.?$")
_ARRIVAL = re.compile(r"^Latest arrival time in '.*' is (\d+):", re.MULTILINE)
_STEP = re.compile(r"^\s*(\d+) (\S+) \((\w+)\.(\w+)(?:->(\w+))?\)", re.MULTILINE)

Sources = Mapping[str, bytes] | Sequence[Path]


@dataclass(frozen=True)
class PathStep:
    """A cell on the slowest path.

    Attributes:
        cell: kind of the cell, such as ``"LUT6"``.
        pin: the pin where the path leaves the cell, or ends in it.
        ns: arrival time of the signal after the clock edge, in nanoseconds.
    """

    cell: str
    pin: str
    ns: float


@dataclass(frozen=True)
class Synthesis:
    """The result of a synthesis.

    Attributes:
        resources: the cells that the design takes.
        logic_ns: delay in nanoseconds of the slowest path to a register or port, without wires and
            setup time. None where yosys has no delays.
        path: the cells of that path, from its start.
        seconds: time that the synthesis took.
        peak_bytes: the peak memory of yosys plus the peak memory of ABC.
        tool: name and version of the tool.
        command: the synthesis command of that tool.
    """

    resources: Resources
    logic_ns: float | None
    path: tuple[PathStep, ...]
    seconds: float
    peak_bytes: int
    tool: str
    command: str

    @property
    def source(self) -> str:
        """The source of the figures of this synthesis, for reports."""
        return f"{self.tool} {self.command}, estimate before placement"

    def figures(self) -> dict[str, Figure]:
        """Every number with its source, by name."""
        figures = {
            name: Figure(value, unit, self.source)
            for name, (value, unit) in self.resources.table().items()
        }
        if self.logic_ns is not None:
            source = f"{self.tool} sta, logic delays only, no wires"
            figures["logic_delay"] = Figure(self.logic_ns, "ns", source)
        return figures


def synth(
    sources: Sources,
    top: str,
    family: str = "xc7",
    *,
    parameters: Mapping[str, int] | None = None,
    netlist: Path | None = None,
    log: Path | None = None,
    timeout: float | None = None,
    on_pass: Callable[[str], None] | None = None,
) -> Synthesis:
    """Synthesise a design out of context: its ports get no pads.

    Args:
        sources: SystemVerilog files in reading order, as contents by name (those of a
            :class:`~hwbnn.project.Project`) or as paths. Other files are copied beside them under
            their names, so that the design can read them by ``$readmemh``.
        top: name of the top module.
        family: ``"xc7"`` (Xilinx 7-series), ``"xcup"`` (UltraScale+) or ``"ecp5"``.
        parameters: values for integer parameters of the top module.
        netlist: file for the mapped netlist as JSON, which nextpnr reads.
        log: file for the whole output of yosys.
        timeout: longest time in seconds; None for no limit.
        on_pass: called with the name of each pass as it begins.

    Raises:
        InputError: for a family, module or file name that cannot be used.
        ToolNotFound: without pyosys.
        ToolFailed: if yosys refuses the design, crashes or takes too long; names its log.
    """
    tool = require("pyosys")
    contents = _contents(sources)
    _check_names(contents, top, family, parameters or {})
    with tempfile.TemporaryDirectory(prefix="hwbnn-yosys-") as scratch:
        folder = Path(scratch)
        for name, content in contents.items():
            path = folder / "design" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        job = folder / "job.json"
        job.write_text(json.dumps(_passes(list(contents), top, family, parameters or {})))
        # -P: modules in the script's folder do not hide others with the same names.
        child = Path(__file__).with_name("yosys_child.py")
        done = run(
            [sys.executable, "-P", child, job],
            cwd=folder / "design",
            log=log,
            timeout=timeout,
            on_line=_headings(on_pass),
            name="yosys",
        )
        mapped = (folder / "netlist.json").read_bytes()
        if netlist is not None:
            netlist.write_bytes(mapped)
        return _result(folder, json.loads(mapped), top, family, done.seconds, tool)


def _contents(sources: Sources) -> dict[str, bytes]:
    if isinstance(sources, Mapping):
        return dict(sources)
    names = [path.name for path in sources]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"synth: two files are named {twice!r}; give contents by name instead")
    try:
        return {path.name: path.read_bytes() for path in sources}
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _check_names(
    contents: Mapping[str, bytes], top: str, family: str, parameters: Mapping[str, int]
) -> None:
    if family not in FAMILIES:
        raise InputError(
            f"synth: family: expected one of {nearest(family, FAMILIES)}, found {family!r}"
        )
    for name in (top, *parameters):
        if not _MODULE.fullmatch(name):
            raise InputError(f"synth: expected a plain Verilog identifier, found {name[:60]!r}")
    for name in contents:
        if not _FILE.fullmatch(name):
            raise InputError(
                f"synth: file {name[:80]!r}: expected letters, digits, '_', '-', '.' and '/'"
            )
    if not any(name.endswith((".sv", ".v")) for name in contents):
        raise InputError("synth: no source file ends in .sv or .v")


def _passes(
    names: Sequence[str], top: str, family: str, parameters: Mapping[str, int]
) -> list[str]:
    """The yosys commands, in order; paths are relative to the folder of the design."""
    read = [
        # -defer: modules are elaborated with the parameters of their instances, not the defaults.
        f"read_verilog -sv -defer -D SYNTHESIS {name}"
        for name in names
        if name.endswith((".sv", ".v"))
    ]
    # ABC would prove that the mapped logic is equivalent. That takes most of the time: 115 s, not
    # 18 s, for 64 inputs and 32 neurons as plain sums. It changes no figure.
    unproved = "scratchpad -set abc9.verify false"
    settings = "".join(f" -chparam {name} {value}" for name, value in parameters.items())
    # `flatten` must run after `hierarchy` has set the parameters, or contents of LUTs are lost.
    elaborate = f"hierarchy -check -top {top}{settings}"
    # Modules with `keep_hierarchy` are mapped separately, and flattened afterwards.
    whole = ["setattr -mod -unset keep_hierarchy", "flatten", "clean", "delete t:$scopeinfo"]
    if family in XILINX:
        # Run the command from its stage `prepare` up to, but without, its stage `check`. `library`
        # replaces the earlier stage `begin`, so that designs may instantiate primitives; `check`
        # would drop the delays that `sta` reads.
        library = ["read_verilog -lib -specify +/xilinx/cells_sim.v"]
        library += ["read_verilog -lib +/xilinx/cells_xtra.v"]
        flow = f"{FAMILIES[family]} -flatten -noiopad -noclkbuf -run prepare:check"
        passes = [*library, *read, elaborate, flow, "hierarchy -check", *whole]
        if family == "xc7":  # the only family for which yosys has delays
            passes += ["check -noinit", "tee -o ../sta.txt sta"]
        passes += ["blackbox =A:whitebox"]
    else:
        passes = [*read, elaborate, f"{FAMILIES[family]} -top {top}", *whole]
    return [unproved, *passes, "tee -q -o ../stat.json stat -json", "write_json ../netlist.json"]


def _headings(on_pass: Callable[[str], None] | None) -> Callable[[str], None] | None:
    if on_pass is None:
        return None

    def heading(line: str) -> None:
        if match := _HEADING.match(line):
            on_pass(match.group(1))

    return heading


def _result(
    folder: Path, netlist: Mapping[str, Any], top: str, family: str, seconds: float, tool: Tool
) -> Synthesis:
    stat = json.loads((folder / "stat.json").read_bytes())
    cells = stat["design"]["num_cells_by_type"]
    unmapped = sorted(kind for kind in cells if kind.startswith("$"))
    if unmapped:
        raise ToolFailed(f"yosys: '{top}': left unmapped: {', '.join(unmapped)[:200]}")
    shared = None
    logic_ns: float | None = None
    path: tuple[PathStep, ...] = ()
    if family in XILINX:
        shared = pairs(small_luts(netlist["modules"][top]))
    if family == "xc7":
        logic_ns, path = _timing((folder / "sta.txt").read_text(encoding="utf-8"))
    usage = json.loads((folder / "usage.json").read_bytes())
    return Synthesis(
        Resources(family, dict(sorted(cells.items())), shared),
        logic_ns,
        path,
        seconds,
        usage["peak_bytes"],
        f"yosys {tool.version}",
        FAMILIES[family],
    )


def _timing(text: str) -> tuple[float | None, tuple[PathStep, ...]]:
    """The latest arrival time in the output of `sta`, and its path, printed there backwards."""
    latest = _ARRIVAL.search(text)
    if latest is None:
        return None, ()
    steps = [
        PathStep(kind, leaves or enters, int(ps) / 1000)
        for ps, _, kind, enters, leaves in _STEP.findall(text[latest.end() :])
    ]
    return int(latest.group(1)) / 1000, tuple(reversed(steps))
