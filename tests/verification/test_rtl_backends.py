"""Netlists of convolutions under the RTL backends."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.graph import Conv2d, Flatten, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Layout, Plan, Unrolled, circuit
from hwbnn.verification import verify
from hwbnn.verification.rtl_backends import has_netlists
from tests.strategies import random_inputs


@pytest.mark.parametrize(
    ("layout", "groups", "wanted"),
    [
        (Unrolled(form="portable"), 1, True),
        (Unrolled(form="xc7"), 1, True),
        (Unrolled(form="xc7"), 2, False),  # groups are made of modules
        (Unrolled(), 1, False),
        (Folded(1, 1), 1, False),
    ],
)
def test_netlists_of_convolutions_are_found(layout: Layout, groups: int, wanted: bool) -> None:
    weights = np.random.default_rng(1).random((4, 2, 2, 2 // groups)) < 0.5
    conv = Conv2d("conv", "x", weights, groups=groups)
    graph = Graph((Input.bits((3, 3, 2)), conv, Flatten("flat", "conv"), Output("y", "flat")))
    assert has_netlists(circuit(graph, Plan({"conv": layout}))) is wanted


@pytest.mark.hardware
def test_netlists_of_convolutions_are_right_gate_by_gate() -> None:
    rng = np.random.default_rng(2)
    weights, same = rng.random((3, 3, 3, 2)) < 0.5, (1, 1, 1, 1)
    graph = Graph(
        (
            Input.bits((4, 5, 2)),
            Conv2d("conv", "x", weights, padding=same),
            Threshold("fires", "conv", rng.integers(-4, 5, (3, 1)), np.array([True, False, False])),
            Conv2d("sums", "fires", rng.random((2, 2, 2, 3)) < 0.5),
            Output("y", "sums"),
        )
    )
    plan = Plan(default=Unrolled(form="xc7"), input_beat=16, output_beat=16)
    assert has_netlists(circuit(graph, plan))
    found = verify(
        graph, random_inputs(graph, 6, 3), plan=plan, backends=["rtl"], popcount="structural"
    )
    found.raise_for_mismatch()
    assert all(backend.bits > 0 for backend in found.backends)
