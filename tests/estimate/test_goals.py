"""All goals choose among the same Plans, so that none of them contradicts another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hwbnn.errors import PlanError
from hwbnn.estimate import area, cycles, plan_for_ii, plan_for_luts
from hwbnn.estimate.search import _remembered
from hwbnn.graph import Graph, load
from hwbnn.plan import Plan, circuit
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_graph
from tests.thorough import some

MODELS = Path(__file__).parents[2] / "models"
DENSE = ("digits", "tfc", "lfc", "sfc", "sfc_256", "sfc_8bit", "sfc_adabin_exact")
"""One of each size and kind of weights: the other bundled networks have the layers of these."""


def size(graph: Graph, plan: Plan) -> tuple[int, int]:
    """LUTs of a core, and cycles from frame to frame."""
    made = circuit(graph, plan)
    interval = cycles(made).interval
    assert interval is not None
    assert interval.denominator == 1
    return area(made).lut, int(interval)


def hold(graph: Graph, intervals: Sequence[int], shares: Sequence[float]) -> None:
    """A longer interval is never larger, a larger budget never slower, a budget no slower than an
    interval's core of that size, and an interval's core no larger than a budget's as fast."""
    cores = []
    for interval in intervals:
        try:
            cores.append(size(graph, plan_for_ii(graph, interval)))
        except PlanError:
            assert not cores
        else:
            assert cores[-1][1] <= interval
    luts = [lut for lut, _ in cores]
    assert cores
    assert luts == sorted(luts, reverse=True)
    budgets = sorted({*luts, *(round(share * luts[-1]) for share in shares)})
    found: list[int] = []
    for budget in budgets:
        try:
            lut, interval = size(graph, plan_for_luts(graph, budget))
        except PlanError:
            assert not found
            assert budget < luts[-1]
            continue
        assert lut <= budget
        assert interval <= min((i for n, i in cores if n <= budget), default=interval)
        assert size(graph, plan_for_ii(graph, interval))[0] <= lut
        found.append(interval)
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(16))
def test_goals_agree_on_random_networks(seed: int) -> None:
    graph = random_conv_graph(seed) if seed % 2 else random_graph(seed, max_width=40)
    hold(graph, (1, 3, 10, 30, 100, 300, 1000, 3000, 10000), (0.5, 1.1, 1.5, 2, 4))


@pytest.mark.parametrize("name", some(DENSE))
def test_goals_agree_on_bundled_networks(name: str) -> None:
    graph = load(MODELS / name / "graph.npz")
    hold(graph, (4, 64, 784, 1000, 7000, 100_000), (0.9, 1.3, 3))


@pytest.mark.parametrize("name", ["lenet", "cnv"])
def test_goals_agree_on_bundled_networks_of_images(name: str) -> None:
    graph = load(MODELS / name / "graph.npz")
    hold(graph, (36_864, 80_000, 200_000), (1.2,))


def test_an_interval_between_those_that_plans_are_made_for_is_met() -> None:
    """A Plan made for a longer interval may be fast enough, and the only one or the smallest."""
    graph = random_conv_graph(1)
    with pytest.raises(PlanError, match=r"no Plan found has a frame every 39 cycles; .* takes 40$"):
        plan_for_ii(graph, 39)
    assert size(graph, plan_for_ii(graph, 40))[1] == 40


def test_at_the_limit_of_work_the_best_so_far_is_taken_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The limit ends a search only once some Plan meets the goal."""
    graph = random_conv_graph(7)  # its slowest core is not its smallest
    smallest = size(graph, plan_for_ii(graph, 100_000))[0]
    assert size(graph, plan_for_luts(graph, 1_000_000))[0] > smallest
    monkeypatch.setattr("hwbnn.estimate.search.LOOKS", 0)
    told: list[str] = []
    lut, interval = size(graph, plan_for_ii(graph, 100_000, tell=told.append))
    assert lut > smallest
    assert interval <= 100_000
    end = f"ended at its limit of 0 layouts; the smallest so far takes {lut:,} LUTs"
    assert told.pop().endswith(end)
    # The fastest Plans take more than this budget.
    lut, interval = size(graph, plan_for_luts(graph, smallest, tell=told.append))
    assert lut <= smallest
    end = f"limit of 0 layouts; the fastest so far takes {interval:,} cycles"
    assert told.pop().endswith(end)
    assert not told


@pytest.mark.parametrize("limit", [1, 60, 200, 1000])
def test_a_limited_search_is_the_same_whatever_was_asked_before(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layouts are counted, remembered or not: no clock and no earlier question changes a Plan."""
    monkeypatch.setattr("hwbnn.estimate.search.LOOKS", limit)
    for graph in (random_conv_graph(3), random_graph(4, max_width=40)):
        _remembered.cache_clear()
        fresh = plan_for_ii(graph, 500)
        _remembered.cache_clear()
        for goal in (100_000, 2000, 700):
            plan_for_ii(graph, goal)
        plan_for_luts(graph, 1_000_000)
        assert plan_for_ii(graph, 500) == fresh


def test_what_was_refused_is_found() -> None:
    """A budget once refused that a slower core keeps, and one that found a slower core."""
    graph = load(MODELS / "resnet20_rbnn" / "graph.npz")
    tight, roomy = (size(graph, plan_for_luts(graph, luts)) for luts in (53_200, 60_000))
    assert tight[0] <= 53_200
    assert roomy[1] <= tight[1] <= 80_000
    with pytest.raises(PlanError, match=r"smallest takes about [\d,]+, with a frame every [\d,]+"):
        plan_for_luts(graph, 5000)
