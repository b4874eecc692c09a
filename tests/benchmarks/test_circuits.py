"""The benchmark of unrolled circuits compares equals, and its page is what was measured."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.circuits import folded, report, scale
from benchmarks.circuits import measure as circuits
from benchmarks.circuits.checks import check
from benchmarks.circuits.contenders import Output, hwbnn, makers, peer, plain
from benchmarks.circuits.layers import NAMES, Layer, cases, outputs, random_layer, vectors
from hwbnn.errors import Mismatch, ToolFailed
from hwbnn.tools.yosys import synth

RESULTS = circuits.RESULTS
MEASURED = json.loads((RESULTS / "circuits.json").read_text())["measured"]
GOAL = 0.75
"""Ours over the best of the others, by each count."""


def small() -> list[Layer]:
    """Two layers behind each other, the last with its popcounts."""
    first = random_layer(14, 6)
    return [Layer(first.weights, first.wanted), Layer(random_layer(6, 3).weights, None)]


def test_cases_are_those_that_the_report_knows() -> None:
    assert tuple(cases()) == NAMES
    assert set(MEASURED) <= {f"{n}/{by}" for n in NAMES for by in report.CONTENDERS}
    assert tuple(makers("python", 1.0)) == report.CONTENDERS


def test_layers_compute_popcounts_and_compare() -> None:
    layers = small()
    x = vectors(layers[0], 40)
    bits = np.stack([(x == row).sum(axis=1) for row in layers[0].weights], axis=1)
    assert layers[0].wanted is not None
    bits = bits >= layers[0].wanted
    expected = np.stack([(bits == row).sum(axis=1) for row in layers[1].weights], axis=1)
    assert np.array_equal(outputs(layers, x), expected)


@pytest.mark.hardware
def test_designs_are_held_to_their_layers() -> None:
    layers = small()
    designs = [plain(layers), *(hwbnn(layers, form) for form in ("xc7", "xcup", "portable"))]
    for design in designs:
        assert check(design, layers, "small") == 96 * 3
    other = [replace(layers[0], weights=~layers[0].weights), layers[1]]
    for design in designs:
        with pytest.raises(Mismatch, match="small: frame 0, neuron"):
            check(design, other, "small")


@pytest.mark.hardware
def test_ultrascale_takes_as_many_luts_and_fewer_carry_cells() -> None:
    layers = small()
    found = [synth(hwbnn(layers, form).files, "top", form).resources for form in ("xc7", "xcup")]
    assert found[0].lut == found[1].lut
    assert found[0].carry >= found[1].carry > 0
    assert found[1].other == {}


def test_scores_are_read_as_popcounts() -> None:
    # 4 inputs: the sum of +-1 in two's complement, halves of it, and popcounts.
    scores = [Output(4, signed=True, score=True), Output(3, signed=True, step=2, score=True)]
    layers = small()
    design = replace(plain(layers), outputs=(*scores, Output(3)))
    bits = [0, 1, 1, 1, 0, 1, 1, 1, 1, 0]  # -2; twice -2; 3
    found = design.values(np.array([bits], np.bool_), 4)
    assert found.tolist() == [[1, 0, 3]]


def test_slices_are_what_is_scarcest() -> None:
    assert circuits.slices(9, 1, 1, "xc7") == 3
    assert circuits.slices(9, 5, 1, "xc7") == 5
    assert circuits.slices(9, 1, 41, "xc7") == 6
    assert circuits.slices(9, 1, 41, "xcup") == 3


@pytest.mark.hardware
@pytest.mark.parametrize("inputs", [1, 2, 63, 64, 65])
def test_plain_designs_of_any_size_and_threshold_compute_their_layers(inputs: int) -> None:
    weights = random_layer(inputs, 5).weights
    wanted = np.array([-1, 0, 1, inputs, inputs + 1])
    for layer in (Layer(weights, wanted), Layer(weights, None)):
        assert check(plain([layer]), [layer], "plain") == 96 * 5


def test_a_generator_that_does_not_finish_is_told_as_such(tmp_path: Path) -> None:
    stopped = tmp_path / "python"
    stopped.write_text("#!/bin/sh\nkill -s XCPU $$\n")
    stopped.chmod(0o755)
    with pytest.raises(ToolFailed, match=r"^generating not done in 0 s of the processor$"):
        peer(small(), "da4ml", str(stopped), 5.0)


def test_a_simulation_that_does_not_finish_is_kept_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise ToolFailed("bench: not done after 50 s, ended")

    monkeypatch.setattr(circuits, "check", never)
    given = Namespace(peers="", limit=5.0, memory=2.0)
    entry = circuits.measured("small", "plain", small(), {}, given)
    assert (entry["failed"], entry["limit"]) == ("bench: not done after 50 s, ended", [5.0, 2.0])


def test_what_does_not_finish_is_said_with_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise ToolFailed("yosys: killed by SIGXCPU; the log is here")

    monkeypatch.setattr(circuits, "synth", never)
    entry = circuits.synthesised(plain(small()), "xc7", 5.0, 2.0)
    assert entry["limit"] == [5.0, 2.0]
    assert entry["failed"].startswith("not done in ")


def test_the_page_is_what_was_measured(tmp_path: Path) -> None:
    for path in RESULTS.glob("circuits*.json"):
        shutil.copy(path, tmp_path)
    report.write(tmp_path)
    assert (tmp_path / "circuits.md").read_text() == (RESULTS / "circuits.md").read_text()


def test_layers_one_by_one_come_to_what_a_network_takes() -> None:
    (rows,) = (rows for name, rows in report.with_sums(MEASURED) if name == "sfc, its layers")
    whole, added = MEASURED["sfc/hwbnn"], rows["hwbnn"]
    assert (added["lut"], added["carry"]) == (whole["lut"], whole["carry"])
    assert added["synapses"] == whole["synapses"]


def test_a_layer_that_is_not_done_is_said_of_its_network() -> None:
    stuck = {"sfc layer 2/alkaid": {"failed": "not done in 5 s", "limit": [5.0, 2.0]}}
    rows = dict(report.with_sums({**MEASURED, **stuck}))["sfc, its layers"]
    assert rows["alkaid"]["failed"] == "layer 2: not done in 5 s"
    assert all(best != "alkaid" for _, best in report.ratios(rows).values())


def test_ours_takes_at_most_three_quarters_of_the_best_other() -> None:
    compared = 0
    for name, rows in report.with_sums(MEASURED):
        made = report.ratios(rows)
        if made:
            compared += 1
            assert max(ratio for ratio, _ in made.values()) <= GOAL, name
    assert compared >= 3
    row = MEASURED["256x256/hwbnn"]
    assert row["lut"] / row["synapses"] <= 0.32
    assert MEASURED["64-32-10/hwbnn"]["lut"] <= 1000
    assert MEASURED["784x256/hwbnn"]["synth_cpu_seconds"] < 60
    assert MEASURED["sfc/hwbnn"]["lut"] <= 60_000
    assert MEASURED["sfc_256/hwbnn"]["lut"] <= 40_000


def test_the_folded_unit_takes_less_than_popcounts_and_than_finn() -> None:
    found = json.loads((RESULTS / "circuits_folded.json").read_text())
    rows = [found[f"row of 64, {name}"]["lut"] for name in folded.ROWS]
    assert rows[1] < rows[0]
    units = [row for key, row in found.items() if not key.startswith("row")]
    assert len(units) == len(folded.UNITS)
    assert all(row["lut"] < folded.FINN * row["synapses"] for row in units)


def test_the_clock_rises_with_registers() -> None:
    found = json.loads((RESULTS / "circuits_clock.json").read_text())
    curve = [row for key, row in found.items() if key.startswith("64x32,")]
    depths = [row["levels"] for row in curve]
    assert depths == sorted(depths)
    assert len(depths) > 3
    assert [row["cycles"] for row in curve] == sorted((r["cycles"] for r in curve), reverse=True)
    assert max(row["fmax_mhz"] for row in curve[:2]) > 2 * curve[-1]["fmax_mhz"]
    for row in curve:
        assert row["latency_ns"] == pytest.approx(1000 * row["cycles"] / row["fmax_mhz"], abs=0.1)


def test_a_layer_is_scaled_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "SIZES", ((40, 12), (48, 12)))
    found = dict(scale.measure(["40x12"], {}))
    assert list(found) == ["40x12"]
    row = found["40x12"]
    assert row["synapses"] == 480
    assert 0 < row["carry4"] < row["luts"] < 480
    assert row["values_compared"] == 96 * 12
    assert "| 40x12 |" in "\n".join(report._scale(found))
    assert dict(scale.measure([], {"40x12": row, "48x12": row})) == {}
