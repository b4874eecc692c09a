"""Files of projects: ``core.json``, ``plan.json`` of RTL, of HLS, of HLS with RTL of Vitis."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn.flow import design, netlist_family
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.verification import Core, hls
from hwbnn.verification.exported import exported
from tests.fuzz.kinds import FileKind, flipped, json_change
from tests.strategies import random_graph, random_plan
from tests.verification import stand_in
from tests.verification.test_exported import PLAN, network


def rtl_project() -> Project:
    """A core of batches."""
    graph = random_graph(3, max_width=20)
    return generate(graph, "rtl", replace(random_plan(3, graph), framing="batch"))


def hls_project() -> Project:
    """C++ that traces some values."""
    return generate(random_graph(3, max_width=20), "hls", Plan())


def vitis_project() -> Project:
    """C++ in whose folder a stand-in for Vitis left RTL."""
    made = generate(network("class"), "hls", PLAN, io="io_stream")
    rtl = stand_in.exported(network("class"), PLAN).items()
    files = {f"{stand_in.RTL}/{name}": text.encode() for name, text in rtl}
    return replace(made, files={**made.files, **files})


def read_rtl(project: Project) -> None:
    """All that reads a core's description, short of running a simulator."""
    core = Core.of(project)
    design(project)
    netlist_family(project)
    core.pack(np.full((1, *core.graph.input.shape), core.graph.input.low))
    core.unpack(np.zeros(core.output.tokens * core.output.bytes, np.uint8))


def read_hls(project: Project) -> None:
    """The description that C simulation needs, short of compiling."""
    hls._read(project)


def read_vitis(project: Project) -> None:
    """The border of exported RTL."""
    exported(project)


PROJECTS: dict[str, tuple[Project, Callable[[Project], None]]] = {
    "rtl": (rtl_project(), read_rtl),
    "hls": (hls_project(), read_hls),
    "vitis": (vitis_project(), read_vitis),
}
"""Sound projects, and what reads them."""


def with_file(kind: str, name: str, data: bytes) -> Project:
    """A sound project with one file replaced."""
    project = PROJECTS[kind][0]
    return replace(project, files={**project.files, name: data})


def _reader(kind: str, name: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        PROJECTS[kind][1](with_file(kind, name, data))
        return None

    return read


def _folder(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as scratch:
        folder = with_file("rtl", "core.json", data).write(Path(scratch) / "project")
        Project.read(folder)
    return None


def _changed(kind: str, **fields: Any) -> bytes:
    said = json.loads(PROJECTS[kind][0].text("core.json"))
    for name, value in fields.items():
        said[name] = value(said[name]) if callable(value) else value
    return json.dumps(said).encode()


CORPUS = {
    "rtl": {
        "lists nested too deep": b"[" * 100_000,
        "bytes that are no text": b"\xff\xfe",
        "lanes for more than memory holds": _changed(
            "rtl", input=lambda port: {**port, "lanes": 1 << 39, "tokens": 1, "beat": 1 << 45}
        ),
        "a file that is no name": _changed("rtl", files=[["rtl"]]),
        "a top module that is a script": _changed("rtl", top="x; exec rm"),
        "another framing than its Plan's": _changed("rtl", framing={"mode": "packet"}),
        "a name of 5000 letters": _changed("rtl", files=["a" * 5000]),
    },
    "hls": {
        "no object": b"[]",
        "a value that is not traced": _changed("hls", trace=lambda slots: slots[:-1]),
        "values in another order": _changed("hls", trace=lambda slots: slots[::-1]),
        "a file of C++ elsewhere": _changed("hls", top="../../etc/passwd"),
    },
    "vitis": {
        "an infinite number of lanes": _changed(
            "vitis", input=lambda port: {**port, "lanes": float("inf")}
        ),
        "a port of two lines": _changed("vitis", output=lambda port: {**port, "port": "a\nb"}),
        "a nested io": _changed("vitis", io={}),
    },
}

KINDS = (
    *(
        FileKind(
            f"{kind} {name}",
            (PROJECTS[kind][0].files[name],),
            _reader(kind, name),
            (json_change, flipped),
            CORPUS[kind] if name == "core.json" else {},
            same=False,
        )
        for kind in PROJECTS
        for name in ("core.json", "plan.json")
        if (kind, name) != ("hls", "plan.json")  # C simulation reads none
    ),
    FileKind(
        "project folder",
        (PROJECTS["rtl"][0].files["core.json"],),
        _folder,
        (json_change, flipped),
        {"a target that is no name": _changed("rtl", target="RTL; rm")},
        same=False,
        share=0.2,
    ),
)
