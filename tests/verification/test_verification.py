"""verify: backends, batches, planted faults, progress."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hwbnn.errors import InputError, Mismatch
from hwbnn.report import Figure, Prediction
from hwbnn.simulators import ENGINES, simulate
from hwbnn.targets import generate
from hwbnn.verification import BACKENDS, batches, verify
from hwbnn.verification.batches import _MAKERS
from hwbnn.verification.results import BackendResult, CycleCheck, NodeResult, Verification
from tests.strategies import random_graph, random_inputs, random_plan


@pytest.fixture(scope="module")
def graph():
    return random_graph(3, max_width=20)


@pytest.fixture(scope="module")
def x(graph):
    return random_inputs(graph, 25, 1)


def test_every_backend_has_a_maker():
    assert tuple(_MAKERS) == BACKENDS


def test_the_fast_simulator_is_compared_at_every_node(graph, x):
    found = verify(graph, x, batch=10)
    (backend,) = found.backends
    assert found.ok
    assert found.raise_for_mismatch() is found
    assert backend.name == "fast"
    assert backend.frames == 25
    assert [node.value for node in backend.nodes] == [node.name for node in graph.nodes]
    assert backend.bits == sum(25 * t.size * t.width for t in graph.types.values())
    assert backend.frames_per_second > 0


def test_batches_shrink_as_the_values_of_a_frame_grow(graph, x, monkeypatch):
    seen = []
    fast = ENGINES["fast"]
    monkeypatch.setitem(ENGINES, "fast", lambda g, x, t: (seen.append(len(x)), fast(g, x, t))[1])
    monkeypatch.setattr(batches, "ELEMENTS", 4 * sum(t.size for t in graph.types.values()))
    assert verify(graph, x).ok
    assert max(seen) == 4


def test_a_wrong_simulator_is_caught_in_any_batch(graph, x, monkeypatch):
    plain = ENGINES["plain"]
    node = graph.nodes[-2].name

    def wrong(graph, x, trace):
        values = dict(plain(graph, x, True))
        values[node] = values[node].copy()
        values[node].reshape(len(x), -1)[(x == found_in).reshape(len(x), -1).all(axis=1), 0] ^= (
            values[node].dtype.type(1)
        )
        return values if trace else {graph.output.name: values[graph.output.name]}

    found_in = x[17]
    monkeypatch.setitem(ENGINES, "fast", wrong)
    found = verify(graph, x, backends=["fast"], batch=10)
    assert not found.ok
    assert (found.backends[0].first.value, found.backends[0].first.frame) == (node, 17)
    with pytest.raises(Mismatch, match=f"verify: fast: node '{node}': frame 17, element 0"):
        found.raise_for_mismatch()


def test_a_reference_is_compared_at_the_output(graph, x):
    right = verify(graph, x, backends=[], reference=lambda x: simulate(graph, x))
    assert right.ok
    assert [backend.name for backend in right.backends] == ["reference"]

    def wrong(x):
        found = simulate(graph, x).copy()
        found[-1, 3] += 1
        return found

    found = verify(graph, x, backends=["fast"], reference=wrong, batch=100)
    assert not found.ok
    assert found.backends[1].ok
    first = found.backends[0].first
    assert (first.value, first.frame, first.element) == (graph.output.name, 24, 3)


def test_progress_tells_the_frames_done(graph, x):
    told = []
    verify(graph, x, batch=10, progress=lambda *done: told.append(done))
    assert told == [("fast", 10, 25), ("fast", 20, 25), ("fast", 25, 25)]


def test_nothing_compared_is_no_success(graph, x):
    assert not verify(graph, x[:0]).ok
    assert not verify(graph, x, backends=[]).ok


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backends": ["vhdl"]}, "backend 'vhdl': expected some of fast, hls"),
        ({"batch": 0}, "batch: expected at least 1"),
        ({"rtl_frames": 0}, "rtl_frames: expected at least 1 frame, found 0"),
        ({"popcount": "abacus"}, "popcount 'abacus': expected one of behavioural, structural"),
        ({"reference": lambda x: np.zeros(3)}, "reference: expected an array of shape"),
    ],
)
def test_wrong_arguments_are_refused(graph, x, arguments, message):
    with pytest.raises(InputError, match=message):
        verify(graph, x, **arguments)


def test_one_backend_may_be_named_by_itself(graph, x):
    assert [each.name for each in verify(graph, x, backends="fast").backends] == ["fast"]


def test_inputs_that_do_not_fit_are_refused(graph, x):
    with pytest.raises(InputError, match="expected a batch of"):
        verify(graph, x[:, :-1])


def test_a_project_brings_its_graph(graph, x):
    project = generate(graph, "rtl", random_plan(3, graph))
    assert verify(project, x, backends=["fast"]).ok


def result(**more):
    fields = {"name": "rtl", "nodes": (NodeResult("x", 1, 8),), "frames": 1, "seconds": 0.5}
    return BackendResult(**{**fields, **more})


LATE = Prediction(Figure(3, "cycles", "model"), Figure(4, "cycles", "bench"))


@pytest.mark.parametrize(
    ("broken", "failure"),
    [
        (result(nodes=()), "rtl: nothing was compared"),
        (result(faults=("m_axis: tlast wrong in frame 0",)), "rtl: m_axis: tlast wrong in frame 0"),
        (result(cycles=CycleCheck(LATE, LATE, 9, "latency: 4")), "rtl: latency: 4"),
    ],
)
def test_every_kind_of_failure_is_named(broken, failure):
    assert not broken.ok
    assert broken.failure == failure
    assert not Verification((result(), broken)).ok


def test_results_are_json(graph, x):
    said = json.loads(json.dumps(verify(graph, x).to_json()))
    assert said["ok"] is True
    assert said["backends"][0]["name"] == "fast"
    assert said["backends"][0]["mismatches"] == 0


@pytest.mark.hardware
@pytest.mark.parametrize(("io", "backend"), [("io_parallel", "hls"), ("io_stream", "hls-stream")])
def test_an_hls_project_runs_as_it_was_generated(graph, x, io, backend):
    found = verify(generate(graph, "hls", io=io), x)
    assert found.ok
    assert [result.name for result in found.backends] == ["fast", backend]
