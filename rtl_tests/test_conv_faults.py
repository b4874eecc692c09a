"""Planted faults in convolutional cores: windows, borders, pools, shortcuts, and FIFOs too short.

As in :mod:`rtl_tests.test_faults`, each breaks one thing in a generated core, and verification must
name the node whose values are wrong; or, where all values are right, the cycles that are not.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from hwbnn.estimate import cycles, least_depths
from hwbnn.estimate.cycles import Deadlock
from hwbnn.graph import Add, Conv2d, Graph, Input, MaxPool, Output, Rescale, SumPool, Threshold
from hwbnn.graph import Window as Geometry
from hwbnn.plan import Folded, Plan, circuit
from hwbnn.plan.stages import SlidingWindow
from hwbnn.targets import generate
from rtl_tests.faults import at_full_rate, broken, failures, flipped
from tests.thorough import some

pytestmark = pytest.mark.hardware

FRAMES = 3
AROUND = (1, 1, 1, 1)
PLANS = {
    # Windows tap by tap from a memory, and as whole tokens.
    "folded": Plan({"stem": Folded(4, 2), "branch": Folded(2, 2)}, input_beat=8, output_beat=16),
    "unrolled": Plan(input_beat=8, output_beat=16),
}


@pytest.fixture(scope="module")
def graph():
    """A shortcut past a grouped convolution, pools of bits and integers, classes of the border."""
    rng = np.random.default_rng(4)
    border = Geometry((4, 5), (3, 3), padding=AROUND)
    cuts = rng.integers(-20, 21, (len(border.classes), 4, 1))
    above = ((2, 2), (1, 1), (1, 0, 0, 0))
    return Graph(
        (
            Input("x", (4, 5, 2), 0, 15),
            Conv2d("stem", "x", rng.random((4, 3, 3, 2)) < 0.5, padding=AROUND),
            Threshold("fires", "stem", cuts, rng.random(4) < 0.5, border.border_classes),
            MaxPool("pooled", "fires", *above, np.array([1, 0, 1, 0]) > 0),
            Conv2d("branch", "pooled", rng.random((4, 3, 3, 2)) < 0.5, padding=AROUND, groups=2),
            Rescale(
                "scaled", "branch", *np.array([[1, -3, 2, 5], [0, -4, 9, 0], [2, 1, 1, 1]]), -40, 40
            ),
            MaxPool("highest", "stem", *above),
            Add("both", "highest", "scaled"),
            SumPool("mean", "both", (2, 2), (1, 2)),
            Output("y", "mean"),
        )
    )


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).integers(0, 16, (FRAMES, 4, 5, 2))


TOP, SERIAL, WHOLE = (f"rtl/hwbnn_{name}.sv" for name in ("top", "window", "window_unrolled"))
FAULTS = {
    # plan, node that is wrong, then file, what stands there, what comes instead
    "a window shifted by a column": (
        "folded", "stem", (TOP, r"(\.Left\()1(\),\s*\.Pad\(\S+\)\s*\) u_w_stem)", r"\g<1>0\2"),
    ),
    "a whole window shifted by a column": (
        "unrolled", "stem", (TOP, r"(\.Left\()1(\),\s*\.Pad\(\S+\)\s*\) u_w_stem)", r"\g<1>0\2"),
    ),
    "a window shifted by a row": (
        "folded", "branch", (TOP, r"(\.Top\()1(\),[^;]*\) u_w_branch)", r"\g<1>0\2"),
    ),
    "the rows above shifted by a column": (
        "unrolled", "stem", (WHOLE, r"lines_q\[column_next\]", "lines_q[column_q]"),
    ),
    "the next row of windows a column late": (
        "folded", "stem", (SERIAL, r"(MoveDown = .*);", r"\1 + 1;"),
    ),
    "a padding bit in a corner": (
        "folded", "stem",
        (SERIAL, r"(logic \[Width-1:0\] word_q);", r"\1;\n  logic corner_q;"),
        (
            SERIAL, r"if \(go\) outside_q <= !in_image;",
            "if (go) outside_q <= !in_image;\n    if (go) corner_q <= row_q == row_t'(-Top)"
            " && column_q == column_t'(-Left) && Top > 0;",
        ),
        (SERIAL, r"data_o = outside_q \? Pad :", "data_o = outside_q ? Pad ^ Width'(corner_q) :"),
    ),
    "a padding bit in the corner of whole windows": (
        "unrolled", "stem",
        (
            WHOLE, r"in_image \? arriving : Pad;",
            "in_image ? arriving\n"
            "    : Pad ^ Width'(row_q == RowWidth'(-Top) && x_q == XWidth'(-Left));",
        ),
    ),
    "padding of the other sign": (
        "unrolled", "branch", (TOP, r"\.Pad\(4'h0\)(?=\s*\) u_w_branch)", ".Pad(4'h8)"),
    ),
    "the groups of a window as one": (
        "folded", "branch", (TOP, r"\.Outer\(2\)(?=[^;]*\) u_w_branch)", ".Outer(1)"),
    ),
    "OR for AND": (
        "folded", "pooled",
        ("rtl/hwbnn_v_pooled.sv", r"1'h1(?=\n  \};)", "1'h0"),
    ),
    "AND for OR": (
        "unrolled", "pooled",
        ("rtl/hwbnn_v_pooled.sv", r"1'h0(?=, 1'h1\n  \};)", "1'h1"),
    ),
    "a place outside that wins": (
        "folded", "pooled", ("rtl/hwbnn_pool_max.sv", r"key = counts \?", "key = 1'b1 ?"),
    ),
    "the largest of signed numbers taken as unsigned": (
        "folded", "highest", ("rtl/hwbnn_pool_max.sv", r"Sign = .*;", "Sign = '0;"),
    ),
    "a sum without its first tap": (
        "folded", "mean",
        (
            "rtl/hwbnn_pool_sum.sv", r"\(first \? '0 : sum_q\) \+ \(counts",
            "first ? '0 : sum_q + (counts",
        ),
    ),
    "the class of a corner": (
        "folded", "fires", ("rtl/hwbnn_v_fires.sv", r"4'h0(?=\s*\}\))", "4'h1"),
    ),
    "a threshold of a class": (
        "unrolled", "fires",
        (
            "rtl/hwbnn_v_fires.sv", r"(?<=10'h)[0-9a-f]+(?=\n  \};)",
            lambda match: f"{int(match[0], 16) ^ 0x3ff:x}",
        ),
    ),
    "what lacks in a corner": (
        "folded", "branch",
        ("rtl/hwbnn_v_branch.sv", r"[0-9]+'h[0-9a-f]+(?=\n  \};)", flipped),
    ),
    "rounded down": (
        "folded", "scaled", ("rtl/hwbnn_v_scaled.sv", r"'h0*2(?=\n  \};\n\n)", "'h0"),
    ),
    "a stream taken for one without sign": (
        "folded", "both", ("rtl/hwbnn_add.sv", r"SignedB && b\[", "1'b0 && b["),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", some(list(FAULTS)))
def test_a_planted_fault_is_seen_at_its_node(graph, x, fault):
    plan, node, *changes = FAULTS[fault]
    project = generate(graph, "rtl", PLANS[plan])
    for change in changes:
        project = broken(project, *change)
    found = at_full_rate(project, x)
    assert found.difference is not None, found
    assert found.difference.value == node


@pytest.mark.parametrize("plan", PLANS)
def test_the_network_of_the_faults_is_right(graph, x, plan):
    found = at_full_rate(generate(graph, "rtl", PLANS[plan]), x, cut=200)
    assert (found.difference, found.faults, found.cycles.first) == (None, (), None)


def test_a_tap_count_that_reset_forgets(graph, x):
    """A frame that reset cuts off shifts the taps of those that follow."""
    fault = broken(
        generate(graph, "rtl", PLANS["folded"]),
        SERIAL,
        r"      tap_column_q <= '0;\n",
        "      if (tap_column_q === 'x) tap_column_q <= '0;\n",
    )
    assert at_full_rate(fault, x).difference is None
    assert at_full_rate(fault, x, cut=200).difference is not None


@pytest.fixture(scope="module")
def shortcut():
    """A stream goes through a convolution and past it."""
    rng = np.random.default_rng(2)
    one = np.ones(4, np.int64)
    return Graph(
        (
            Input("x", (5, 5, 4), -100, 100),
            Threshold("bits", "x", np.zeros((4, 1), np.int64), np.zeros(4, np.bool_)),
            Conv2d("conv", "bits", rng.random((4, 3, 3, 4)) < 0.5, padding=AROUND),
            Rescale("scaled", "conv", 3 * one, 0 * one, one, -64, 63),
            Add("sum", "x", "scaled"),
            Output("y", "sum"),
        )
    )


@pytest.fixture(scope="module")
def past():
    """Frames enough for the cycles from one to the next to settle."""
    return np.random.default_rng(3).integers(-100, 101, (16, 5, 5, 4))


def sound(project, x):
    """Whether every value, cycle and fill is as predicted."""
    found = at_full_rate(project, x)
    return found.cycles.interval.holds and (found.difference, found.faults, found.cycles.first) == (
        None,
        (),
        None,
    )


def slowed(project, x):
    """The cycles from frame to frame of a core that is too slow, its values being right."""
    found = at_full_rate(project, x)
    assert (found.difference, found.faults) == (None, ())
    assert found.cycles.first is not None
    return found.cycles.interval.measured.value


def shorter(project, before, after):
    """The core with other depths behind its fork; what it says of itself stays."""
    depths = (", ".join(f"32'd{depth}" for depth in reversed(d)) for d in (before, after))
    old, new = (f".Depths({{{d}}})" for d in depths)
    return broken(project, TOP, re.escape(old), new)


@pytest.mark.parametrize("layout", [Folded(4, 4), Folded(4, 36)], ids=["slow", "fast"])
def test_the_depth_of_the_analysis_is_the_least_that_keeps_the_rate(shortcut, past, layout):
    plan = least_depths(shortcut, Plan({"conv": layout}, input_beat=32, output_beat=64))
    (least,) = plan.depths.values()
    wanted = cycles(circuit(shortcut, plan)).interval
    project = generate(shortcut, "rtl", plan)
    assert sound(project, past)
    less = (least[0], least[1] - 1)
    short = replace(plan, depths={"x": less})
    predicted = cycles(circuit(shortcut, short)).interval
    assert predicted > wanted
    # Where the core says so, every cycle is as predicted; else it is found to be so much slower.
    assert sound(generate(shortcut, "rtl", short), past)
    assert slowed(shorter(project, least, less), past) == predicted


def test_a_fifo_too_short_for_the_shortcut_stops_the_core_as_predicted(shortcut, past):
    plan = Plan({"conv": Folded(4, 36)}, input_beat=32, output_beat=64)

    def moves(depth):
        try:
            return cycles(circuit(shortcut, replace(plan, depths={"x": (2, depth)}))).interval
        except Deadlock:
            return None

    enough = next(depth for depth in range(2, 99) if moves(depth))
    assert enough > 2
    project = generate(shortcut, "rtl", replace(plan, depths={"x": (2, enough)}))
    assert sound(project, past)
    found = at_full_rate(shorter(project, (2, enough), (2, enough - 1)), past)
    assert str(found.difference).endswith("found no frame")
    assert any(fault.startswith("m_axis: expected") for fault in found.faults)


@pytest.mark.parametrize(
    ("name", "all_of_them", "one"),
    [
        ("rtl/hwbnn_fork.sv", r"ready_o = &room;", "ready_o = |room;"),
        ("rtl/hwbnn_add.sv", r"a_there && b_there;", "a_there;"),
    ],
    ids=["fork", "join"],
)
def test_waiting_for_one_of_two_streams_loses_tokens(shortcut, past, name, all_of_them, one):
    plan = least_depths(shortcut, Plan({"conv": Folded(4, 4)}, input_beat=32, output_beat=64))
    fault = broken(generate(shortcut, "rtl", plan), name, all_of_them, one)
    assert None not in failures(fault, past[:3])


def test_one_slot_less_for_windows_slows_the_core_as_predicted():
    weights = np.random.default_rng(3).random((4, 3, 3, 8)) < 0.5
    graph = Graph((Input.bits((5, 5, 8)), Conv2d("conv", "x", weights), Output("y", "conv")))
    plan = Plan({"conv": Folded(4, 8)}, input_beat=8, output_beat=64)
    (window,) = (s for s in circuit(graph, plan).stages if isinstance(s, SlidingWindow))

    def interval(slots):
        return cycles(circuit(graph, replace(plan, buffer_tokens={"conv": slots}))).interval

    wanted = interval(window.buffer_tokens)
    least = next(
        n for n in range(window.least_buffer_tokens, window.buffer_tokens) if interval(n) == wanted
    )
    assert least > window.least_buffer_tokens
    images = np.random.default_rng(4).random((8, 5, 5, 8)) < 0.5
    project = generate(graph, "rtl", replace(plan, buffer_tokens={"conv": least}))
    assert sound(project, images)
    fault = broken(project, TOP, rf"\.Slots\({least}\)", f".Slots({least - 1})")
    assert slowed(fault, images) == interval(least - 1)


@pytest.fixture(scope="module")
def padded():
    """Five channels over twelve inputs, two and five at a time: both leave a rest."""
    rng = np.random.default_rng(1)
    weights, falling = rng.integers(0, 2, (5, 2, 2, 3)) > 0, np.array([0, 1, 0, 1, 0]) > 0
    graph = Graph(
        (
            Input("x", (4, 3, 3), -3, 4),
            Conv2d("conv", "x", weights),
            Threshold("bits", "conv", rng.integers(-4, 5, (5, 1)), falling),
            Output("y", "bits"),
        )
    )
    plan = Plan({"conv": Folded(2, 5)}, input_beat=16, output_beat=8)
    return generate(graph, "rtl", plan), rng.integers(-3, 5, (FRAMES, 4, 3, 3))


def test_a_fold_with_a_rest_is_right(padded):
    project, x = padded
    assert failures(project, x) == [None, None]


RESTS = {
    # what is broken: file, pattern, replacement
    "a neuron of the padding is given": (
        "rtl/hwbnn_top.sv",
        r"(\.Width\(1\),\s+\.Ratio\(2\),\s+\.Tokens\()5",
        r"\g<1>6",
    ),
    "an input of the padding counts": ("rtl/hwbnn_raw_conv.sv", r"\.Inputs\(12\)", ".Inputs(15)"),
    "its weight is 0": (
        "rtl/hwbnn_rom_conv.sv",
        r"rows\[2\] = 10'h39d",
        "rows[2] = 10'h09d",
    ),
    "a weight of the last step": (
        "rtl/hwbnn_rom_conv.sv",
        r"rows\[2\] = 10'h39d",
        "rows[2] = 10'h39c",
    ),
}


@pytest.mark.parametrize("fault", RESTS)
def test_faults_of_padding_are_caught(padded, fault):
    project, x = padded
    found = at_full_rate(broken(project, *RESTS[fault]), x)
    assert found.difference is not None or found.faults


def test_a_weight_of_a_neuron_of_the_padding_makes_no_difference(padded):
    project, x = padded
    other = broken(project, "rtl/hwbnn_rom_conv.sv", r"rows\[7\] = 10'h00b", "rows[7] = 10'h3eb")
    assert failures(other, x) == [None, None]
