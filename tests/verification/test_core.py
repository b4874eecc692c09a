"""Cores described by core.json: packing and unpacking of frames."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hwbnn.errors import InputError
from hwbnn.project import Project
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.verification.core import Core
from tests.strategies import random_graph, random_inputs, random_plan


@pytest.fixture(scope="module", params=range(8))
def made(request):
    graph = random_graph(request.param, max_width=40)
    plan = random_plan(request.param, graph)
    return graph, plan, generate(graph, "rtl", plan)


def test_a_generated_core_is_read(made):
    graph, plan, project = made
    core = Core.of(project)
    assert core.graph == graph
    assert core.plan == plan
    names = [tap.value for tap in core.taps]
    assert {*names, graph.output.name, *core.fused} == set(graph.types)
    assert graph.output.name not in names
    assert core.input.bits == plan.input_beat
    assert core.output.bits == plan.output_beat
    for stream in (core.input, core.output, *core.taps):
        assert sum(stream.used) == graph.types[stream.value].size * stream.width
    assert set(core.sources) < set(project.files)


def changed(project, change):
    said = json.loads(project.text("core.json"))
    change(said)
    return Project("rtl", {**project.files, "core.json": json.dumps(said).encode()})


@pytest.fixture(scope="module")
def project():
    graph = random_graph(3, max_width=20)
    return generate(graph, "rtl", random_plan(3, graph))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda said: said.update({"hwbnn core": 2}), "format 2, expected 1"),
        (lambda said: said.update(graph="0" * 64), "another graph"),
        (lambda said: said.pop("cycles"), "KeyError"),
        (lambda said: said["cycles"].update(latency=-1), "expected a count"),
        (lambda said: said["cycles"].update(latency=True), "expected a count"),
        (lambda said: said["input"].update(width=3), "elements of 8 bits"),
        (lambda said: said["input"].update(tokens=9), "elements of 8 bits"),
        (lambda said: said["output"].update(beat=1), "does not fit 1 bits"),
        (lambda said: said["taps"].update({"a(); //": said["taps"]["reg"]}), "core.json"),
        (lambda said: said["simulation"].update(top="x; rm"), "expected at most"),
        (lambda said: said.update(files=["rtl/missing.sv"]), "lists 'rtl/missing.sv'"),
    ],
)
def test_what_does_not_fit_is_refused(project, change, message):
    with pytest.raises(InputError, match=message):
        Core.of(changed(project, change))


@pytest.mark.parametrize("name", ["core.json", "graph.npz", "plan.json"])
def test_another_project_is_refused(project, name):
    files = {key: value for key, value in project.files.items() if key != name}
    with pytest.raises(InputError, match=f"expected a file {name}"):
        Core.of(Project("rtl", files))


def test_what_is_not_json_is_refused(project):
    with pytest.raises(InputError, match=r"core\.json: not as hwbnn writes it"):
        Core.of(Project("rtl", {**project.files, "core.json": b"{"}))


def test_frames_are_packed_and_unpacked_for_users(made):
    """What a program must send, and what it makes of what it gets: without any private class."""
    graph, _, project = made
    core = Core.of(project)
    x = random_inputs(graph, 3, 1)
    beats = core.pack(x)
    assert beats.shape == (3 * core.input.tokens, core.input.bytes)
    assert np.array_equal(beats.reshape(3, -1, core.input.bytes), core.input.pack(x))
    y = simulate(graph, x)
    sent = core.output.pack(y).reshape(-1, core.output.bytes)
    assert np.array_equal(core.unpack(sent), y)
    assert np.array_equal(core.unpack(sent.ravel()), y)
    if core.output.tokens * core.output.bytes > 1:
        with pytest.raises(InputError, match="bytes a frame"):
            core.unpack(sent.ravel()[:-1])
    with pytest.raises(InputError, match="expected uint8"):
        core.unpack(sent.astype(int))
    with pytest.raises(InputError, match="expected"):
        core.pack(x[:, :-1])
