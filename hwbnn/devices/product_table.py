"""The resources of FPGAs, by the product tables of its maker: one row a device.

A new device is one new row. Take its figures from the maker's document of its family
(:data:`FAMILIES`), not from the name of the device or from a program, and its logic cells too: that
number is printed beside the LUTs and is a fixed multiple of them, so that a test finds a slip of
the pen in either. Most rows below have only this check: they were entered from knowledge of the
tables and have not been compared with the documents. Devices of which we were not sure are left
out: the smallest Spartan-7 and Artix-7 (``xc7s6``, ``xc7a12t``), and ``LFE5U-12F``, a 25F with a
limit that tools set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Family:
    """Devices of one architecture, described in one document.

    Attributes:
        name: its name in plain words.
        vendor: ``"xilinx"`` or ``"lattice"``.
        synthesis: the family of :func:`hwbnn.tools.yosys.synth`.
        document: number of the maker's document that states the figures; for ECP5 it gives
            LUTs in thousands, and the numbers of LUTs and flip-flops are those of nextpnr.
        title: its title.
    """

    name: str
    vendor: str
    synthesis: str
    document: str
    title: str


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "spartan7": Family("Spartan-7", "xilinx", "xc7", "DS180", "7 Series FPGAs: Overview"),
        "artix7": Family("Artix-7", "xilinx", "xc7", "DS180", "7 Series FPGAs: Overview"),
        "kintex7": Family("Kintex-7", "xilinx", "xc7", "DS180", "7 Series FPGAs: Overview"),
        "virtex7": Family("Virtex-7", "xilinx", "xc7", "DS180", "7 Series FPGAs: Overview"),
        "zynq7000": Family("Zynq-7000", "xilinx", "xc7", "DS190", "Zynq-7000 SoC: Overview"),
        "artixup": Family("Artix US+", "xilinx", "xcup", "DS890", "UltraScale: Overview"),
        "kintexup": Family("Kintex US+", "xilinx", "xcup", "DS890", "UltraScale: Overview"),
        "virtexup": Family("Virtex US+", "xilinx", "xcup", "DS890", "UltraScale: Overview"),
        "zynqup": Family("Zynq US+", "xilinx", "xcup", "DS891", "Zynq UltraScale+: Overview"),
        "rfsoc": Family("Zynq RFSoC", "xilinx", "xcup", "DS889", "Zynq RFSoC: Overview"),
        "k26": Family("Kria K26", "xilinx", "xcup", "DS987", "Kria K26 SOM"),
        "u200": Family("Alveo", "xilinx", "xcup", "DS962", "Alveo U200 and U250"),
        "u280": Family("Alveo", "xilinx", "xcup", "DS963", "Alveo U280"),
        "u50": Family("Alveo", "xilinx", "xcup", "DS965", "Alveo U50"),
        "u55c": Family("Alveo", "xilinx", "xcup", "DS978", "Alveo U55C"),
        "ecp5": Family("ECP5", "lattice", "ecp5", "FPGA-DS-02012", "ECP5 and ECP5-5G"),
    }
)
"""The families by their short names."""


@dataclass(frozen=True)
class Device:
    """The resources of one device.

    Attributes:
        name: as part names have it, without package and speed grade; lower case, Lattice's in upper
            case.
        family: its family, one of :data:`FAMILIES`.
        logic_cells: "(system) logic cells" in the same document; a round number of thousands where
            that gives no more digits, 0 where it gives none.
        lut: LUTs: of six inputs (Xilinx), of four inputs (ECP5).
        ff: flip-flops.
        bram36: block RAMs of 36 Kbit, each also usable as two of 18 Kbit; 0 for ECP5.
        bram18: block RAMs of 18 Kbit.
        uram: UltraRAMs of 288 Kbit.
        dsp: multipliers: DSP48 slices, or 18 x 18 multipliers of ECP5.
        variants: endings of the name that all have the same resources, such as ``eg`` and ``ev``.
    """

    name: str
    family: str
    logic_cells: int
    lut: int
    ff: int
    bram36: int
    bram18: int
    uram: int
    dsp: int
    variants: tuple[str, ...] = ("",)

    @property
    def vendor(self) -> str:
        """The maker, which says whose tools implement a core."""
        return FAMILIES[self.family].vendor

    @property
    def synthesis(self) -> str:
        """The family of :func:`hwbnn.tools.yosys.synth`."""
        return FAMILIES[self.family].synthesis

    @property
    def source(self) -> str:
        """The document that its figures are from."""
        family = FAMILIES[self.family]
        return f"{family.document}, {family.title}"

    @property
    def names(self) -> tuple[str, ...]:
        """Its name with each of its endings."""
        return tuple(self.name + variant for variant in self.variants)

    def resources(self) -> dict[str, int]:
        """Its resources by the names of synthesis; a block RAM of 36 Kbit counts as two of 18."""
        return {
            "LUT": self.lut,
            "FF": self.ff,
            "BRAM_18K": self.bram18,
            "DSP": self.dsp,
        }


def _xilinx(
    name: str,
    family: str,
    cells: int,
    lut: int,
    ff: int,
    bram36: int,
    uram: int,
    dsp: int,
    variants: str = "",
) -> Device:
    endings = tuple(variants.split("/"))
    return Device(name, family, cells, lut, ff, bram36, 2 * bram36, uram, dsp, endings)


def _lattice(name: str, lut: int, ff: int, bram18: int, dsp: int) -> Device:
    return Device(name, "ecp5", 0, lut, ff, 0, bram18, 0, dsp)


# fmt: off
_ROWS = (
    #       name        family      logic cells  LUT        FF         BRAM36 URAM DSP
    _xilinx("xc7s15",   "spartan7",    12_800,     8_000,    16_000,    10,    0,    20),
    _xilinx("xc7s25",   "spartan7",    23_360,    14_600,    29_200,    45,    0,    80),
    _xilinx("xc7s50",   "spartan7",    52_160,    32_600,    65_200,    75,    0,   120),
    _xilinx("xc7s75",   "spartan7",    76_800,    48_000,    96_000,    90,    0,   140),
    _xilinx("xc7s100",  "spartan7",   102_400,    64_000,   128_000,   120,    0,   160),
    _xilinx("xc7a15t",  "artix7",      16_640,    10_400,    20_800,    25,    0,    45),
    _xilinx("xc7a25t",  "artix7",      23_360,    14_600,    29_200,    45,    0,    80),
    _xilinx("xc7a35t",  "artix7",      33_280,    20_800,    41_600,    50,    0,    90),
    _xilinx("xc7a50t",  "artix7",      52_160,    32_600,    65_200,    75,    0,   120),
    _xilinx("xc7a75t",  "artix7",      75_520,    47_200,    94_400,   105,    0,   180),
    _xilinx("xc7a100t", "artix7",     101_440,    63_400,   126_800,   135,    0,   240),
    _xilinx("xc7a200t", "artix7",     215_360,   134_600,   269_200,   365,    0,   740),
    _xilinx("xc7k70t",  "kintex7",     65_600,    41_000,    82_000,   135,    0,   240),
    _xilinx("xc7k160t", "kintex7",    162_240,   101_400,   202_800,   325,    0,   600),
    _xilinx("xc7k325t", "kintex7",    326_080,   203_800,   407_600,   445,    0,   840),
    _xilinx("xc7k355t", "kintex7",    356_160,   222_600,   445_200,   715,    0, 1_440),
    _xilinx("xc7k410t", "kintex7",    406_720,   254_200,   508_400,   795,    0, 1_540),
    _xilinx("xc7k420t", "kintex7",    416_960,   260_600,   521_200,   835,    0, 1_680),
    _xilinx("xc7k480t", "kintex7",    477_760,   298_600,   597_200,   955,    0, 1_920),
    _xilinx("xc7v585t", "virtex7",    582_720,   364_200,   728_400,   795,    0, 1_260),
    _xilinx("xc7v2000t", "virtex7", 1_954_560, 1_221_600, 2_443_200, 1_292,    0, 2_160),
    _xilinx("xc7vx330t", "virtex7",   326_400,   204_000,   408_000,   750,    0, 1_120),
    _xilinx("xc7vx415t", "virtex7",   412_160,   257_600,   515_200,   880,    0, 2_160),
    _xilinx("xc7vx485t", "virtex7",   485_760,   303_600,   607_200, 1_030,    0, 2_800),
    _xilinx("xc7vx550t", "virtex7",   554_240,   346_400,   692_800, 1_180,    0, 2_880),
    _xilinx("xc7vx690t", "virtex7",   693_120,   433_200,   866_400, 1_470,    0, 3_600),
    _xilinx("xc7vx980t", "virtex7",   979_200,   612_000, 1_224_000, 1_500,    0, 3_600),
    _xilinx("xc7vx1140t", "virtex7", 1_139_200,  712_000, 1_424_000, 1_880,    0, 3_360),
    _xilinx("xc7z007s", "zynq7000",    23_000,    14_400,    28_800,    50,    0,    66),
    _xilinx("xc7z012s", "zynq7000",    55_000,    34_400,    68_800,    72,    0,   120),
    _xilinx("xc7z014s", "zynq7000",    65_000,    40_600,    81_200,   107,    0,   170),
    _xilinx("xc7z010",  "zynq7000",    28_000,    17_600,    35_200,    60,    0,    80),
    _xilinx("xc7z015",  "zynq7000",    74_000,    46_200,    92_400,    95,    0,   160),
    _xilinx("xc7z020",  "zynq7000",    85_000,    53_200,   106_400,   140,    0,   220),
    _xilinx("xc7z030",  "zynq7000",   125_000,    78_600,   157_200,   265,    0,   400),
    _xilinx("xc7z035",  "zynq7000",   275_000,   171_900,   343_800,   500,    0,   900),
    _xilinx("xc7z045",  "zynq7000",   350_000,   218_600,   437_200,   545,    0,   900),
    _xilinx("xc7z100",  "zynq7000",   444_000,   277_400,   554_800,   755,    0, 2_020),
    _xilinx("xcau10p",  "artixup",     96_250,    44_000,    88_000,   100,    0,   400),
    _xilinx("xcau15p",  "artixup",    170_100,    77_760,   155_520,   144,    0,   576),
    _xilinx("xcau20p",  "artixup",    238_437,   109_000,   218_000,   200,    0,   900),
    _xilinx("xcau25p",  "artixup",    308_437,   141_000,   282_000,   300,    0, 1_200),
    _xilinx("xcku3p",   "kintexup",   355_950,   162_720,   325_440,   360,   48, 1_368),
    _xilinx("xcku5p",   "kintexup",   474_600,   216_960,   433_920,   480,   64, 1_824),
    _xilinx("xcku9p",   "kintexup",   599_550,   274_080,   548_160,   912,    0, 2_520),
    _xilinx("xcku11p",  "kintexup",   653_100,   298_560,   597_120,   600,   80, 2_928),
    _xilinx("xcku13p",  "kintexup",   746_550,   341_280,   682_560,   744,  112, 3_528),
    _xilinx("xcku15p",  "kintexup", 1_143_450,   522_720, 1_045_440,   984,  128, 1_968),
    _xilinx("xcvu3p",   "virtexup",   862_050,   394_080,   788_160,   720,  320, 2_280),
    _xilinx("xcvu5p",   "virtexup", 1_313_763,   600_577, 1_201_154, 1_024,  470, 3_474),
    _xilinx("xcvu7p",   "virtexup", 1_724_100,   788_160, 1_576_320, 1_440,  640, 4_560),
    _xilinx("xcvu9p",   "virtexup", 2_586_150, 1_182_240, 2_364_480, 2_160,  960, 6_840),
    _xilinx("xcvu11p",  "virtexup", 2_835_000, 1_296_000, 2_592_000, 2_016,  960, 9_216),
    _xilinx("xcvu13p",  "virtexup", 3_780_000, 1_728_000, 3_456_000, 2_688, 1_280, 12_288),
    _xilinx("xcvu19p",  "virtexup", 8_937_600, 4_085_760, 8_171_520, 2_160,  320, 3_840),
    _xilinx("xcvu31p",  "virtexup",   961_800,   439_680,   879_360,   672,  320, 2_880),
    _xilinx("xcvu33p",  "virtexup",   961_800,   439_680,   879_360,   672,  320, 2_880),
    _xilinx("xcvu35p",  "virtexup", 1_906_800,   871_680, 1_743_360, 1_344,  640, 5_952),
    _xilinx("xcvu37p",  "virtexup", 2_851_800, 1_303_680, 2_607_360, 2_016,  960, 9_024),
    _xilinx("xczu1",  "zynqup",    81_900,    37_440,    74_880,   108,    0,   216, "cg/eg"),
    _xilinx("xczu2",  "zynqup",   103_320,    47_232,    94_464,   150,    0,   240, "cg/eg"),
    _xilinx("xczu3",  "zynqup",   154_350,    70_560,   141_120,   216,    0,   360, "cg/eg"),
    _xilinx("xczu4",  "zynqup",   192_150,    87_840,   175_680,   128,   48,   728, "cg/eg/ev"),
    _xilinx("xczu5",  "zynqup",   256_200,   117_120,   234_240,   144,   64, 1_248, "cg/eg/ev"),
    _xilinx("xczu6",  "zynqup",   469_446,   214_604,   429_208,   714,    0, 1_973, "cg/eg"),
    _xilinx("xczu7",  "zynqup",   504_000,   230_400,   460_800,   312,   96, 1_728, "cg/eg/ev"),
    _xilinx("xczu9",  "zynqup",   599_550,   274_080,   548_160,   912,    0, 2_520, "cg/eg"),
    _xilinx("xczu11", "zynqup",   653_100,   298_560,   597_120,   600,   80, 2_928, "eg"),
    _xilinx("xczu15", "zynqup",   746_550,   341_280,   682_560,   744,  112, 3_528, "eg"),
    _xilinx("xczu17", "zynqup",   926_194,   423_403,   846_806,   796,  102, 1_590, "eg"),
    _xilinx("xczu19", "zynqup", 1_143_450,   522_720, 1_045_440,   984,  128, 1_968, "eg"),
    _xilinx("xczu28",   "rfsoc",      930_300,   425_280,   850_560, 1_080,   80, 4_272, "dr"),
    _xilinx("xczu48",   "rfsoc",      930_300,   425_280,   850_560, 1_080,   80, 4_272, "dr"),
    _xilinx("xck26",    "k26",        256_200,   117_120,   234_240,   144,   64, 1_248),
    _xilinx("xcu200",   "u200",             0, 1_182_240, 2_364_480, 2_160,  960, 6_840),
    _xilinx("xcu250",   "u200",             0, 1_728_000, 3_456_000, 2_688, 1_280, 12_288),
    _xilinx("xcu280",   "u280",             0, 1_303_680, 2_607_360, 2_016,  960, 9_024),
    _xilinx("xcu50",    "u50",              0,   871_680, 1_743_360, 1_344,  640, 5_952),
    _xilinx("xcu55c",   "u55c",             0, 1_303_680, 2_607_360, 2_016,  960, 9_024),
    #        name            LUT4    FF      EBR  MULT18
    _lattice("LFE5U-25F",    24_288, 24_288,  56,  28),
    _lattice("LFE5U-45F",    43_848, 43_848, 108,  72),
    _lattice("LFE5U-85F",    83_640, 83_640, 208, 156),
    _lattice("LFE5UM-25F",   24_288, 24_288,  56,  28),
    _lattice("LFE5UM-45F",   43_848, 43_848, 108,  72),
    _lattice("LFE5UM-85F",   83_640, 83_640, 208, 156),
    _lattice("LFE5UM5G-25F", 24_288, 24_288,  56,  28),
    _lattice("LFE5UM5G-45F", 43_848, 43_848, 108,  72),
    _lattice("LFE5UM5G-85F", 83_640, 83_640, 208, 156),
)
# fmt: on

DEVICES: Mapping[str, Device] = MappingProxyType({row.name: row for row in _ROWS})
"""All devices by name."""
