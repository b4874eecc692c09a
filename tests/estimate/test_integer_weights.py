"""Integer weights: areas beside synthesis, multipliers, Plans for goals."""

from __future__ import annotations

import pytest

from benchmarks.luts.integers import network, read
from hwbnn.estimate import area, cycles, plan_for_ii, plan_for_luts
from hwbnn.plan import Folded, Plan, Unrolled, circuit
from hwbnn.report import Figure

LUT_PERCENT, FF_PERCENT = 15, 25
"""No measured layer is farther off."""
MEASURED = [row for row in read() if row["key"]["group"] == "layer"]


def layout(key):
    kinds = {"Folded": Folded, "Unrolled": Unrolled}
    fields = {name: key[name] for name in key.keys() - {"group", "layer", "layout"}}
    return kinds[key["layout"]](**fields)


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: str(list(row["key"].values())))
def test_areas_are_near_those_of_synthesis(row):
    graph = network(*row["key"]["layer"])
    found = area(circuit(graph, Plan(default=layout(row["key"]), input_beat=64)))
    measured = row["measured"]
    assert abs(found.lut / measured["lut"] - 1) <= LUT_PERCENT / 100
    assert abs(found.ff / measured["ff"] - 1) <= FF_PERCENT / 100
    assert (found.dsp, found.bram36) == (measured["dsp"], measured["bram36"])


def test_there_are_measurements_of_all_sorts():
    layouts = {(row["key"]["layout"], row["key"]["layer"][0]) for row in MEASURED}
    assert len(MEASURED) >= 10
    assert {("Unrolled", "ternary"), ("Unrolled", "int4"), ("Folded", "ternary")} <= layouts


@pytest.mark.parametrize(("multipliers", "expected"), [("dsp", 32), ("luts", 0), (None, 32)])
def test_multipliers_are_counted(multipliers, expected):
    graph = network("int8", "int8", 16, 32)
    found = area(circuit(graph, Plan(default=Folded(4, 8, multipliers=multipliers))))
    assert found.dsp == expected
    assert found.figures()["DSP"] == Figure(expected, "DSP", found.figures()["DSP"].source)


@pytest.mark.parametrize(("kind", "x"), [("ternary", "bits"), ("int8", "int8")])
def test_goals_are_met_with_integer_weights(kind, x):
    graph = network(kind, x, 12, 20)
    smallest = None
    for interval in (4, 20, 90):
        made = circuit(graph, plan_for_ii(graph, interval))
        assert cycles(made).interval <= interval
        lut = area(made).lut
        assert smallest is None or lut <= smallest
        smallest = lut
    plan = plan_for_luts(graph, smallest)
    assert area(circuit(graph, plan)).lut <= smallest
