"""The figures of a core that is planned and not built: speed at its clock, and size on its part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from hwbnn.devices import known_part
from hwbnn.errors import PlanError
from hwbnn.estimate.area import ERROR_PERCENT, Area, area
from hwbnn.estimate.cycles import Cycles, cycles
from hwbnn.estimate.fit import Fit, fit
from hwbnn.estimate.goals import mhz, ns_text
from hwbnn.estimate.search import beat
from hwbnn.graph import Graph
from hwbnn.plan import Circuit, Plan, circuit
from hwbnn.plan.stages import AxisIn, AxisOut, Narrow, Widen

_NOT_CHECKED = {
    "xilinx": "the Vivado script of the core reports the slack on its part",
    "lattice": "'hwbnn synth --place' gives the Fmax on ECP5",
    "": "the Vivado script of the core reports the slack on its part, 'hwbnn synth --place' the "
    "Fmax on ECP5",
}
"""By vendor, the way to check whether a device reaches the clock."""


@dataclass(frozen=True, eq=False)
class PlannedCore:
    """A circuit with its predicted cycles and estimated resources.

    Attributes:
        circuit: the circuit.
        predicted: its predicted cycles.
        area: its estimated resources.
    """

    circuit: Circuit
    predicted: Cycles
    area: Area

    @classmethod
    def of(cls, graph: Graph, plan: Plan) -> PlannedCore:
        """The figures of a Graph under a Plan."""
        hardware = circuit(graph, plan)
        return cls(hardware, cycles(hardware), area(hardware))

    @property
    def clock_ns(self) -> float:
        """The clock period that the Plan states."""
        return self.circuit.plan.clock_ns

    @property
    def mhz(self) -> float:
        """The clock that the Plan states, in MHz."""
        return mhz(self.clock_ns)

    @property
    def interval(self) -> int:
        """Cycles from frame to frame, rounded up where they are not always the same."""
        assert self.predicted.interval is not None
        return ceil(self.predicted.interval)

    @property
    def frames_per_second(self) -> float:
        """Frames a second at the stated clock."""
        return frames_per_second(self.interval, self.clock_ns)

    @property
    def latency_ns(self) -> float:
        """Nanoseconds from a frame's first input beat to its last output beat."""
        return self.predicted.latency * self.clock_ns

    @cached_property
    def fit(self) -> Fit | None:
        """Whether it fits the part of the Plan; None if the Plan has none, or an unknown one."""
        part = known_part(self.circuit.plan.part or "")
        return None if part is None else fit(self.area, part)

    @cached_property
    def wider_beats(self) -> Mapping[str, int]:
        """Beats that would make the core faster, by the field of the Plan; empty if none would.

        These are given where a border alone is busier than all layers: an unrolled layer waits for
        its input if a beat carries a part of a frame.
        """
        stages = self.circuit.stages
        resizers = AxisIn | AxisOut | Widen | Narrow
        layers = max((s.interval for s in stages if not isinstance(s, resizers)), default=1)
        wider = {}
        graph = self.circuit.graph
        for name, stage, node in (
            ("input_beat", stages[0], graph.input),
            ("output_beat", stages[-1], graph.output),
        ):
            if stage.interval > layers:
                try:
                    wider[name] = beat(graph, node, getattr(self.circuit.plan, name), layers)
                except PlanError:  # no beat is wide enough for all that the layers can take
                    continue
        return wider

    @property
    def summary(self) -> str:
        """Speed in one line, in cycles and in time."""
        every = "every cycle" if self.interval == 1 else f"every {self.interval:,} cycles"
        return (
            f"a frame {every} = {self.frames_per_second:,.0f} frames a second at {self.mhz:g} MHz, "
            f"latency {self.predicted.latency:,} cycles = {ns_text(self.latency_ns)} ns"
        )

    @property
    def size(self) -> str:
        """Resources in one line: shares of the part, and whether it fits."""
        if self.fit is not None:
            return f"{self.fit.part.name}: {self.fit.shares()}: {self.fit.verdict}"
        blocks = self.area.bram36 + self.area.bram18 / 2
        return (
            f"{self.area.lut:,} LUT, {self.area.ff:,} FF, {blocks:g} BRAM of 36 Kbit, "
            f"{self.area.dsp:,} DSP by estimate; error up to {ERROR_PERCENT} %"
        )

    @property
    def border(self) -> str:
        """The advice to widen a beat that alone slows the core; "" where none does."""
        if not self.wider_beats:
            return ""
        options = " ".join(f"--{n.replace('_', '-')} {b}" for n, b in self.wider_beats.items())
        plan = self.circuit.plan
        names = " and ".join(f"{n.replace('_', ' ')} of {getattr(plan, n)} bits"
                             for n in self.wider_beats)  # fmt: skip
        faster = "would be faster" if self.interval > 1 else "could be faster"
        return f"the layers wait for the {names}: with {options} the core {faster}"

    def lines(self) -> list[str]:
        """The figures for people, one line each."""
        vendor = self.fit.part.device.vendor if self.fit is not None else ""
        clock = f"the clock of {self.mhz:g} MHz is not checked: {_NOT_CHECKED[vendor]}"
        return [line for line in (self.summary, self.size, self.border, clock) if line]

    def facts(self) -> dict[str, object]:
        """The figures as plain values for JSON."""
        told: dict[str, object] = {
            "clock_mhz": self.mhz,
            "clock_checked": False,
            "initiation_interval": self.interval,
            "frames_per_second": round(self.frames_per_second, 3),
            "latency": self.predicted.latency,
            "latency_ns": round(self.latency_ns, 3),
            "wider_beats": dict(self.wider_beats),
        }
        if self.fit is not None:
            told["fit"] = self.fit.facts()
        return told


def frames_per_second(interval: int, clock_ns: float) -> float:
    """Frames a second of a core that takes one in ``interval`` cycles of ``clock_ns``."""
    return 1e9 / (interval * clock_ns)
