"""Coefficients of the area estimate: fitted to measurements, within the stated errors."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.luts import calibrate as calibration
from benchmarks.luts import images
from hwbnn.estimate import area
from hwbnn.estimate.area import ERROR_PERCENT, FF, LUT, SOURCE, STAGE_ERRORS
from hwbnn.plan import Framing, circuit
from hwbnn.targets.ip import generate
from hwbnn.tools.yosys import synth
from tests.strategies import random_graph, random_plan

ROWS = calibration.read()


def test_the_coefficients_are_those_that_fit_the_measurements() -> None:
    rows = calibration.everything()
    assert dict(LUT) == calibration.coefficients(rows, "lut")
    assert dict(FF) == calibration.coefficients(rows, "ff")


def test_all_samples_were_measured_by_the_tool_that_is_named() -> None:
    measured = [calibration.key(row["sample"]) for row in ROWS]
    assert measured == [calibration.key(sample) for _, sample in calibration.samples()]
    assert {row["tool"] for row in ROWS} == {"yosys 0.70 synth_xilinx -family xc7"}
    assert "yosys 0.70" in SOURCE


@pytest.mark.parametrize(("kind", "table"), [("lut", LUT), ("ff", FF)])
def test_the_stated_error_holds_for_networks_that_nothing_was_fitted_to(
    kind: str, table: dict[str, float]
) -> None:
    networks = [row for row in ROWS if row["group"] == "network"]
    assert len(networks) >= 8
    off = calibration.errors(networks, kind, table)
    assert max(map(abs, off)) <= ERROR_PERCENT / 100
    layers = calibration.errors([r for r in ROWS if r["group"] == "layer"], kind, table)
    assert (sum(e * e for e in layers) / len(layers)) ** 0.5 <= 0.1
    assert max(map(abs, layers)) <= 0.3


def test_block_rams_are_as_measured() -> None:
    # Where two forms cost nearly the same yosys may take the other; kilobits are then much alike.
    for row in ROWS:
        made = calibration.sample_amounts(row)
        found = row["measured"]
        measured = 18 * found["bram18"] + 36 * found["bram36"]
        assert 18 * made.bram18 + 36 * made.bram36 == pytest.approx(measured, rel=0.1), row


def test_every_part_has_its_coefficients() -> None:
    for seed in range(30):
        graph = random_graph(seed, max_width=30)
        made = area(circuit(graph, random_plan(seed, graph)))
        assert made.lut > 0
        assert made.ff > 0
        assert sum(stage.lut for stage in made.stages.values()) == pytest.approx(
            made.lut, abs=len(made.stages)
        )


def test_figures_have_the_names_of_synthesis_and_say_what_they_are() -> None:
    row = ROWS[0]
    made = area(circuit(calibration.graph(**row["sample"]), calibration.plan(**row["sample"])))
    figures = made.figures()
    assert set(figures) == {"LUT", "FF", "BRAM_36K", "BRAM_18K", "DSP"}
    assert all(f"within {ERROR_PERCENT} %" in figure.source for figure in figures.values())


@pytest.mark.hardware
def test_a_core_of_today_is_still_as_estimated() -> None:
    sample = {"widths": [48, 24], "fold": [[4, 12]]}
    graph, plan = calibration.graph(**sample), calibration.plan(**sample)
    project = generate(graph, plan)
    sources = {name: project.files[name] for name in project.text("files.f").split()}
    found = synth(sources, "hwbnn_top").resources
    estimate = area(circuit(graph, plan))
    assert estimate.lut == pytest.approx(found.lut, rel=ERROR_PERCENT / 100)
    assert estimate.ff == pytest.approx(found.ff, rel=ERROR_PERCENT / 100)
    assert (estimate.bram18, estimate.bram36) == (found.bram18, found.bram36)


def test_the_errors_of_stages_are_those_that_were_measured() -> None:
    rows = images.read()
    assert [row["sample"] for row in rows] == list(images.SAMPLES)
    found = images.errors(rows)
    assert dict(STAGE_ERRORS) == {
        kind: (round(100 * min(e[0] for e in each)), round(100 * max(e[0] for e in each)))
        for kind, each in found.items()
    }
    assert all(dsp == 0 for each in found.values() for _, _, dsp in each)


def test_rescalers_take_the_multipliers_that_synthesis_takes() -> None:
    """Of one DSP to four, none for a power of two that all channels have in common."""
    rows = [row for row in images.read() if row["sample"]["kind"].startswith("rescale")]
    lanes = [row["sample"].get("lanes", 1) for row in rows]
    each = {row["measured"]["dsp"] // n for row, n in zip(rows, lanes, strict=True)}
    assert each == {0, 1, 2, 4}


@pytest.mark.parametrize("framing", ["counted", "batch"])
def test_borders_of_other_framings_take_more(framing: Framing) -> None:
    sample: calibration.Sample = {"widths": [64, 16], "fold": [[4, 16]], "beats": [8, 8]}
    graph, plan = calibration.graph(**sample), calibration.plan(**sample)
    packet, other = (
        area(circuit(graph, replace(plan, framing=mode))) for mode in ("packet", framing)
    )
    assert other.lut > packet.lut
    assert other.ff > packet.ff


STAGES: tuple[images.Sample, ...] = (
    {"kind": "rescale", "model": images.RBNN, "node": "rescale_1", "lanes": 1},
    {"kind": "add", "model": images.RBNN, "node": "add_1", "lanes": 1},
    {"kind": "sum pool", "model": images.RBNN, "node": "sum_1", "lanes": 4},
)


@pytest.mark.hardware
@pytest.mark.parametrize("sample", STAGES, ids=lambda sample: str(sample["kind"]))
def test_stages_of_today_are_still_as_estimated(sample: images.Sample) -> None:
    assert sample in images.SAMPLES
    made = images.core(sample)
    project = generate(made.graph, made.plan)
    sources = {name: project.files[name] for name in project.text("files.f").split()}
    found = synth(sources, "hwbnn_top").resources
    estimate = area(made)
    low, high = STAGE_ERRORS[sample["kind"]]
    assert low - 1 <= 100 * (estimate.lut / found.lut - 1) <= high + 1
    assert estimate.dsp == found.dsp
    assert estimate.ff == pytest.approx(found.ff, rel=ERROR_PERCENT / 100)
