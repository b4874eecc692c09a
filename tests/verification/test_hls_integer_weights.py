"""C simulation of integer weights equals the plain simulator; planted faults are seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwbnn.plan import Folded, Plan
from hwbnn.targets import generate
from hwbnn.targets.hls.calls import Call, calls_of
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_graph, random_plan
from tests.targets.hls_networks import integer_images, integer_weights
from tests.verification.hls_faults import Edit, difference, literal, seen_at, swapped
from tests.verification.test_hls import IOS

HOW = {"frames": 200, "optimise": "-O0"}
# Where a fold does not divide, HLS takes the next larger one that does.
DENSE = {
    "signed": Folded(3, 5),
    "signs": Folded(8, 3),
    "wide": Folded(4, 33),
    "heavy": Folded(5, 6),
    "short": Folded(2, 12),
    "unsigned": Folded(3, 2, multipliers="luts"),
    "scores": Folded(5, 2),
}
IMAGES = {
    "stem": Folded(2, 9),
    "signs": Folded(4, 6),
    "masked": Folded(1, 9),
    "zeros": Folded(5, 4),
    "strided": Folded(3, 7),
    "ternary": Folded(1, 2),
    "depthwise": Folded(1, 1),
    "scores": Folded(2, 9),
}
CASES = {
    "dense, unrolled": (integer_weights, Plan(), "io_parallel"),
    "dense, folded": (integer_weights, Plan(DENSE, fuse=False, input_beat=16), "io_stream"),
    "images, unrolled": (integer_images, Plan(), "io_stream"),
    "images, folded": (integer_images, Plan(IMAGES, fuse=False), "io_stream"),
}


@pytest.mark.hardware
@pytest.mark.parametrize("case", CASES)
def test_every_node_equals_the_simulator(case: str, tmp_path: Path) -> None:
    network, plan, io = CASES[case]
    graph = network()
    project = generate(graph, "hls", plan, io=io)
    popcount = "tree" if "folded" in case else "builtin"
    assert difference(graph, project, tmp_path, popcount=popcount, **HOW) is None


@pytest.mark.hardware
@pytest.mark.parametrize("seed", [4, 8, 33, 37])
def test_random_networks_equal_the_simulator_at_every_node(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed, integer_weights=True, based=True, max_width=65, max_depth=3)
    project = generate(graph, "hls", random_plan(seed, graph), io=IOS[seed % 2])
    assert difference(graph, project, tmp_path, **HOW) is None


@pytest.mark.hardware
@pytest.mark.parametrize("seed", [7, 26, 33])
def test_random_images_equal_the_simulator_at_every_node(seed: int, tmp_path: Path) -> None:
    graph = random_conv_graph(seed, integer_weights=True, based=True)
    project = generate(graph, "hls", random_plan(seed, graph))
    assert difference(graph, project, tmp_path, **HOW) is None


def forms(call: Call) -> set[str]:
    """The parts of ``hls/`` that a call takes."""
    layer = call.types.get("layer", call.function).removeprefix("hwbnn::")
    terms = call.types.get("terms", "").removeprefix("hwbnn::")
    product = call.types.get("product", "").removeprefix("hwbnn::")
    return {layer, f"{layer} {terms}", product, f"{terms} {product}"}


def test_the_cases_take_every_form() -> None:
    found: set[str] = set()
    for network, plan, io in CASES.values():
        for call in calls_of(network(), plan, io):
            found |= forms(call)
    terms = {"weighted_integer_terms", "masked_weighted_terms", "masked_ternary_terms"}
    raw = {"weighted_bit_terms", "ternary_terms"}
    layers = {"neurons_unrolled", "neurons_layer"}
    wanted = {f"{layer} {each}" for layer in layers for each in raw}
    wanted |= {f"neurons_layer {each}" for each in terms}
    wanted |= {f"dot_layer {each}" for each in terms}
    wanted |= {f"weighted_dot_{how} {each}" for how in ("stream", "layer") for each in raw}
    wanted |= {"weighted_dot_unrolled weighted_bit_terms"}
    wanted |= {
        f"weighted_integer_terms {kind}_product" for kind in ("constant", "dsp", "lut", "ternary")
    }
    assert wanted <= found


DOT, TOP = "nnet_utils/hwbnn_weighted.h", "parameters.h"
FAULTS: dict[str, tuple[str, Edit, str]] = {
    "sign of a multiplication": (
        DOT,
        swapped(b"        return weight * x;", b"        return -weight * x;"),
        "levels",
    ),
    "sign of a ternary weight": (
        DOT,
        swapped(b"weight < 0 ? opposite : same", b"weight < 0 ? same : opposite"),
        "bits",
    ),
    "a zero that counts": ("weights/weights5.h", literal(40, lambda v: v | (v + 1)), "fires"),
    "a weight one larger": ("weights/weights9.h", literal(1, lambda v: v + 1), "scores"),
    "a weight that counts twice": (
        DOT,
        swapped(
            b"part[i] = weight_of<CONFIG_T>(weights, cycle, p, i);",
            b"part[i] = 2 * weight_of<CONFIG_T>(weights, cycle, p, i);",
        ),
        "heavier",
    ),
    "a base one higher": (TOP, swapped(b"ap_int<3>, -2>", b"ap_int<3>, -1>"), "levels"),
    "the sum of a row": ("weights/factors9.h", literal(1, lambda v: v + 1), "scores"),
}


@pytest.mark.hardware
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen_at_its_node(fault: str, tmp_path: Path) -> None:
    graph = integer_weights()
    name, edit, node = FAULTS[fault]
    seen_at(node, graph, generate(graph, "hls"), name, edit, tmp_path, **HOW)


BORDER_FAULTS: dict[str, tuple[str, str]] = {
    "an outside bit that counts": ("const bool counts = x[masks + at][in::bit(i)];", "inner"),
    "an outside sign that counts": ("const word_t counts = mask & x[outside + at];", "fires"),
}


@pytest.mark.hardware
@pytest.mark.parametrize("fault", BORDER_FAULTS)
def test_a_fault_at_the_border_is_seen_at_its_node(fault: str, tmp_path: Path) -> None:
    graph = integer_images()
    line, node = BORDER_FAULTS[fault]
    wrong = line.split(" = ")[0] + (" = mask;" if "mask &" in line else " = true;")
    edit = swapped(line.encode(), wrong.encode())
    seen_at(node, graph, generate(graph, "hls"), DOT, edit, tmp_path, **HOW)
