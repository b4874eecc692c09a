"""Files of a few bytes that ask for much work or memory: typed at once, or refused unread."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from hwbnn.errors import GraphError
from hwbnn.graph import Conv2d, Graph, Input, Output, SumPool, Window
from hwbnn.graph.store import BITS_LIMIT, HEADER, from_bytes, to_bytes


def wide(channels: int) -> Graph:
    """The largest window on all its ways into an image: 127 x 127 border classes."""
    node = Conv2d("sums", "x", np.ones((channels, 64, 64, 1), np.bool_), 1, (63, 63, 63, 63))
    return Graph((Input.bits((64, 64, 1)), node, Output("y", "sums")))


def test_a_window_of_thousands_of_border_classes_has_exact_ranges() -> None:
    t = wide(1).types["sums"]
    assert (t.low, t.high, t.step) == (-4096, 4096, 1)
    pool = SumPool("sums", "x", 64, 1, (63, 63, 63, 63))
    pooled = Graph((Input("x", (64, 64, 1), 1, 3), pool, Output("y", "sums"))).types["sums"]
    assert (pooled.low, pooled.high, pooled.step) == (1, 3 * 4096, 1)


def test_more_border_classes_than_anyone_needs_are_refused() -> None:
    with pytest.raises(GraphError, match=r"'sums': 16129 border classes of 64 channels.*padding"):
        wide(64)


def test_ranges_of_border_classes_are_those_of_the_taps_inside() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        kernel = tuple(int(n) for n in rng.integers(1, 5, 2))
        size = tuple(int(n) for n in rng.integers(4, 7, 2))
        sides = [int(rng.integers(0, kernel[i // 2])) for i in range(4)]
        padding, stride = (sides[0], sides[1], sides[2], sides[3]), (int(rng.integers(1, 4)), 1)
        bits = rng.random((3, *kernel, 2)) < 0.5
        pad = int(rng.integers(-1, 2))
        node = Conv2d("sums", "x", bits, stride, padding, pad)
        t = Graph((Input.bits((*size, 2)), node, Output("y", "sums"))).types["sums"]
        signs = 2 * bits.astype(int) - 1
        window = Window(size, kernel, stride, padding)  # type: ignore[arg-type]
        ends = []
        for taps in window.classes:
            outside = pad * signs[:, ~taps].sum(axis=(1, 2))
            ends += [outside - 2 * taps.sum(), outside + 2 * taps.sum()]
        assert (t.low, t.high) == (np.min(ends), np.max(ends))


def test_a_small_file_of_many_weights_is_refused_before_they_are_unpacked() -> None:
    graph = Graph(
        (
            Input.bits((4, 4, 8)),
            Conv2d("sums", "x", np.ones((1, 1, 1, 8), np.bool_)),
            Output("y", "sums"),
        )
    )
    with zipfile.ZipFile(io.BytesIO(to_bytes(graph))) as archive:
        raw = archive.read(f"{HEADER}.npy")
    header = json.loads(np.lib.format.read_array(io.BytesIO(raw)).tobytes())
    row = np.zeros((1, 1, 1, BITS_LIMIT // 64), np.uint8)
    # One member that many nodes name is as large as many members.
    sums = header["nodes"][1] | {"weights": {"array": "1.weights", "bits": BITS_LIMIT // 8}}
    header["nodes"][1:2] = [sums | {"name": f"sums_{i}"} for i in range(9)]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        for key, array in ((HEADER, text), ("1.weights", row)):
            member = io.BytesIO()
            np.lib.format.write_array(member, array)
            archive.writestr(f"{key}.npy", member.getvalue())
    with pytest.raises(GraphError, match=f"bits of weights, more than {BITS_LIMIT}; refused"):
        from_bytes(stream.getvalue())
