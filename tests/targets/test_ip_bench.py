"""The benches in the folder of a core, run as its README says; every planted fault fails."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from hwbnn.errors import InputError
from hwbnn.graph import Dot, Graph, Input, Output, Threshold
from hwbnn.plan.wire import WireLayout
from hwbnn.project import Project
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.targets.ip.vectors import LIMIT, signatures
from rtl_tests.test_framing import FAULTS
from tests.targets.ip_cores import core, make, network

FRAMINGS = ("packet", "counted", "batch")


def changed(project, name, old, new, count=1):
    text = project.text(name)
    assert re.search(old, text), f"{name} has no {old}"
    return {name: re.sub(old, new, text, count=count).encode()}


def written(project, folder, files=()):
    return Project("rtl", {**project.files, **dict(files)}).write(folder / "core")


def fields(project, name):
    return [line.split("_") for line in project.text(name).splitlines()[1:]]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_vectors_are_frames_and_what_the_network_computes_of_them(framing):
    project, graph = core(framing), network()
    about = json.loads(project.text("sim/vectors/vectors.json"))
    said = json.loads(project.text("core.json"))
    assert about["build"] == said["build"]
    assert about["graph"] == graph.digest
    beats = [int(data, 16) for _, data in fields(project, "sim/vectors/input.hex")]
    assert len(beats) == about["input"]["beats"]
    samples = about["samples"]
    x = np.array(
        [[beats[4 * f + i // 6] >> i % 6 * 4 & 15 for i in range(21)] for f in range(samples)]
    )
    assert len(np.unique(x, axis=0)) == samples  # no sample twice
    assert (x.min(), x.max()) == (0, 15)
    out = fields(project, "sim/vectors/output.hex")
    assert len(out) == about["output"]["beats"] == 4 * about["frames"]
    wire = WireLayout("y", 10, 3, 4, graph.types["y"].width, 16)
    data = np.array([list(bytes.fromhex(d))[::-1] for _, _, d in out], np.uint8)
    y = wire.unpack(data, graph.types["y"])
    assert np.array_equal(y[:samples], simulate(graph, x))
    # Behind the samples there are packets of wrong lengths, if the framing has such.
    assert (about["errors"] > 0) == (framing != "counted")
    assert 0 in about["whole"] or framing == "counted"
    assert len(about["whole"]) == about["frames"] > samples
    whole = [int(flag) >> 1 for flag, _, _ in out[::4]]
    assert whole == about["whole"]


def test_the_signature_sees_every_bit_and_the_order_of_words():
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 256, (1, 3, 7)).astype(np.uint8)
    seen = {int(signatures(tokens)[0])}
    for bit in range(3 * 7 * 8):
        other = tokens.copy()
        other.reshape(-1)[bit // 8] ^= 1 << bit % 8
        seen.add(int(signatures(other)[0]))
    seen.add(int(signatures(tokens[:, ::-1])[0]))
    assert len(seen) == 3 * 7 * 8 + 2


@pytest.mark.parametrize("vectors", [0, -1, LIMIT + 1, True, 2.5])
def test_the_number_of_samples_is_checked(vectors):
    expected = rf"vectors: expected (1 to {LIMIT} samples|an integer or None), found"
    with pytest.raises(InputError, match=expected):
        core(vectors=vectors)


def test_a_build_is_of_one_graph_and_one_plan():
    builds = {
        json.loads(core(f, w).text("core.json"))["build"] for f in FRAMINGS for w in (None, "d1")
    }
    assert len(builds) == 6
    project = core()
    build = json.loads(project.text("core.json"))["build"]
    for name in project.files:
        if name.startswith(("rtl/my_", "sim/my_", "ip/", "sim/vectors/", "sim/Make", "sim/test")):
            assert build in project.text(name), name


@pytest.mark.hardware
@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_bench_passes_in_icarus(framing, tmp_path):
    status, said = make(written(core(framing), tmp_path), "icarus")
    assert (status, "PASS: build" in said, "FAIL" in said) == (0, True, False), said
    assert "sorry" not in said
    assert "warning" not in said


@pytest.mark.hardware
def test_the_bench_passes_in_verilator_and_refuses_rtl_of_another_build(tmp_path):
    folder = written(core(vectors=1), tmp_path)
    status, said = make(folder, "verilator")
    assert (status, "PASS: build" in said, "FAIL" in said) == (0, True, False), said
    status, said = make(folder, "lint")
    assert status == 0, said
    other = core(flipped="d1")
    status, said = make(written(core(), tmp_path / "o", rtl_of(other)), "verilator")
    assert status != 0
    assert "my_top: this is build" in said


def rtl_of(project):
    return {name: text for name, text in project.files.items() if name.startswith("rtl/")}


def with_a_weight_flipped(layer, module):
    """The one file of the design in which a weight is stored, with this weight flipped."""
    right, other = core(), core(flipped=layer)
    stamps = [json.loads(p.text("core.json"))["build"].encode() for p in (other, right)]
    name = f"rtl/my_{module}.sv"
    text = other.files[name].replace(*stamps)
    assert text != right.files[name]
    return {name: text}


def next_digit(match):
    return f"{match[1]}{(int(match[2], 16) ^ 1):x}"


WRONG = {
    # what the cocotb bench says, the files that are changed
    "a weight of a ROM": ("tdata", lambda p: with_a_weight_flipped("d1", "rom_d1")),
    "a weight in logic": ("tdata", lambda p: with_a_weight_flipped("d2", "raw_d2")),
    "an output": (
        "output.hex: not as it was generated",
        lambda p: changed(p, "sim/vectors/output.hex", r"(\n2_3_...)(.)", next_digit),
    ),
    "an input": (
        "input.hex: not as it was generated",
        lambda p: changed(p, "sim/vectors/input.hex", r"(\n0_...)(.)", next_digit),
    ),
    "a value inside": (
        "",  # which the cocotb bench does not look at
        lambda p: changed(p, "sim/vectors/taps.hex", r"(\n1_.......)(.)", next_digit),
    ),
    "vectors of another build": (
        "vectors.json: build",
        lambda p: {n: t for n, t in core(flipped="d1").files.items() if "/vectors/" in n},
    ),
    "the design of another build": (
        "my_top.sv: build",
        lambda p: rtl_of(core(flipped="d1")),
    ),
    "a bench of another build": (
        "my_top.sv: build",
        lambda p: {n: t for n, t in core(flipped="d1").files.items() if n.startswith("sim/")},
    ),
}


@pytest.mark.hardware
@pytest.mark.parametrize("fault", WRONG)
def test_both_benches_fail_on(fault, tmp_path):
    project, (reason, files) = core(), WRONG[fault]
    folder = written(project, tmp_path, files(project))
    status, said = make(folder, "icarus")
    assert status != 0, said
    assert "PASS" not in said
    assert "FAIL" in said or "this is build" in said
    if reason:
        status, said = make(folder, "cocotb")
        assert status != 0, said
        assert reason in said, said


@pytest.mark.hardware
@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_fails_on_a_fault_at_the_border(fault, tmp_path):
    framing, file, there, instead = FAULTS[fault]
    project = core(framing)
    folder = written(
        project, tmp_path, changed(project, f"rtl/{file}", there, instead.replace("\\", r"\\"))
    )
    status, said = make(folder, "icarus")
    assert status != 0, said
    assert "FAIL" in said


@pytest.mark.hardware
@pytest.mark.parametrize("control", ["none", "axi4lite"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_cocotb_bench_passes(framing, control, tmp_path):
    status, said = make(written(core(framing, control=control, vectors=4), tmp_path), "cocotb")
    assert status == 0, said
    assert "1 passed" in said


CONTROL_FAULTS = {
    "errors are not counted": ("hwbnn_control.sv", r"errors_q\) \+ 32'\(error_i\)", "errors_q)"),
    "another build": ("hwbnn_control.sv", r"Build\[31:0\]", "~Build[31:0]"),
    "the registers watch another signal": (
        "my_top.sv",
        r"\.m_axis_tready\(m_axis_tready\)(?=,\n    .m_axis_tlast\(m_axis_tlast\),\n    .s_axi)",
        ".m_axis_tready(1'b1)",
    ),
}


@pytest.mark.hardware
@pytest.mark.parametrize("fault", CONTROL_FAULTS)
def test_the_cocotb_bench_fails_on_a_fault_of_the_registers(fault, tmp_path):
    file, there, instead = CONTROL_FAULTS[fault]
    project = core("batch", control="axi4lite", vectors=4)
    folder = written(project, tmp_path, changed(project, f"rtl/{file}", there, instead))
    status, said = make(folder, "cocotb")
    assert status != 0, said
    assert "the_registers_say_what_passed" in said


@pytest.mark.hardware
def test_a_core_with_registers_is_linted_and_passes_in_both_simulators(tmp_path):
    folder = written(core(control="axi4lite", vectors=2), tmp_path)
    for target in ("icarus", "lint"):
        status, said = make(folder, target)
        assert status == 0, said
        assert "warning" not in said.lower(), said


def test_a_core_of_one_beat_has_packets_that_are_too_long_alone():
    rng = np.random.default_rng(2)
    graph = Graph(
        (
            Input.bits(8),
            Dot("d", "x", rng.random((3, 8)) < 0.5),
            Threshold("t", "d", np.zeros((3, 1), np.int64), np.ones(3, bool)),
            Output("y", "t"),
        )
    )
    about = json.loads(generate(graph, "rtl").text("sim/vectors/vectors.json"))
    assert about["errors"] > 0
    assert all(about["whole"])
