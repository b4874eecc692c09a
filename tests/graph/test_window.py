"""The geometry of windows and its border classes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.graph import Window


@st.composite
def windows(draw: st.DrawFn) -> Window:
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    ends = [draw(st.integers(0, side - 1)) for side in kernel for _ in range(2)]
    padding = (ends[0], ends[1], ends[2], ends[3])
    size = (
        max(1, kernel[0] - ends[0] - ends[1] + draw(st.integers(0, 6))),
        max(1, kernel[1] - ends[2] - ends[3] + draw(st.integers(0, 6))),
    )
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return Window(size, kernel, stride, padding)


@given(windows())
def test_classes_and_places_say_which_taps_lie_inside(window: Window) -> None:
    top, bottom, left, right = window.padding
    image = np.pad(np.ones(window.size, np.bool_), ((top, bottom), (left, right)))
    rows, columns = window.output
    met: list[int] = []
    for i in range(rows):
        for j in range(columns):
            a, b = i * window.stride[0], j * window.stride[1]
            seen = image[a : a + window.kernel[0], b : b + window.kernel[1]]
            assert seen.shape == window.kernel
            assert np.array_equal(window.classes[window.border_classes[i, j]], seen)
            assert seen.any()
            met += (
                [int(window.border_classes[i, j])] if window.border_classes[i, j] not in met else []
            )
    assert met == list(range(len(window.classes)))
    assert len({taps.tobytes() for taps in window.classes}) == len(window.classes)


@given(windows())
def test_one_more_step_would_leave_the_padded_image(window: Window) -> None:
    top, bottom, left, right = window.padding
    ends = (window.size[0] + top + bottom, window.size[1] + left + right)
    for axis in range(2):
        last = (window.output[axis] - 1) * window.stride[axis] + window.kernel[axis]
        assert last <= ends[axis] < last + window.stride[axis]
