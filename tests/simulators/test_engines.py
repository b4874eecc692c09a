"""simulate: engines, inputs, refusals."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from hwbnn.errors import InputError, ToolNotFound
from hwbnn.graph import Dot, Graph, Input, Output
from hwbnn.simulators import ENGINES, check_input, engines, simulate
from tests.strategies import random_graph, random_inputs

BITS = Graph(
    (Input.bits(3), Dot("d", "x", np.array([[True, False, True]])), Output("y", "d")),
)
PIXELS = Graph(
    (Input.pixels((2, 3)), Output("y", "x")),
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.uint16, np.int32, np.uint64, int])
def test_any_integers_will_do(engine: str, dtype: type) -> None:
    x = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1]], dtype)
    assert simulate(BITS, x, engine=engine).tolist() == [[3], [-3], [1]]
    assert simulate(BITS, x.tolist(), engine=engine).tolist() == [[3], [-3], [1]]
    strided = np.repeat(x, 2, axis=1)[::-1, ::2]
    assert simulate(BITS, strided, engine=engine).tolist() == [[1], [-3], [3]]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_result_is_the_users_own(engine: str) -> None:
    x = np.arange(12, dtype=np.int64).reshape(2, 2, 3)
    values = simulate(PIXELS, x, engine=engine, trace=True)
    x[:] = 0
    assert values["x"].sum() == values["y"].sum() == 66


REFUSED: dict[str, tuple[Graph, Any, str]] = {
    "one sample": (BITS, np.ones(3, int), r"expected a batch of 3, .* found shape \(3,\)"),
    "width": (BITS, np.ones((2, 4), int), r"expected a batch of 3, .* found shape \(2, 4\)"),
    "flat image": (PIXELS, np.ones((2, 6), int), r"shape \(batch, 2, 3\), found shape \(2, 6\)"),
    "floats": (BITS, np.ones((2, 3)), r"found float64; .* u = \(x - -1\) / 2, rounded"),
    "text": (BITS, [["a", "b", "c"]], "expected integers, found <U1"),
    "objects": (BITS, [[None] * 3], "expected integers, found object"),
    "signs for bits": (BITS, np.array([[-1, 1, 1]]), "expected integers from 0 to 1, found -1 to"),
    "two as a bit": (BITS, np.array([[2, 0, 0]], np.uint8), "from 0 to 1, found 0 to 2"),
    "over 255": (PIXELS, np.full((1, 2, 3), 256), "from 0 to 255, found 256 to 256"),
    "huge": (PIXELS, np.full((1, 2, 3), 2**64 - 1, np.uint64), "from 0 to 255, found 1844"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_array_that_does_not_fit_is_refused(case: str) -> None:
    graph, x, message = REFUSED[case]
    for engine in ENGINES:
        with pytest.raises(InputError, match=f"input 'x': .*{message}") as caught:
            simulate(graph, x, engine=engine)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=message):
        check_input(graph, x)


def test_a_checked_batch_is_int64_or_bool() -> None:
    assert check_input(BITS, [[1, 0, 1]]).dtype == np.bool_
    assert check_input(PIXELS, np.ones((1, 2, 3), np.uint8)).dtype == np.int64


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(InputError, match="engine 'quick': expected one of auto, plain, fast"):
        simulate(BITS, [[1, 0, 1]], engine="quick")


def test_without_numba_fast_says_what_to_install_and_auto_is_plain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = random_graph(1)
    x = random_inputs(graph, 9, 1)
    expected = simulate(graph, x, engine="plain")
    found = importlib.util.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "numba" else found(name))
    monkeypatch.setattr(engines, "WORTH", 0)
    with pytest.raises(ToolNotFound, match=r"numba is missing; pip install 'hwbnn\[fast\]'"):
        simulate(graph, x, engine="fast")
    assert np.array_equal(simulate(graph, x), expected)


@pytest.mark.parametrize(("worth", "engine"), [(0, "fast"), (1 << 62, "plain")])
def test_auto_takes_the_engine_that_pays(
    monkeypatch: pytest.MonkeyPatch, worth: int, engine: str
) -> None:
    graph = random_graph(1)
    taken: list[str] = []
    for name in ("fast", "plain"):
        owner, attribute = (engines, "_fast") if name == "fast" else (engines.plain, "run")
        real = getattr(owner, attribute)

        def noted(*arguments: Any, name: str = name, real: Any = real) -> Any:
            taken.append(name)
            return real(*arguments)

        monkeypatch.setattr(owner, attribute, noted)
    monkeypatch.setattr(engines, "WORTH", worth)
    simulate(graph, random_inputs(graph, 3, 1))
    assert taken == [engine]
