"""Whether a core fits a part: the verdict, its error, and factors of families as measured."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from benchmarks.luts import families
from hwbnn.devices import read_part
from hwbnn.estimate.area import Area
from hwbnn.estimate.fit import ERRORS, FACTORS, fit

ZYNQ = read_part("xc7z020clg400-1")


def area(lut: int, ff: int = 0, bram18: int = 0, bram36: int = 0, dsp: int = 0) -> Area:
    return Area(lut, ff, bram18, bram36, dsp, MappingProxyType({}))


@pytest.mark.parametrize(
    ("taken", "fits", "certain", "said"),
    [
        (area(42_000), True, True, "fits by estimate; error up to 25 %"),
        (area(42_600), True, False, "fits by estimate, but perhaps not: error up to 25 %"),
        (area(53_200), True, False, "perhaps not"),
        (area(53_201), False, False, "does not fit by estimate, perhaps fits: needs 53,201 LUT of"),
        (area(66_501), False, True, "does not fit by estimate: needs 66,501 LUT of 53,200 (125 %)"),
        (area(1, bram36=140), True, True, "fits by estimate;"),
        (area(1, bram36=140, bram18=1), False, True, "needs 281 BRAM of 18 Kbit of 280 (100 %)"),
        (area(1, dsp=221), False, True, "needs 221 DSP of 220"),
        (area(60_000, 200_000), False, True, "needs 60,000 LUT of 53,200 (113 %) and 200,000 FF"),
    ],
)
def test_the_verdict_says_by_how_much_and_how_surely(
    taken: Area, fits: bool, certain: bool, said: str
) -> None:
    found = fit(taken, ZYNQ)
    assert (found.fits, found.certain) == (fits, certain)
    assert said in found.verdict
    assert f"error up to {ERRORS['xc7']} %" in found.verdict
    assert found.facts()["fits"] is fits


def test_shares_are_of_the_part() -> None:
    found = fit(area(5_320, 1, 3, 1, 110), ZYNQ)
    assert found.shares() == (
        "5,320 LUT (10 %), 1 FF (under 1 %), 5 BRAM of 18 Kbit (2 %), 110 DSP (50 %)"
    )


@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("resource", ["lut", "ff"])
def test_factors_hold_for_what_was_measured(family: str, resource: str) -> None:
    """Measured by yosys for the family, against the estimate times the factor."""
    found = families.ratios(family, resource)
    factor = FACTORS[family].get(resource.upper(), 1)
    assert len(found) >= 6
    assert all(abs(ratio / factor - 1) <= ERRORS[family] / 100 for ratio in found)
    # A factor that is plainly wrong does not pass.
    assert any(abs(ratio / (2 * factor) - 1) > ERRORS["xc7"] / 100 for ratio in found)


def test_memories_and_multipliers_are_never_underestimated() -> None:
    """Where a memory is twice as wide as a block RAM of ECP5, that needs two of them."""
    assert set(families.ratios("xcup", "bram18")) == {1.0}
    assert set(families.ratios("ecp5", "bram18")) == {1.0, FACTORS["ecp5"]["BRAM_18K"]}
    for family in families.FAMILIES:
        assert set(families.ratios(family, "dsp")) == {1.0}
