"""A stated clock and part are in every file of a project, and no other clock or part is."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from hwbnn.devices import DEVICES
from hwbnn.errors import PlanError
from hwbnn.graph import Graph
from hwbnn.plan import Plan, Unrolled
from hwbnn.project import Project
from hwbnn.targets import generate
from tests.strategies import random_graph

CLOCK_NS, MHZ = 7.3, 136.99
STATED = (CLOCK_NS, MHZ, 136.986)
"""The clock as files write it: the period, and the frequency to five or six digits."""
PART = "xc7a100tcsg324-1"
PLAN = Plan(clock_ns=CLOCK_NS, part=PART)
_NUMBER = r"(\d+(?:\.\d+)?)"
CLOCKS = re.compile(
    rf"-period\s+{_NUMBER}"  # Tcl and XDC
    rf"|(?:clock_?period|period_ns|clock_ns)\W{{1,4}}{_NUMBER}"  # JSON, YAML, Tcl variables
    rf"|{_NUMBER}\s*MHz|mhz\W{{1,4}}{_NUMBER}"
    rf"|\({_NUMBER} ns\)",
    re.IGNORECASE,
)
"""Every place in which a file states a clock, as a period in ns or in MHz."""
_DEVICES = sorted((n for d in DEVICES.values() for n in d.names), key=len, reverse=True)
PARTS = re.compile(rf"\b(?:{'|'.join(_DEVICES)})[\w-]*", re.IGNORECASE)


def stated(content: bytes) -> tuple[list[tuple[str, ...]], list[str]]:
    """The clocks and the parts that a file states."""
    text = content.decode(errors="replace")
    return CLOCKS.findall(text), PARTS.findall(text)


def other_clocks_and_parts(project: Project) -> list[str]:
    """Clocks and parts in the files of a project that are not the stated ones."""
    wrong = []
    for name, content in project.files.items():
        if name.endswith(".npz") or name.startswith(("firmware/nnet_utils", "firmware/ap_types")):
            continue
        text = content.decode()
        for found in CLOCKS.finditer(text):
            (value,) = (float(group) for group in found.groups() if group)
            if value not in STATED:
                wrong.append(f"{name}: {found.group()}")
        wrong += [f"{name}: {part}" for part in PARTS.findall(text) if part != PART]
    return wrong


@pytest.fixture(scope="module")
def graph() -> Graph:
    return random_graph(3, max_width=12)


@pytest.fixture(scope="module", params=["rtl", "hls"])
def project(request: pytest.FixtureRequest, graph: Graph) -> Project:
    return generate(graph, request.param, PLAN)


def test_no_file_has_another_clock_or_part(project: Project) -> None:
    assert other_clocks_and_parts(project) == []


def test_the_files_that_vendor_tools_read_have_both(project: Project) -> None:
    scripts = {"rtl": r"-period 7\.3\b", "hls": r'clock_period "?7\.3"?'}
    texts = [c.decode() for name, c in project.files.items() if name.endswith((".tcl", ".xdc"))]
    assert any(re.search(scripts[project.target], text) for text in texts)
    assert any(PART in text for text in texts)
    readme = project.text("README.md")
    assert f"{MHZ:g} MHz" in readme
    assert PART in readme


@pytest.mark.parametrize(
    "planted",
    [
        {"clock_ns": 5.0},
        {"part": "xc7z020clg400-1"},
        {"part": "xczu7ev-ffvc1156-2-e"},
    ],
)
def test_another_clock_or_part_in_one_file_is_detected(
    planted: dict[str, object], graph: Graph, project: Project
) -> None:
    """Every file that states a clock or a part is replaced in turn by that of another Plan."""
    other = generate(graph, project.target, replace(PLAN, **planted))  # type: ignore[arg-type]
    differing = [
        name
        for name, content in other.files.items()
        if name != "graph.npz" and stated(content) != stated(project.files.get(name, content))
    ]
    assert {"plan.json", "README.md"} <= set(differing)
    assert any(name.endswith((".tcl", ".xdc")) for name in differing)
    for name in differing:
        mixed = Project(project.target, {**project.files, name: other.files[name]})
        assert any(line.startswith(name) for line in other_clocks_and_parts(mixed)), name


def test_vitis_knows_no_parts_of_lattice(graph: Graph) -> None:
    ecp5 = replace(PLAN, part="LFE5U-85F-6BG381C")
    with pytest.raises(PlanError, match=r"part LFE5U-85F-6BG381C: expected a part of AMD"):
        generate(graph, "hls", ecp5)
    assert other_clocks_and_parts(generate(graph, "rtl", ecp5)) != []
    with pytest.raises(PlanError, match=r"xc7a100t.* lacks the primitives of xcup"):
        replace(PLAN, default=Unrolled(form="xcup"))


@pytest.mark.parametrize("part", ["xc7z020clg400-1", "xczu7ev-ffvc1156-2-e"])
def test_block_designs_with_a_processor_have_the_clock(graph: Graph, part: str) -> None:
    scripts = generate(graph, "rtl", replace(PLAN, part=part))
    wrong = [line for line in other_clocks_and_parts(scripts) if part not in line]
    assert wrong == []
    assert "136.986" in scripts.text("vivado/zynq.tcl")


def test_core_json_has_times_at_the_clock(graph: Graph) -> None:
    about = json.loads(generate(graph, "rtl", PLAN).text("core.json"))
    cycles = about["cycles"]
    assert about["clock"]["period_ns"] == CLOCK_NS
    assert cycles["latency_ns"] == round(CLOCK_NS * cycles["latency"], 6)
    assert cycles["initiation_interval_ns"] == round(CLOCK_NS * cycles["initiation_interval"], 6)
    assert cycles["frames_per_second"] == pytest.approx(1e9 / cycles["initiation_interval_ns"])
    assert about["part"]["name"] == about["part"]["fit"]["part"] == PART
    # Without a part in the Plan, nothing is said about whether it fits.
    about = json.loads(generate(graph, "rtl", Plan()).text("core.json"))
    assert about["part"] == {"name": "xc7z020clg400-1", "stated": False}
