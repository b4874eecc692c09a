"""The catalogue of devices: figures that must agree with one another, and boards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hwbnn.devices import BOARDS, DEVICES, FAMILIES, Device, read_board, read_part
from hwbnn.errors import InputError
from hwbnn.tools.resources import FAMILIES as SYNTHESISED

CELLS_A_LUT = {"xc7": 1.6, "xcup": 2.1875}
"""How many logic cells a LUT is worth in the makers' tables."""
CUT_DOWN = {"xczu6", "xczu17", "xcvu5p"}
"""Sold with a part of a larger die: their LUTs are no whole number of CLBs."""


def contradictions(device: Device) -> list[str]:
    """Figures of a row that cannot be right beside one another."""
    wrong = []
    if device.vendor == "xilinx":
        if device.ff != 2 * device.lut:
            wrong.append("two flip-flops a LUT")
        if device.bram18 != 2 * device.bram36:
            wrong.append("two block RAMs of 18 Kbit in one of 36")
        if device.lut % {"xc7": 4, "xcup": 8}[device.synthesis] and device.name not in CUT_DOWN:
            wrong.append("four LUTs a slice, or eight a CLB")
        cells = CELLS_A_LUT[device.synthesis] * device.lut
        rounded = 1000 if device.logic_cells % 1000 == 0 else 1
        if device.logic_cells and abs(cells - device.logic_cells) > rounded:
            wrong.append("logic cells a LUT")
    elif device.ff != device.lut or device.bram36 or device.lut % 8:
        wrong.append("a slice of two LUTs and two flip-flops, four slices a tile")
    if min(device.lut, device.bram18, device.dsp) <= 0 or device.uram < 0:
        wrong.append("positive")
    if device.synthesis == "xc7" and device.uram:
        wrong.append("no UltraRAM in 7-series")
    return wrong


@pytest.mark.parametrize("name", DEVICES)
def test_figures_of_a_device_agree(name: str) -> None:
    device = DEVICES[name]
    assert contradictions(device) == []
    assert device.family in FAMILIES
    assert device.synthesis in SYNTHESISED
    assert device.source


@pytest.mark.parametrize(
    "wrong",
    [{"lut": 53_300}, {"lut": 52_300}, {"ff": 106_200}, {"bram36": 104}, {"dsp": 0}, {"uram": 4}],
)
def test_a_slip_of_the_pen_is_detected(wrong: dict[str, Any]) -> None:
    assert contradictions(replace(DEVICES["xc7z020"], **wrong))


def test_a_larger_device_of_a_family_has_more_of_everything_but_few_exceptions() -> None:
    """Wrong rows stand out; where a maker's devices cross, the pair is listed."""
    for names in (("xc7a15t", "xc7a25t", "xc7a35t", "xc7a50t", "xc7a75t", "xc7a100t", "xc7a200t"),
                  ("xc7z010", "xc7z020", "xc7z030", "xc7z035", "xc7z045", "xc7z100"),
                  ("xcku3p", "xcku5p"), ("xcvu3p", "xcvu7p", "xcvu9p"),
                  ("LFE5U-25F", "LFE5U-45F", "LFE5U-85F")):  # fmt: skip
        rows = [DEVICES[name] for name in names]
        for resource in ("lut", "ff", "bram18", "dsp"):
            counts = [getattr(row, resource) for row in rows]
            assert counts == sorted(counts), (names, resource)


@pytest.mark.parametrize("name", BOARDS)
def test_the_part_of_a_board_is_in_the_catalogue(name: str) -> None:
    board = read_board(name)
    assert board.name == name == name.lower()
    assert read_part(board.part).name == board.part
    assert board.mhz is None or 1 <= board.mhz <= 400


def test_an_ecp5_has_what_nextpnr_places_on() -> None:
    """The counts of `nextpnr-ecp5`, as it prints them: measured, not from the data sheet."""
    counted = {"LFE5U-25F": (24288, 56, 28), "LFE5U-45F": (43848, 108, 72)}
    counted["LFE5U-85F"] = (83640, 208, 156)
    for name, figures in counted.items():
        device = DEVICES[name]
        assert (device.lut, device.bram18, device.dsp) == figures


@pytest.mark.parametrize(
    ("name", "device", "package", "speed", "grade"),
    [
        ("xc7z020clg400-1", "xc7z020", "clg400", "1", ""),
        ("XC7A35TICSG324-1L", "xc7a35t", "csg324", "1L", "i"),
        ("xc7a35tcpg236-1", "xc7a35t", "cpg236", "1", ""),
        ("xc7k325tffg900-2", "xc7k325t", "ffg900", "2", ""),
        ("xczu7ev-ffvc1156-2-e", "xczu7", "ffvc1156", "2", "e"),
        ("xck26-sfvc784-2LV-c", "xck26", "sfvc784", "2LV", "c"),
        ("xcu250-figd2104-2L-e", "xcu250", "figd2104", "2L", "e"),
        ("lfe5u-85f-6bg381c", "LFE5U-85F", "bg381", "6", "c"),
    ],
)
def test_full_names_are_read(name: str, device: str, package: str, speed: str, grade: str) -> None:
    part = read_part(name)
    assert part.device is DEVICES[device]
    assert (part.package, part.speed, part.grade) == (package, speed, grade)
    assert read_part(part.name) == part


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("xc7z020", r"followed by a package .* such as clg400-1; xc7z020clg400-1 is the part of"),
        ("xc7z020clg400", "followed by a package and a speed grade"),
        ("xc7z02clg400-1", "no such device is known; .* one of xc7z020"),
        ("xczu7eg", "such as -ffvc1156-2-e"),
        ("xczu7ex-ffvc1156-2-e", r"one of xczu7e[vg]"),
        ("LFE5U-85F-BG381", "such as -6BG381C"),
        ("", "no such device is known"),
        ("xc7z020clg400-1]; exec rm", "followed by a package"),
        ("x" * 10_000, "no such device is known"),
    ],
)
def test_other_names_are_refused_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        read_part(name)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_an_unknown_board_is_refused_with_the_nearest() -> None:
    assert read_board("PYNQ_Z2").part == "xc7z020clg400-1"
    with pytest.raises(InputError, match="board 'pynq-z3': expected one of pynq-z2, pynq-z1"):
        read_board("pynq-z3")
