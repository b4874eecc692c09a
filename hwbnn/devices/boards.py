"""Boards that many people have: the part on each, and the clock that reaches its logic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Board:
    """One board.

    Attributes:
        name: its name, in lower case with ``-`` between words.
        part: the full name of its FPGA, with package and speed grade.
        mhz: the frequency of the fixed oscillator whose clock reaches the FPGA's logic; None where
            only the processor or the host's shell gives a clock, whose frequency is chosen there.
        maker: who makes it.
    """

    name: str
    part: str
    mhz: float | None
    maker: str


# fmt: off
_ROWS = (
    Board("pynq-z1",         "xc7z020clg400-1",      125, "Digilent"),
    Board("pynq-z2",         "xc7z020clg400-1",      125, "TUL"),
    Board("arty-z7-10",      "xc7z010clg400-1",      125, "Digilent"),
    Board("arty-z7-20",      "xc7z020clg400-1",      125, "Digilent"),
    Board("zybo-z7-10",      "xc7z010clg400-1",      125, "Digilent"),
    Board("zybo-z7-20",      "xc7z020clg400-1",      125, "Digilent"),
    Board("zedboard",        "xc7z020clg484-1",      100, "Avnet"),
    Board("zc702",           "xc7z020clg484-1",      200, "AMD"),
    Board("zc706",           "xc7z045ffg900-2",      200, "AMD"),
    Board("arty-a7-35",      "xc7a35ticsg324-1L",    100, "Digilent"),
    Board("arty-a7-100",     "xc7a100tcsg324-1",     100, "Digilent"),
    Board("basys3",          "xc7a35tcpg236-1",      100, "Digilent"),
    Board("cmod-a7-35",      "xc7a35tcpg236-1",       12, "Digilent"),
    Board("nexys-a7-100",    "xc7a100tcsg324-1",     100, "Digilent"),
    Board("nexys-video",     "xc7a200tsbg484-1",     100, "Digilent"),
    Board("genesys2",        "xc7k325tffg900-2",     200, "Digilent"),
    Board("kc705",           "xc7k325tffg900-2",     200, "AMD"),
    Board("vc707",           "xc7vx485tffg1761-2",   200, "AMD"),
    Board("ultra96-v2",      "xczu3eg-sbva484-1-i", None, "Avnet"),
    Board("zcu102",          "xczu9eg-ffvb1156-2-e", 125, "AMD"),
    Board("zcu104",          "xczu7ev-ffvc1156-2-e", 125, "AMD"),
    Board("zcu106",          "xczu7ev-ffvc1156-2-e", 125, "AMD"),
    Board("zcu111",          "xczu28dr-ffvg1517-2-e", None, "AMD"),
    Board("rfsoc4x2",        "xczu48dr-ffvg1517-2-e", None, "RealDigital"),
    Board("kv260",           "xck26-sfvc784-2LV-c", None, "AMD"),
    Board("alveo-u50",       "xcu50-fsvh2104-2-e",  None, "AMD"),
    Board("alveo-u200",      "xcu200-fsgd2104-2-e", None, "AMD"),
    Board("alveo-u250",      "xcu250-figd2104-2L-e", None, "AMD"),
    Board("alveo-u280",      "xcu280-fsvh2892-2L-e", None, "AMD"),
    Board("alveo-u55c",      "xcu55c-fsvh2892-2L-e", None, "AMD"),
    Board("ulx3s-25f",       "LFE5U-25F-6BG381C",     25, "Radiona"),
    Board("ulx3s-45f",       "LFE5U-45F-6BG381C",     25, "Radiona"),
    Board("ulx3s-85f",       "LFE5U-85F-6BG381C",     25, "Radiona"),
    Board("orangecrab-25f",  "LFE5U-25F-8MG285C",     48, "Good Stuff Department"),
    Board("ecpix-5-85f",     "LFE5UM5G-85F-8BG554I", 100, "LambdaConcept"),
)
# fmt: on

BOARDS: Mapping[str, Board] = MappingProxyType({row.name: row for row in _ROWS})
"""All boards by name."""
