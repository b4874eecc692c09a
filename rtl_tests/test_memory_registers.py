"""Deep memories of weights and thresholds: a second register behind each changes no value."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.graph import Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Folded, Plan, circuit
from hwbnn.plan.blocks import SHALLOW
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.verification import verify

pytestmark = pytest.mark.hardware

RNG = np.random.default_rng(8)
X = RNG.random((12, 30)) < 0.5


def network(*, binary: bool) -> Graph:
    """30 inputs, 70 neurons, 4 sums: the first layer folded into 70 passes of 15 steps."""
    first = RNG.choice((-1, 1), (70, 30)) if binary else RNG.integers(-3, 4, (70, 30))
    cuts = RNG.integers(-9, 10, (70, 1))
    return Graph(
        (
            Input.bits(30),
            Dot("dot", "x", first),
            Threshold("bits", "dot", cuts, RNG.random(70) < 0.3),
            Dot("last", "bits", RNG.choice((-1, 1), (4, 70))),
            Output("y", "last"),
        )
    )


def plan(registers: int) -> Plan:
    return Plan(default=Folded(1, 2), memory_registers=registers)


@pytest.mark.parametrize("binary", [True, False])
def test_values_are_the_same_and_each_deep_memory_costs_a_cycle(binary: bool) -> None:
    graph = network(binary=binary)
    latencies = []
    for registers in (1, 2):
        project = generate(graph, "rtl", plan(registers))
        found = verify(project, X, backends=["rtl-icarus"]).raise_for_mismatch()
        full, stalled = found.backends
        assert full.cycles.latency.holds
        assert full.cycles.interval.holds
        assert stalled.bits
        latencies.append(full.cycles.latency.measured.value)
    deep = [p.head for p in circuit(graph, plan(2)).pipelines if p.head and p.head.rows > SHALLOW]
    assert len(deep) == 2
    assert latencies[1] == latencies[0] + len(deep)


def test_a_register_that_is_missing_is_caught() -> None:
    project = generate(network(binary=True), "rtl", plan(2))
    name = "rtl/hwbnn_rom_dot.sv"
    text = project.text(name)
    assert text.count("weights_o <= read_q;") == 1
    broken = text.replace("weights_o <= read_q;", "weights_o <= rows[row_i];")
    project = Project(project.target, {**project.files, name: broken.encode()})
    found = verify(project, X, backends=["rtl-icarus"])
    assert all(backend.mismatches for backend in found.backends)
