"""Both benches on a core small enough to read, sound and then broken in every way it can be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwbnn.errors import InputError, Mismatch, ToolFailed, ToolNotFound
from hwbnn.graph import Dot, Graph, Input, Output, to_bytes
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.simulators import simulate
from hwbnn.verification import cocotb_run, verilator
from hwbnn.verification.bench import Stalls, Stimulus, read_result
from hwbnn.verification.core import Core
from hwbnn.verification.results import compare_batch, first_difference

pytestmark = pytest.mark.hardware

CORES = Path(__file__).parent / "cores"
FRAMES = 12
FAULTS = (
    *("sound", "sum", "bit order", "tlast", "tkeep", "unused bits", "error", "deadlock"),
    *("token lost", "token twice", "valid falls", "data changes", "left behind", "assertion"),
    "unset",
)
"""By the numbers that the core gives them."""
GRAPH = Graph(
    (Input("x", (16,), 0, 1), Dot("ones", "x", np.ones((1, 16), np.bool_)), Output("y", "ones"))
)


def stream(value, lanes, tokens, width, **more):
    return {"value": value, "lanes": lanes, "tokens": tokens, "width": width, **more}


@pytest.fixture(scope="module")
def project():
    said = {
        "hwbnn core": 1,
        "graph": GRAPH.digest,
        "files": [],
        "simulation": {"top": "hwbnn_trace", "files": ["sim/hwbnn_trace.sv"]},
        "input": stream("x", 8, 2, 1, beat=8),
        "output": stream("y", 1, 1, 5, beat=8),
        "taps": {"x": stream("x", 16, 1, 1), "ones": stream("ones", 1, 1, 5)},
        "fused": {},
        "fifos": {},
        "cycles": {"latency": 3, "initiation_interval": 3},
    }
    source = CORES / "hwbnn_trace.sv"
    return Project(
        "rtl",
        {
            "core.json": json.dumps(said).encode(),
            "graph.npz": to_bytes(GRAPH),
            "plan.json": Plan().to_json().encode(),
            "sim/hwbnn_trace.sv": source.read_bytes(),
        },
    )


@pytest.fixture(scope="module", params=["driver", "icarus"])
def core(request, project, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "icarus":
        return cocotb_run.build(project, folder, simulator="icarus")
    return verilator.build(project, folder, optimise=False)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).integers(0, 2, (FRAMES, 16))


def run(core, x, fault="sound", stalls=None, **options):
    stimulus = Stimulus.of_frames(core.core, x, stalls=stalls or Stalls(), **options)
    record = core.run(stimulus, plusargs=[f"fault={FAULTS.index(fault)}"])
    found = compare_batch(GRAPH, simulate(GRAPH, x, trace=True), record.values)
    return record, first_difference(found)


STALLS = Stalls.random(3)


def test_a_sound_core_at_full_rate(core, x):
    record, first = run(core, x)
    assert first is None
    assert record.faults == ()
    assert record.error is None
    assert set(record.values) == {"x", "ones", "y"}
    assert np.diff(record.starts).tolist() == [3] * (FRAMES - 1)
    assert (record.ends - record.starts).tolist() == [3] * FRAMES
    assert record.seconds > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_sound_core_under_stalls_after_a_reset(core, x, seed):
    record, first = run(core, x, stalls=Stalls.random(seed), cut=5 * seed, seed=seed)
    assert first is None
    assert record.faults == ()
    assert len(record.starts) == len(record.ends) == FRAMES


def test_no_frames(core, x):
    record, _ = run(core, x[:0])
    assert record.faults == ()
    assert len(record.ends) == 0


def test_a_wrong_sum_names_the_node_and_the_frame(core, x):
    _, first = run(core, x, "sum")
    assert (first.value, first.frame, first.element) == ("ones", 3, 0)
    assert first.found == (first.expected + 1) % 32


def test_swapped_bits_are_seen_at_the_input(core, x):
    _, first = run(core, x, "bit order")
    assert first.value == "x"


@pytest.mark.parametrize("fault", ["tlast", "tkeep", "unused bits"])
def test_the_border_is_checked(core, x, fault):
    record, _ = run(core, x, fault)
    assert record.faults == (f"m_axis: {fault} wrong in frame 3",)


def test_an_error_is_seen(core, x):
    record, _ = run(core, x, "error")
    assert record.error is not None


def test_a_deadlock_ends_the_run(core, x):
    record, first = run(core, x, "deadlock")
    assert any("m_axis: expected 12 beats, found 3" in fault for fault in record.faults)
    assert first is not None
    assert len(record.values["y"]) == 3


def test_a_lost_token_is_counted(core, x):
    record, first = run(core, x, "token lost")
    assert "tap_ones: expected 12 tokens, found 11" in record.faults
    assert first.value == "ones"


def test_a_token_that_comes_twice_is_counted(core, x):
    record, first = run(core, x, "token twice")
    assert "tap_ones: expected 12 tokens, found 13" in record.faults
    assert "m_axis: expected 12 beats, found 13" in record.faults
    assert first.value == "ones"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("valid falls", "tap_ones: valid fell before ready"),
        ("data changes", "tap_ones: data changed before ready"),
    ],
)
def test_what_is_offered_stays(core, x, fault, said):
    record, _ = run(core, x, fault, STALLS)
    assert any(text.startswith(said) for text in record.faults)


def test_a_frame_left_behind_by_a_reset_is_seen(core, x):
    # The reset comes when one beat of a frame has been taken.
    wrong = [run(core, x, "left behind", cut=cut, seed=cut)[1] for cut in range(1, 9)]
    assert any(first is not None and first.value == "x" for first in wrong)


def test_a_failed_assertion_is_a_mismatch(core, x):
    with pytest.raises(Mismatch, match="the third frame is refused"):
        run(core, x, "assertion")


def test_a_handshake_that_was_never_set_is_a_mismatch(project, x, tmp_path):
    """Icarus shows it as X; Verilator begins with a random bit, which may go unnoticed."""
    core = cocotb_run.build(project, tmp_path, simulator="icarus")
    with pytest.raises(Mismatch, match="X on a handshake"):
        run(core, x, "unset")


def test_a_core_with_ports_of_other_names(project, x, tmp_path):
    """As a high-level synthesis tool would export it: the same bench takes it."""
    sources = [CORES / "hwbnn_trace.sv", CORES / "exported.sv"]
    module = cocotb_run.build_module(sources, "exported", tmp_path)
    ports = cocotb_run.Ports("ap_clk", "ap_rst_n", "x", "y", error=None, also={}, upper=True)
    core = cocotb_run.CocotbSimulation(replace(Core.of(project), taps=()), module, 0.0, ports)
    for fault, value in (("sound", None), ("sum", "y")):
        record, first = run(core, x, fault, STALLS)
        assert record.faults == ()
        assert set(record.values) == {"y"}
        assert (first and first.value) == value


def test_what_a_waveform_under_verilator_lacks_is_said():
    failed = ToolFailed("verilator: ended with status 2: fatal error: lz4.h: No such file")
    with pytest.raises(ToolNotFound, match="apt install liblz4-dev"), verilator.explained():
        raise failed


def test_a_waveform_needs_a_core_built_for_it(core, x, tmp_path):
    with pytest.raises(InputError, match="build the core with waves first"):
        core.run(Stimulus.of_frames(core.core, x), wave=tmp_path / "core.fst")


def test_stalls_are_bursts_and_gaps_of_any_mean() -> None:
    assert Stalls().none is True
    for seed in range(40):
        stalls = Stalls.random(seed)
        assert stalls.none is False
        assert stalls.source.any()
        assert stalls.sink.any()


@pytest.mark.parametrize(("cycle", "first"), [(-1, None), (0, 0), (7, 7)])
def test_the_cycle_of_the_first_error_is_read(cycle: int, first: int | None, tmp_path: Path):
    (tmp_path / "result.txt").write_text(f"cycles 9\nerror {cycle} 2\ntokens x 3\nfaults 0\n")
    result = read_result(tmp_path)
    assert (result.cycles, result.error, result.errors, result.counts) == (9, first, 2, {"x": 3})
