"""The cocotb bench on RTL as Vitis HLS would export it: a stand-in, sound and then broken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwbnn.errors import InputError, ToolFailed
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Threshold, from_bytes
from hwbnn.plan import Folded, Plan
from hwbnn.targets import generate
from hwbnn.verification import verify
from hwbnn.verification.exported import exported, rtl_files
from tests.strategies import random_inputs
from tests.verification import stand_in


def network(last: str) -> Graph:
    """16 signed integers of 5 bits, and then scores, signed too, or the class."""
    rng = np.random.default_rng(5)
    nodes = [
        Input("x", (16,), -9, 9),
        Dot("sums", "x", rng.random((8, 16)) < 0.5),
        Threshold("fires", "sums", rng.integers(-9, 9, (8, 1)), rng.random(8) < 0.5),
        Dot("scores", "fires", rng.random((6, 8)) < 0.5),
    ]
    nodes += [ArgMax("class", "scores")] if last == "class" else []
    return Graph((*nodes, Output("y", last)))


PLAN = Plan({"sums": Folded(4, 4)}, input_beat=24, output_beat=16)
"""Four elements a beat in, three scores a beat out, in HLS as in RTL."""


@pytest.fixture(scope="module", params=["scores", "class"])
def project(request):
    """An HLS project in whose folder the stand-in has left RTL."""
    graph = network(request.param)
    made = generate(graph, "hls", PLAN, io="io_stream")
    rtl = stand_in.exported(graph, PLAN).items()
    files = {f"{stand_in.RTL}/{name}": text.encode() for name, text in rtl}
    return replace(made, files={**made.files, **files})


def changed(project, name, old, new):
    """The project with one file of its RTL changed in one place."""
    name = f"{stand_in.RTL}/{name}"
    assert old in project.text(name)
    text = project.text(name).replace(old, new, 1)
    return replace(project, files={**project.files, name: text.encode()})


def without(project, *names):
    """The project without these files of its RTL."""
    dropped = {f"{stand_in.RTL}/{name}" for name in names}
    assert dropped <= project.files.keys()
    return replace(project, files={n: f for n, f in project.files.items() if n not in dropped})


def run(project, backend="hls-rtl-icarus", frames=12):
    graph = from_bytes(project.files["graph.npz"])
    return verify(project, random_inputs(graph, frames, 3), backends=[backend])


@pytest.mark.hardware
def test_a_sound_export_equals_the_graph(project):
    found = run(project)
    assert found.ok, [backend.failure for backend in found.backends]
    assert [backend.name for backend in found.backends] == [
        "hls-rtl-icarus",
        "hls-rtl-icarus, stalled",
    ]
    for backend in found.backends:
        assert [node.value for node in backend.nodes] == ["y"]
        assert backend.frames == 12
        assert backend.cycles is None
        assert set(backend.notes) == {"cocotb", "iverilog"}


@pytest.mark.hardware
def test_a_wrong_bit_is_found(project):
    """One weight of the first layer."""
    name = f"{stand_in.RTL}/inner_rom_sums.sv"
    at = project.text(name).index("rows[3] = 16'h") + len("rows[3] = 16'h")
    text = project.text(name)
    flipped = f"{int(text[at], 16) ^ 4:x}"
    files = {**project.files, name: f"{text[:at]}{flipped}{text[at + 1 :]}".encode()}
    found = run(replace(project, files=files), frames=40)
    assert not found.ok
    assert found.backends[0].first.value == "y"


@pytest.mark.hardware
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("hwbnn_top_zero.dat", "0", "1", "'y'"),
        (
            "hwbnn_top.v",
            ".s_axis_tdata(s_axis_TDATA)",
            ".s_axis_tdata(s_axis_TDATA << 1)",
            "'y'",
        ),
        ("hwbnn_top.v", ".m_axis_tlast(m_axis_TLAST)", ".m_axis_tlast()", "X on a handshake"),
        ("hwbnn_top.v", ".m_axis_tkeep(m_axis_TKEEP)", ".m_axis_tkeep()", "X on data"),
        ("hwbnn_top.v", ".m_axis_tvalid(m_axis_TVALID)", ".m_axis_tvalid()", "X on a handshake"),
    ],
)
def test_a_broken_border_is_found(project, name, old, new, said):
    found = run(changed(project, name, old, new), frames=20)
    assert not found.ok
    assert said in found.backends[0].failure


@pytest.mark.hardware
def test_a_constant_that_is_missing_is_seen(project):
    found = run(without(project, "hwbnn_top_zero.dat"))
    assert "Unable to open ./hwbnn_top_zero.dat" in found.backends[0].failure


@pytest.mark.hardware
@pytest.mark.parametrize("project", ["scores"], indirect=True)
def test_the_same_under_verilator(project):
    assert run(project, "hls-rtl").ok


def test_the_ports_are_read_from_the_rtl(project):
    core, ports = exported(project)
    assert (ports.clock, ports.reset, ports.source, ports.sink) == (
        *("ap_clk", "ap_rst_n", "s_axis", "m_axis"),
    )
    assert ports.high == ()
    assert (core.input.lanes, core.input.tokens, core.input.bits) == (4, 4, 24)
    assert core.plan.framing == "counted"
    assert set(core.fused) == {node.name for node in core.graph.nodes} - {"y"}


def test_rtl_of_another_kind_is_refused_in_one_line(project):
    for old, new, message in (
        (
            "input  [23:0] s_axis_TDATA",
            "input  [31:0] s_axis_TDATA",
            "expected 24 bits, found 32",
        ),
        ("ap_rst_n;", "ap_rst;", "expected a port ap_rst_n"),
        ("input   s_axis_TVALID;", "", "expected a port s_axis_TVALID"),
        ("output  [0:0] m_axis_TLAST;", "", "expected a port m_axis_TLAST"),
    ):
        with pytest.raises(ToolFailed, match=message):
            exported(changed(project, "hwbnn_top.v", old, new))
    with pytest.raises(ToolFailed, match=r"expected a file hwbnn_top\.v"):
        exported(without(project, "hwbnn_top.v"))


def test_a_project_without_streams_or_rtl_is_refused():
    graph = network("class")
    with pytest.raises(InputError, match="holds no RTL of Vitis; run 'vitis_hls"):
        exported(generate(graph, "hls", PLAN, io="io_stream"))
    with pytest.raises(InputError, match="generate it with io_stream"):
        exported(generate(graph, "hls", PLAN))
    with pytest.raises(InputError, match="target 'hls', found 'rtl'"):
        exported(generate(graph, "rtl", PLAN))
    with pytest.raises(InputError, match="'hls-rtl': expected a project in whose folder"):
        verify(graph, random_inputs(graph, 2, 1), backends=["hls-rtl"])


def test_the_exported_rtl_comes_before_the_synthesised(project):
    assert all(name.startswith(stand_in.RTL) for name in rtl_files(project))
    both = {**project.files, "hwbnn_top_prj/solution1/syn/verilog/hwbnn_top.v": b"other"}
    assert rtl_files(replace(project, files=both)) == rtl_files(project)
    alone = replace(project, files={n.replace("/impl/", "/syn/"): f for n, f in both.items()})
    assert len(rtl_files(alone)) == len(rtl_files(project))


def test_a_malformed_description_is_refused_in_one_line(project):
    for old, new in (
        ('"reuse": {', '"reuse": [], "r": {'),
        ('"lanes"', '"lines"'),
        ('"top": "h', '"top": "H'),
        ('"word": 24', '"word": 8'),
        ('"word": 24', '"word": 1e9'),
        ('"lanes": 4', '"lanes": 0'),
        ('"beats": 4', '"beats": 4000000000'),
    ):
        text = project.text("core.json")
        assert old in text
        files = {**project.files, "core.json": text.replace(old, new).encode()}
        with pytest.raises(InputError, match=r"core\.json: not as hwbnn writes it"):
            exported(replace(project, files=files))
