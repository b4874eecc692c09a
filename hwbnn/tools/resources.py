"""Cells of a mapped design, counted as resources of each FPGA family."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "xc7": "synth_xilinx -family xc7",
        "xcup": "synth_xilinx -family xcup",
        "ecp5": "synth_ecp5",
    }
)
"""The families of :func:`hwbnn.tools.yosys.synth`, and the synthesis command for each."""
XILINX = ("xc7", "xcup")
"""7-series and UltraScale+: equal LUTs, different carry cells."""

# LUTs that one memory cell takes (UG474, table "Distributed RAM Configuration").
_LUTRAM = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1S": 2,
    "RAM128X1D": 4, "RAM256X1S": 4, "RAM32M": 4, "RAM64M": 4, "TRELLIS_DPR16X4": 4,
}  # fmt: skip
_SRL = {"SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1}
# An ECP5 carry cell adds two bits and uses the two LUT4s of its slice.
_LOGIC = {"LUT6_2": 1, "INV": 1, "CCU2C": 2, **{f"LUT{k}": 1 for k in range(1, 7)}}
_FF = re.compile(r"FD[RSCP]E(_1)?|TRELLIS_FF")
_KNOWN = re.compile(
    r"CARRY[48]|MUXF[789]|RAMB(18|36)E[12]|DSP48E[12]|PFUMX|L6MUX21|DP16KD|MULT\d+X\d+D"
)


@dataclass(frozen=True)
class Resources:
    """The resources of a mapped design.

    Attributes:
        family: ``"xc7"``, ``"xcup"`` or ``"ecp5"``.
        cells: number of cells of each kind.
        shared: number of pairs of LUTs that fit in one, by :mod:`hwbnn.tools.lut_pairs`; None where
            the family has no such LUTs.
    """

    family: str
    cells: Mapping[str, int]
    shared: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", MappingProxyType(dict(self.cells)))

    def _sum(self, weights: Mapping[str, int]) -> int:
        return sum(n * weights.get(kind, 0) for kind, n in self.cells.items())

    @property
    def logic_lut(self) -> int:
        """Mapped LUTs used as logic (for ECP5: LUT4s, with those in carry cells)."""
        return self._sum(_LOGIC)

    @property
    def lutram(self) -> int:
        """LUTs that are memory."""
        return self._sum(_LUTRAM)

    @property
    def srl(self) -> int:
        """LUTs that are shift registers."""
        return self._sum(_SRL)

    @property
    def lut(self) -> int:
        """All mapped LUTs, for logic, memory and shift registers, without pairing small ones."""
        return self.logic_lut + self.lutram + self.srl

    @property
    def lut_paired(self) -> int | None:
        """All LUTs if pairs of small ones share a LUT, see :mod:`hwbnn.tools.lut_pairs`."""
        return None if self.shared is None else self.lut - self.shared

    @property
    def ff(self) -> int:
        """Flip-flops."""
        return sum(n for kind, n in self.cells.items() if _FF.fullmatch(kind))

    @property
    def carry(self) -> int:
        """Carry cells: CARRY4 of four bits, CARRY8 of eight, or CCU2C of two."""
        return sum(self.cells.get(name, 0) for name in ("CARRY4", "CARRY8", "CCU2C"))

    @property
    def bram18(self) -> int:
        """Block RAMs of 18 Kbit (on ECP5, DP16KD of 16 Kbit)."""
        return sum(self.cells.get(name, 0) for name in ("RAMB18E1", "RAMB18E2", "DP16KD"))

    @property
    def bram36(self) -> int:
        """Block RAMs of 36 Kbit."""
        return self.cells.get("RAMB36E1", 0) + self.cells.get("RAMB36E2", 0)

    @property
    def dsp(self) -> int:
        """Multipliers."""
        return sum(n for kind, n in self.cells.items() if kind.startswith(("DSP", "MULT")))

    @property
    def other(self) -> dict[str, int]:
        """Cells that no other figure counts."""
        counted = {*_LOGIC, *_LUTRAM, *_SRL}
        return {
            kind: n
            for kind, n in self.cells.items()
            if kind not in counted and not _FF.fullmatch(kind) and not _KNOWN.fullmatch(kind)
        }

    def table(self) -> dict[str, tuple[int, str]]:
        """Value and unit of each figure that the family has, by name."""
        rows: dict[str, tuple[int, str]] = {"LUT": (self.lut, "LUT")}
        if self.lut_paired is not None:
            rows["LUT_paired"] = (self.lut_paired, "LUT")
        rows |= {"LUTRAM": (self.lutram, "LUT"), "FF": (self.ff, "FF")}
        if self.family in XILINX:
            rows["SRL"] = (self.srl, "LUT")
            for name in ("CARRY4" if self.family == "xc7" else "CARRY8", "MUXF7", "MUXF8"):
                rows[name] = (self.cells.get(name, 0), name)
            rows |= {"BRAM_36K": (self.bram36, "BRAM"), "BRAM_18K": (self.bram18, "BRAM")}
        else:
            for name in ("CCU2C", "PFUMX", "L6MUX21"):
                rows[name] = (self.cells.get(name, 0), name)
            rows["BRAM_16K"] = (self.bram18, "BRAM")
        rows["DSP"] = (self.dsp, "DSP")
        return rows
