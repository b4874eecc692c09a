"""Where circuits take another form: just at the edge of a condition, and just beside it."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.errors import PlanError
from hwbnn.graph import Conv2d, Dot, Flatten, Graph, Input, Output
from hwbnn.plan import Plan, circuit

WIDE = Plan(input_beat=64, output_beat=64)


@pytest.mark.parametrize(
    ("scale", "shift"), [([1, 3], None), ([4, 4], 2), ([3, 3], None), ([2, 4], None), ([1, 1], 0)]
)
def test_scales_are_a_shift_where_all_are_one_power_of_two(scale: list[int], shift: int) -> None:
    ones = np.ones((2, 4), np.bool_)
    dot = Dot("d", "x", ones, np.array(scale), np.array([1, -1]))
    made = circuit(Graph((Input("x", (4,), 0, 3), dot, Output("y", "d"))), WIDE)
    (block,) = (b for b in made.blocks if hasattr(b, "scale_count"))
    assert block.shift == shift


@pytest.mark.parametrize(
    ("kernel", "stride", "slides"), [(1, 1, False), (1, 2, True), (2, 1, True)]
)
def test_pixels_are_brought_together_only_for_a_window_of_several(
    kernel: int, stride: int, slides: bool
) -> None:
    weights = np.ones((3, kernel, kernel, 2), np.bool_)
    conv = Conv2d("c", "x", weights, (stride, stride))
    flat = Flatten("f", "c")
    made = circuit(Graph((Input("x", (4, 4, 2), 0, 3), conv, flat, Output("y", "f"))), WIDE)
    assert any("Window" in type(stage).__name__ for stage in made.stages) == slides


@pytest.mark.parametrize("count", [2, 3])
def test_depths_of_a_value_that_is_read_once_are_refused(count: int) -> None:
    dot = Dot("d", "x", np.ones((2, 4), np.bool_))
    graph = Graph((Input("x", (4,), 0, 3), dot, Output("y", "d")))
    plan = Plan(input_beat=64, output_beat=64, depths={"d": (4,) * count})
    with pytest.raises(PlanError, match=rf"'d' has 1 readers, found {count} depths"):
        circuit(graph, plan)
