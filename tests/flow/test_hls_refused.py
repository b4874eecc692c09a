"""Builds of a Plan that HLS refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwbnn.errors import PlanError
from hwbnn.flow.build_steps import _generate
from hwbnn.flow.state import BuildState, Silent
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output
from hwbnn.plan import Plan


@pytest.mark.parametrize("is_wanted", [False, True])
def test_a_plan_that_hls_refuses_ends_a_build_only_if_hls_is_wanted(
    is_wanted: bool, tmp_path: Path
) -> None:
    """5000 rows of weights in a cycle are more than HLS unrolls."""
    weights = np.random.default_rng(0).random((5000, 4)) < 0.5
    graph = Graph(
        (Input.bits((4,)), Dot("sums", "x", weights), ArgMax("class", "sums"), Output("y", "class"))
    )
    state = BuildState(graph, tmp_path, np.zeros((1, 4), np.uint8), Silent())
    if is_wanted:
        with pytest.raises(PlanError, match="HLS unrolls up to 4096"):
            _generate(state, Plan(), ("hls",), set())
        return
    assert _generate(state, Plan(), ("hls",), {"hls"}) == {}
    ((what, why),) = [(each.what, each.why) for each in state.not_done]
    assert what == "project hls"
    assert "HLS unrolls up to 4096" in why
