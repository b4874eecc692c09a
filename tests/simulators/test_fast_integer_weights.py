"""The fast simulator equals the plain one on integer weights: each packing, each edge of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwbnn.graph import Add, Conv2d, Dot, Graph, Input, Node, Output, Threshold
from hwbnn.graph.values import ValueType
from hwbnn.simulators import fast, plain
from hwbnn.simulators.fast.integer_sums import packing
from tests.simulators.test_fast import assert_same
from tests.strategies import random_inputs


def chain(*nodes: Node) -> Graph:
    return Graph((*nodes, Output("y", nodes[-1].name)))


def batch(graph: Graph, n: int = 37) -> NDArray[Any]:
    return random_inputs(graph, n, 1)


def thresholded(*nodes: Node, levels: int = 1, base: int | None = None, classes: int = 0) -> Graph:
    """A chain and thresholds near the middle of its sums, at their ends and outside."""
    t = chain(*nodes).types["y"]
    rng = np.random.default_rng(levels)
    spread = max(1, int((t.high - t.low) ** 0.5))
    cuts = (t.low + t.high) // 2 + rng.integers(
        -spread, spread, (max(1, classes), t.channels, levels)
    )
    ends = [t.low - 1, t.low, t.low + 1, t.high - 1, t.high, t.high + 1, 2**31 - 1, -(2**31) + 1]
    places = rng.random(cuts.shape) < 0.2
    cuts[places] = rng.choice(ends, int(places.sum()))
    falling, border = rng.random(t.channels) < 0.5, None
    if classes:
        border = rng.integers(0, classes, t.shape[:2])
    threshold = Threshold("t", nodes[-1].name, cuts if classes else cuts[0], falling, border, base)
    return chain(*nodes, threshold)


def weights(most: int, *shape: int) -> NDArray[np.int64]:
    return np.random.default_rng(most).integers(-most, most, shape, endpoint=True)


RANGES = [(0, 1), (0, 127), (0, 255), (-8, 7), (-128, 127), (7, 9), (0, 256), (-32768, 32767)]
RANGES += [(-300, 70_000), (5, 5)]


@pytest.mark.parametrize("most", [1, 64, 127, 128, 32767])
@pytest.mark.parametrize("width", [1, 3, 4, 65, 200])
def test_dots_over_bits_and_integers_of_any_range(most: int, width: int) -> None:
    dot = Dot("d", "x", weights(most, 7, width))
    sources = [Input.bits(width)]
    sources += [Input("x", (width,), *r) for r in RANGES if most * width * max(map(abs, r)) < 2**31]
    for source in sources:
        assert_same(chain(source, dot), batch(chain(source, dot)))
        for levels, base in ((1, None), (1, 0), (4, None), (9, -5)):
            graph = thresholded(source, dot, levels=levels, base=base)
            assert_same(graph, batch(graph))


@pytest.mark.parametrize("pad", [-1, 0, 1])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("most", [1, 127, 3000])
def test_convolutions_of_bits(pad: int, groups: int, most: int) -> None:
    conv = Conv2d("c", "x", weights(most, 66, 3, 2, 6 // groups), (1, 2), (1, 2, 0, 1), pad, groups)
    source = Input.bits((4, 5, 6))
    assert_same(chain(source, conv), batch(chain(source, conv)))
    for levels, base, classes in ((1, None, 0), (1, None, 3), (5, -2, 3)):
        graph = thresholded(source, conv, levels=levels, base=base, classes=classes)
        assert_same(graph, batch(graph))


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize(("low", "high"), [(0, 15), (3, 9), (-8, 7), (0, 255), (-9000, 9000)])
def test_convolutions_of_integers(groups: int, low: int, high: int) -> None:
    for outputs in (6, 66, 132):
        conv = Conv2d(
            "c", "x", weights(100, outputs, 2, 3, 6 // groups), (2, 1), (1, 0, 2, 1), 0, groups
        )
        source = Input("x", (4, 5, 6), low, high)
        assert_same(chain(source, conv), batch(chain(source, conv)))
        for levels, base, classes in ((1, None, 0), (1, None, 3), (5, -2, 3)):
            graph = thresholded(source, conv, levels=levels, base=base, classes=classes)
            assert_same(graph, batch(graph))


def test_16_bits_hold_what_their_sums_reach() -> None:
    """The largest codes and weights that bytes take, and the least that they do not."""
    rng = np.random.default_rng(0)
    for high, pair, form in [
        (255, (64, 64), "bytes"),
        (255, (127, 1), "bytes"),
        (255, (127, 2), "pairs"),
        (255, (-127, -1), "bytes"),
        (255, (-127, -2), "pairs"),
        (255, (127, -127), "bytes"),
        (127, (127, 127), "bytes"),
        (256, (1, 1), "pairs"),
        (1, (128, 0), "pairs"),
    ]:
        dot = Dot("d", "x", np.tile(pair, (3, 40)))
        chosen = packing(dot, ValueType((80,), 0, high))
        assert chosen is not None
        assert chosen.form == form, (high, pair)
        graph = chain(Input("x", (80,), 0, high), dot)
        x = rng.choice((0, high), (40, 80))
        x[0] = high
        assert_same(graph, x)


def test_sums_that_pass_32_bits_on_their_way() -> None:
    """Terms of both signs whose sum is small again; raw codes of which none is."""
    most = 32767
    dot = Dot("d", "x", np.tile([most, -most], (2, 40)))
    source = Input("x", (80,), 32000, 32767)
    graph = chain(source, dot)
    assert_same(graph, batch(graph))
    assert_same(thresholded(source, dot), batch(graph))


def test_a_value_read_in_several_forms() -> None:
    source = Input("x", (2, 3, 5), 0, 255)
    small, large = weights(3, 4, 1, 1, 5), weights(3000, 4, 1, 1, 5)
    nodes: tuple[Node, ...] = (
        Conv2d("a", "x", small),
        Conv2d("b", "x", large),
        Conv2d("c", "x", np.sign(small) | 1),
    )
    graph = chain(source, *nodes, Add("ab", "a", "b"), Add("abc", "ab", "c"))
    assert_same(graph, batch(graph))


FAULTS: dict[str, Callable[[Dot, Threshold], Node]] = {
    "the sign of a multiplication": lambda d, t: Dot("d", "x", _changed(d, lambda w: -w)),
    "a zero that is counted": lambda d, t: Dot("d", "x", _changed(d, lambda w: w + (w == 0), 0)),
    "a plane's weight doubled": lambda d, t: Dot("d", "x", _changed(d, lambda w: w + (w & 2))),
    "a base off by one": lambda d, t: Threshold("t", "d", t.thresholds, t.falling, base=-1),
}


def _changed(dot: Dot, change: Callable[[Any], Any], value: int | None = None) -> NDArray[Any]:
    """Weights of which a single one is changed: the first of this value, or the first of all."""
    found = dot.weights.astype(np.int64)
    where = np.argwhere(found == value)[0] if value is not None else (0, 0)
    found[tuple(where)] = change(found[tuple(where)])
    return found


@pytest.mark.parametrize("what", FAULTS)
def test_planted_faults_are_seen(what: str) -> None:
    """One number of a Graph computed wrongly by one simulator differs from the other."""
    source, dot = Input("x", (3,), -2, 2), Dot("d", "x", np.array([[2, 0, -3], [1, 1, 0]]))
    threshold = Threshold("t", "d", np.array([[-2, 3], [0, 1]]), np.zeros(2, np.bool_), base=-2)
    good, fault = chain(source, dot, threshold), FAULTS[what](dot, threshold)
    replaced = {fault.name: fault}
    wrong = chain(source, *(replaced.get(n.name, n) for n in (dot, threshold)))
    x = np.array(np.meshgrid(*[range(-2, 3)] * 3)).reshape(3, -1).T
    assert_same(good, x)
    assert not np.array_equal(fast.run(wrong, x)["y"], plain.run(good, x)["y"])


PORTABLE = """
from numba.core.registry import cpu_target
assert "+avx2" not in cpu_target.target_context.codegen().magic_tuple()[2]
from tests.simulators import test_fast_integer_weights as tests
tests.test_16_bits_hold_what_their_sums_reach()
tests.test_convolutions_of_integers(2, 0, 255)
"""


def test_processors_without_the_instructions_compute_the_same(tmp_path: Any) -> None:
    environment = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": tmp_path,
    }
    found = subprocess.run(
        [sys.executable, "-c", PORTABLE],
        env={**os.environ, **{k: str(v) for k, v in environment.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-2000:]


@pytest.mark.parametrize("planes", [2, 3, 7])
@pytest.mark.parametrize("bit", [False, True])
def test_integer_weights_are_what_binary_planes_add_up_to(planes: int, bit: bool) -> None:
    """Odd weights ``sum_j 2^j s_j`` with signs ``s_j``: a binary layer each, scaled and added."""
    signs = np.random.default_rng(planes).random((planes, 5, 70)) < 0.5
    numbers = sum((2 * plane.astype(int) - 1) << j for j, plane in enumerate(signs))
    source = Input.bits(70) if bit else Input("x", (70,), -9, 15)
    nodes: list[Node] = [source, Dot("whole", "x", numbers)]
    total = ""
    for j, plane in enumerate(signs):
        scale, zero = np.full(5, 1 << j), np.zeros(5, np.int64)
        nodes.append(Dot(f"plane_{j}", "x", plane, scale, zero))
        if total:
            nodes.append(Add(f"total_{j}", total, f"plane_{j}"))
        total = nodes[-1].name
    nodes.append(Add("both", "whole", total))
    graph = chain(*nodes)
    for engine in (fast.run, plain.run):
        values = engine(graph, batch(graph))
        assert np.array_equal(values["whole"], values[total])
    assert_same(graph, batch(graph))
