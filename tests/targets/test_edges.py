"""Numbers in generated files that small networks, with one threshold an element, do not tell."""

from __future__ import annotations

from hwbnn.targets.hls import sums


def test_every_row_has_all_its_thresholds() -> None:
    assert sums.threshold_sizes("x", 3, 4) == {"n_levels": 4, "n_thresholds": 12}
