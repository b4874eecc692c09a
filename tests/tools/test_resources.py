"""Cells of each family, counted as resources."""

from __future__ import annotations

import pytest

from hwbnn.tools.resources import Resources


@pytest.mark.parametrize(("family", "generation"), [("xc7", 1), ("xcup", 2)])
def test_memories_and_multipliers_of_both_generations_count(family: str, generation: int) -> None:
    cells = {f"RAMB18E{generation}": 3, f"RAMB36E{generation}": 2, f"DSP48E{generation}": 5}
    counted = Resources(family, {**cells, "LUT6": 7}, 0)
    assert (counted.bram18, counted.bram36, counted.dsp, counted.lut) == (3, 2, 5, 7)
    assert counted.other == {}
    assert counted.table()["BRAM_18K"] == (3, "BRAM")


def test_cells_that_nothing_counts_are_named() -> None:
    assert Resources("xc7", {"RAMB99E9": 1, "LUT2": 1}).other == {"RAMB99E9": 1}
