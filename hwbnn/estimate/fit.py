"""Whether a core fits a part, by its estimated resources, with the error of the estimate.

Estimates are fitted to 7-series. For other families they are multiplied by a factor that was
measured: the same cores, synthesised by yosys for each family (``benchmarks/luts/families.py``,
results in ``benchmarks/results/luts_families.json``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType

from hwbnn.arguments import checked_call
from hwbnn.devices import PartNumber
from hwbnn.estimate.area import ERROR_PERCENT, Area

RESOURCES = ("LUT", "FF", "BRAM_18K", "DSP")
"""The resources that a part must have enough of; a block RAM of 36 Kbit counts as two of 18."""
_LABELS: Mapping[str, str] = MappingProxyType({"BRAM_18K": "BRAM of 18 Kbit"})

FACTORS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "xc7": MappingProxyType({}),
        "xcup": MappingProxyType({}),
        "ecp5": MappingProxyType({"LUT": 2.3, "BRAM_18K": 2}),
    }
)
"""By family, what estimates for 7-series are multiplied by; 1 where nothing is said."""
ERRORS: Mapping[str, int] = MappingProxyType(
    {"xc7": ERROR_PERCENT, "xcup": ERROR_PERCENT, "ecp5": 55}
)
"""By family, an upper bound on the errors of estimated LUTs and flip-flops, in percent."""


@dataclass(frozen=True)
class ResourceNeed:
    """One resource of a core, beside the part's.

    Attributes:
        resource: one of :data:`RESOURCES`.
        used: estimated for the core.
        available: on the part.
    """

    resource: str
    used: int
    available: int

    @property
    def percent(self) -> float:
        """The core's share of the part, in percent."""
        return 100 * self.used / self.available

    @property
    def label(self) -> str:
        """The resource in words."""
        return _LABELS.get(self.resource, self.resource)

    def __str__(self) -> str:
        return f"{self.used:,} {self.label} of {self.available:,} ({_percent(self.percent)})"


@dataclass(frozen=True)
class Fit:
    """A core beside a part.

    Attributes:
        part: the part.
        needs: each resource of :data:`RESOURCES`.
        error: an upper bound on the error of LUTs and flip-flops, in percent.
    """

    part: PartNumber
    needs: tuple[ResourceNeed, ...]
    error: int

    @property
    def over(self) -> tuple[ResourceNeed, ...]:
        """The resources of which the part has too few."""
        return tuple(need for need in self.needs if need.used > need.available)

    @property
    def fits(self) -> bool:
        """Whether the part has enough of everything, by the estimate."""
        return not self.over

    @property
    def certain(self) -> bool:
        """Whether that holds for every error within the bound as well."""
        slack = 1 + self.error / 100
        fabric = [need for need in self.needs if need.resource in ("LUT", "FF")]
        if not self.fits:
            return any(need.used / slack > need.available for need in fabric) or any(
                need not in fabric for need in self.over
            )
        return all(need.used * slack <= need.available for need in fabric)

    @property
    def verdict(self) -> str:
        """Fits or not, in words, with the error of the estimate."""
        error = f"error up to {self.error} %"
        if self.fits:
            told = "fits by estimate"
            return f"{told}; {error}" if self.certain else f"{told}, but perhaps not: {error}"
        needs = " and ".join(str(need) for need in self.over)
        doubt = "" if self.certain else ", perhaps fits"
        return f"does not fit by estimate{doubt}: needs {needs}; {error}"

    def shares(self) -> str:
        """All resources in one line."""
        return ", ".join(
            f"{need.used:,} {need.label} ({_percent(need.percent)})" for need in self.needs
        )

    def facts(self) -> dict[str, object]:
        """The same as plain values for JSON."""
        return {
            "part": self.part.name,
            "fits": self.fits,
            "estimate": True,
            "error_percent": self.error,
            "resources": {
                need.resource: {
                    "used": need.used,
                    "available": need.available,
                    "percent": round(need.percent, 1),
                }
                for need in self.needs
            },
        }


@checked_call(classes=("PartNumber",))
def fit(area: Area, part: PartNumber) -> Fit:
    """The estimated resources of a core, beside those of a part."""
    family = part.device.synthesis
    used, available = on_family(area, family), part.device.resources()
    needs = tuple(ResourceNeed(name, used[name], available[name]) for name in RESOURCES)
    return Fit(part, needs, ERRORS[family])


def on_family(area: Area, family: str) -> dict[str, int]:
    """Estimated resources on a family, under the names of :data:`RESOURCES`."""
    counted = {
        "LUT": area.lut,
        "FF": area.ff,
        "BRAM_18K": 2 * area.bram36 + area.bram18,
        "DSP": area.dsp,
    }
    factors = FACTORS[family]
    return {name: ceil(n * factors.get(name, 1)) for name, n in counted.items()}


def _percent(value: float) -> str:
    return f"{value:.0f} %" if value >= 1 or value == 0 else "under 1 %"
