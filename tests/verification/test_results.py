"""Exact comparison of values."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.errors import InputError
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Threshold
from hwbnn.simulators import simulate
from hwbnn.verification.results import Comparison, Difference, compare_batch, first_difference


@pytest.fixture
def graph():
    rng = np.random.default_rng(1)
    return Graph(
        (
            Input.bits(9),
            Dot("sums", "x", rng.random((5, 9)) < 0.5),
            Threshold("hidden", "sums", np.ones((5, 1), np.int64), np.zeros(5, bool)),
            Dot("scores", "hidden", rng.random((3, 5)) < 0.5),
            ArgMax("best", "scores"),
            Output("y", "best"),
        )
    )


@pytest.fixture
def trace(graph):
    x = np.random.default_rng(2).random((7, 9)) < 0.5
    return simulate(graph, x, trace=True)


def copied(trace):
    return {name: value.copy() for name, value in trace.items()}


def test_equal_traces_count_every_bit_and_no_mismatch(graph, trace):
    results = compare_batch(graph, trace, copied(trace))
    assert [r.value for r in results] == ["x", "sums", "hidden", "scores", "best", "y"]
    assert [r.bits for r in results] == [7 * 9, 7 * 5 * 5, 7 * 5, 7 * 3 * 4, 7 * 2, 7 * 2]
    assert all(r.frames == 7 and r.mismatches == 0 for r in results)
    assert first_difference(results) is None


def test_the_first_node_in_program_order_is_named(graph, trace):
    found = copied(trace)
    found["best"][0] ^= 1
    found["sums"][4, 2] += 2
    found["sums"][6, 0] -= 2
    results = compare_batch(graph, trace, dict(reversed(found.items())))
    first = first_difference(results)
    expected = int(trace["sums"][4, 2])
    assert first == Difference("sums", 4, 2, expected, expected + 2)
    assert str(first) == (
        f"node 'sums': frame 4, element 2: expected {expected}, found {expected + 2}"
    )


def test_differing_bits_are_counted_in_the_width_of_the_value(graph, trace):
    found = copied(trace)
    found["sums"][3, 1] = ~found["sums"][3, 1]
    found["hidden"][2] = ~found["hidden"][2]
    by_name = {r.value: r for r in compare_batch(graph, trace, found)}
    assert by_name["sums"].mismatches == 5
    assert by_name["hidden"].mismatches == 5


def test_a_difference_above_the_width_still_counts(graph, trace):
    found = copied(trace)
    found["best"][3] += 1 << 20
    by_name = {r.value: r for r in compare_batch(graph, trace, found)}
    assert by_name["best"].mismatches == 1
    assert by_name["best"].first.frame == 3


def test_frames_that_never_came_differ(graph, trace):
    found = copied(trace)
    found["hidden"] = found["hidden"][:5]
    by_name = {r.value: r for r in compare_batch(graph, trace, found)}
    assert by_name["hidden"].mismatches == 2 * 5
    assert by_name["hidden"].first.frame == 5
    assert "found no frame" in str(by_name["hidden"].first)


def test_a_wrong_frame_is_named_before_a_missing_one(graph, trace):
    found = copied(trace)
    found["hidden"] = found["hidden"][:5]
    found["hidden"][1, 3] ^= True
    first = first_difference(compare_batch(graph, trace, found))
    assert (first.frame, first.element) == (1, 3)


def test_batches_count_frames_through(graph, trace):
    comparison = Comparison(graph)
    found = copied(trace)
    found["y"][5] ^= 1
    for part in (slice(0, 3), slice(3, 7)):
        comparison.add(
            {name: value[part] for name, value in trace.items()},
            {name: value[part] for name, value in found.items()},
        )
    whole = compare_batch(graph, trace, found)
    assert comparison.results == whole
    assert first_difference(whole).frame == 5


def test_flat_values_and_other_integer_types_are_taken(graph, trace):
    found = {name: value.reshape(7, -1).astype(np.int16) for name, value in trace.items()}
    assert first_difference(compare_batch(graph, trace, found)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {"nobody": t["x"]}, "'nobody' is no value"),
        (lambda t: {"x": t["x"].astype(float)}, "expected integers, found float64"),
        (lambda t: {"sums": t["sums"][:, :4]}, "5 elements, found shape"),
        (lambda t: {"sums": np.concatenate([t["sums"]] * 2)}, "at most 7 frames"),
    ],
)
def test_what_cannot_be_compared_is_refused(graph, trace, change, message):
    with pytest.raises(InputError, match=message):
        compare_batch(graph, trace, change(trace))
