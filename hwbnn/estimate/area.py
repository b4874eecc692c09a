"""LUTs, flip-flops and block RAMs of a circuit on Xilinx 7-series, foreseen before it is generated.

A circuit is taken apart (:mod:`hwbnn.estimate.amounts`) and every part multiplied by what yosys
made of its like: the coefficients are a least-squares fit of relative errors to generated layers,
and whole networks, to which nothing was fitted, show what the estimate is worth. Both are in
``benchmarks/results/luts.json``, written by ``benchmarks/luts/calibrate.py``. The stages of images
are counted by the same coefficients; how far off these are is measured (:data:`IMAGE_ERRORS`). LUTs
are raw counts, each mapped one counted, as :class:`hwbnn.tools.resources.Resources` has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwbnn.estimate.amounts import Amounts, amounts
from hwbnn.plan import Circuit
from hwbnn.report import Figure

# fmt: off
LUT: Mapping[str, float] = MappingProxyType({
    "exact": 1.0, "memory": 1.0, "adder": 0.71, "adder_folded": 1.3, "adder_terms": 0.56,
    "affine": 0.0, "axis_in": 33.0, "choose": 0.0, "compare": 0.61, "compare_fixed": 0.0047,
    "counter": 2.2, "down": 21.0, "down_bits": 0.93, "fifo": 0.0, "folded": 0.0, "gated": 0.92,
    "index": 0.45, "larger": 1.6, "match": 0.65, "pattern": 2.3, "plane": 0.027, "product": 1.5,
    "scaled": 0.42, "terms_folded": 0.74, "total": 1.4, "up": 0.0, "up_bits": 1.7, "up_parts": 1.1,
    "adder_weighted": 1.0, "mask": 0.5,
})
"""LUTs of one of each part. A part that takes none has its share in others that go with it."""
FF: Mapping[str, float] = MappingProxyType({
    "exact": 1.0, "memory": 1.0, "axis_in": 15.0, "tree": 0.53, "tree_low": 2.5, "up": 4.6,
    "valid": 0.0,
})
"""Flip-flops of one of each part."""
# fmt: on

ERROR_PERCENT = 25
"""No network of the calibration is farther off than this, in LUTs or flip-flops."""

IMAGE_ERRORS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "rescale": (-44, 41),
        "add": (18, 22),
        "max pool": (22, 25),
        "sum pool": (13, 14),
        "convolution": (15, 33),
        "network": (20, 39),
    }
)
"""By kind of stage of images, the lowest and the highest error of estimated LUTs in percent, in
cores of one such stage, or of a small network with a shortcut; measurements and samples are those
of ``benchmarks/luts/images.py``."""

SOURCE = f"hwbnn, estimate before generation, calibrated on yosys 0.70 to within {ERROR_PERCENT} %"


@dataclass(frozen=True)
class Area:
    """The resources of a circuit, or of a part of one.

    Attributes:
        lut: LUTs of all kinds, small ones not paired.
        ff: flip-flops.
        bram18: block RAMs of 18 Kbit.
        bram36: block RAMs of 36 Kbit.
        dsp: multipliers.
        stages: the same by stage, if there are several.
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


def area(circuit: Circuit) -> Area:
    """The resources of a circuit, estimated before it is generated."""
    total = Amounts()
    stages = {}
    for stage in circuit.stages:
        made = amounts(stage)
        total.add(made)
        stages[stage.name] = area_of(made)
    return area_of(total, stages)


def area_of(made: Amounts, stages: Mapping[str, Area] | None = None) -> Area:
    """The area that these amounts take."""
    lut = sum(amount * LUT[name] for name, amount in made.lut.items())
    ff = sum(amount * FF[name] for name, amount in made.ff.items())
    by_stage = MappingProxyType(dict(stages or {}))
    return Area(round(lut), round(ff), made.bram18, made.bram36, made.dsp, by_stage)
