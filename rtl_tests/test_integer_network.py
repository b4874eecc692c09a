"""Generated networks with integer weights and thresholds from a base: every value, every cycle.

The seeds are chosen so that together they have every way to multiply and to sum (:func:`sorts`).
"""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.graph import Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan, Unrolled, blocks, circuit
from hwbnn.plan.products import DotNetlist, WeightedFolded, WeightedUnrolled
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.verification import verify
from rtl_tests.faults import broken, failures, named
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_graph, random_inputs, random_plan
from tests.targets.test_rtl import lint
from tests.thorough import some

DENSE = (90, 100, 146, 31, 12, 50, 86, 54, 72, 43)
IMAGES = (61, 57, 46, 12, 49, 8, 56, 70, 26)
BENCH = (("dense", 50),)
"""For the C++ bench, where netlists run beside the models that count in their place."""


def network(kind, seed):
    given = {"integer_weights": True, "based": True}
    if kind == "images":
        graph = random_conv_graph(seed, **given)
    else:
        graph = random_graph(seed, max_width=24, max_depth=3, **given)
    return graph, random_plan(seed, graph, max_cycles=300)


def checked(kind, seed, backend, **options):
    """Verify, and see that every value was compared or is said to be fused."""
    graph, plan = network(kind, seed)
    x = random_inputs(graph, 6, seed)
    project = generate(graph, "rtl", plan)
    found = verify(
        project, x, backends=["fast", backend], seed=seed, **options
    ).raise_for_mismatch()
    _, full, stalled, *_ = found.backends
    assert {node.value for node in full.nodes} | set(full.fused) == set(graph.types)
    assert stalled.bits > 0
    cycles = full.cycles
    assert cycles.latency.holds
    assert cycles.interval.holds


@pytest.mark.hardware
@pytest.mark.parametrize(
    ("kind", "seed"), some([*(("dense", s) for s in DENSE), *(("images", s) for s in IMAGES)])
)
def test_random_networks_under_icarus(kind, seed):
    checked(kind, seed, "rtl-icarus", popcount="structural", batch=3)


@pytest.mark.hardware
@pytest.mark.parametrize(("kind", "seed"), BENCH)
def test_random_networks_in_the_bench(kind, seed):
    checked(kind, seed, "rtl")


def node_of(graph, name):
    (found,) = (node for node in graph.nodes if node.name == name)
    return found


def sorts(graph, plan):
    """What there is of integer weights in a circuit."""
    made = set()
    hardware = circuit(graph, plan)
    integer = {node.name for node in graph.integer_layers}
    for block in hardware.blocks:
        inputs = "signed" if block.source.signed else f"{min(2, block.source.width)} bits"
        own = set()
        if isinstance(block, WeightedUnrolled):
            own = {("unrolled", block.sums), ("unrolled", inputs)}
        elif isinstance(block, DotNetlist) and block.node in integer:
            own = {("netlist", inputs), ("netlist", block.wanted is None)}
        elif isinstance(block, WeightedFolded):
            kind = "ternary" if block.ternary else "multipliers" if block.dsp else "luts"
            own = {(kind, inputs), (kind, "multipliers" if block.dsp else block.sums)}
            if block.inputs % block.simd or block.channels % block.pe:
                own.add((kind, "uneven"))
        if getattr(block, "groups", 1) > 1 and own:
            own.add((*min(own)[:1], "groups"))
        if isinstance(block, blocks.ThresholdBlock) and block.base:
            own.add(("base", block.constants.shape[1] > 1))
        if integer and getattr(block, "border_classes", None) is not None:
            own.add(("border classes",))
        made |= own
    for name in integer & hardware.fused.keys():
        threshold = node_of(graph, hardware.fused[name])
        made.add(("fused", bool(threshold.falling.any()), threshold.levels > 1))
    return made


def test_the_random_networks_are_of_all_sorts():
    found = set()
    for kind, seeds in (("dense", DENSE), ("images", IMAGES)):
        for seed in seeds:
            found |= sorts(*network(kind, seed))
    sums = ("bit_planes", "adder_tree", "bit_serial")
    inputs = ("1 bits", "2 bits", "signed")
    assert found >= {
        *(("unrolled", each) for each in (*sums[:2], *inputs, "groups")),
        *(("netlist", each) for each in (True, False, *inputs)),
        *(("ternary", each) for each in (*sums, *inputs, "uneven")),
        *(("luts", each) for each in (*sums, *inputs, "uneven", "groups")),
        *(("multipliers", each) for each in ("multipliers", "2 bits", "signed", "uneven")),
        *(("base", several) for several in (True, False)),
        *(("fused", falling, False) for falling in (True, False)),
        ("border classes",),
    }


# ---- Planted faults ----

X = np.random.default_rng(1).integers(-8, 8, (12, 9))


def two_layers():
    """An unrolled layer and a folded one, and signed activations between them."""
    rng = np.random.default_rng(3)
    first = rng.integers(-7, 8, (6, 9))
    first[0, 0], first[1, 1] = 5, 0
    cuts = np.sort(rng.integers(-60, 61, (6, 3)), axis=1)
    second = rng.integers(-31, 32, (5, 6))
    return Graph(
        (
            Input("x", (9,), -8, 7),
            Dot("d1", "x", first),
            Threshold("t1", "d1", cuts, rng.random(6) < 0.5, base=-2),
            Dot("d2", "t1", second),
            Output("y", "d2"),
        )
    )


def core_plan():
    return Plan({"d1": Unrolled(), "d2": Folded(2, 4)}, output_beat=32)


def core():
    return generate(two_layers(), "rtl", core_plan())


@pytest.mark.hardware
def test_the_core_without_faults_passes():
    assert failures(core(), X) == [None, None]


@pytest.mark.hardware
@pytest.mark.parametrize(
    "layout",
    [
        Unrolled("adder_tree"),
        Unrolled(form="portable"),
        Folded(4, 4, multipliers="dsp"),
        Folded(4, 4, "bit_serial"),
    ],
)
def test_verilator_finds_nothing_to_warn_of(layout, tmp_path):
    project = generate(two_layers(), "rtl", Plan(default=layout, output_beat=32))
    content, said = lint(project.files, "hwbnn_top", project.write(tmp_path / "core"))
    assert content, said


FAULTS = {
    "the sign of a multiplication": (
        "rtl/hwbnn_raw_d1.sv", r"(assign bits_0 = \{\n *)~data_i", r"\1data_i", "t1",
    ),
    "a base off by one": ("rtl/hwbnn_v_t1.sv", r"Base\(2'h2\)", "Base(2'h3)", "t1"),
    "a column's weight doubled": (
        "rtl/hwbnn_column_sum.sv", r"\(delayed\) << k", "(delayed) << (k == 1 ? 2 : k)", "t1",
    ),
    "a weight of another sign": ("rtl/hwbnn_rom_d2.sv", r"(rows\[0\] = 48'h)(\w)", "flip", "d2"),
    "two rows of weights swapped": ("rtl/hwbnn_rom_d2.sv", r"rows\[(0|2)\] =", "swap", "d2"),
}  # fmt: skip


@pytest.mark.hardware
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault):
    name, pattern, change, node = FAULTS[fault]
    project = core()
    if change == "swap":
        text = project.text(name)
        for old, new in (("rows[0] =", "rows[x] ="), ("rows[2] =", "rows[0] ="), ("[x]", "[2]")):
            assert text.count(old) == 1
            text = text.replace(old, new)
        project = type(project)(project.target, {**project.files, name: text.encode()})
    elif change == "flip":
        project = broken(project, name, pattern, lambda m: f"{m[1]}{int(m[2], 16) ^ 8:x}")
    else:
        project = broken(project, name, pattern, change)
    full, stalled = failures(project, X)
    assert named(full) == named(stalled) == node


@pytest.mark.hardware
def test_a_zero_that_is_counted_is_caught():
    graph = two_layers()
    dot = node_of(graph, "d1")
    counted = dot.weights.copy()
    assert counted[1, 1] == 0
    counted[1, 1] = 7
    nodes = [Dot("d1", "x", counted) if node is dot else node for node in graph.nodes]
    project, name = core(), "rtl/hwbnn_raw_d1.sv"
    other = generate(Graph(tuple(nodes)), "rtl", core_plan())
    files = {**project.files, name: other.files[name]}
    full, stalled = failures(type(project)(project.target, files), X)
    assert named(full) == named(stalled) == "t1"


@pytest.mark.hardware
def test_ternary_weights_are_half_the_sum_of_two_layers_of_signs():
    rng = np.random.default_rng(5)
    one, other = (rng.choice((-1, 1), (5, 14)) for _ in range(2))
    x = rng.random((10, 14)) < 0.5
    values = []
    for weights in (one, other, (one + other) // 2):
        graph = Graph((Input.bits(14), Dot("d", "x", weights), Output("y", "d")))
        project = generate(graph, "rtl", Plan(default=Folded(2, 5)))
        assert ("rtl/hwbnn_weighted_folded.sv" in project.files) != graph.nodes[1].binary
        verify(project, x, backends=["rtl-icarus"], popcount="structural").raise_for_mismatch()
        values.append(simulate(graph, x))
    assert np.array_equal(values[0] + values[1], 2 * values[2])
