"""Generated networks in simulation: every value at every tap, every cycle, stalls, resets, packets.

Random torch networks, lowered, and random Graphs under random Plans (unrolled, folded, mixed, fused
or not, beats of any width) go through the simulators; the bench is the one that tests the modules.
"""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.graph import Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.verification import cocotb_run, verify, verilator
from hwbnn.verification.bench import Stalls, Stimulus
from hwbnn.verification.results import compare_batch, first_difference
from rtl_tests.stalled import check_more_stalls
from tests.lowering import networks
from tests.strategies import random_graph, random_inputs, random_plan
from tests.thorough import some

pytestmark = pytest.mark.hardware

LOWERED = networks.NETWORKS
HEAVY = (("small", 10), ("small", 17), ("small", 27))
"""Products of 8-bit inputs, whose gates take Icarus minutes."""
FAST = (
    *(case for case in LOWERED if case[0] == "wide" or case in HEAVY),
    *(("graph", s) for s in (21, 34, 41)),
)
SLOW = (*(case for case in LOWERED if case not in FAST), ("graph", 103), ("graph", 105))
"""For the C++ bench and for Icarus: lowered torch networks, the same that go through HLS, and
random Graphs with the nodes that those do not have."""


def checked(graph, project, x, backend, **options):
    """Verify, and see that every value was compared or is said to be fused."""
    found = verify(project, x, backends=["fast", backend], **options).raise_for_mismatch()
    _, full, stalled, *netlist = found.backends
    assert {node.value for node in full.nodes} | set(full.fused) == set(graph.types)
    assert full.frames == len(x)
    assert stalled.bits > 0
    for run in (full, *netlist):
        cycles = run.cycles
        assert cycles.latency.holds
        assert cycles.interval.holds


@pytest.mark.parametrize(("kind", "seed"), some(FAST))
def test_random_networks(kind, seed, tmp_path):
    wide = kind != "graph"  # lowered networks are; the others have nodes that those do not
    graph = networks.lowered(kind, seed) if wide else random_graph(seed, max_width=110)
    plan = random_plan(seed, graph, max_cycles=1500)
    project = generate(graph, "rtl", plan)
    x = random_inputs(graph, 20, seed)
    checked(graph, project, x, "rtl", seed=10 * seed, folder=tmp_path)
    check_more_stalls(graph, project, x[:6], tmp_path / "rtl", seed)


@pytest.mark.parametrize(("kind", "seed"), some(SLOW))
def test_random_networks_under_icarus(kind, seed):
    """The popcount in gates; what was never set is X here."""
    if kind == "graph":
        graph = random_graph(seed, max_width=70, max_depth=3)
    else:
        graph = networks.lowered(kind, seed)
    project = generate(graph, "rtl", random_plan(seed, graph, max_cycles=150))
    x = random_inputs(graph, 6, seed)
    checked(graph, project, x, "rtl-icarus", popcount="structural", seed=seed, batch=4)


@pytest.mark.parametrize("seed", [200, 201])
def test_random_networks_under_cocotb_and_verilator(seed):
    graph = random_graph(seed, max_width=30, max_depth=3)
    project = generate(graph, "rtl", random_plan(seed, graph, max_cycles=200))
    checked(graph, project, random_inputs(graph, 12, seed), "rtl-cocotb")


def test_the_gates_of_the_popcount_take_the_same_cycles(tmp_path):
    graph = random_graph(300, max_width=30)
    project = generate(graph, "rtl", random_plan(300, graph, max_cycles=300))
    x = random_inputs(graph, 30, 300)
    records = []
    for popcount in verilator.POPCOUNTS:
        simulation = verilator.build(project, tmp_path, popcount=popcount, optimise=False)
        records.append(simulation.run(Stimulus.of_frames(simulation.core, x)))
    counted, gates = records
    assert np.array_equal(counted.ends, gates.ends)
    for name, values in counted.values.items():
        assert np.array_equal(values, gates.values[name])


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(5)
    return Graph(
        (
            Input("x", (21,), 0, 15),
            Dot("d1", "x", rng.random((14, 21)) < 0.5),
            Threshold("t1", "d1", rng.integers(-30, 31, (14, 1)), rng.random(14) < 0.5),
            Dot("d2", "t1", rng.random((10, 14)) < 0.5),
            Output("y", "d2"),
        )
    )


@pytest.fixture(scope="module", params=["driver", "icarus"])
def core(request, small, tmp_path_factory):
    plan = Plan(layers={"d1": Folded(7, 3)}, input_beat=24, output_beat=16)
    project = generate(small, "rtl", plan)
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "icarus":
        return cocotb_run.build(project, folder)
    return verilator.build(project, folder, optimise=False)


def packets(core, x, lengths):
    """Packets of these lengths in beats, and the frames that the core must make of them."""
    whole = core.core.input.pack(x)
    beats, frames = [], x.copy()
    lanes = core.core.input.lanes
    for i, n in enumerate(lengths):
        surplus = np.full((max(0, n - len(whole[i])), whole.shape[-1]), 0xEE, np.uint8)
        beats += [whole[i, :n], surplus]
        frames[i, n * lanes :] = 0
    last = np.zeros(sum(lengths), np.uint8)
    last[np.cumsum(lengths) - 1] = 1
    return np.concatenate(beats), last, frames


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_packets_of_wrong_length(small, core, seed):
    """One output frame a packet, ``error_o`` from the first wrong one on, the rest untouched."""
    rng = np.random.default_rng(seed)
    a_frame = core.core.input.tokens
    lengths = [a_frame, a_frame, 1, a_frame, a_frame + 1, a_frame - 1, 3 * a_frame, a_frame, 2]
    lengths = [*lengths, *rng.integers(1, 2 * a_frame, 4).tolist(), a_frame]
    x = rng.integers(0, 16, (len(lengths), 21))
    beats, last, frames = packets(core, x, lengths)
    stalls = Stalls.random(seed) if seed else Stalls()
    record = core.run(Stimulus(beats, last, stalls, seed=seed + 1))
    assert record.faults == ()
    assert (
        first_difference(compare_batch(small, simulate(small, frames, trace=True), record.values))
        is None
    )
    assert record.error > record.starts[2]
    assert record.error <= record.starts[3]


@pytest.mark.parametrize("part", range(4))
def test_a_reset_at_any_time_leaves_nothing_behind(small, core, part):
    x = np.random.default_rng(6).integers(0, 16, (5, 21))
    expected = simulate(small, x, trace=True)
    quick = isinstance(core, verilator.VerilatorSimulation)
    cuts = range(1, core.core.latency + 2 * core.core.interval)
    for cut in cuts[part :: 4 if quick else 23]:
        stalls = Stalls.random(cut) if cut % 3 else Stalls()
        record = core.run(Stimulus.of_frames(core.core, x, stalls=stalls, cut=cut, seed=cut))
        assert record.faults == ()
        assert record.error is None
        assert first_difference(compare_batch(small, expected, record.values)) is None


def test_a_waveform_is_written_on_demand(small, tmp_path):
    project = generate(small, "rtl", Plan(input_beat=24, output_beat=16))
    wave = tmp_path / "core.fst"
    x = np.random.default_rng(6).integers(0, 16, (5, 21))
    assert verify(project, x, backends=["rtl-icarus"], wave=wave).ok
    # An FST file begins with a header: its type, 0, and its length, 329.
    assert wave.read_bytes()[:9] == b"\0" + (329).to_bytes(8, "big")
