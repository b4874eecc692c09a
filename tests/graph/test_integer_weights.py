"""Weights that are integers, and thresholds that count from a base: nodes, ranges, files.

That all simulators compute what nodes with them mean is in ``tests/simulators``.
"""

from __future__ import annotations

import io
import json
import zipfile
from itertools import product

import numpy as np
import pytest

from hwbnn.errors import GraphError
from hwbnn.graph import (
    Conv2d,
    Dot,
    Graph,
    Input,
    Node,
    Output,
    Threshold,
    from_bytes,
    infer,
    to_bytes,
)
from hwbnn.graph.values import ValueType
from hwbnn.simulators import plain, simulate

NONE = np.zeros(2, np.bool_)
TERNARY = np.array([[1, 0, -1], [0, 0, 0]])


def dense(weights: object, x: Input | None = None) -> Graph:
    dot = Dot("d", "x", np.array(weights))
    return Graph((x or Input.bits(dot.weights.shape[1]), dot, Output("y", "d")))


def based(base: int | None = -1, cuts: object = ((0, 5), (-2, 3))) -> Graph:
    threshold = Threshold("t", "x", np.array(cuts), NONE, base=base)
    return Graph((Input("x", (2,), -7, 7), threshold, Output("y", "t")))


def test_bools_are_kept_as_numbers() -> None:
    bits = np.array([[True, False], [False, False]])
    node = Dot("d", "x", bits)
    assert node.weights.dtype == np.int16
    assert node.weights.tolist() == [[1, -1], [-1, -1]]
    assert node.binary
    assert np.array_equal(node.signs, bits)
    assert dense(bits) == dense([[1, -1], [-1, -1]])
    assert to_bytes(dense(bits)) == to_bytes(dense([[1, -1], [-1, -1]]))


def test_other_weights_have_no_signs() -> None:
    node = Dot("d", "x", TERNARY)
    assert not node.binary
    with pytest.raises(
        GraphError, match=r"'d': weights: expected -1 and \+1 alone, found .* -1 to 1"
    ):
        _ = node.signs


@pytest.mark.parametrize(
    ("weights", "x", "expected"),
    [
        ([[2, 4]], Input.bits(2), (-6, 6, 4)),
        ([[2, 4], [0, 6]], Input.bits(2), (-6, 6, 4)),
        ([[2, 3]], Input.bits(2), (-5, 5, 2)),
        ([[0, 0]], Input.bits(2), (0, 0, 1)),
        ([[6, -9]], Input("x", (2,), -1, 3), (-33, 27, 3)),
        ([[-32767, 32767]], Input("x", (2,), 0, 1), (-32767, 32767, 32767)),
    ],
)
def test_ranges_are_exact_and_attained(
    weights: list[list[int]], x: Input, expected: tuple[int, int, int]
) -> None:
    graph = dense(weights, x)
    t = graph.types["d"]
    assert (t.low, t.high, t.step) == expected
    every = np.array(list(product(range(x.low, x.high + 1), repeat=2)))
    sums = simulate(graph, every)
    assert (sums.min(), sums.max()) == (t.low, t.high)
    assert ((sums - t.low) % t.step == 0).all()


def test_weights_that_no_position_sees_are_not_in_the_step() -> None:
    """Of a window of 3 x 3 on a single pixel only the centre lies inside."""
    weights = np.full((1, 3, 3, 1), 5)
    weights[0, 1, 1, 0] = 4
    node = Conv2d("c", "x", weights, padding=(1, 1, 1, 1))
    t = infer(node, ValueType((1, 1, 1), 0, 3))
    assert (t.low, t.high, t.step) == (0, 12, 4)
    padded = Conv2d("c", "x", weights, padding=(1, 1, 1, 1), pad=-1)
    t = infer(padded, ValueType((1, 1, 1), 0, 1, bit=True))
    assert (t.low, t.high, t.step) == (-44, -36, 8)


def test_sums_beyond_the_limit_are_refused() -> None:
    with pytest.raises(GraphError, match="'d': sums from 0 to 4294901758 do not"):
        dense([[32767] * 2], Input("x", (2,), 0, 65537))


@pytest.mark.parametrize(
    ("base", "cuts", "expected"),
    [(None, ((0,), (3,)), (0, 1)), (0, ((0,), (3,)), (0, 1)), (-4, ((0,), (3,)), (-4, -3)),
     (-1, ((0, 5), (-2, 3)), (-1, 1))],
)  # fmt: skip
def test_a_base_makes_integers(base: int | None, cuts: object, expected: tuple[int, int]) -> None:
    graph = based(base, cuts)
    t = graph.types["t"]
    assert t.bit == (base is None)
    assert (t.low, t.high) == expected
    x = np.array([[-7, -7], [7, 7]])
    assert simulate(graph, x).astype(int).tolist() == [[t.low] * 2, [t.high] * 2]


def stored(graph: Graph) -> tuple[int, np.dtype]:
    with np.load(io.BytesIO(to_bytes(graph))) as members:
        header = json.loads(members["graph.json"].tobytes())
        return header["hwbnn graph"], members["1.weights"].dtype


def test_files_hold_weights_in_the_least_type() -> None:
    assert stored(dense([[1, -1]])) == (1, np.dtype(np.uint8))
    assert stored(dense([[1, -128]])) == (5, np.dtype(np.int8))
    assert stored(dense([[1, 128]])) == (5, np.dtype(np.int16))


GRAPHS = {
    "ternary": dense(TERNARY),
    "wide": dense([[1, -32767, 3]]),
    "based": based(),
    "one threshold with a base": based(0, ((0,), (3,))),
}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_files_give_back_the_same_graph(graph: Graph) -> None:
    again = from_bytes(to_bytes(graph))
    assert again == graph
    assert to_bytes(again) == to_bytes(graph)


def test_digests_differ_where_numbers_do() -> None:
    graphs = [
        *(dense([[1, w]]) for w in (-1, 0, 1, 2, 127, 128, 32767)),
        *(based(b) for b in (None, 0, -1)),
    ]
    assert len({graph.digest for graph in graphs}) == len(graphs)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_older_formats_do_not_hold_them(graph: Graph) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(to_bytes(graph))) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "graph.json.npy":
                header = json.loads(np.load(io.BytesIO(data)).tobytes())
                header["hwbnn graph"] = 4
                member = io.BytesIO()
                np.save(member, np.frombuffer(json.dumps(header).encode(), np.uint8))
                data = member.getvalue()
            new.writestr(name, data)
    with pytest.raises(
        GraphError, match=r"format 4: expected at least format 5|expected the fields"
    ):
        from_bytes(stream.getvalue())


def faults(dot: Dot, threshold: Threshold) -> dict[str, Node]:
    """Nodes that compute nearly the same: each differs from the others in its range or values."""
    negated, counted, doubled = (dot.weights.copy() for _ in range(3))
    negated[0, 0] *= -1
    counted[0, 1] = 1
    doubled[1] += doubled[1] & 4
    return {
        "the sign of a multiplication": Dot("d", "x", negated),
        "a zero that is counted": Dot("d", "x", counted),
        "a plane's weight doubled": Dot("d", "x", doubled),
        "a base off by one": Threshold("t", "d", threshold.thresholds, NONE, base=-1),
    }


def test_planted_faults_change_values() -> None:
    dot = Dot("d", "x", np.array([[3, 0, -2], [5, 1, 4]]))
    threshold = Threshold("t", "d", np.array([[-3, 1], [0, 6]]), NONE, base=-2)
    x = np.array(list(product((-2, -1, 0, 1), repeat=3)))
    t = ValueType((3,), -2, 1)

    def values(a: Dot, b: Threshold) -> list[np.ndarray]:
        sums = plain.evaluate(a, x, t)
        return [sums, plain.evaluate(b, sums, infer(a, t))]

    good = values(dot, threshold)
    for what, fault in faults(dot, threshold).items():
        pair = (fault, threshold) if isinstance(fault, Dot) else (dot, fault)
        found = values(*pair)  # type: ignore[arg-type]
        assert any(not np.array_equal(a, b) for a, b in zip(good, found, strict=True)), what
