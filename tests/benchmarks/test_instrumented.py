"""The instrumented fast simulator: packed inputs and the time of every node."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest

from benchmarks.speed.instrumented import Instrumented
from hwbnn.errors import InputError
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output
from hwbnn.graph.bits import pack_words
from hwbnn.simulators import plain
from tests.strategies import random_graph, random_inputs

SEED = 9


def test_packed_words_are_taken_as_they_are() -> None:
    rng = np.random.default_rng(0)
    for width in (1, 64, 65, 300):
        dot = Dot("d", "x", rng.random((3, width)) < 0.5)
        graph = Graph((Input.bits(width), dot, ArgMax("best", "d"), Output("y", "best")))
        x = rng.random((700, width)) < 0.5
        found = Instrumented(graph, trace=True).run_words(pack_words(x))
        assert all(np.array_equal(found[k], v) for k, v in plain.run(graph, x).items())


def test_words_that_do_not_fit_are_refused() -> None:
    graph = Graph((Input.bits(65), Output("y", "x")))
    pixels = Graph((Input.pixels(65), Output("y", "x")))
    right = np.ones((3, 2), np.uint64)
    for network, words in (
        (graph, right[:, :1]),
        (graph, right.astype(np.int64)),
        (graph, right[0]),
        (graph, right * 2),  # a bit behind the last
        (pixels, right),
    ):
        with pytest.raises(InputError, match=r"input 'x': expected 65 bits packed into uint64"):
            Instrumented(network).run_words(words)


def test_the_time_of_every_node_is_told() -> None:
    graph = random_graph(SEED)
    compiled, x = Instrumented(graph), random_inputs(graph, 500, SEED)
    compiled.run(x[:1])  # compiles what is compiled
    begin = process_time()
    spent = compiled.profile(x)
    whole = process_time() - begin
    names = [node.name for node in graph.nodes]
    assert list(spent) == [name for name in names if name in spent]
    assert graph.input.name in spent
    assert min(spent.values()) >= 0
    assert 0 < sum(spent.values()) < whole
