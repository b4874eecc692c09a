"""Place and route for Lattice ECP5 by nextpnr: the clock frequency that a placed design reaches.

No open place and route for Xilinx devices is packaged, so this is the portable measure of timing.
The design is placed out of context: its ports get no pads, and the clock is ideal. Only paths
between registers are measured. The packaged nextpnr is WebAssembly: the first run on a machine
compiles it, which takes a minute or two, and stores the result in the user's cache folder.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hwbnn.errors import InputError, ToolFailed, nearest
from hwbnn.report import Figure
from hwbnn.tools.find import environment, require
from hwbnn.tools.processes import run

DEVICES: Mapping[str, str] = MappingProxyType(
    {"25k": "LFE5U-25F", "45k": "LFE5U-45F", "85k": "LFE5U-85F"}
)
"""The devices by nextpnr's short names."""

_STAGE = re.compile(r"Info: (Packing|Creating initial|Running|Routing globals|Routing \d+ arcs)")
_COUNTED = {"COMB": "TRELLIS_COMB", "FF": "TRELLIS_FF", "BRAM_16K": "DP16KD", "DSP": "MULT18X18D"}


@dataclass(frozen=True)
class Hop:
    """One part of the slowest path.

    Attributes:
        kind: ``"clk-to-q"``, ``"logic"``, ``"routing"`` or ``"setup"``.
        cell: the cell where this part ends.
        ns: delay of this part in nanoseconds.
    """

    kind: str
    cell: str
    ns: float


@dataclass(frozen=True)
class Placement:
    """The result of place and route.

    Attributes:
        fmax: maximum frequency in MHz of each clock, by name.
        used: number of cells in use, by kind; kinds without any are left out.
        available: cells that the device has of each of these kinds.
        path: the slowest path between registers.
        device: full name with its speed grade, such as ``"LFE5U-85F-6"``.
        seed: seed of the placer; another seed changes Fmax by a few percent.
        seconds: time that place and route took.
        tool: name and version of the tool.
    """

    fmax: Mapping[str, float]
    used: Mapping[str, int]
    available: Mapping[str, int]
    path: tuple[Hop, ...]
    device: str
    seed: int
    seconds: float
    tool: str

    @property
    def fmax_mhz(self) -> float:
        """Maximum frequency of the slowest clock."""
        return min(self.fmax.values())

    @property
    def logic_ns(self) -> float:
        """The delay of cells on the slowest path, in nanoseconds."""
        return sum(hop.ns for hop in self.path if hop.kind != "routing")

    @property
    def routing_ns(self) -> float:
        """The delay of wires on the slowest path, in nanoseconds."""
        return sum(hop.ns for hop in self.path if hop.kind == "routing")

    @property
    def source(self) -> str:
        """The source of the figures of this placement, for reports."""
        return (
            f"{self.tool}, placed and routed out of context on {self.device} with seed {self.seed}"
        )

    def figures(self) -> dict[str, Figure]:
        """Every number with its source, by name."""
        figures = {"Fmax": Figure(round(self.fmax_mhz, 2), "MHz", self.source)}
        for name, kind in _COUNTED.items():
            figures[name] = Figure(self.used.get(kind, 0), kind, self.source)
        return figures


def place(
    netlist: Path,
    *,
    device: str = "85k",
    speed: int = 6,
    seed: int = 1,
    target_mhz: float = 200.0,
    log: Path | None = None,
    timeout: float | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Placement:
    """Place and route a netlist of ``synth(..., "ecp5", netlist=...)``.

    Args:
        netlist: the JSON file that yosys wrote.
        device: one of :data:`DEVICES`.
        speed: speed grade, 6 (slowest) to 8.
        seed: seed of the placer.
        target_mhz: frequency that nextpnr optimises for; missing it is no error.
        log: file for the whole output of nextpnr.
        timeout: longest time in seconds; None for no limit.
        on_stage: called with a line of text at each stage.

    Raises:
        InputError: for an unknown device, speed grade or target.
        ToolNotFound: without nextpnr.
        ToolFailed: if the design does not fit, has no clock, or nextpnr fails; names its log.
    """
    _check(device, speed, seed, target_mhz)
    tool = require("nextpnr-ecp5")

    def stage(line: str) -> None:
        if on_stage is not None and _STAGE.match(line):
            on_stage(line.removeprefix("Info: ").rstrip("."))

    with tempfile.TemporaryDirectory(prefix="hwbnn-nextpnr-") as scratch:
        folder = Path(scratch)
        try:
            (folder / "netlist.json").write_bytes(netlist.read_bytes())
        except OSError as error:
            raise InputError(f"{netlist}: cannot be read: {error.strerror}") from error
        options = ["--out-of-context", f"--{device}", "--package", "CABGA381"]
        options += ["--speed", str(speed), "--seed", str(seed)]
        options += ["--freq", f"{target_mhz:g}", "--timing-allow-fail", "--threads", "1"]
        done = run(
            [*tool.command, "--json", "netlist.json", "--report", "report.json", *options],
            cwd=folder,
            log=log,
            env=environment(tool),
            timeout=timeout,
            on_line=stage,
            name="nextpnr-ecp5",
        )
        report = json.loads((folder / "report.json").read_bytes())
    if not report["fmax"]:
        raise ToolFailed("nextpnr-ecp5: the design has no path between two registers to measure")
    name = f"{DEVICES[device]}-{speed}"
    return _placement(report, name, seed, done.seconds, f"nextpnr-ecp5 {tool.version}")


def _check(device: str, speed: int, seed: int, target_mhz: float) -> None:
    if device not in DEVICES:
        raise InputError(
            f"place: device: expected one of {nearest(device, DEVICES)}, found {device!r}"
        )
    if speed not in (6, 7, 8):
        raise InputError(f"place: speed: expected 6, 7 or 8, found {speed!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 < seed < 1 << 31:
        raise InputError(f"place: seed: expected a positive integer, found {seed!r}")
    if not 1 <= target_mhz <= 1000:
        raise InputError(f"place: target_mhz: expected 1 to 1000, found {target_mhz!r}")


def _placement(
    report: Mapping[str, Any], device: str, seed: int, seconds: float, tool: str
) -> Placement:
    """Read nextpnr's JSON report."""
    fmax = {clock: float(told["achieved"]) for clock, told in sorted(report["fmax"].items())}
    use = {kind: told for kind, told in report["utilization"].items() if told["used"]}
    # The report has a path for each pair of clock domains; paths from and to ports are left out.
    inner: list[list[dict[str, Any]]] = [
        path["path"]
        for path in report["critical_paths"]
        if "<async>" not in (path["from"], path["to"])
    ]
    slowest = max(inner, key=lambda path: sum(hop["delay"] for hop in path), default=[])
    return Placement(
        MappingProxyType(fmax),
        MappingProxyType({kind: told["used"] for kind, told in use.items()}),
        MappingProxyType({kind: told["available"] for kind, told in use.items()}),
        tuple(Hop(hop["type"], hop["to"]["cell"], hop["delay"]) for hop in slowest),
        device,
        seed,
        seconds,
        tool,
    )
