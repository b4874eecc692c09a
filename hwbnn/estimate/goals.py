"""Goals for a core: its rate, latency and size, the part that it must fit, and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import floor, inf
from numbers import Integral

from hwbnn.arguments import checked_call, checked_class
from hwbnn.devices import PartNumber, read_part
from hwbnn.errors import PlanError
from hwbnn.estimate.area import Area
from hwbnn.estimate.fit import fit, on_family
from hwbnn.plan.plan import is_int

_RENAMED = {"luts": "lut", "ffs": "ff", "brams": "bram", "dsps": "dsp", "clock_ns": "mhz"}
_MOST = 1e300
"""The largest number of frames, ns, block RAMs or MHz: any larger one may overflow a float."""
_LONGEST = 1 << 40
"""Cycles that stand for any longer time."""


@checked_class(_RENAMED)
@dataclass(frozen=True)
class Goal:
    """A core's rate, latency and size; what is None does not matter.

    With a rate or a latency, the core of the fewest LUTs that has them is wanted; without, the
    fastest core that fits. Cycles and seconds are joined by the clock of the Plan.

    Attributes:
        interval: most cycles from frame to frame.
        fps: least rate, in frames a second.
        latency: most cycles from a frame's first input beat to its last output beat.
        latency_ns: the same in nanoseconds.
        lut: most LUTs, of six inputs, as estimated for 7-series.
        ff: most flip-flops.
        bram: most block RAMs of 36 Kbit, two of 18 Kbit counting as one.
        dsp: most multipliers.
        part: full name of the part that the core must fit, such as ``"xc7z020clg400-1"``.
        mhz: the clock, in MHz; None for that of the Plan.
    """

    interval: int | None = None
    fps: float | None = None
    latency: int | None = None
    latency_ns: float | None = None
    lut: int | None = None
    ff: int | None = None
    bram: float | None = None
    dsp: int | None = None
    part: str | None = None
    mhz: float | None = None

    def __post_init__(self) -> None:
        for name in ("interval", "latency", "lut", "ff", "dsp"):
            given = getattr(self, name)
            if isinstance(given, Integral) and not isinstance(given, bool):
                object.__setattr__(self, name, int(given))  # of NumPy
        for name, what in (("interval", "interval"), ("latency", "latency")):
            given = getattr(self, name)
            if given is not None and (not is_int(given) or given < 1):
                raise PlanError(f"plan: {what}: expected at least 1 cycle, found {given!r}")
        for name in ("lut", "ff", "dsp"):
            given = getattr(self, name)
            if given is not None and (not is_int(given) or given < (name != "dsp")):
                raise PlanError(
                    f"plan: {name.upper()}s: expected a positive number, found {given!r}"
                )
        for name in ("fps", "latency_ns", "bram", "mhz"):
            given = getattr(self, name)
            number = isinstance(given, int | float) and not isinstance(given, bool)
            if given is not None and not (
                number and 0 <= given <= _MOST and (given or name == "bram")
            ):
                raise PlanError(f"plan: {name}: expected a positive number, found {given!r}")
        if self.part is not None:
            read_part(self.part)

    def limits(self, clock_ns: float) -> Limits:
        """The goal in cycles and resources.

        Raises:
            PlanError: if the rate is above a frame a cycle, or the latency below a cycle.
        """
        intervals = [] if self.interval is None else [self.interval]
        if self.fps is not None:
            if clock_ns * self.fps > 1e9:
                raise PlanError(
                    f"plan: {self.fps:,.0f} frames a second: more than a frame a cycle at "
                    f"{mhz(clock_ns):g} MHz; expected at most {1e9 / clock_ns:,.0f}"
                )
            intervals.append(min(floor(1e9 / (clock_ns * self.fps) + 1e-9), _LONGEST))
        latencies = [] if self.latency is None else [self.latency]
        if self.latency_ns is not None:
            if self.latency_ns < clock_ns:
                raise PlanError(
                    f"plan: a latency of {self.latency_ns:g} ns is less than a cycle of "
                    f"{clock_ns:g} ns at {mhz(clock_ns):g} MHz; expected more cycles or a faster "
                    "clock"
                )
            latencies.append(min(floor(self.latency_ns / clock_ns + 1e-9), _LONGEST))
        given = {"LUT": self.lut, "FF": self.ff, "DSP": self.dsp}
        given["BRAM_18K"] = None if self.bram is None else floor(2 * self.bram)
        resources = {name: most for name, most in given.items() if most is not None}
        part = None if self.part is None else read_part(self.part)
        return Limits(
            min(intervals, default=None), min(latencies, default=None), resources, part, clock_ns
        )


@dataclass(frozen=True)
class Limits:
    """A goal in cycles and resources.

    Attributes:
        interval: most cycles from frame to frame; None for any.
        latency: most cycles of latency; None for any.
        resources: most of each resource, as estimated for 7-series.
        part: the part that the core must fit; None for any.
        clock_ns: the clock period.
    """

    interval: int | None
    latency: int | None
    resources: Mapping[str, int]
    part: PartNumber | None
    clock_ns: float

    @property
    def speed(self) -> bool:
        """Whether a rate or a latency is wanted."""
        return self.interval is not None or self.latency is not None

    @property
    def speed_text(self) -> str:
        """The rate and the latency in words."""
        told = []
        if self.interval is not None:
            told.append(f"a frame every {self.interval:,} cycles")
        if self.latency is not None:
            ns = ns_text(self.latency * self.clock_ns)
            told.append(f"a latency of {self.latency:,} cycles = {ns} ns")
        return " with ".join(told)

    @property
    def size_text(self) -> str:
        """The budget and the part in words."""
        told = [
            f"{most:,} {'LUTs' if name == 'LUT' else name}" for name, most in self.resources.items()
        ]
        return " and ".join([*told, *([] if self.part is None else [self.part.name])])

    def over(self, area: Area) -> list[str]:
        """The resources of which a core takes too many, in words."""
        used = on_family(area, "xc7")
        budget = [
            f"{used[name]:,} {name} of {most:,}"
            for name, most in self.resources.items()
            if used[name] > most
        ]
        return budget + ([] if self.part is None else [str(n) for n in fit(area, self.part).over])

    def with_any_size(self) -> Limits:
        """The same rate and latency, whatever the size."""
        return replace(self, resources={}, part=None)

    def with_any_speed(self) -> Limits:
        """The same size, whatever rate and latency."""
        return replace(self, interval=None, latency=None)


@checked_call()
def clock_period(mhz: float) -> float:
    """The period in ns of a clock in MHz; whole MHz give the same text in every file."""
    if not 0 < mhz < inf:
        raise PlanError(f"plan: mhz: expected a positive number, found {mhz!r}")
    return float(f"{1000 / mhz:.6g}")


def ns_text(value: float) -> str:
    """Nanoseconds as text, to a tenth."""
    return f"{value:,.1f}".removesuffix(".0")


def rounded_ns(value: float) -> float:
    """Nanoseconds without the last digits of binary fractions."""
    return round(value, 6)


def mhz(clock_ns: float) -> float:
    """The frequency of a clock period; whole MHz come back whole.

    >>> mhz(clock_period(333))
    333.0
    """
    return float(f"{1000 / clock_ns:.5g}")
