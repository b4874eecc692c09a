"""The table of a circuit's stages, and its bottleneck."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from hwbnn.estimate import area, cycles, plan_for_ii
from hwbnn.estimate.table import COLUMNS, bottleneck, facts, rows
from hwbnn.graph import Add, Conv2d, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan, Unrolled, circuit


def network() -> Graph:
    """Two convolutions, and a shortcut around the second."""
    rng = np.random.default_rng(0)

    def conv(name: str, source: str, channels: int) -> Conv2d:
        bits = rng.integers(0, 2, (4, 3, 3, channels)).astype(bool)
        return Conv2d(name, source, bits, padding=(1, 1, 1, 1))

    return Graph(
        (
            Input("x", (6, 6, 2), 0, 15),
            conv("first", "x", 2),
            Threshold("fires", "first", np.zeros((4, 1), np.int64), np.zeros(4, bool)),
            conv("second", "fires", 4),
            Add("sum", "second", "first"),
            Output("y", "sum"),
        )
    )


# The fast one is given, since which of those within 100 cycles is smallest hangs on estimates.
FAST = Plan({"first": Unrolled("adder_tree")}, output_beat=24, depths={"first": (2, 18)})


@pytest.mark.parametrize(("interval", "plan"), [(100, FAST), (400, None), (5000, None)])
def test_the_busiest_stage_sets_the_interval(interval: int, plan: Plan | None) -> None:
    graph = network()
    made = circuit(graph, plan or plan_for_ii(graph, interval))
    counted = cycles(made)
    found = rows(made, counted)
    assert [row.stage for row in found] == [stage.name for stage in made.stages]
    assert all(0 < row.busy <= 1 for row in found)
    assert all(row.busy == Fraction(row.cycles) / counted.interval for row in found)
    slowest = bottleneck(found)
    assert slowest.busy == max(row.busy for row in found)
    assert slowest.cycles == made.interval
    assert slowest.busy > 0.85
    assert counted.interval <= interval
    whole = area(made)
    # Each is rounded by itself.
    assert abs(sum(row.lut for row in found) - whole.lut) <= len(found)
    assert sum(row.bram for row in found) == whole.bram36 + whole.bram18 / 2
    assert sum(row.dsp for row in found) == whole.dsp
    for row in found:
        assert len(row.cells()) == len(COLUMNS)
        assert all(fill <= depth for fill, depth in zip(row.fill, row.depth, strict=True))


def test_a_faster_bottleneck_is_one_no_more() -> None:
    graph = network()
    slow = Plan({"first": Folded(1, 1), "second": Folded(4, 4)}, output_beat=16)
    found = rows(circuit(graph, slow))
    assert "first" in bottleneck(found).node
    quick = replace(slow, layers={"first": Folded(4, 2), "second": Folded(1, 1)})
    other = rows(circuit(graph, quick))
    assert "second" in bottleneck(other).node


def test_facts_are_plain_values() -> None:
    graph = network()
    found = rows(circuit(graph, plan_for_ii(graph, 400)))
    told = facts(found)
    assert [each["stage"] for each in told] == [row.stage for row in found]
    assert told[0]["busy"] == round(float(found[0].busy), 4)
    assert isinstance(told[0]["depth"], list)
