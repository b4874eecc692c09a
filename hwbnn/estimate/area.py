"""LUTs, flip-flops and block RAMs of a circuit on Xilinx 7-series, estimated before generation.

A circuit is split into parts (:mod:`hwbnn.estimate.amounts`), and the amount of each part is
multiplied by a coefficient. The coefficients were fitted to results of yosys, with least squares of
relative errors: for generated layers, and for stages of images and shortcuts with the constants of
bundled networks. Whole networks were left out of the fit and show how accurate the estimate is. All
results are in ``benchmarks/results`` (``luts.json``, ``luts_images.json``), written by
``benchmarks/luts``; :data:`STAGE_ERRORS` has the errors for each kind of stage. LUTs are raw
counts, in which each mapped LUT counts as one, as in :class:`hwbnn.tools.resources.Resources`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwbnn.arguments import checked_call
from hwbnn.estimate.amounts import Amounts, amounts, border_options
from hwbnn.plan import Circuit
from hwbnn.plan.stages import AxisIn
from hwbnn.report import Figure

# fmt: off
LUT: Mapping[str, float] = MappingProxyType({
    "exact": 1.0, "memory": 1.0, "add": 0.44, "adder": 0.66, "adder_folded": 1.1,
    "adder_terms": 0.53, "affine": 0.0, "axis_in": 14.0, "axis_in_bits": 1.4, "border_class": 0.0,
    "choose": 0.0, "compare": 0.77, "compare_fixed": 0.076, "counter": 0.75, "down": 0.0,
    "down_bits": 0.93, "fifo": 18.0, "folded": 14.0, "gated": 1.0, "index": 0.42, "larger": 1.3,
    "match": 0.71, "pattern": 2.2, "plane": 0.0, "pool_max": 0.93, "pool_sum": 1.1, "product": 1.1,
    "rescale_clip": 0.0, "rescale_joined": 0.9, "rescale_shift": 0.065, "rescale_slope": 0.73,
    "rescale_sum": 0.68, "rescale_wires": 0.0, "scaled": 0.42, "stream_fifo": 0.0,
    "stream_fifo_counter": 1.7, "stream_fifo_past": 1.5, "terms_folded": 0.7, "total": 1.3,
    "up": 0.0, "up_bits": 1.8, "up_parts": 1.6, "window": 0.0, "window_counter": 0.0,
    "window_fill": 2.5, "window_pad": 0.84, "window_pointer": 5.3,
})
"""LUTs of one of each part. Those of a part with 0 are included in parts that come with it."""
RULED: Mapping[str, float] = MappingProxyType({"adder_weighted": 1.0, "mask": 0.5})
"""LUTs of one of each part of products with integer weights: set by rule, not fitted."""
FF: Mapping[str, float] = MappingProxyType({
    "exact": 1.0, "memory": 1.0, "axis_in": 19.0, "rescale_joined": 1.7, "rescale_wires": 1.8,
    "tree": 0.53, "tree_low": 2.4, "up": 7.5, "valid": 0.0,
})
"""Flip-flops of one of each part."""
# fmt: on
_EACH = {**LUT, **RULED}

ERROR_PERCENT = 25
"""An upper bound on the errors of all networks in the calibration, in LUTs and flip-flops."""

STAGE_ERRORS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "rescale": (-6, 9),
        "rescale, two slopes": (-2, 2),
        "rescale, clip alone": (0, 4),
        "add": (-5, 4),
        "fifo": (-4, 5),
        "border": (1, 5),
        "max pool": (-11, 7),
        "sum pool": (-11, 5),
        "channel pad": (-1, 3),
        "convolution": (-1, 4),
        "network": (-3, 0),
    }
)
"""For each kind of stage of images and shortcuts, the lowest and highest error of estimated LUTs
in percent. Each core has one such stage between its borders, or several (`network`, left out of the
fit). Numbers of multipliers are exact. ``benchmarks/luts/images.py`` made the measurements."""

SOURCE = f"hwbnn, estimate before generation, calibrated on yosys 0.70 to within {ERROR_PERCENT} %"


@dataclass(frozen=True)
class Area:
    """The resources of a circuit, or of a part of one.

    Attributes:
        lut: LUTs of all sizes, two small ones never counted as one.
        ff: flip-flops.
        bram18: block RAMs of 18 Kbit.
        bram36: block RAMs of 36 Kbit.
        dsp: multipliers.
        stages: the resources of each stage, by name; empty for a part of a circuit.
    """

    lut: int
    ff: int
    bram18: int
    bram36: int
    dsp: int
    stages: Mapping[str, Area]

    def figures(self) -> dict[str, Figure]:
        """Every number with its source, under the names that synthesis uses."""
        return {
            "LUT": Figure(self.lut, "LUT", SOURCE),
            "FF": Figure(self.ff, "FF", SOURCE),
            "BRAM_36K": Figure(self.bram36, "BRAM", SOURCE),
            "BRAM_18K": Figure(self.bram18, "BRAM", SOURCE),
            "DSP": Figure(self.dsp, "DSP", SOURCE),
        }


@checked_call(classes=("Circuit",))
def area(circuit: Circuit) -> Area:
    """The resources of a circuit, estimated before it is generated."""
    total = Amounts()
    stages = {}
    for stage in circuit.stages:
        counted = amounts(stage)
        if isinstance(stage, AxisIn):
            counted.add(border_options(circuit))
        total.add(counted)
        stages[stage.name] = area_of(counted)
    return area_of(total, stages)


def area_of(counts: Amounts, stages: Mapping[str, Area] | None = None) -> Area:
    """The area that these amounts take."""
    lut = sum(amount * _EACH[name] for name, amount in counts.lut.items())
    ff = sum(amount * FF[name] for name, amount in counts.ff.items())
    by_stage = MappingProxyType(dict(stages or {}))
    return Area(round(lut), round(ff), counts.bram18, counts.bram36, counts.dsp, by_stage)
